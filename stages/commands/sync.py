"""`python -m stages sync`: copy to MLflow the runs that it missed."""

from pathlib import Path
from typing import Any


def sync() -> None:
    """Copy journal entries that MLflow lacks; running it again adds nothing."""
    from stages.lib.workspace import mlflow_fields, mlflow_store, mlflow_sync

    def report(entry: Any, outcome: str) -> None:
        if outcome in ("added", "completed"):
            print(f"{outcome:<9}  {entry.id}  {entry.info['status']}")

    root = Path.cwd()
    counts = mlflow_sync.sync(root, report)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    print(f"MLflow at {mlflow_fields.redact_secrets(mlflow_store.get_tracking_uri(root))}: {summary}")
