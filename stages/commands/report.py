"""`python -m stages report`: the report with time, memory and commit, or the report of any pool."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stages.commands.best_of_n import check_power, parse_scales
from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.workspace.lineage import Step


def report(
    out: Annotated[Path, typer.Option(help="The page to write, a file with the ending .html.")] = Path("report.html"),
    pool: Annotated[Path | None, typer.Option(help="A JSONL file as best-of-n reads it, instead of this run.")] = None,
    scale: Annotated[
        list[str] | None, typer.Option(help="SCORE=probability, log-probability or logit, where the rows do not.")
    ] = None,
    power: Annotated[float, typer.Option(min=0, help="Weight of a vote = score ** power, of --pool.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of subsets and resamples, of --pool.")] = 42,
) -> None:
    """Write the report as one HTML file: of this run, with the time, memory and commit of each stage, or of any pool."""
    from stages.lib.core import files
    from stages.lib.display.tables import format_bytes
    from stages.lib.page import pool_page, render

    if out.suffix != ".html":
        raise UserError(f"--out {out}: must be a file with the ending .html")
    files.check_output("--out", out)
    check_power(power)
    if pool:
        html = render.render(*pool_page.build(pool, parse_scales(scale or []), power, 0.25, 200, 2000, seed))
    elif scale:
        raise UserError("--scale: is of --pool; the scores of this run are probabilities")
    else:
        html = date_run_report(Path.cwd())
    files.write_bytes(out, html)
    print(f"{out}: {format_bytes(len(html))}; open it in a browser")


def date_run_report(root: Path) -> bytes:
    """The stage's page with what the journal knows of the runs, and dvc.lock of the raw inputs. Raises UserError without
    that page."""
    from stages.lib.core.durations import format_duration
    from stages.lib.page import render
    from stages.lib.workspace import lineage

    page = root / "data/report/index.html"
    if not page.is_file():
        raise UserError(f"{page.relative_to(root)}: not found; run `dvc repro` (or `dvc pull`) first")
    traced = lineage.trace(root, page.relative_to(root).as_posix())
    steps = traced.steps[:-1]  # the last is the page's own
    rows, seconds = [describe_run(step) for step in steps], [step.run["seconds"] for step in steps if step.run]
    facts = {
        "runs": rows,
        "commits": list(dict.fromkeys(row["commit"] for row in rows if row["commit"])),
        "total": format_duration(sum(seconds)),
        "raw": traced.list_raw_inputs(),
    }
    return render.insert_runs(page.read_bytes(), facts)


def describe_run(step: Step) -> dict[str, str]:
    """A stage's run in words: time, memory, end, commit; of a run elsewhere the commit that recorded it."""
    from stages.lib.core.durations import format_duration
    from stages.lib.display.tables import format_bytes

    if step.run is None:
        return {"stage": step.stage, "ended": "computed elsewhere", "commit": (step.commit or "")[:10]}
    commit, dirty = (step.run["commit"] or "")[:10], " with uncommitted changes" if step.run["dirty"] else ""
    return {
        "stage": step.stage,
        "time": format_duration(step.run["seconds"]),
        "memory": format_bytes(step.run["peak_memory"]["host"]),
        "ended": time.strftime("%Y-%m-%d %H:%M", time.gmtime(step.run["ended"])),
        "commit": commit and commit + dirty,
    }
