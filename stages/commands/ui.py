"""`python -m stages ui`: MLflow's web pages with the runs of this repository."""

from pathlib import Path
from typing import Annotated

import typer


def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000) -> None:
    """Serve MLflow's pages on 127.0.0.1, for this machine only; Ctrl-C stops it."""
    from stages.lib.workspace import mlflow_store

    mlflow_store.serve(Path.cwd(), port)
