"""Runs of the pipeline with other parameters, as DVC experiments on the current commit.

An experiment runs in a temporary copy of the repository, so the workspace does not change. Stages whose inputs and
parameters equal those of an earlier run are restored from DVC's cache, also after a kill.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.lib.core.errors import UserError
from stages.lib.run import journal
from stages.lib.workspace import mlflow_store

LOCK_FILE = Path(".assay/experiments.lock")


def has_experiment(name: str) -> bool:
    """Whether DVC has a finished experiment of this name on the current commit. Raises UserError outside git."""
    head = journal.run_git(Path.cwd(), "rev-parse", "HEAD")
    return bool(journal.run_git(Path.cwd(), "for-each-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}"))


def run_experiment(name: str, changes: Mapping[str, Any], command: str, target: str = "best_of_n") -> None:
    """Run the pipeline up to a stage with some parameters changed. command: the one that continues after a failure.

    Raises UserError when the run fails, and when another one is still running here."""
    settings = [word for key, value in changes.items() for word in ("-S", f"{key}={json.dumps(value)}")]
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
        if subprocess.run(words, env=env, pass_fds=[lock.fileno()]).returncode:
            raise UserError(f"{name}: the experiment failed (above); fix it and run `{command}` again")
