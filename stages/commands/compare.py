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
    everything: Annotated[bool, typer.Option("--all", help="Also show equal rows, and every k of a curve.")] = False,
) -> None:
    """Show the newest runs of a stage side by side: parameters and inputs that differ, metrics, cost."""
    from stages.lib.display import terminal
    from stages.lib.run import journal

    runs = [entry.info for entry in journal.load_entries(Path.cwd()) if entry.info["stage"] == stage]
    if not runs:
        names = sorted({entry.info["stage"] for entry in journal.load_entries(Path.cwd())})
        hint = f"runs are recorded of {', '.join(names)}" if names else "nothing has run yet, `dvc repro` first"
        raise UserError(f"compare {stage}: no run of this stage; {hint}")
    runs = runs[-last:]
    rows = [[label, *(str(cell) for cell in cells)] for label, cells in build_table(runs, everything)]
    terminal.print_table([stage, *(format_time(run["started"]) for run in runs)], rows)


def build_table(runs: list[dict[str, Any]], everything: bool = False) -> list[tuple[str, list[str]]]:
    """(row name, one cell per run), oldest run first."""
    from stages.lib.core.durations import format_duration
    from stages.lib.display import tables

    commits = [((run.get("git") or {}).get("commit") or "")[:8] for run in runs]
    dirty = ["+" if (run.get("git") or {}).get("dirty") else "" for run in runs]
    rows = [
        ("status", [run["status"].lower() for run in runs]),
        ("commit", [commit + mark for commit, mark in zip(commits, dirty, strict=True)]),
    ]
    if any(names := [run.get("experiment") or "" for run in runs]):
        rows.append(("experiment", names))
    rows += _build_rows([flatten(run.get("params", {})) for run in runs], everything)
    inputs = [{path: md5.partition(".")[0][:8] for path, md5 in run.get("inputs", {}).items()} for run in runs]
    rows += _build_rows(inputs, everything)
    rows += _build_rows([select_metrics(run.get("metrics") or {}, everything) for run in runs], True)
    rows.append(("time", [format_duration(run["seconds"]) if "seconds" in run else "" for run in runs]))
    memory = [(run.get("peak_memory") or {}).get("host") for run in runs]
    rows.append(("memory", [tables.format_bytes(amount) if amount else "" for amount in memory]))
    return rows


def _build_rows(columns: list[dict[str, Any]], everything: bool) -> list[tuple[str, list[str]]]:
    """A row for each name in the columns; rows of equal cells only with `everything`."""
    from stages.lib.display import tables

    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, [tables.format_number(column.get(name, "")) for column in columns]) for name in names]
    return [(name, row) for name, row in rows if everything or len(set(row)) > 1]


def flatten(tree: Any, path: str = "") -> dict[str, Any]:
    """{"orm": {"lr": 1}} -> {"orm.lr": 1}. An interval {mean, low, high} is one leaf."""
    if not isinstance(tree, dict) or {"mean", "low", "high"} <= tree.keys():
        return {path: tree}
    leaves = {}
    for key, value in tree.items():
        leaves |= flatten(value, f"{path}.{key}" if path else str(key))
    return leaves


def select_metrics(tree: Any, everything: bool) -> dict[str, Any]:
    """The metrics to show: of a curve {"1": ..., "2": ..., "64": ...} only the last point, unless `everything`."""
    if not isinstance(tree, dict) or everything:
        return flatten(tree)
    numbered = [key for key in tree if key.isdigit()]
    last = max(numbered, key=int, default=None)
    leaves = {}
    for key in (key for key in tree if key not in numbered or key == last):
        is_group = isinstance(tree[key], dict) and "mean" not in tree[key]
        group = select_metrics(tree[key], False) if is_group else {"": tree[key]}
        leaves |= {f"{key}.{name}" if name else key: leaf for name, leaf in group.items()}
    return leaves


def format_time(seconds: float) -> str:
    return time.strftime("%d %b %H:%M:%S", time.localtime(seconds))
