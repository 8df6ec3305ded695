"""Runs of the pipeline with other parameters, as DVC experiments on the current commit.

An experiment runs in a temporary copy of the repository, so the workspace does not change. Stages whose inputs and
parameters equal those of an earlier run are restored from DVC's cache, also after a kill. One that fails leaves its reason
in `.assay/failed_experiments.json`, until it succeeds or the commit changes.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

from stages.lib.core import files
from stages.lib.core.errors import UserError
from stages.lib.run import journal
from stages.lib.workspace import mlflow_store

LOCK_FILE = Path(".assay/experiments.lock")
FAILURES_FILE = Path(".assay/failed_experiments.json")
MAX_LINES = 200  # of an experiment's errors, among which its reason is looked for
GRACE = 2.0  # seconds for the last of them
OTHER_LINES = ("WARNING:", "tracking:")  # of DVC and of the copy to MLflow


class ExperimentError(UserError):
    """An experiment failed. reason: what its stage said; DVC's own sentence where no stage had begun."""

    def __init__(self, name: str, reason: str, command: str):
        super().__init__(f"{name}: the experiment failed (above); fix it and run `{command}` again")
        self.reason = reason


def has_experiment(name: str) -> bool:
    """Whether DVC has a finished experiment of this name on the current commit. Raises UserError outside git."""
    head = journal.run_git(Path.cwd(), "rev-parse", "HEAD")
    return bool(journal.run_git(Path.cwd(), "for-each-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}"))


def run_experiment(name: str, changes: Mapping[str, Any], command: str, target: str = "best_of_n") -> None:
    """Run the pipeline up to a stage with some parameters changed. command: the one that continues after a failure.

    Raises ExperimentError when the run fails, and UserError when another one is still running here."""
    settings = [word for setting in format_settings(changes) for word in ("-S", setting)]
    words = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "-n", name, *settings, target]
    # The runs go to the store of this repository, for DVC deletes the copy.
    env = {**os.environ, "MLFLOW_TRACKING_URI": mlflow_store.get_tracking_uri(Path.cwd())}
    LOCK_FILE.parent.mkdir(exist_ok=True)
    with open(LOCK_FILE, "a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{name}: another experiment is still running here; wait for it, or stop it") from None
        # DVC inherits the lock and keeps it if this process is killed alone.
        process = subprocess.Popen(
            words, env=env, pass_fds=[lock.fileno()], stderr=subprocess.PIPE, text=True, errors="replace"
        )
        lines: deque[str] = deque(maxlen=MAX_LINES)
        reader = Thread(target=_forward, args=(process.stderr, lines), daemon=True)
        reader.start()
        process.wait()
        reader.join(GRACE)  # the helper that copies the last stage to MLflow may hold the pipe for longer
        failures = load_failures()
        if process.returncode == 0:
            if failures.pop(name, None):
                _save_failures(failures)
            return
        reason = find_reason([*lines])
        _save_failures({**failures, name: reason})
        raise ExperimentError(name, reason, command)


def _forward(stream: Iterable[str], lines: deque[str]) -> None:
    for line in stream:
        print(line, end="", file=sys.stderr, flush=True)
        lines.append(line)


def format_settings(changes: Mapping[str, Any]) -> Iterator[str]:
    """`key=value` for the option -S; a mapping becomes one for each of its keys, for Hydra reads no quoted key."""
    for key, value in changes.items():
        if isinstance(value, Mapping):
            yield from format_settings({f"{key}.{name}": part for name, part in value.items()})
        else:
            yield f"{key}={json.dumps(value)}"


def find_reason(lines: Iterable[str]) -> str:
    """The last line before DVC's own: the sentence of a user's mistake, or the end of a traceback."""
    told = [line.strip() for line in lines if line.strip() and not line.startswith(OTHER_LINES)]
    own = [line for line in told if not line.startswith("ERROR:")]
    return (own or [line.removeprefix("ERROR: ") for line in told] or ["it ended without a word"])[-1]


def load_failures() -> dict[str, str]:
    """name -> reason of the experiments on the current commit whose last run failed."""
    try:
        content = json.loads(FAILURES_FILE.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content["failures"] if content["commit"] == journal.run_git(Path.cwd(), "rev-parse", "HEAD") else {}


def _save_failures(failures: Mapping[str, str]) -> None:
    commit = journal.run_git(Path.cwd(), "rev-parse", "HEAD")
    files.write_json(FAILURES_FILE, {"commit": commit, "failures": failures})
