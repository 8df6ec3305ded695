"""Copies the journal to MLflow, one MLflow run per execution of a stage. Every MLflow call of the project is here.

`push` makes an MLflow run equal to its journal entry and may be repeated at any time: the run is identified by its tag
`assay.journal`, and no metric is written twice. While a stage works, a helper process (lib/run/mlflow_helper.py) runs
`follow`; `python -m stages sync` calls `sync` for what is missing.

Store: MLFLOW_TRACKING_URI, else sqlite in mlflow.db at the repository's root, named by absolute path.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.lib.core.errors import UserError
from stages.lib.run import journal, mlflow_helper
from stages.lib.workspace import mlflow_files
from stages.lib.workspace.mlflow_fields import (
    JOURNAL_TAG,
    build_params,
    build_tags,
    iter_datasets,
    iter_metrics,
    redact_secrets,
    sanitize_metric_name,
)

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

# No telemetry, and no job queue in a server started here: it would be four idle processes.
MLFLOW_ENV = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
ARTIFACTS_TAG = "assay.artifacts"  # tag: number of output files that were copied
RETRY_INTERVAL = 30.0  # seconds between attempts while a server cannot be reached


def get_tracking_uri(root: Path) -> str:
    """The tracking URI in use."""
    path = str(Path(root).resolve() / "mlflow.db")
    quoted = path.replace("%", "%25").replace(
        "?", "%3F"
    )  # SQLAlchemy unquotes it; MLflow, which names folders by it, not
    default = f"sqlite:///{path}" if quoted == path else f"sqlite+pysqlite:///{quoted}"
    return os.environ.get("MLFLOW_TRACKING_URI") or default


def connect(root: Path) -> tuple[MlflowClient, str]:
    """A client and the id of the experiment. Raises MLflow's exception if the store cannot be used."""
    os.environ.update(MLFLOW_ENV)
    for name, value in (("TIMEOUT", "5"), ("MAX_RETRIES", "1"), ("BACKOFF_FACTOR", "1")):
        os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
    import logging

    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic", "urllib3", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    uri, name = get_tracking_uri(root), os.environ.get("MLFLOW_EXPERIMENT_NAME") or "assay"
    with hold_lock(Path(root) / ".assay/mlflow.lock"):  # or two processes create tables and experiment at once
        try:
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        except ImportError as error:
            raise RuntimeError(f"the driver of this database is not installed ({error}); install it by pip") from None
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            location = (
                None if uri.startswith(("http://", "https://")) else (Path(root).resolve() / "mlartifacts").as_uri()
            )
            return client, client.create_experiment(name, artifact_location=location)
    return client, experiment.experiment_id


def push(client: MlflowClient, experiment: str, entry: journal.Entry, run_id: str | None, since: int = 0) -> str:
    """Make MLflow's run equal to the journal entry, from its log row `since` on; return the run's id."""
    from mlflow.entities import Metric, Param

    run = entry.info
    if run_id is None:
        run_id = _find_or_create_run(client, experiment, entry)
        client.log_inputs(run_id, list(iter_datasets(run)))
        params = [Param(key, value) for key, value in build_params(run).items()]
        for first in range(0, len(params), 100):
            client.log_batch(run_id, params=params[first : first + 100])
    rows = list(entry.iter_log())
    last = int(rows[-1]["step"]) if rows else 0
    batch = [
        Metric(sanitize_metric_name(name), value, int(row["time"] * 1000), int(row["step"]))
        for row in rows[since:]
        for name, value in row.items()
        if name not in ("step", "time")
    ]
    if run["status"] != journal.RUNNING:
        stamp = int(run["ended"] * 1000)
        cost = {key: run[key] for key in ("seconds", "peak_memory", "tokens", "flops") if key in run}
        for name, step, value in iter_metrics({**run.get("metrics", {}), "cost": cost}):
            batch.append(Metric(sanitize_metric_name(name), value, stamp, last if step is None else step))
    for first in range(0, len(batch), 1000):
        client.log_batch(run_id, metrics=batch[first : first + 1000])
    if run["status"] != journal.RUNNING:
        client.set_terminated(run_id, status=run["status"], end_time=int(run["ended"] * 1000))
    return run_id


def _find_or_create_run(client: MlflowClient, experiment: str, entry: journal.Entry) -> str:
    """The id of the entry's run. An earlier attempt may have been cut off just after it created the run."""
    from mlflow.entities import ViewType

    runs = client.search_runs([experiment], f"tags.`{JOURNAL_TAG}` = '{entry.id}'", ViewType.ALL, max_results=1)
    if runs:
        return runs[0].info.run_id
    start = int(entry.info["started"] * 1000)
    return client.create_run(experiment, start, build_tags(entry), run_name=entry.info["stage"]).info.run_id


def upload_artifacts(client: MlflowClient, root: Path, entry: journal.Entry, run_id: str) -> bool:
    """Copy the stage's pictures, tables and metrics to the run, once; False when there is nothing to copy."""
    run = client.get_run(run_id)
    files, location = mlflow_files.select_uploads(root, entry), run.info.artifact_uri or ""
    if (
        ARTIFACTS_TAG in run.data.tags
        or not mlflow_files.can_upload(root, get_tracking_uri(root), location)
        or not files
    ):
        return False
    for path in files:
        client.log_artifact(run_id, str(path))
    client.set_tag(run_id, ARTIFACTS_TAG, len(files))
    return True


def follow(root: Path, entry_id: str, stream: int = 0) -> bool:
    """Copy an execution while it runs, until `stream` closes; True when MLflow has all of it. Prints one line at most.

    A store that cannot be reached is tried again every RETRY_INTERVAL seconds, and once more at the end.
    """
    folder = Path(root) / journal.JOURNAL_DIR / entry_id
    log = folder / "log.jsonl"
    connection = run_id = None
    sent, size, next_try, warned, closed = 0, -1, 0.0, False, False
    with hold_lock(folder / "mirror.lock"):
        while entry := journal.load(folder):
            journal.close_killed(entry)
            over = entry.info["status"] != journal.RUNNING
            grown = log.stat().st_size if log.exists() else 0
            if over or (grown != size and time.monotonic() >= next_try):
                try:
                    connection = connection or connect(root)
                    rows = sum(1 for _ in entry.iter_log())
                    run_id = push(*connection, entry, run_id, sent)
                    sent, size, next_try = rows, grown, time.monotonic() + 1
                    if over:
                        upload_artifacts(connection[0], root, entry, run_id)
                except Exception as error:  # noqa: BLE001 - an error of MLflow or its store never stops a stage
                    if not warned:
                        store = redact_secrets(get_tracking_uri(root))
                        mlflow_helper.warn(f"MLflow at {store}: {describe_error(error)}")
                    warned, next_try, connection = True, time.monotonic() + RETRY_INTERVAL, None
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


def _raise_timeout(*_: Any) -> None:
    raise TimeoutError(f"no answer within {mlflow_helper.ORPHAN_TIMEOUT} s of the stage's end")


def sync(root: Path, report: Callable[[journal.Entry, str], None] = lambda *_: None) -> dict[str, int]:
    """Copy what the store lacks; return how many journal entries were added, completed, present already or running.

    Raises UserError when MLflow is missing or the store cannot be used. A run deleted in MLflow stays deleted.
    """
    counts: dict[str, int] = {"added": 0, "completed": 0, "present": 0, "running": 0}
    try:
        client, experiment = connect(root)
        runs = {run.data.tags.get(JOURNAL_TAG): run for run in _iter_runs(client, experiment)}
        entries = journal.load_entries(root)
        newest = {entry.info["stage"]: entry.id for entry in entries}
        for entry in entries:
            journal.close_killed(entry)
            is_newest = newest[entry.info["stage"]] == entry.id
            run = runs.get(entry.id)
            if entry.info["status"] == journal.RUNNING or _is_locked(entry.folder / "mirror.lock"):
                outcome = "running"
            elif run and run.info.lifecycle_stage == "deleted":
                outcome = "present"
            elif run and run.info.status == entry.info["status"]:
                copied = is_newest and upload_artifacts(client, root, entry, run.info.run_id)
                outcome = "completed" if copied else "present"
            else:
                run_id = push(client, experiment, entry, None)
                if is_newest:
                    upload_artifacts(client, root, entry, run_id)
                outcome = "completed" if run else "added"
            counts[outcome] += 1
            report(entry, outcome)
    except ImportError as error:
        raise UserError(f"MLflow is not installed ({error}); `pip install mlflow`, or do without it") from None
    except Exception as error:
        store, advice = redact_secrets(get_tracking_uri(root)), "nothing is lost, `python -m stages sync` again later"
        raise UserError(f"MLflow at {store}: {describe_error(error)}; {advice}") from None
    return counts


def serve(root: Path, port: int) -> None:
    """Replace this process by MLflow's server on 127.0.0.1 over the default store. Raises UserError."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        uri = redact_secrets(get_tracking_uri(root))
        raise UserError(f"MLFLOW_TRACKING_URI is set: open {uri} in a browser, or unset it")
    try:
        connect(root)
    except ImportError as error:
        raise UserError(f"MLflow is not installed ({error}); `pip install mlflow`") from None
    print(f"http://127.0.0.1:{port}", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", get_tracking_uri(root)]
    stores += ["--default-artifact-root", (Path(root).resolve() / "mlartifacts").as_uri()]
    os.execv(sys.executable, command + stores)


def _iter_runs(client: MlflowClient, experiment: str) -> Iterator[Any]:
    from mlflow.entities import ViewType

    page = client.search_runs([experiment], "", ViewType.ALL, max_results=1000)
    yield from page
    while page.token:
        page = client.search_runs([experiment], "", ViewType.ALL, max_results=1000, page_token=page.token)
        yield from page


def describe_error(error: Exception) -> str:
    """The last cause's first line, short."""
    text = redact_secrets(str(error)).strip().splitlines() or [type(error).__name__]
    if "Max retries exceeded" in text[0] or "Connection" in type(error).__name__:
        return "cannot be reached"
    return text[0][:160]


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Wait for an exclusive lock on a file and hold it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    with open(path, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


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
