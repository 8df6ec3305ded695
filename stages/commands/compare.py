"""`python -m stages compare STAGE`: the newest runs of a stage side by side, from the journal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from stages.lib.core.errors import UserError


def compare(
    stage: Annotated[str, typer.Argument(help="A stage's name.")],
    last: Annotated[int, typer.Option(min=1, help="How many runs.")] = 3,
    everything: Annotated[bool, typer.Option("--all", help="Equal rows and every k of a curve, too.")] = False,
) -> None:
    """Put the newest runs of a stage side by side: parameters and inputs that differ, metrics, cost."""
    from stages.lib.display import tables
    from stages.lib.run import journal

    runs = [entry.info for entry in journal.load_entries(Path.cwd()) if entry.info["stage"] == stage]
    if not runs:
        names = sorted({entry.info["stage"] for entry in journal.load_entries(Path.cwd())})
        known = f"; runs are recorded of {', '.join(names)}" if names else "; nothing has run yet, `dvc repro` first"
        raise UserError(f"compare {stage}: no run of this stage{known}")
    runs = runs[-last:]
    rows = [[label, *(str(cell) for cell in cells)] for label, cells in build_table(runs, everything)]
    tables.print_table([stage, *(format_time(run["started"]) for run in runs)], rows)


def build_table(runs: list[dict[str, Any]], everything: bool = False) -> list[tuple[str, list[str]]]:
    """(row name, one cell per run), oldest run first."""
    from stages.lib.display import tables

    commits = [((run.get("git") or {}).get("commit") or "")[:8] for run in runs]
    dirty = ["+" if (run.get("git") or {}).get("dirty") else "" for run in runs]
    rows = [
        ("status", [run["status"].lower() for run in runs]),
        ("commit", [commit + mark for commit, mark in zip(commits, dirty, strict=True)]),
    ]
    rows += _build_rows([flatten(run.get("params", {})) for run in runs], everything, "")
    rows += _build_rows(
        [{k: v.partition(".")[0][:8] for k, v in run.get("inputs", {}).items()} for run in runs], everything
    )
    rows += _build_rows([select_metrics(run.get("metrics") or {}, everything) for run in runs], True)
    rows.append(("time", [tables.format_duration(run["seconds"]) if "seconds" in run else "" for run in runs]))
    memory = [(run.get("peak_memory") or {}).get("host") for run in runs]
    rows.append(("memory", [tables.format_bytes(amount) if amount else "" for amount in memory]))
    return rows


def _build_rows(columns: list[dict[str, Any]], everything: bool, absent: str = "") -> list[tuple[str, list[str]]]:
    from stages.lib.display import tables

    names = list(dict.fromkeys(name for column in columns for name in column))
    cells = [
        (name, [tables.format_number(column[name]) if name in column else absent for column in columns])
        for name in names
    ]
    return [(name, row) for name, row in cells if everything or len(set(row)) > 1]


def flatten(tree: Any, path: str = "") -> dict[str, Any]:
    """{"orm": {"lr": 1}} -> {"orm.lr": 1}. An interval {mean, low, high} is one leaf."""
    if not isinstance(tree, dict) or {"mean", "low", "high"} <= tree.keys():
        return {path: tree}
    found = {}
    for key, value in tree.items():
        found |= flatten(value, f"{path}.{key}" if path else str(key))
    return found


def select_metrics(tree: Any, everything: bool) -> dict[str, Any]:
    """Metrics to show. Of a curve {"1": ..., "2": ..., "64": ...} the last point stands for all."""
    if not isinstance(tree, dict) or everything:
        return flatten(tree)
    numbered = [key for key in tree if key.isdigit()]
    kept = {key: value for key, value in tree.items() if key not in numbered}
    if numbered:
        end = max(numbered, key=int)
        kept[end] = tree[end]
    found = {}
    for key, value in kept.items():
        inner = select_metrics(value, False) if isinstance(value, dict) and "mean" not in value else {"": value}
        found |= {f"{key}.{name}" if name else key: leaf for name, leaf in inner.items()}
    return found


def format_time(seconds: float) -> str:
    return time.strftime("%d %b %H:%M:%S", time.localtime(seconds))
