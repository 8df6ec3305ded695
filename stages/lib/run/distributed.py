"""Processes that share a stage's work, and what they finished of it, kept one problem at a time.

Each process appends lines to its own file under the stage's checkpoint folder; a line is one problem's records. A kill
costs at most the line being written. The next run, with any number of processes, reads all files and does the rest.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from stages.lib.core import files
from stages.lib.core.errors import UserError
from stages.lib.core.records import Record
from stages.lib.run import launcher
from stages.lib.run.execution import StageRun

if TYPE_CHECKING:
    from accelerate import PartialState

R = TypeVar("R", bound=Record)
T = TypeVar("T")
VISIBILITY_TIMEOUT = (
    5.0  # seconds until what one machine wrote is there on another: file systems over a network take a moment
)


def init_processes(run: StageRun) -> PartialState:
    """This process joined with the others of the execution, so that they can wait for one another.

    Unlike Accelerator, PartialState does not look at ACCELERATE_USE_CPU: unasked, processes on CPUs stay strangers and
    none waits. Raises UserError when they could not be joined, or are on machines that do not share one folder.
    """
    from datetime import timedelta

    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    # One process may wait for another's whole share of the work; gloo and nccl give up after minutes.
    patience = {"timeout": timedelta(days=7)} if run.world_size > 1 else {}
    state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"), **patience)
    if state.num_processes != run.world_size:
        raise UserError(
            f"{run.name}: {run.world_size} processes were started, but accelerate joined {state.num_processes}; "
            f"on CPUs set ACCELERATE_USE_CPU=true"
        )
    if run.world_size > 1:
        launcher.fsdp_enabled()  # settings that would leave a process without weights are refused before it reads any
        _check_shared_folder(run, state)
    return state


def _check_shared_folder(run: StageRun, state: PartialState) -> None:
    """Raises UserError unless every process sees the folder of unfinished work that the main one writes: they then have
    read the same parameters, inputs and code, for these name it."""
    import torch
    from accelerate.utils import broadcast, gather

    path, token = run.checkpoint_dir / "token", torch.tensor([time.time_ns()], device=state.device)
    token = str(broadcast(token).item())
    if run.is_main:
        files.write_text(path, token)
    state.wait_for_everyone()
    deadline = time.monotonic() + VISIBILITY_TIMEOUT
    while not (sees := path.exists() and path.read_text(encoding="utf-8") == token) and time.monotonic() < deadline:
        time.sleep(0.2)
    found = gather(torch.tensor([int(sees)], device=state.device)).tolist()
    strangers = [str(rank) for rank, one in enumerate(found) if not one]
    if strangers and not run.is_main:
        sys.exit(2)  # one process says it for all
    if strangers:
        raise UserError(
            f"process {', '.join(strangers)} of {run.world_size}: cannot see {path.relative_to(run.root)}, which process 0 "
            f"wrote; all machines must run in one shared folder, as stages/launch/multinode.yaml says"
        )


def load_finished(folder: Path, name: str, kind: type[R]) -> dict[str, list[R]]:
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


def append_records(run: StageRun, name: str, groups: Iterable[list[R]]) -> None:
    """One line for each problem's records, on disk before the next begins."""
    run.checkpoint_dir.mkdir(parents=True, exist_ok=True)
    with open(run.checkpoint_dir / f"{name}.{run.rank}.jsonl", "ab") as file:
        file.write(b"\n")  # ends a line that a kill cut off
        for records in groups:
            file.write(json.dumps([record.model_dump() for record in records]).encode() + b"\n")
            file.flush()


def select_shard(run: StageRun, items: list[T], done: dict, identity: Callable[[T], str] = str) -> list[T]:
    """What this process has still to do: item i is that of process i % world, whatever other worlds did before."""
    return [item for item in items[run.rank :: run.world_size] if identity(item) not in done]


def gather_records(run: StageRun, name: str, wanted: Iterable[str], kind: type[R]) -> list[R]:
    """All records, once every process has finished. Raises RuntimeError unless they are of exactly these problems."""
    done, wanted = load_finished(run.checkpoint_dir, name, kind), set(wanted)
    if set(done) != wanted:
        raise RuntimeError(f"{name}: records of {len(done)} problems where {len(wanted)} were asked")
    return [record for group in done.values() for record in group]


def map_sharded(
    run: StageRun,
    name: str,
    items: list[T],
    work: Callable[[list[T]], Iterable[list[R]]],
    kind: type[R],
    identity: Callable[[T], str] = str,
) -> dict[str, list[R]]:
    """problem id -> the records that `work` makes of its item, for every process: each does its own items, and what is
    finished stays until the stage is."""
    append_records(run, name, work(select_shard(run, items, load_finished(run.checkpoint_dir, name, kind), identity)))
    if run.world_size > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()
    found: dict[str, list[R]] = {}
    for record in gather_records(run, name, map(identity, items), kind):
        found.setdefault(record.problem_id, []).append(record)
    return found
