"""Registers the models that dvc.yaml names under `artifacts` in MLflow, a version for each that differs by DVC's md5.

A model's files are copied if they are small; DVC holds the others, and every version says how to get them. The alias
`committed` is on the version that dvc.lock of HEAD names.
"""

from __future__ import annotations

import json
from typing import Any

from stages.lib.core import digests, params
from stages.lib.run import journal
from stages.lib.workspace import mlflow_notes, mlflow_runs
from stages.lib.workspace.mlflow_store import Store

ALIAS = "committed"
MAX_BYTES = 50_000_000  # of a model whose files are copied
MD5_TAG = "md5"


def register(store: Store, entry: journal.Entry, run_id: str) -> None:
    """Add a version for each model that this execution wrote, unless MLflow has the same one already."""
    info, client = entry.info, store.client
    for stage, artifact in read_artifacts(store).items():
        path, name = artifact["path"], get_model_name(store, stage)
        digest = info.get("outputs", {}).get(path)
        if not digest or find_version(store, name, digest) or not (store.root / path).exists():
            continue
        if digests.md5(store.root / path) != digest or not mlflow_runs.can_upload(store, client.get_run(run_id)):
            continue
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name, description=f"{artifact.get('desc', stage)}. Path in DVC: `{path}`.")
        files = [file for file in sorted((store.root / path).rglob("*")) if file.is_file()]
        if sum(file.stat().st_size for file in files) <= MAX_BYTES:
            client.log_artifacts(run_id, str(store.root / path), "model")
        client.log_text(run_id, format_mlmodel(artifact.get("meta") or {}, run_id), "model/MLmodel")
        note = mlflow_notes.describe_download(store.root, info, path, digest)
        commit = (info.get("git") or {}).get("commit") or ""
        tags = {MD5_TAG: digest, "path": path, "git_commit": commit, "journal": entry.id}
        client.create_model_version(name, f"runs:/{run_id}/model", run_id, tags, description=note)


def mark_committed(store: Store) -> None:
    """Set the alias on the versions that dvc.lock of HEAD names, and name this commit in their description."""
    commit, outputs = mlflow_notes.read_committed_outputs(store.root)
    for stage, artifact in read_artifacts(store).items():
        path, name = artifact["path"], get_model_name(store, stage)
        version = find_version(store, name, outputs[path]) if path in outputs else None
        if version and ALIAS not in version.aliases:
            store.client.set_registered_model_alias(name, ALIAS, version.version)
            info = {"git": journal.get_git_revision(store.root)}
            note = mlflow_notes.describe_download(store.root, info, path, outputs[path])
            store.client.update_model_version(name, version.version, note)
            store.client.set_model_version_tag(name, version.version, "git_commit", commit)


def read_artifacts(store: Store) -> dict[str, dict[str, Any]]:
    """{stage: its entry under `artifacts` of dvc.yaml} of the models."""
    artifacts = params.to_plain(params.read_yaml(store.root / "dvc.yaml")).get("artifacts") or {}
    return {name: artifact for name, artifact in artifacts.items() if artifact.get("type") == "model"}


def get_model_name(store: Store, stage: str) -> str:
    """Its name in the registry, which all experiments of a server share."""
    return f"{store.name}-{stage}"


def find_version(store: Store, name: str, digest: str) -> Any | None:
    """The version with this md5."""
    versions = store.client.search_model_versions(f"name = '{name}' and tags.{MD5_TAG} = '{digest}'")
    return store.client.get_model_version(name, versions[0].version) if versions else None


def format_mlmodel(signature: dict[str, Any], run_id: str) -> str:
    """MLflow's file MLmodel. It has no flavor: DVC and `python -m stages` read these models, `mlflow.pyfunc` does not."""

    def list_columns(columns: dict[str, Any]) -> str:
        return json.dumps([_describe_column(name, kind) for name, kind in columns.items()])

    sides = {side: list_columns(columns) for side, columns in signature.items() if side in ("inputs", "outputs")}
    model = {"artifact_path": "model", "flavors": {}, "run_id": run_id}
    return json.dumps(model | ({"signature": sides} if sides else {}), indent=2) + "\n"  # JSON is YAML


def _describe_column(name: str, kind: str | list[str]) -> dict[str, Any]:
    """A column of a signature; [kind] is a list of it."""
    shape = {"type": "array", "items": {"type": kind[0]}} if isinstance(kind, list) else {"type": kind}
    return {**shape, "name": name, "required": True}
