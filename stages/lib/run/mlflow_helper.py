"""The stage's side of tracking: a helper process that copies the journal to MLflow while the stage works.

A process and not a thread: importing MLflow takes seconds and holds the interpreter's lock, a server may hang, a store
may crash, and none of that may stop or slow a stage. The stage only starts the helper, and at its end waits at most
PATIENCE seconds for it. What did not make it stays in the journal for `python -m stages sync`. The helper learns that
the stage ended, or was killed, from the closing of a pipe that only the two of them hold.

Nothing here imports MLflow, so a change of `tracking.py` makes no stage stale.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from stages.lib.run import journal

CLOSE_TIMEOUT = 3.0  # seconds a stage waits for its helper after its own work is done
ORPHAN_TIMEOUT = 60  # seconds after which a helper that was left alone gives up
_REPO_ROOT = Path(__file__).resolve().parents[3]


def is_enabled() -> bool:
    """Tracking is on unless ASSAY_TRACKING=off or MLflow is not installed."""
    if os.environ.get("ASSAY_TRACKING", "on").lower() in ("off", "0", "false", "no"):
        return False
    try:
        return find_spec("mlflow") is not None
    except ValueError:  # what find_spec makes of a module that is blocked on purpose
        return False


class MlflowHelper:
    """Started when the stage starts; `close()` when the journal entry has its final status. Neither raises."""

    def __init__(self, root: Path, entry: journal.Entry):
        self.process = None
        if not is_enabled():
            return
        try:
            # The helper may say one line on standard error; whatever libraries print, it silences itself.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stages.lib.workspace.mlflow_store", str(Path(root).resolve()), entry.id],
                cwd=_REPO_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            warn(f"the MLflow helper did not start ({error.strerror})")

    def close(self) -> None:
        """Wait a moment, so that MLflow is usually complete when the stage returns; the helper may end later, alone."""
        if self.process is None:
            return
        self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(CLOSE_TIMEOUT)


def warn(reason: str) -> None:
    """The one line a stage may say about tracking."""
    line = f"tracking: {reason}; the stage is not affected, `python -m stages sync` copies the rest later"
    print(line, file=sys.stderr, flush=True)
