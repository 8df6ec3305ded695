"""Finished work of an unfinished stage, kept one problem at a time.

Each process appends lines to its own file under the stage's checkpoint folder; a line is one problem's records. A kill
costs at most the line being written. The next run, with any number of processes, reads all files and does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from stages.lib.execution import Execution
from stages.lib.records import Record

R = TypeVar("R", bound=Record)


def finished(folder: Path, name: str, kind: type[R]) -> dict[str, list[R]]:
    """problem id -> records, from the parts that this and earlier runs left. A line cut off by a kill is left out."""
    done: dict[str, list[R]] = {}
    for part in sorted(folder.glob(f"{name}.*.jsonl")):
        for line in part.read_bytes().split(b"\n"):
            try:
                rows = json.loads(line)
            except ValueError:
                continue
            done[rows[0]["problem_id"]] = [kind.model_validate(row) for row in rows]
    return done


def append(run: Execution, name: str, groups: Iterable[list[R]]) -> None:
    """One line for each problem's records, on disk before the next begins."""
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    with open(run.checkpoints / f"{name}.{run.rank}.jsonl", "ab") as file:
        file.write(b"\n")  # ends a line that a kill cut off
        for records in groups:
            file.write(json.dumps([record.model_dump() for record in records]).encode() + b"\n")
            file.flush()


def mine(run: Execution, items: list[R], done: dict, identity: Callable[[R], str] = str) -> list[R]:
    """What this process has still to do: item i is that of process i % world, whatever other worlds did before."""
    return [item for item in items[run.rank :: run.world] if identity(item) not in done]


def merged(run: Execution, name: str, wanted: Iterable[str], kind: type[R]) -> list[R]:
    """All records, once every process has finished. Raises RuntimeError unless they are of exactly these problems."""
    done, wanted = finished(run.checkpoints, name, kind), set(wanted)
    if set(done) != wanted:
        raise RuntimeError(f"{name}: records of {len(done)} problems where {len(wanted)} were asked")
    return [record for group in done.values() for record in group]
