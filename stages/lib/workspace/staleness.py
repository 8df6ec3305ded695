"""dvc.yaml as a table of contents, and which of its stages are up to date.

A stage is fresh when its command, parameters, dependencies and outputs are those that dvc.lock recorded. This is DVC's own
rule, computed here in a fraction of a second, without DVC's lock (so it works while `dvc repro` runs) and without DVC
installed; a test holds it equal to `dvc status`.

dvc.yaml depends on whole rooms of code. Where a room changed but no file of it that the stage imports, the stage is stale
"by room only": its run used the present code, and `dvc commit -f` keeps the result.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.lib.core import digests, files, params
from stages.lib.core.errors import UserError
from stages.lib.run import import_closure, journal
from stages.lib.workspace import chapters

FRESH, STALE, UPSTREAM_STALE = "fresh", "stale", "waiting"
MISSING, RUNNING, NEVER_RUN = "missing", "running", "never run"


@dataclass(frozen=True)
class Stage:
    """One entry of dvc.yaml. `params` maps a file to its keys; `metric` is `meta.metric`, a path into metrics.json.
    `pipeline` (`meta.pipeline`) are patterns of such paths: what MLflow shows of a run of the pipeline beside each
    `metric`."""

    name: str
    desc: str
    cmd: str | list[str]
    deps: list[str]
    params: dict[str, list[str]]
    outs: list[str]
    metric: str | None = None
    pipeline: tuple[str, ...] = ()


@dataclass
class State:
    """`status` is one of the constants above; `reasons` list what changed, the most important first. `run` is the execution
    that wrote the outputs that are here: None where it ran elsewhere, or where one of them is missing or was edited."""

    status: str
    reasons: list[str] = field(default_factory=list)
    run: journal.Entry | None = None


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


def has_outputs(root: Path, stages: list[Stage]) -> bool:
    """Whether anything is computed here. Metrics do not count: they are in git, so that every clone has them."""
    return any((root / out).exists() for stage in stages for out in stage.outs if not out.endswith("/metrics.json"))


def compute_states(root: Path, stages: list[Stage]) -> dict[str, State]:
    """The state of every stage."""
    root, path = Path(root), Path(root) / "dvc.lock"
    lock = params.to_plain(params.read_yaml(path)).get("stages", {}) if path.exists() else {}
    entries = journal.load_entries(root)
    running = {entry.info["stage"] for entry in entries if entry.info["status"] == journal.RUNNING}
    states: dict[str, State] = {}
    with _DigestCache(root) as md5:
        for stage in stages:
            run = _find_run(root, stage, entries, md5)
            if stage.name in running:
                states[stage.name] = State(RUNNING)
            elif stage.name not in lock:
                states[stage.name] = State(NEVER_RUN, run=run)
            else:
                states[stage.name] = _compare(root, stage, lock[stage.name], md5, run)
                states[stage.name].run = run
            if states[stage.name].status == FRESH:
                behind = [name for name in _find_upstream(stage, stages) if states[name].status not in (FRESH, MISSING)]
                if behind:
                    states[stage.name] = State(UPSTREAM_STALE, [f"for {', '.join(behind)}"])
    return states


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
    meta = entry.get("meta") or {}
    desc, pipeline = entry.get("desc", ""), tuple(meta.get("pipeline", ()))
    return Stage(name, desc, entry["cmd"], entry.get("deps", []), keys, outs, meta.get("metric"), pipeline)


def _find_upstream(stage: Stage, stages: list[Stage]) -> list[str]:
    """Stages whose outputs this one reads."""

    def within(inner: str, outer: str) -> bool:
        return inner == outer or inner.startswith(f"{outer}/")

    def feeds(other: Stage) -> bool:
        return any(within(dep, out) or within(out, dep) for dep in stage.deps for out in other.outs)

    return [other.name for other in stages if other.name != stage.name and feeds(other)]


def _find_run(
    root: Path, stage: Stage, entries: list[journal.Entry], md5: Callable[[Path], str]
) -> journal.Entry | None:
    """The newest finished execution whose outputs are those that are here."""
    if not any(entry.info["stage"] == stage.name for entry in entries):
        return None  # nothing is hashed for it
    if not all((root / path).exists() for path in stage.outs):
        return None
    outputs = {path: md5(root / path) for path in stage.outs}
    return next(iter(journal.find_runs(entries, stage.name, outputs)), None)


def _compare(
    root: Path, stage: Stage, lock: dict[str, Any], md5: Callable[[Path], str], run: journal.Entry | None
) -> State:
    reasons = [] if lock["cmd"] == stage.cmd else ["command changed"]
    for file, keys in stage.params.items():
        new = params.to_plain(params.read_yaml(root / file)) if (root / file).exists() else {}
        old = lock.get("params", {}).get(file, {})
        for key in keys:
            reasons += _diff_params(key, _get_param(old, key), _get_param(new, key))
    code, data = (
        _diff_files(
            root, [dep for dep in stage.deps if import_closure.is_code(dep) == is_code], lock.get("deps", []), md5
        )
        for is_code in (True, False)
    )
    outs = _diff_files(root, stage.outs, lock.get("outs", []), md5)
    gone = [line for line in outs if line.endswith("missing")]
    if not reasons and not data and not outs and code and run and _ran_same_code(root, stage, lock, run):
        message = f"by room only: no code it runs has changed; `dvc commit -f {stage.name}` keeps the result"
        return State(STALE, [message, *code])
    if reasons or code or data or not outs:
        return State(STALE if reasons or code or data else FRESH, reasons + code + data + outs)
    reason = f"{outs[0]}; `dvc repro` or `dvc checkout` brings back that of dvc.lock"
    return State(MISSING, [reason]) if len(gone) == len(outs) else State(STALE, [reason, *outs[1:]])


def _ran_same_code(root: Path, stage: Stage, lock: dict[str, Any], run: journal.Entry) -> bool:
    """Whether an execution had the inputs that dvc.lock records, and the present code."""
    inputs = run.info.get("inputs", {})
    locked = {dep["path"]: dep.get("md5") for dep in lock.get("deps", [])}
    if any(inputs.get(dep) != locked.get(dep) for dep in stage.deps if not import_closure.is_code(dep)):
        return False
    try:
        return inputs.get("code") == import_closure.digest_code(root, chapters.find_module(stage.name, root))
    except (UserError, SyntaxError):
        return False


_ABSENT = "(absent)"


def _get_param(tree: dict, key: str) -> Any:
    """A parameter's value. dvc.lock holds `a.b` as one key; params.yaml nests it."""
    return tree[key] if key in tree else params.get_by_path(tree, key, _ABSENT)


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
    recorded = {item["path"]: item.get("md5") for item in locked}
    lines = []
    for path in paths:
        if not (root / path).exists():
            lines.append(f"{path} missing")
        elif path not in recorded:
            lines.append(f"{path} new")
        elif recorded[path] != md5(root / path):
            lines.append(f"{path} changed")
    return lines


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
        stat, name = path.stat(), str(path)
        signature = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        if self.entries.get(name, [None])[:-1] != signature:
            self.entries[name] = [*signature, digests.file_md5(path)]
        self.used_entries[name] = self.entries[name]
        return self.entries[name][-1]

    def __exit__(self, *_: Any) -> None:
        try:
            files.write_json(self.path, self.used_entries)
        except (OSError, UserError):
            return  # a read-only checkout can still be looked at
