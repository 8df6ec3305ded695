"""Workers on a Ray cluster, for `launch: ray`: each holds a copy of a model and takes chunks of problems.

The stage is Ray's driver. It alone reads inputs and writes records, so no machine shares a folder with another: code goes
to the workers by Ray's runtime environment, the model's folder by its object store, problems and records as arguments and
results.

A chunk whose worker or node is lost goes to the next free worker, and another worker is started wherever there is room.
Draws are keyed, so who works on what changes no record.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import Field, ValidationError

from stages.lib.core import cpus
from stages.lib.core.errors import UserError
from stages.lib.core.params import Params
from stages.lib.run import ray_connection

M = TypeVar("M")
R = TypeVar("R")
T = TypeVar("T")

VARIABLE = "ASSAY_RAY"  # the settings, as JSON, from `python -m stages launch` to the stage
MIN_CHUNK = 8  # problems; fewer leave an engine's batches empty
PIECE_BYTES = 64 * 2**20  # of a model's file, an object of the object store
MAX_LOSSES = 3  # of a worker in a row, without a chunk between them
PATIENCE = 60.0  # seconds without any result until it is said that no worker has started
VERSIONED = ("torch", "transformers")  # whose versions decide what a model computes

_idle_actors: list[Any] = []  # of models that are done with


class RaySettings(Params):
    """The part `ray` of stages/launch/ray.yaml."""

    workers: int | None = Field(ge=1)  # copies of the model; null: as many as the cluster has room for
    cpus: float = Field(gt=0)  # CPU cores of a worker
    gpus: float = Field(ge=0)  # GPUs of a worker; 0: it computes on CPUs
    max_chunk: int = Field(ge=MIN_CHUNK)  # problems that a worker takes at a time; what a kill costs at most


@cache
def load_settings() -> RaySettings | None:
    """What the launcher has passed on; None without `launch: ray`. Raises UserError for anything else in the variable."""
    text = os.environ.get(VARIABLE)
    try:
        return RaySettings.model_validate_json(text) if text else None
    except ValidationError:
        raise UserError(
            f"environment: {VARIABLE} is set by `python -m stages launch ray` alone; `unset {VARIABLE}`"
        ) from None


def find_main() -> Callable[[], None] | None:
    """The `main` of a module that runs as `__main__`, under its own name: functions of `__main__` cannot go to workers."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return importlib.import_module(spec.name).main if spec else None


def split_chunks(items: list[T], workers: int, largest: int) -> list[list[T]]:
    """Chunks of falling size, so that the workers end together: each is half of an equal share of what is left (guided
    self-scheduling, Polychronopoulos and Kuck 1987, IEEE Transactions on Computers C-36)."""
    chunks, start = [], 0
    while start < len(items):
        size = min(max((len(items) - start) // (2 * workers), MIN_CHUNK), largest)
        chunks.append(items[start : start + size])
        start += size
    return chunks


@dataclass
class _Slot:
    """The place of one worker. losses: workers it has lost in a row. chunk: what its worker works on, None if nothing."""

    actor: Any = None
    losses: int = 0
    chunk: list[Any] | None = None


class RayWorkers(Generic[M]):
    """Copies of a model on the cluster, started when the first items come.

    load: (the model's folder, a device) -> the model. It and the functions given to `map` and `apply` are pickled by Ray: a
    function of a module, or a `partial` of one.
    """

    on_cluster = True

    def __init__(self, folder: Path, load: Callable[[Path, Any], M]):
        self.folder, self.load = folder, load
        self._settings: Any = load_settings()
        self._slots: list[_Slot] = []
        self._pending: dict[Any, _Slot] = {}  # what a worker's call will return -> its slot

    def map(self, work: Callable[[M, list[T]], Iterable[R]], items: list[T]) -> Iterator[R]:
        """What `work` makes of the model and the items, in any order. Raises UserError when the cluster cannot be reached
        or offers too little, when workers are lost again and again, and where `work` or `load` raises it."""
        ray = ray_connection.connect()
        room = self._count_room()
        workers = self._settings.workers or room
        queue = deque(split_chunks(items, workers, self._settings.max_chunk))
        while len(self._slots) < min(workers, len(queue)):
            self._slots.append(_Slot())
            self._start_worker(self._slots[-1])
        self._assign(work, queue)
        while queue or any(slot.chunk for slot in self._slots):
            done, _ = ray.wait(list(self._pending), num_returns=1, timeout=PATIENCE)
            for reference in done:
                yield from self._receive(reference, queue)
            if not done and not any(slot.chunk for slot in self._slots):
                free = ray.available_resources()
                offer = f"free are {free.get('CPU', 0):g} CPUs and {free.get('GPU', 0):g} GPUs"
                print(f"waiting for a worker with {self._request} to start; {offer}", file=sys.stderr)
            self._assign(work, queue)

    def apply(self, function: Callable[[M], R]) -> R:
        """What the function returns for the model, from any one worker."""
        return next(iter(self.map(partial(_apply, function), [None])))

    def close(self) -> None:
        """Leave the workers to the next model, since a new process takes seconds to import torch. Busy ones are ended."""
        busy = {id(slot) for slot in self._pending.values()}
        for slot in self._slots:
            if id(slot) in busy:
                ray_connection.connect().kill(slot.actor)
            else:
                _idle_actors.append(slot.actor)
        self._slots, self._pending = [], {}

    @property
    def _request(self) -> str:
        return f"{self._settings.cpus:g} CPUs and {self._settings.gpus:g} GPUs"

    def _count_room(self) -> int:
        """How many workers the cluster has room for, were it idle. Raises UserError if no node has room for one."""
        import ray

        offers = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        asked = {"CPU": self._settings.cpus, "GPU": self._settings.gpus}
        room = sum(int(min(offer.get(key, 0) // n for key, n in asked.items() if n)) for offer in offers)
        if not room:
            there = "; ".join(f"{offer.get('CPU', 0):g} CPUs, {offer.get('GPU', 0):g} GPUs" for offer in offers)
            raise UserError(
                f"no node of the Ray cluster offers a worker's {self._request} (they have: {there}); lower ray.cpus or "
                f"ray.gpus in stages/launch/ray.yaml, or add a node"
            )
        return room

    def _start_worker(self, slot: _Slot) -> None:
        import ray

        kind = ray.remote(_Worker).options(num_cpus=self._settings.cpus, num_gpus=self._settings.gpus)
        slot.actor = _idle_actors.pop() if _idle_actors else kind.remote()
        threads = max(1, int(self._settings.cpus))
        self._pending[slot.actor.start.remote(self.load, self._pieces, threads, _read_versions())] = slot

    def _assign(self, work: Callable, queue: deque[list[Any]]) -> None:
        """Give chunks to the workers that have started and wait."""
        busy = {id(slot) for slot in self._pending.values()}
        for slot in self._slots:
            if queue and id(slot) not in busy:
                slot.chunk = queue.popleft()
                self._pending[slot.actor.work.remote(work, slot.chunk)] = slot

    def _receive(self, reference: Any, queue: deque[list[Any]]) -> list[Any]:
        """The results of a chunk; none of a worker's start, or when the worker was lost: then its chunk waits again."""
        import ray
        from ray import exceptions

        slot = self._pending.pop(reference)
        chunk, slot.chunk = slot.chunk, None
        try:
            result = ray.get(reference)
        except exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, UserError) else error) from None
        except (exceptions.RayActorError, exceptions.ObjectLostError, exceptions.OutOfMemoryError) as error:
            slot.losses += 1
            if slot.losses == MAX_LOSSES:
                cause = " ".join(str(error).split())
                raise UserError(
                    f"a Ray worker was lost {MAX_LOSSES} times in a row; it may need more memory: {cause}"
                ) from None
            if chunk:
                queue.appendleft(chunk)
            ray.kill(slot.actor)
            self._start_worker(slot)
            return []
        if chunk is None:
            return []
        slot.losses = 0
        return result

    @cached_property
    def _pieces(self) -> list[tuple[str, list[Any]]]:
        """(path in the folder, its bytes as objects) of each file of the model."""
        import ray

        def put(path: Path) -> list[Any]:
            with open(path, "rb") as file:
                return [ray.put(piece) for piece in iter(partial(file.read, PIECE_BYTES), b"")]

        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return [(path.relative_to(self.folder).as_posix(), put(path)) for path in paths]


class _Worker:
    """The actor: one copy of the model, on the GPU that Ray gives it, else on CPUs."""

    _model: Any

    def start(
        self, load: Callable[[Path, Any], Any], pieces: list[tuple[str, list[Any]]], threads: int, versions: dict
    ) -> None:
        """Load the model from a folder of its own, which is removed at once. Raises UserError for other versions."""
        import ray

        if (here := _read_versions()) != versions:
            raise UserError(
                f"the node {ray.util.get_node_ip_address()} has {here}, this machine {versions}; install requirements.lock "
                f"on every node"
            )
        import torch

        torch.set_num_threads(threads)
        os.environ["LOCAL_WORLD_SIZE"] = str(
            max(1, cpus.count_usable() // threads)
        )  # for graders, which start threads, too
        self._model = None  # the one before goes first
        with tempfile.TemporaryDirectory(prefix="assay-model-") as folder:
            for name, references in pieces:
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "wb") as file:
                    for reference in references:
                        file.write(ray.get(reference))
            self._model = load(Path(folder), torch.device("cuda" if ray.get_gpu_ids() else "cpu"))

    def work(self, work: Callable[[Any, list[T]], Iterable[R]], items: list[T]) -> list[R]:
        return list(work(self._model, items))


def _apply(function: Callable[[M], R], model: M, _: list[None]) -> list[R]:
    return [function(model)]


def _read_versions() -> dict[str, str]:
    return {name: metadata.version(name).partition("+")[0] for name in VERSIONED}
