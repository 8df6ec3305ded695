"""`python -m stages verify`: hash every object of DVC's cache and every output again, and say how to mend what differs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.workspace.integrity import Finding

MAX_ROWS = 5  # of the files of a stage that have the same fault


def verify() -> None:
    """Hash every output and every object of DVC's cache again: are they what dvc.lock names? Exit 1 when one is not."""
    from stages.lib.display.tables import format_bytes
    from stages.lib.display.terminal import print_table
    from stages.lib.workspace import integrity, remotes

    root, began = Path.cwd(), time.monotonic()
    outputs = integrity.load_outputs(root)
    if not outputs:
        raise UserError("dvc.lock: names no output; `dvc repro` first")
    result = integrity.check(root, integrity.get_cache_dir(root), outputs, show_progress)
    faults = [finding for finding in result.findings if not finding.is_whole]
    groups: dict[tuple[str, str, str], list[str]] = {}
    for finding in faults:
        groups.setdefault((finding.owner, finding.in_workspace, finding.in_cache), []).append(finding.path)
    for path in result.strays:
        groups.setdefault(("(of another commit)", integrity.ABSENT, integrity.DAMAGED), []).append(path)
    rows = [[owner, name, *states] for (owner, *states), paths in groups.items() for name in shorten(paths)]
    if rows:
        print_table(["stage", "file", "here", "in the cache"], rows)
        repairs = integrity.list_repairs(root, result, bool(remotes.load_remotes(root)))
        print("\nTo mend it, or `dvc repro` where a change is yours:\n  " + "\n  ".join(repairs) + "\n")
    read = f"{format_bytes(result.bytes)} read in {time.monotonic() - began:.1f} s"
    count = f"{len(outputs)} outputs, {len(result.findings)} files, {result.objects} objects in the cache, {read}"
    print(f"{count}: {describe(faults, result.strays) or 'all as dvc.lock names them'}")
    if rows:
        raise typer.Exit(1)


def shorten(paths: list[str]) -> list[str]:
    """The first few, and how many more there are."""
    return paths if len(paths) <= MAX_ROWS else [*paths[: MAX_ROWS - 1], f"and {len(paths) - MAX_ROWS + 1} more"]


def describe(faults: list[Finding], strays: list[str]) -> str:
    """`1 damaged, 3 missing`."""
    from stages.lib.workspace.integrity import DAMAGED, EXTRA, MISSING

    counts: dict[str, int] = dict.fromkeys((DAMAGED, MISSING, EXTRA), 0)
    for finding in faults:
        states = (finding.in_cache, finding.in_workspace)
        counts[next(state for state in counts if state in states)] += 1
    counts[DAMAGED] += len(strays)
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def show_progress(hashes: Iterable[str], total: int) -> Iterable[str]:
    """A bar on a terminal; elsewhere a line at the start."""
    if not sys.stderr.isatty():
        print(f"verify: reading {total} files", file=sys.stderr)
        yield from hashes
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(hashes, total=total, description="verify", console=Console(stderr=True), transient=True)
