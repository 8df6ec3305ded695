"""dvc.yaml as a table of contents, and which of its stages are up to date.

A stage is fresh when its command, parameters, dependencies and outputs are those that dvc.lock recorded. This is DVC's
own rule, computed here in a fraction of a second, without DVC's lock (so it works while `dvc repro` runs) and without
DVC installed; a test holds it equal to `dvc status`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.lib.core import digests, files, params
from stages.lib.core.errors import UserError
from stages.lib.run import journal

FRESH, STALE, UPSTREAM_STALE, MISSING, RUNNING, NEVER_RUN = (
    "fresh",
    "stale",
    "waiting",
    "missing",
    "running",
    "never run",
)


@dataclass(frozen=True)
class Stage:
    """One entry of dvc.yaml. `params` maps a file to its keys; `metric` is `meta.metric`, a path into metrics.json."""

    name: str
    desc: str
    cmd: str | list[str]
    deps: list[str]
    params: dict[str, list[str]]
    outs: list[str]
    metric: str | None = None


@dataclass
class State:
    """`word` is one of the constants above; `why` says what changed, the most telling first."""

    status: str
    reasons: list[str] = field(default_factory=list)


def load_stages(root: Path) -> list[Stage]:
    """The stages in the order of dvc.yaml. Raises UserError when it is missing or not a pipeline."""
    path = Path(root) / "dvc.yaml"
    if not path.exists():
        raise UserError(f"dvc.yaml: not found in {Path(root).resolve()}; run from the repository's root")
    entries = params.read_yaml(path).get("stages")
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise UserError(f"{path}: expected `stages:` with one entry per stage")
    values = params.read_yaml(Path(root) / "params.yaml")
    return [_parse_stage(name, params.interpolate(params.to_plain(entry), values)) for name, entry in entries.items()]


def compute_states(root: Path, stages: list[Stage]) -> dict[str, State]:
    """The state of every stage."""
    root = Path(root)
    lock = (
        params.to_plain(params.read_yaml(root / "dvc.lock")).get("stages", {}) if (root / "dvc.lock").exists() else {}
    )
    running = {entry.info["stage"] for entry in journal.load_entries(root) if entry.info["status"] == journal.RUNNING}
    found: dict[str, State] = {}
    with _DigestCache(root) as md5:
        for stage in stages:
            if stage.name in running:
                found[stage.name] = State(RUNNING)
            elif stage.name not in lock:
                found[stage.name] = State(NEVER_RUN)
            else:
                found[stage.name] = _compare(root, stage, lock[stage.name], md5)
            if found[stage.name].status == FRESH:
                behind = [name for name in _find_upstream(stage, stages) if found[name].status not in (FRESH, MISSING)]
                if behind:
                    found[stage.name] = State(UPSTREAM_STALE, [f"for {', '.join(behind)}"])
    return found


def _parse_stage(name: str, entry: dict[str, Any]) -> Stage:
    keys: dict[str, list[str]] = {}
    for item in entry.get("params", []):
        for file, names in (item if isinstance(item, dict) else {"params.yaml": [item]}).items():
            keys.setdefault(file, []).extend(names or [])
    outs = [
        next(iter(out)) if isinstance(out, dict) else out
        for kind in ("outs", "metrics", "plots")
        for out in entry.get(kind, [])
    ]
    metric = (entry.get("meta") or {}).get("metric")
    return Stage(name, entry.get("desc", ""), entry["cmd"], entry.get("deps", []), keys, outs, metric)


def _find_upstream(stage: Stage, stages: list[Stage]) -> list[str]:
    """Stages whose outputs this one reads."""

    def within(inner: str, outer: str) -> bool:
        return inner == outer or inner.startswith(f"{outer}/")

    def feeds(other: Stage) -> bool:
        return any(within(dep, out) or within(out, dep) for dep in stage.deps for out in other.outs)

    return [other.name for other in stages if other.name != stage.name and feeds(other)]


def _compare(root: Path, stage: Stage, lock: dict[str, Any], md5: Callable[[Path], str]) -> State:
    why = [] if lock["cmd"] == stage.cmd else ["command changed"]
    for file, keys in stage.params.items():
        new = params.to_plain(params.read_yaml(root / file)) if (root / file).exists() else {}
        old = lock.get("params", {}).get(file, {})
        for key in keys:
            why += _diff_params(key, _get_param(old, key), _get_param(new, key))
    why += _diff_files(root, stage.deps, lock.get("deps", []), md5)
    outs = _diff_files(root, stage.outs, lock.get("outs", []), md5)
    gone = [line for line in outs if line.endswith("missing")]
    if why or len(outs) > len(gone):
        return State(STALE, why + outs)
    return State(MISSING, [f"{gone[0]}; `dvc repro` or `dvc checkout` brings it back"]) if gone else State(FRESH)


_ABSENT = "(absent)"


def _get_param(tree: dict, key: str) -> Any:
    """A parameter's value. dvc.lock holds `a.b` as one key; params.yaml nests it."""
    if key in tree:
        return tree[key]
    for part in key.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return _ABSENT
        tree = tree[part]
    return tree


def _diff_params(key: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for part in sorted(old | new)
            for line in _diff_params(f"{key}.{part}", old.get(part, _ABSENT), new.get(part, _ABSENT))
        ]
    return [] if old == new else [f"{key} {_truncate(old)} -> {_truncate(new)}"]


def _truncate(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _diff_files(root: Path, paths: list[str], locked: list[dict], md5: Callable[[Path], str]) -> list[str]:
    known = {item["path"]: item.get("md5") for item in locked}
    found = []
    for path in paths:
        if not (root / path).exists():
            found.append(f"{path} missing")
        elif path not in known:
            found.append(f"{path} new")
        elif known[path] != md5(root / path):
            found.append(f"{path} changed")
    return found


class _DigestCache:
    """digests.md5 that hashes a file once until its size, time or inode changes. Kept in .assay/digests.json."""

    def __init__(self, root: Path):
        self.path = root / ".assay/digests.json"

    def __enter__(self) -> Callable[[Path], str]:
        try:
            self.entries = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.entries = {}
        self.used_entries: dict[str, list] = {}
        return lambda path: digests.md5(path, self._hash_file)

    def _hash_file(self, path: Path) -> str:
        about = path.stat()
        sign = [about.st_size, about.st_mtime_ns, about.st_ino]
        name = str(path)
        if self.entries.get(name, [None])[:-1] != sign:
            self.entries[name] = [*sign, digests.file_md5(path)]
        self.used_entries[name] = self.entries[name]
        return self.entries[name][-1]

    def __exit__(self, *_: Any) -> None:
        try:
            files.write_json(self.path, self.used_entries)
        except (OSError, UserError):
            return  # a read-only checkout can still be looked at
