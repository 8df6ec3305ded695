"""`python -m stages report --out FILE.html`: the report with time, memory and commit, or the report of any pool."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from stages.commands.best_of_n import check_power, parse_scales
from stages.lib.core.errors import UserError


def report(
    out: Annotated[Path, typer.Option(help="The page to write, a file with the ending .html.")],
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

    if out.suffix != ".html" or out.is_dir():
        raise UserError(f"--out {out}: must be a file with the ending .html")
    check_power(power)
    if pool:
        page, data = pool_page.build(pool, parse_scales(scale or []), power, 0.25, 200, 2000, seed)
    elif scale:
        raise UserError("--scale: is of --pool; the scores of this run are probabilities")
    else:
        page, data = build_run_report(Path.cwd())
    html = render.render(page, data)
    files.write_bytes(out, html)
    problems = sum(len(part["problems"]) for part in data["sets"])
    print(f"{out}: {problems} problems, {format_bytes(len(html))}; open it in a browser")


def build_run_report(root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(page, data) of the stage's report, with what the journal knows of the runs."""
    from stages.evaluation import report as stage
    from stages.lib.core import params
    from stages.lib.run import import_closure
    from stages.lib.run.execution import StageRun
    from stages.lib.workspace import staleness

    top, section = params.load_top_level(), params.load_section("report", stage.Params)
    run = StageRun("report", section, top.seed, root, "", 0, 1, top.test_seed)
    deps = next(entry.deps for entry in staleness.load_stages(root) if entry.name == "report")
    paths = [dep for dep in deps if not import_closure.is_code(dep)]
    if missing := [path for path in paths if not (root / path).exists()]:
        raise UserError(f"{missing[0]}: not found; run `dvc repro` (or `dvc pull`) first")
    page, data = stage.build(run)
    return page | {"runs": list_runs(root)}, data


def list_runs(root: Path) -> list[dict[str, str]]:
    """For each stage the newest finished run that gave the present metrics: time, memory, end, commit."""
    from stages.lib.core.durations import format_duration
    from stages.lib.display.tables import format_bytes
    from stages.lib.run import journal
    from stages.lib.workspace import staleness

    entries, rows = journal.load_entries(root), []
    for stage in [entry.name for entry in staleness.load_stages(root) if entry.name != "report"]:
        metrics = json.loads((root / "data" / stage / "metrics.json").read_text("utf-8"))
        infos = [entry.info for entry in reversed(entries) if entry.info["stage"] == stage]
        info = next((x for x in infos if x["status"] == journal.FINISHED and x.get("metrics") == metrics), None)
        row = {"stage": stage, "time": "", "memory": "", "ended": "computed elsewhere", "commit": ""}
        if info:
            git = info.get("git") or {}
            row |= {
                "time": format_duration(info["seconds"]),
                "memory": format_bytes(info["peak_memory"]["host"]),
                "ended": time.strftime("%Y-%m-%d %H:%M", time.gmtime(info["ended"])),
                "commit": git.get("commit", "")[:10] + (" and changes" if git.get("dirty") else ""),
            }
        rows.append(row)
    return rows
