"""The connection to MLflow's store, and its server.

Store: MLFLOW_TRACKING_URI, else sqlite in mlflow.db at the repository's root, named by absolute path.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stages.lib.core.errors import UserError
from stages.lib.workspace.mlflow_fields import redact_secrets

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

# No telemetry, nothing printed, and no job queue in a server started here: it would be four idle processes.
MLFLOW_ENV = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # or MLflow opens the pages of its agents mode
    "mlflow.note.content": "A run `pipeline` is a `dvc repro` or experiment, above a run of every stage that it ran. "
    "Models stand under Models, with the command that downloads them.",
}


class Store(NamedTuple):
    """A client, the experiment's id and name, and the root of the repository whose journal is copied."""

    client: MlflowClient
    experiment: str
    name: str
    root: Path


def get_tracking_uri(root: Path) -> str:
    """The tracking URI in use."""
    path = str(Path(root).resolve() / "mlflow.db")
    quoted = path.replace("%", "%25").replace(
        "?", "%3F"
    )  # SQLAlchemy unquotes it; MLflow, which names folders by it, not
    default = f"sqlite:///{path}" if quoted == path else f"sqlite+pysqlite:///{quoted}"
    return os.environ.get("MLFLOW_TRACKING_URI") or default


def connect(root: Path) -> Store:
    """The store, with its experiment. Raises MLflow's exception if it cannot be used."""
    os.environ.update(MLFLOW_ENV)
    for name, value in (("TIMEOUT", "5"), ("MAX_RETRIES", "1"), ("BACKOFF_FACTOR", "1")):
        os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
    import logging

    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic", "urllib3", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    root = Path(root).resolve()
    uri, name = get_tracking_uri(root), os.environ.get("MLFLOW_EXPERIMENT_NAME") or "assay"
    with hold_lock(root / ".assay/mlflow.lock"):  # or two processes create tables and experiment at once
        try:
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        except ImportError as error:
            raise RuntimeError(f"the driver of this database is not installed ({error}); install it by pip") from None
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            location = None if uri.startswith(("http://", "https://")) else (root / "mlartifacts").as_uri()
            return Store(client, client.create_experiment(name, location, EXPERIMENT_TAGS), name, root)
        for tag, value in EXPERIMENT_TAGS.items():
            if tag not in experiment.tags:
                client.set_experiment_tag(experiment.experiment_id, tag, value)
    return Store(client, experiment.experiment_id, name, root)


def serve(root: Path, port: int) -> None:
    """Run MLflow's server on 127.0.0.1 over the default store until it is stopped; its address is printed once it answers.
    Raises UserError."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        uri = redact_secrets(get_tracking_uri(root))
        raise UserError(f"MLFLOW_TRACKING_URI is set: open {uri} in a browser, or unset it")
    try:
        experiment = connect(root).experiment
    except ImportError as error:
        raise UserError(f"MLflow is not installed ({error}); `pip install mlflow`") from None
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"--port {port}: {error.strerror}; choose another") from None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", get_tracking_uri(root)]
    stores += ["--default-artifact-root", (Path(root).resolve() / "mlartifacts").as_uri()]
    server = subprocess.Popen(command + stores, stdout=sys.stderr)  # the address alone is output
    while server.poll() is None and not _answers(port):
        time.sleep(0.2)
    if server.poll() is None:
        # MLflow opens its pages for agents unless the address asks for those of training.
        print(f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs?workflowType=machine_learning", flush=True)
    try:
        sys.exit(server.wait())
    finally:
        server.terminate()


def _answers(port: int) -> bool:
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).status == 200
    except OSError:
        return False


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
