"""`python -m stages status`: the map of the pipeline and the state of each stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def status() -> None:
    """Show the state of each stage (fresh, stale and why, missing, ..), its main metric, and what these outputs cost."""
    from stages.lib.core.durations import format_duration
    from stages.lib.display import tables, terminal
    from stages.lib.run import journal
    from stages.lib.workspace import forecast, staleness

    root = Path.cwd()
    stages = staleness.load_stages(root)
    states = staleness.compute_states(root, stages)
    runs = journal.load_entries(root)
    times = forecast.make_forecast(runs)
    rows, notes = [], []
    for stage in stages:
        state = states[stage.name]
        infos = [entry.info for entry in runs if entry.info["stage"] == stage.name]
        done = state.run.info if state.run else {}
        rows.append(
            [
                stage.name,
                state.status,
                format_duration(done["seconds"]) if done else "",
                tables.format_bytes(done["peak_memory"]["host"]) if done else "",
                format_main_metric(root, stage),
                stage.desc,
            ]
        )
        if infos and infos[-1]["status"] in (journal.FAILED, journal.KILLED) and state.status != staleness.FRESH:
            state.reasons.insert(0, f"last run {infos[-1]['status'].lower()}")
        if state.status == staleness.RUNNING:
            notes.append(f"{stage.name}: running {times.describe_running(stage.name)}")
        elif state.reasons:
            more = f", and {len(state.reasons) - 3} more" if len(state.reasons) > 3 else ""
            colon = "" if state.reasons[0].startswith("by room only") else ":"
            notes.append(f"{stage.name}: {state.status}{colon} {', '.join(state.reasons[:3])}{more}")
    header = ["stage", "state", "time", "memory", "metric", "what it does"]
    terminal.print_table(header, rows, numbers=("time", "memory"), optional=("what it does",))
    if not staleness.has_outputs(root, stages) and not times.elapsed:
        notes = [
            "nothing is computed here yet: `dvc pull` fetches results if a remote is set, `dvc repro` computes them"
        ]
    if times.elapsed:
        todo = [name for name, state in states.items() if state.status != staleness.FRESH]
        left = times.estimate_left(todo)
        notes.append(f"about {format_duration(left)} left for all that is not fresh; see `python -m stages plan`")
    if notes:
        print()
        terminal.print_notes(notes)


def format_main_metric(root: Path, stage: Any) -> str:
    """The stage's main metric: `meta.metric` of dvc.yaml, else the first figure of metrics.json."""
    from stages.lib.display import tables

    try:
        metrics = json.loads((root / "data" / stage.name / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    name, value = next(_iter_metrics(metrics, stage.metric or ""), ("", ""))
    return f"{name} {tables.format_number(value)}".strip()


def _iter_metrics(tree: Any, wanted: str, path: str = "") -> Any:
    if isinstance(tree, dict) and not {"mean", "low", "high"} <= tree.keys():
        for key, value in tree.items():
            yield from _iter_metrics(value, wanted, f"{path}.{key}" if path else key)
    elif not isinstance(tree, str | list) and (not wanted or path == wanted):
        yield path, tree
