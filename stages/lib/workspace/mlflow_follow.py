"""Copies an execution to MLflow while it runs: the process that lib/run/mlflow_helper.py starts beside a stage."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from stages.lib.run import journal, mlflow_helper
from stages.lib.workspace import mlflow_models, mlflow_runs
from stages.lib.workspace.mlflow_fields import redact_secrets
from stages.lib.workspace.mlflow_store import connect, describe_error, get_tracking_uri, hold_lock

RETRY_INTERVAL = 30.0  # seconds between attempts while a server cannot be reached


def follow(root: Path, entry_id: str, stream: int = 0) -> bool:
    """Copy an execution while it runs, until `stream` closes; True when MLflow has all of it. Prints one line at most.

    A store that cannot be reached is tried again every RETRY_INTERVAL seconds, and once more at the end.
    """
    folder = Path(root) / journal.JOURNAL_DIR / entry_id
    log = folder / "log.jsonl"
    store = run_id = monitor = None
    sent, size, next_try, warned, closed = 0, -1, 0.0, False, False
    with hold_lock(folder / "mirror.lock"):
        while entry := journal.load(folder):
            journal.close_killed(entry)
            over = entry.info["status"] != journal.RUNNING
            grown = log.stat().st_size if log.exists() else 0
            if over or (grown != size and time.monotonic() >= next_try):
                try:
                    store = store or connect(root)
                    points = sum(1 for _ in mlflow_runs.iter_logged(entry))
                    if over and monitor:
                        monitor.finish()
                    run_id = mlflow_runs.push(store, entry, run_id, sent)
                    monitor = monitor or (None if over else monitor_system(root, run_id))
                    sent, size, next_try = points, grown, time.monotonic() + 1
                    if over:
                        mlflow_runs.upload_artifacts(store, entry, run_id)
                        mlflow_models.register(store, entry, run_id)
                        mlflow_models.mark_committed(store)
                except Exception as error:  # noqa: BLE001 - an error of MLflow or its store never stops a stage
                    if not warned:
                        uri = redact_secrets(get_tracking_uri(root))
                        mlflow_helper.warn(f"MLflow at {uri}: {describe_error(error)}")
                    warned, next_try, store = True, time.monotonic() + RETRY_INTERVAL, None
                    if over:
                        return False
                if over:
                    return True
            if closed:  # the stage has closed the pipe; its process may need another moment to end
                time.sleep(0.1)
            else:
                closed = bool(select.select([stream], [], [], 1.0)[0])
                if closed:
                    signal.signal(signal.SIGALRM, _raise_timeout)
                    signal.alarm(mlflow_helper.ORPHAN_TIMEOUT)
    return False


def monitor_system(root: Path, run_id: str) -> Any:
    """MLflow's own record of processors, memory, disk, network and NVIDIA GPUs of this machine, every 10 seconds."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=get_tracking_uri(root))
    monitor.start()
    return monitor


def _raise_timeout(*_: Any) -> None:
    raise TimeoutError(f"no answer within {mlflow_helper.ORPHAN_TIMEOUT} s of the stage's end")


def _run_helper(root: str, entry_id: str) -> None:
    """The process that `MlflowHelper` starts. Only our own line reaches the terminal; what libraries print does not."""
    os.nice(5)
    terminal = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.stderr = os.fdopen(terminal, "w", encoding="utf-8")
    is_copied = follow(Path(root), entry_id)
    sys.stderr.flush()
    os._exit(0 if is_copied else 1)  # without waiting for MLflow's background threads


if __name__ == "__main__":
    _run_helper(*sys.argv[1:])
