"""The descriptions of MLflow's runs and models in Markdown: headline, changed parameters, how to get the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.lib.core.params import get_by_path
from stages.lib.run import journal
from stages.lib.workspace import mlflow_fields
from stages.lib.workspace.staleness import Stage

SHOWN = 8  # parameters in a description; MLflow's table of parameters has all


def describe_stage(root: Path, info: dict[str, Any], stage: Stage) -> str:
    """A run of a stage: its sentence in dvc.yaml, main metric, changed parameters, and the command that gets its output."""
    parts = [f"{stage.desc}." if stage.desc else "", ""]
    value = get_by_path(info.get("metrics", {}), stage.metric) if stage.metric else None
    if isinstance(value, int | float):
        parts[1] = f"**{stage.metric} {value:.4g}**"
    if info.get("reason"):
        parts.append(f"Stopped: {mlflow_fields.redact_secrets(info['reason'])[:500]}")
    parts.append(describe_changes(info))
    outputs = info.get("outputs", {})
    path = next((path for path in stage.outs if path in outputs), None)
    if path:
        parts.append(describe_download(root, info, path, outputs[path]))
    return "\n\n".join(filter(None, parts))


def describe_pipeline(info: dict[str, Any]) -> str:
    """A run of the pipeline: its experiment or preset, changed parameters, and the commands that rebuild it."""
    git, experiment = info.get("git") or {}, info.get("experiment")
    first = f"Experiment `{experiment}` of DVC." if experiment else "One `dvc repro`: the stages that were out of date."
    rebuild = ["git clone " + (git.get("url") or "REPOSITORY"), f"git checkout {git.get('commit') or 'COMMIT'}"]
    rebuild.append(f"dvc exp apply {experiment}" if experiment else "dvc pull")
    uncommitted = "The code or parameters had changes that were not committed." if git.get("dirty") else ""
    commands = "\n".join(f"    {line}" for line in rebuild)
    return "\n\n".join(filter(None, (first, describe_changes(info), uncommitted, commands)))


def describe_changes(info: dict[str, Any]) -> str:
    """The preset, how it differs from the default one, and what was changed since the commit."""
    parts = [f"Preset {info['preset']}."] if info.get("preset") else []
    for what, key in (("Not as in the default preset", "changes"), ("Changed since the commit", "edits")):
        changes = mlflow_fields.list_settings(info.get(key) or {})
        more = f", and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        if changes:
            parts.append(f"{what}: {', '.join(f'`{change}`' for change in changes[:SHOWN])}{more}.")
    return " ".join(parts)


def describe_download(root: Path, info: dict[str, Any], path: str, digest: str) -> str:
    """The command that downloads an output from the DVC remote. It names a commit once one has this output in dvc.lock."""
    git, experiment = info.get("git") or {}, info.get("experiment")
    commit, outputs = read_committed_outputs(root)
    if outputs.get(path) == digest:
        revision, note = commit, ""
    elif experiment:
        revision, note = experiment, " (the experiment, once `dvc exp push` has shared it)"
    else:
        revision, note = "COMMIT", " (COMMIT: the one whose dvc.lock has this md5)"
    return f"`{path}`, md5 `{digest}`{note}:\n\n    dvc get {git.get('url') or 'REPOSITORY'} {path} --rev {revision}"


def read_committed_outputs(root: Path) -> tuple[str, dict[str, str]]:
    """(HEAD, {path: md5 that its dvc.lock names}); empty outside git or without a committed lock."""

    commit = (journal.get_git_revision(root) or {}).get("commit", "")
    lock = YAML(typ="safe").load(journal.read_committed(root, "dvc.lock")) or {}
    outputs = [out for stage in lock.get("stages", {}).values() for out in stage.get("outs", [])]
    return commit, {out["path"]: out["md5"] for out in outputs if "md5" in out}
