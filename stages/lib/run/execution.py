"""Runs a stage: reads its parameters, takes its lock, keeps the journal, writes its figures.

A stage's `main()` is `run_stage(name, Params, body)`. Around `body` this file also starts the copy to MLflow, offers a
checkpoint folder that survives kills, and turns a user's mistake into one sentence. It works by hand and under
`accelerate launch` on any number of processes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from stages.lib.core import conflicts, digests, files, params, settings
from stages.lib.core.durations import format_duration
from stages.lib.core.errors import UserError
from stages.lib.run import import_closure, journal, launcher, mlflow_helper, ray_cluster
from stages.lib.run.headline import select_headline
from stages.lib.run.progress import Progress

P = TypeVar("P", bound=params.Params)
T = TypeVar("T")


@dataclass
class StageRun(Generic[P]):
    """What a stage's body works with. `key` names parameters, inputs and code; `rank` is 0 in the main process.

    `test_seed` keys the test problems alone, so that the same trained models can be tested on fresh ones."""

    name: str
    params: P
    seed: int
    root: Path
    key: str
    rank: int
    world_size: int
    test_seed: int = 1
    journal_entry: journal.Entry | None = None
    progress: Progress | None = None
    counts: dict[str, float] = field(default_factory=dict)

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def out_dir(self) -> Path:
        """data/<stage>/, the only folder the stage writes."""
        return self.root / "data" / self.name

    @property
    def checkpoint_dir(self) -> Path:
        """Unfinished work, removed on success. Outside data/, because DVC deletes outputs before a stage runs; named by
        the key, so that a resumed run can never mix settings."""
        return self.root / ".checkpoints" / self.name / self.key

    def input_path(self, stage: str, *parts: str) -> Path:
        """An output of an earlier stage. Raises UserError that names the stage to run when it is missing."""
        path = self.root.joinpath("data", stage, *parts)
        if not path.exists():
            raise UserError(
                f"{path.relative_to(self.root)}: not found; run `dvc repro {stage}` (or `dvc pull {stage}`) first"
            )
        return path

    def log(self, step: int, **numbers: float) -> None:
        """Record numbers at a step, for the journal and MLflow. In other processes than the main one it does nothing."""
        if self.journal_entry:
            self.journal_entry.log(step, **numbers)

    def count(self, **amounts: float) -> None:
        """Add to the costs of the execution, such as tokens and flops."""
        for name, amount in amounts.items():
            self.counts[name] = self.counts.get(name, 0) + amount

    def wait_for_processes(self) -> None:
        """Wait until all processes have come this far. Without accelerate they are not joined, and none waits."""
        if self.world_size > 1 and "accelerate" in sys.modules:
            from accelerate import PartialState

            PartialState().wait_for_everyone()

    def track_progress(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """Pass items through, and show how far they are, in the main process of a stage that `run_stage` runs."""
        return self.progress.track(items, total, what) if self.progress else iter(items)


def run_stage(
    name: str, model: type[P], body: Callable[[StageRun[P]], dict[str, Any]], headline: Sequence[str] = ()
) -> None:
    """Run `body` as stage `name`. Exits 2 after a user's mistake, 130/143 when interrupted or terminated.

    `body` returns the stage's figures, which become metrics.json. With a `headline` (patterns of select_headline) they
    become results.json, and metrics.json has those that it names. A stage takes no arguments but --help."""
    if body.__module__ == "__main__" and len(sys.argv) > 1:
        return _answer_arguments(name, sys.argv[1:])
    try:
        if ray_cluster.load_settings() and body.__module__ == "__main__" and (main := ray_cluster.find_main()):
            return main()
        _run_stage(name, model, body, headline)
    except (UserError, OSError) as error:
        reason = files.explain_os_error(error) if isinstance(error, OSError) else str(error)
        if reason is None:
            raise
        if os.environ.get("RANK", "0") != "0":
            time.sleep(2)  # the main process reports a mistake that all of them met; the launcher ends the others
        print(f"{name}: {reason}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _answer_arguments(name: str, arguments: list[str]) -> NoReturn:
    """Show the stage's docstring and parameters for --help, refuse everything else."""
    if not {"-h", "--help"} & {*arguments}:
        told = f"takes no arguments, got {' '.join(arguments)}; its parameters are in params.yaml, --help explains them"
        print(f"{name}: {told}", file=sys.stderr)
        sys.exit(2)
    print(sys.modules["__main__"].__doc__, flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "stages", "params", name])


def _run_stage(
    name: str, model: type[P], body: Callable[[StageRun[P]], dict[str, Any]], headline: Sequence[str]
) -> None:
    root = Path.cwd()
    top = params.load_top_level()
    section = params.load_section(name, model)
    document = params.read_yaml()
    conflicts.check(document, [(params.PARAMS_FILE, document)], root)
    rank, world = launcher.read_place()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    launcher.exit_with_launcher()
    inputs = _hash_inputs(root, name, body)
    key = _compute_key(top, section, inputs)
    run = StageRun(name, section, top.seed, root, key, rank, world, top.test_seed)
    if rank != 0:
        body(run)
        run.wait_for_processes()
        return
    with _lock(root, name):
        _prune_checkpoints(run)
        run.progress = Progress(name, journal.load_last_seconds(root, name))
        run.journal_entry = journal.start(
            root,
            stage=name,
            key=key,
            params={"seed": top.seed, "test_seed": top.test_seed, name: section.model_dump()},
            inputs=inputs,
            command=[Path(sys.executable).name, *sys.argv],
            world=world,
            **settings.describe(root, journal.read_committed(root, str(params.PARAMS_FILE))),
        )
        helper = mlflow_helper.MlflowHelper(root, run.journal_entry)
        paths = _list_paths(root, name, "outs", "metrics", "plots")
        began, status, reason, metrics, outputs = time.monotonic(), journal.FAILED, None, {}, {}
        try:
            run.out_dir.mkdir(parents=True, exist_ok=True)
            with run.progress.report():
                metrics = figures = body(run)
            if headline:
                files.write_json(run.out_dir / "results.json", figures)
                metrics = select_headline(figures, headline)
            files.write_json(run.out_dir / "metrics.json", metrics)
            run.wait_for_processes()  # a slow one may still read checkpoints
            shutil.rmtree(run.checkpoint_dir, ignore_errors=True)
            outputs = {path: digests.md5(root / path) for path in paths if (root / path).exists()}
            status = journal.FINISHED
        except (KeyboardInterrupt, SystemExit) as error:
            status = journal.KILLED
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else "terminated"
            raise
        except BaseException as error:
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            raise
        finally:
            seconds = time.monotonic() - began
            ending = {"metrics": metrics, "outputs": outputs, "peak_memory": _measure_peak_memory(), "reason": reason}
            run.journal_entry.finish(status, seconds=seconds, **ending, **run.counts)
            helper.close()
        print(f"{name}: done in {format_duration(seconds)}", file=sys.stderr)


def _hash_inputs(root: Path, name: str, body: Callable) -> dict[str, str]:
    """path -> DVC's md5 of everything but code that dvc.yaml says the stage depends on; `code` -> the digest of what the
    body's module imports (`import_closure`). Raises UserError for an input that is missing."""
    if not (root / "dvc.yaml").exists():
        raise UserError(f"dvc.yaml: not found in {root}; run from the repository's root")
    paths = [dep for dep in _list_paths(root, name, "deps") if not import_closure.is_code(dep)]
    for path in paths:
        if (root / path).exists():
            continue
        if path.startswith("data/") and not f"{path}/".startswith("data/raw/"):
            raise UserError(f"{path}: not found; `dvc repro {name}` builds what {name} needs (or `dvc pull`)")
        key = _find_key(root, name, path)
        raise UserError(f"{key}: {path} not found; name what exists" if key else f"{path}: not found")
    code_root = Path(__file__).resolve().parents[3]
    if code_root != root.resolve():
        raise UserError(f"environment: the code is that of {code_root}, not of this folder; unset PYTHONPATH")
    file = Path(body.__code__.co_filename).resolve().relative_to(code_root)
    code = import_closure.digest_code(root, ".".join(file.with_suffix("").parts))
    return {"code": code, **{path: digests.md5(root / path) for path in paths}}


def _list_paths(root: Path, name: str, *kinds: str) -> list[str]:
    """The paths that dvc.yaml lists under these keys of a stage: deps, outs, metrics or plots."""
    entry = params.to_plain(params.read_yaml(root / "dvc.yaml")["stages"][name])
    items = [item for kind in kinds for item in entry.get(kind, [])]
    paths = [next(iter(item)) if isinstance(item, dict) else item for item in items]
    return params.interpolate(paths, params.read_yaml(params.PARAMS_FILE))


def _find_key(root: Path, name: str, path: str) -> str | None:
    """The parameter that names this dependency in dvc.yaml, None where dvc.yaml names it itself."""
    written = params.to_plain(params.read_yaml(root / "dvc.yaml")["stages"][name].get("deps", []))
    deps = params.interpolate(written, params.read_yaml(params.PARAMS_FILE))
    item = written[deps.index(path)]
    return item.strip("${}") if item != path else None


def _compute_key(top: params.TopLevel, section: params.Params, inputs: dict[str, str]) -> str:
    text = json.dumps([top.seed, top.test_seed, section.model_dump(mode="json"), inputs], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _prune_checkpoints(run: StageRun) -> None:
    """Keep the unfinished work of this key and of the three other keys used last; delete the rest."""
    folders = sorted(run.checkpoint_dir.parent.glob("*"), key=lambda folder: folder.stat().st_mtime)
    for folder in [folder for folder in folders if folder.name != run.key][:-3]:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _lock(root: Path, name: str) -> Iterator[None]:
    """Refuse a second execution of the stage, which would write the same files. Raises UserError after 3 seconds.

    The system releases the lock when its process ends; a stage whose launcher was just killed needs a moment to end.
    """
    path = root / ".assay" / f"{name}.lock"
    path.parent.mkdir(exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        for attempt in range(30):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == 29:
                    file.seek(0)
                    raise UserError(
                        f"running already in process {file.read().strip()}; wait for it or stop it"
                    ) from None
                time.sleep(0.1)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _measure_peak_memory() -> dict[str, int]:
    """Bytes: resident memory of this process, and of the accelerator if one was used."""
    import resource

    peak = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        peak["accelerator"] = torch.cuda.max_memory_allocated()
    return peak
