"""Copies to MLflow what it missed while it could not be reached, or while no stage was left to copy it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stages.lib.core.errors import UserError
from stages.lib.run import journal
from stages.lib.workspace import mlflow_models, mlflow_runs
from stages.lib.workspace.mlflow_fields import JOURNAL_TAG, redact_secrets
from stages.lib.workspace.mlflow_store import Store, connect, describe_error, get_tracking_uri


def sync(root: Path, report: Callable[[journal.Entry, str], None] = lambda *_: None) -> dict[str, int]:
    """Copy what the store lacks; return how many journal entries were added, completed, present already or running.

    data/ holds the files of the newest finished execution of a stage, so only this one gets files and models. Raises
    UserError when MLflow is missing or the store cannot be used. A run deleted in MLflow stays deleted.
    """
    counts: dict[str, int] = {"added": 0, "completed": 0, "present": 0, "running": 0}
    try:
        store = connect(root)
        runs = {run.data.tags.get(JOURNAL_TAG): run for run in _iter_runs(store)}
        entries = journal.load_entries(root)
        newest = {entry.info["stage"]: entry.id for entry in entries if entry.info["status"] == journal.FINISHED}
        present = []  # (entry, id of its run) whose files and models are those of data/
        for entry in entries:
            journal.close_killed(entry)
            run = runs.get(entry.id)
            run_id = run.info.run_id if run else None
            if entry.info["status"] == journal.RUNNING or _is_locked(entry.folder / "mirror.lock"):
                outcome, run_id = "running", None
            elif run and run.info.lifecycle_stage == "deleted":
                outcome, run_id = "present", None
            elif run and run.info.status == entry.info["status"]:
                outcome = "present"
            else:
                outcome, run_id = "completed" if run else "added", mlflow_runs.push(store, entry)
            if run_id and newest.get(entry.info["stage"]) == entry.id:
                present.append((entry, run_id))
                if mlflow_runs.upload_artifacts(store, entry, run_id) and outcome == "present":
                    outcome = "completed"
            counts[outcome] += 1
            report(entry, outcome)
        for entry, run_id in present:
            mlflow_models.register(store, entry, run_id)
        mlflow_models.mark_committed(store)
    except ImportError as error:
        raise UserError(f"MLflow is not installed ({error}); `pip install mlflow`, or do without it") from None
    except Exception as error:
        uri, advice = redact_secrets(get_tracking_uri(root)), "nothing is lost, `python -m stages sync` again later"
        raise UserError(f"MLflow at {uri}: {describe_error(error)}; {advice}") from None
    return counts


def _iter_runs(store: Store) -> Iterator[Any]:
    from mlflow.entities import ViewType

    page = store.client.search_runs([store.experiment], "", ViewType.ALL, max_results=1000)
    yield from page
    while page.token:
        page = store.client.search_runs([store.experiment], "", ViewType.ALL, max_results=1000, page_token=page.token)
        yield from page


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    with open(path, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
