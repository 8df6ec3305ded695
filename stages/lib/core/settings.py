"""What params.yaml holds in a few words: its preset, and the parameters that were changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.lib.core import params

DEFAULT_PRESET = Path("stages/presets/default.yaml")
STACK_HEADER = "# python -m stages preset "  # how the first line of a params.yaml begins that `preset NAME` wrote


def list_changes(default: Any, current: Any, path: str = "") -> list[dict[str, Any]]:
    """Leaves of nested mappings that differ: [{key, default, current}], None where one side has none."""
    if isinstance(default, dict) and isinstance(current, dict):
        return [
            change
            for key in dict.fromkeys([*default, *current])
            for change in list_changes(default.get(key), current.get(key), f"{path}.{key}" if path else str(key))
        ]
    return [] if default == current else [{"key": path, "default": default, "current": current}]


def describe(root: Path, committed: str) -> dict[str, Any]:
    """`preset`: the one that params.yaml was written from, by its first line, None if that tells nothing; `changes` from
    the default preset and `edits` since the `committed` text of params.yaml, each {key: value}."""
    current = (root / params.PARAMS_FILE).read_text(encoding="utf-8")
    default = (root / DEFAULT_PRESET).read_text(encoding="utf-8") if (root / DEFAULT_PRESET).exists() else ""
    first, preset = current.partition("\n")[0], None
    if first.startswith(STACK_HEADER):
        preset = first.removeprefix(STACK_HEADER)
    elif first == default.partition("\n")[0]:
        preset = DEFAULT_PRESET.stem
    return {"preset": preset, "changes": _compare(default, current), "edits": _compare(committed, current)}


def _compare(old: str, new: str) -> dict[str, Any]:
    yaml = YAML(typ="safe")
    try:
        changes = list_changes(yaml.load(old), yaml.load(new)) if old else []
    except (
        YAMLError
    ):  # of another file than the params.yaml in use, which has been validated: no reason to stop a stage
        return {}
    return {change["key"]: change["current"] for change in changes}
