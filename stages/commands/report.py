"""`python -m stages report`: the report with time, memory and commit, or the report of any pool."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from stages.commands.best_of_n import check_power, parse_scales
from stages.lib.core.errors import UserError


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

    page = root / "data/report/index.html"
    if not page.is_file():
        raise UserError(f"{page.relative_to(root)}: not found; run `dvc repro` (or `dvc pull`) first")
    runs = list_runs(root)
    seconds, commits = sum(row["seconds"] for row in runs), {row["commit"]: None for row in runs if row["commit"]}
    facts = {"runs": runs, "commits": list(commits), "total": format_duration(seconds), "raw": list_raw_inputs(root)}
    return render.insert_runs(page.read_bytes(), facts)


def list_raw_inputs(root: Path) -> list[tuple[str, str, str]]:
    """(path, md5, stage) of what stages read and no stage wrote, by dvc.lock: raw data, and weights that were brought."""
    from stages.lib.core import params

    path = root / "dvc.lock"
    stages = params.to_plain(params.read_yaml(path)).get("stages", {}) if path.exists() else {}
    written = {out["path"] for entry in stages.values() for out in entry.get("outs", ())}
    return [
        (dep["path"], dep.get("md5", ""), name)
        for name, entry in stages.items()
        for dep in entry.get("deps", ())
        if not dep["path"].startswith("stages/")
        and dep["path"] not in ("params.yaml", "requirements.lock")
        and not any(out == dep["path"] or out.startswith(f"{dep['path']}/") for out in written)
    ]


def list_runs(root: Path) -> list[dict[str, Any]]:
    """For each stage the newest finished run that gave the present metrics: seconds, time, memory, end, commit."""
    from stages.lib.core.durations import format_duration
    from stages.lib.display.tables import format_bytes
    from stages.lib.run import journal
    from stages.lib.workspace import staleness

    entries, rows = journal.load_entries(root), []
    for stage in [entry.name for entry in staleness.load_stages(root) if entry.name != "report"]:
        metrics = json.loads((root / "data" / stage / "metrics.json").read_text("utf-8"))
        infos = [entry.info for entry in reversed(entries) if entry.info["stage"] == stage]
        info = next((x for x in infos if x["status"] == journal.FINISHED and x.get("metrics") == metrics), None)
        row = {"stage": stage, "seconds": 0.0, "time": "", "memory": "", "ended": "computed elsewhere", "commit": ""}
        if info:
            git = info.get("git") or {}
            row |= {
                "seconds": info["seconds"],
                "time": format_duration(info["seconds"]),
                "memory": format_bytes(info["peak_memory"]["host"]),
                "ended": time.strftime("%Y-%m-%d %H:%M", time.gmtime(info["ended"])),
                "commit": git.get("commit", "")[:10] + (" with uncommitted changes" if git.get("dirty") else ""),
            }
        rows.append(row)
    return rows
