"""Starts the helper process that copies the journal to MLflow while a stage works.

A process and not a thread: importing MLflow takes seconds and holds the interpreter's lock, a server may hang and a store
may crash, and none of that may stop or slow a stage. The stage starts the helper and at its end waits CLOSE_TIMEOUT seconds
at most. `python -m stages sync` copies what is missing then. The helper learns that the stage ended or was killed when the
pipe between the two closes.

Nothing here imports `lib/workspace/mlflow_follow.py`, so a change of it makes no stage stale.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from stages.lib.run import journal

CLOSE_TIMEOUT = 3.0  # seconds that a finished stage waits for its helper
ORPHAN_TIMEOUT = 60  # seconds after the end of its stage until a helper gives up
_REPO_ROOT = Path(__file__).resolve().parents[3]


def is_enabled() -> bool:
    """Tracking is on unless ASSAY_TRACKING=off or MLflow is not installed."""
    if os.environ.get("ASSAY_TRACKING", "on").lower() in ("off", "0", "false", "no"):
        return False
    try:
        return find_spec("mlflow") is not None
    except ValueError:  # raised for a module that is blocked by None in sys.modules
        return False


class MlflowHelper:
    """The helper of one execution. Starting and closing it never raise."""

    def __init__(self, root: Path, entry: journal.Entry):
        self.process = None
        if not is_enabled():
            return
        try:
            # The helper prints one line at most on standard error: it silences libraries itself.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stages.lib.workspace.mlflow_follow", str(Path(root).resolve()), entry.id],
                cwd=_REPO_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            warn(f"the MLflow helper did not start ({error.strerror})")

    def close(self) -> None:
        """Call when the journal entry has its final status. Waits a moment, so that MLflow is usually complete when the
        stage returns; the helper may end later."""
        if self.process is None or self.process.stdin is None:
            return
        self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(CLOSE_TIMEOUT)


def warn(reason: str) -> None:
    """Print the one line that a stage may print about tracking."""
    advice = "the stage is not affected, `python -m stages sync` copies the rest later"
    print(f"tracking: {reason}; {advice}", file=sys.stderr, flush=True)
