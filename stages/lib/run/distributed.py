"""Data-parallel work: the processes of a stage divide its problems, and finished problems survive a kill.

Each process appends to its own file in the stage's checkpoint folder, one line for the records of one problem. A kill costs
at most the line being written. The next run, with any number of processes, reads all files and does the rest. Under
`launch: ray` the work is done elsewhere (ray_cluster.py), and the main process alone appends.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from stages.lib.core import files
from stages.lib.core.errors import UserError
from stages.lib.core.records import Record
from stages.lib.run import launcher, ray_cluster
from stages.lib.run.execution import StageRun

if TYPE_CHECKING:
    from accelerate import PartialState

R = TypeVar("R", bound=Record)
M = TypeVar("M")
T = TypeVar("T")
X = TypeVar("X")
Workers: TypeAlias = "LocalWorkers[M] | ray_cluster.RayWorkers[M]"
VISIBILITY_TIMEOUT = 5.0  # seconds until a file written by one machine is visible to others, over a network file system


def init_processes(run: StageRun) -> PartialState:
    """Join this process with the others of the execution, so that they can wait for one another.

    Unlike Accelerator, PartialState does not read ACCELERATE_USE_CPU by itself; without `cpu`, processes on CPUs are not
    joined into a group and none waits. Raises UserError when joining failed, or when machines do not share one folder.
    """
    from datetime import timedelta

    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    # One process may wait for another's whole share of the work; by default gloo and nccl give up after minutes.
    options: dict[str, Any] = {"timeout": timedelta(days=7)} if run.world_size > 1 else {}
    state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"), **options)
    if state.num_processes != run.world_size:
        raise UserError(
            f"{run.name}: {run.world_size} processes were started, but accelerate joined {state.num_processes}; "
            f"on CPUs set ACCELERATE_USE_CPU=true"
        )
    if run.world_size > 1:
        launcher.fsdp_enabled()  # refuses settings that would leave a process without weights, before it reads any
        _check_shared_folder(run, state)
    return state


def _check_shared_folder(run: StageRun, state: PartialState) -> None:
    """Raises UserError unless every process sees the checkpoint folder that the main one writes. Its name is the key of
    parameters, inputs and code, so the processes then agree on these, too."""
    import torch
    from accelerate import utils

    broadcast: Any = utils.broadcast  # typed as if they returned any collection
    gather: Any = utils.gather
    path = run.checkpoint_dir / "token"
    token = str(broadcast(torch.tensor([time.time_ns()], device=state.device)).item())
    if run.is_main:
        files.write_text(path, token)
    state.wait_for_everyone()
    deadline = time.monotonic() + VISIBILITY_TIMEOUT
    while not (is_visible := path.exists() and path.read_text("utf-8") == token) and time.monotonic() < deadline:
        time.sleep(0.2)
    flags = gather(torch.tensor([int(is_visible)], device=state.device)).tolist()
    blind = [str(rank) for rank, flag in enumerate(flags) if not flag]
    if blind and not run.is_main:
        sys.exit(2)  # the main process reports it for all
    if blind:
        raise UserError(
            f"process {', '.join(blind)} of {run.world_size}: cannot see {path.relative_to(run.root)}, which process 0 "
            f"wrote; all machines must run in one shared folder, as stages/launch/multinode.yaml says"
        )


def load_finished(folder: Path, name: str, kind: type[R]) -> dict[str, list[R]]:
    """problem id -> records, from the files of this and earlier runs. A line cut off by a kill is left out."""
    finished: dict[str, list[R]] = {}
    for part in sorted(folder.glob(f"{name}.*.jsonl")):
        for line in part.read_bytes().split(b"\n"):
            try:
                rows = json.loads(line)
            except ValueError:
                continue
            finished[rows[0]["problem_id"]] = [kind.model_validate(row) for row in rows]
    return finished


def append_records(run: StageRun, name: str, groups: Iterable[list[R]]) -> None:
    """Write one line for each problem's records, on disk before the next problem begins."""
    run.checkpoint_dir.mkdir(parents=True, exist_ok=True)
    with open(run.checkpoint_dir / f"{name}.{run.rank}.jsonl", "ab") as file:
        file.write(b"\n")  # ends a line that a kill cut off
        for records in groups:
            file.write(json.dumps([record.model_dump() for record in records]).encode() + b"\n")
            file.flush()


def select_shard(run: StageRun, items: list[T], finished: dict, get_id: Callable[[T], str] = str) -> list[T]:
    """The items that this process has still to do. Item i falls to process i % world_size, independent of the world size of
    earlier runs."""
    return [item for item in items[run.rank :: run.world_size] if get_id(item) not in finished]


def gather_records(run: StageRun, name: str, problem_ids: Iterable[str], kind: type[R]) -> list[R]:
    """All records, once every process has finished. Raises RuntimeError unless they are of exactly these problems."""
    return list(chain.from_iterable(_load_all(run, name, set(problem_ids), kind).values()))


def _load_all(run: StageRun, name: str, problem_ids: set[str], kind: type[R]) -> dict[str, list[R]]:
    finished = load_finished(run.checkpoint_dir, name, kind)
    if set(finished) != problem_ids:
        raise RuntimeError(f"{name}: records of {len(finished)} problems where {len(problem_ids)} were asked")
    return finished


class LocalWorkers(Generic[M]):
    """This process's own copy of a model, loaded when the first items come."""

    on_cluster = False

    def __init__(self, load: Callable[[], M]):
        self._load = load

    @cached_property
    def _model(self) -> M:
        return self._load()

    def map(self, work: Callable[[M, list[T]], Iterable[X]], items: list[T]) -> Iterable[X]:
        """What `work` makes of the model and the items."""
        return work(self._model, items)

    def apply(self, function: Callable[[M], X]) -> X:
        return function(self._model)

    def close(self) -> None:
        """Let go of the model."""
        self.__dict__.pop("_model", None)


@contextmanager
def open_workers(run: StageRun, folder: Path, load: Callable[[Path, Any], M], device: Any) -> Iterator[Workers[M]]:
    """Workers whose model `load` makes of (its folder, a device): on the Ray cluster under `launch: ray`, where `load` and
    the work must be functions that can be pickled; otherwise this process, on `device`."""
    on_cluster = ray_cluster.load_settings() is not None
    workers: Workers[M] = (
        ray_cluster.RayWorkers(folder, load) if on_cluster else LocalWorkers(partial(load, folder, device))
    )
    try:
        yield workers
    finally:
        workers.close()


def make_records(
    run: StageRun,
    workers: Workers[M],
    name: str,
    items: list[T],
    work: Callable[[M, list[T]], Iterable[list[R]]],
    kind: type[R],
    get_id: Callable[[T], str] = str,
) -> None:
    """Keep under `name` what `work` makes of each item that no run has finished: of this process's shard, or of all items
    where the main process has workers on a cluster."""
    if workers.on_cluster:
        if not run.is_main:
            return
        run = replace(run, world_size=1)
    missing = select_shard(run, items, load_finished(run.checkpoint_dir, name, kind), get_id)
    if missing:
        append_records(run, name, run.track_progress(workers.map(work, missing), len(missing), name))


def map_sharded(
    run: StageRun,
    workers: Workers[M],
    name: str,
    items: list[T],
    work: Callable[[M, list[T]], Iterable[list[R]]],
    kind: type[R],
    get_id: Callable[[T], str] = str,
) -> dict[str, list[R]]:
    """problem id -> the records of `make_records`, of all processes in every process. Raises RuntimeError unless there are
    records of exactly these problems."""
    make_records(run, workers, name, items, work, kind, get_id)
    run.wait_for_processes()
    return _load_all(run, name, set(map(get_id, items)), kind)
