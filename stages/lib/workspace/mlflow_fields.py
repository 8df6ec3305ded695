"""Converts a journal entry to MLflow's name, parameters, metrics, tags and datasets, and removes secrets from them.

Nothing here talks to a store.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from stages.lib.run import journal

JOURNAL_TAG = "assay.journal"
_SECRET_KEY = re.compile(
    r"secret|password|passwd|passphrase|credential|(api|access|private|auth)_?key"
    r"|(?<!pad_)(?<!bos_)(?<!eos_)(?<!unk_)(?<!mask_)\btoken$|(?<!pad)(?<!bos)(?<!eos)(?<!unk)(?<!mask)_token$",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(r"\b(hf_\w{16,}|sk-[\w-]{16,}|gh[pousr]_\w{16,}|AKIA[A-Z0-9]{12,})")


def redact_secrets(text: str) -> str:
    """A message or address without passwords and tokens."""
    text = re.sub(r"://[^/@\s]*@", "://", str(text))
    for name in ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        if os.environ.get(name):
            text = text.replace(os.environ[name], "***")
    return _SECRET_VALUE.sub("***", text)


def flatten(tree: Any, prefix: str = "", separator: str = ".") -> dict[str, Any]:
    """{"orm": {"lr": 1e-3}} -> {"orm.lr": 1e-3}. A list is one value."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    flat = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{separator}{key}" if prefix else str(key), separator)
    return flat


def iter_metrics(metrics: dict[str, Any]) -> Iterator[tuple[str, int | None, float]]:
    """(name, step, value) of every number. A key of digits is a step: {"best_of": {"1": .4, "2": .5}} is a curve."""
    for path, value in flatten(metrics, separator="\0").items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        parts = path.split("\0")
        steps = [part for part in parts if part.isdigit()]
        name = "/".join(part for part in parts if part != steps[0]) if steps else "/".join(parts)
        yield name or "value", int(steps[0]) if steps else None, float(value)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a metric, dev/auc, fits a pattern of dvc.yaml, dev.*; * stands for anything, dots too."""
    return any(fnmatchcase(name.replace("/", "."), pattern) for pattern in patterns)


def sanitize_metric_name(name: str) -> str:
    """MLflow allows letters, digits and _-. :/ in a name."""
    return re.sub(r"[^\w.\- :/]", "_", name.replace("@", "_at_"))[:250]


def build_params(run: dict[str, Any]) -> dict[str, str]:
    """MLflow's parameters of a run of a stage. They have no prefix, so that MLflow compares the learning rates of two
    verifiers."""
    prefix = f"{run['stage']}."
    return _format_params({key.removeprefix(prefix): value for key, value in flatten(run.get("params", {})).items()})


def build_pipeline_params(default: dict[str, Any], changes: dict[str, Any]) -> dict[str, str]:
    """All of params.yaml: the default preset and the changes from it."""
    return _format_params(flatten(default) | changes)


def _format_params(flat: dict[str, Any]) -> dict[str, str]:
    """Within MLflow's limits on characters and length, without secrets."""
    params = {}
    for key, value in flat.items():
        text = "[redacted]" if _SECRET_KEY.search(key) else redact_secrets(str(value))
        params[re.sub(r"[^\w.\- :/]", "_", key)[:250]] = text[:6000]
    return params


def describe_variant(run: dict[str, Any]) -> str:
    """What distinguishes this run from the default in a few words; empty if nothing does."""
    if run.get("experiment"):
        return run["experiment"]
    preset = run.get("preset") or "default"
    changes = list_settings(run.get("changes" if preset == "default" else "edits") or {})
    shown = changes if len(changes) <= 2 else [f"{len(changes)} changed parameters"]
    return ", ".join([*([] if preset == "default" else [preset]), *shown])


def build_run_name(run: dict[str, Any], name: str) -> str:
    """`name`, and the variant behind it."""
    variant = describe_variant(run)
    return f"{name} ({variant})"[:120] if variant else name


def list_settings(changes: dict[str, Any]) -> list[str]:
    """["orm.lr=0.01", ...], short and without secrets."""

    def show(key: str, value: Any) -> str:
        text = json.dumps(value, ensure_ascii=False)
        return "[redacted]" if _SECRET_KEY.search(key) else redact_secrets(text)[:60].replace("`", "'")

    return [f"{key}={show(key, value)}" for key, value in changes.items()]


def build_source_tags(run: dict[str, Any]) -> dict[str, str]:
    """Where the code, the parameters and the user come from."""
    git, seeds = run.get("git") or {}, run.get("params", {})
    tags = {
        "git_commit": git.get("commit"),
        "git_dirty": git.get("dirty"),
        "dvc_lock_md5": run.get("lock"),
        "dvc_exp": run.get("experiment"),
        "preset": run.get("preset"),
        "seed": seeds.get("seed"),
        "test_seed": seeds.get("test_seed"),
        "repository": git.get("url"),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git.get("commit"),
        "mlflow.source.git.branch": git.get("branch"),
        "mlflow.source.git.repoURL": git.get("url"),
        "mlflow.user": run.get("user"),
    }
    return {key: str(value) for key, value in tags.items() if value is not None}


def build_tags(entry: journal.Entry) -> dict[str, str]:
    """The journal entry's name, the stage, its processes and where its code came from."""
    run = entry.info
    own = {JOURNAL_TAG: entry.id, "stage": run["stage"], "processes": str(run.get("world", 1))}
    return {**own, "mlflow.source.name": run["stage"], **build_source_tags(run)}


def iter_datasets(run: dict[str, Any]) -> Iterator[Any]:
    """The data that the stage read, by the digest under which DVC stores it."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    for path, digest in run.get("inputs", {}).items():
        if path.startswith("data/"):
            source = json.dumps({"path": path, "dvc": digest})
            yield DatasetInput(Dataset(path, digest[:36], "dvc", source), [InputTag("mlflow.data.context", "input")])
