"""What an output came from, by dvc.lock and the journal: stages, runs, parameters and inputs, down to raw files.

dvc.lock says which bytes a stage read and wrote. The journal says which execution wrote them: the newest finished one, if
possible one that read those inputs (after `dvc commit -f` an input may be another since). Where it ran elsewhere, git says
which commit recorded it.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stages.lib.core import params
from stages.lib.core.errors import UserError
from stages.lib.run import import_closure, journal
from stages.lib.workspace import staleness


@dataclass(frozen=True)
class Step:
    """One stage of a lineage. outputs, inputs and code: path -> md5, as dvc.lock has them. params: key -> value, as run.
    outdated: inputs that their stage has written anew since. run: of the journal, or None; its `other_inputs` are those of
    which it read another version. commit: that recorded the outputs, where there is no run."""

    stage: str
    desc: str
    outputs: dict[str, str]
    inputs: dict[str, str]
    code: dict[str, str]
    params: dict[str, Any]
    outdated: list[str]
    parents: list[str]
    run: dict[str, Any] | None = None
    commit: str | None = None

    def owns(self, path: str) -> bool:
        """Whether the stage wrote this file, a file in this folder, or the folder that holds it."""
        return any(_is_within(out, path) or _is_within(path, out) for out in self.outputs)


@dataclass(frozen=True)
class Lineage:
    """path: what was asked for. outputs: of it, path -> md5. steps: in the order of dvc.yaml; the last one wrote `path`.
    licences: {benchmark: {licence: problems}} of the problems that its stages wrote."""

    path: str
    outputs: dict[str, str]
    steps: list[Step]
    licences: dict[str, dict[str, int]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def list_raw_inputs(self) -> list[tuple[str, str, str]]:
        """(path, md5, stage) of the data and models that the stages read and none of them wrote."""
        return [
            (path, md5, step.stage)
            for step in self.steps
            for path, md5 in step.inputs.items()
            if not path.startswith(("stages/", "params.yaml", "requirements.lock"))
            and not any(other.owns(path) for other in self.steps)
        ]


def trace(root: Path, path: str) -> Lineage:
    """The lineage of an output, of a file in one, or of a folder of outputs of one stage.

    Raises UserError for a path that is none of these, with those that look like it, and for one that never ran."""
    if not (root / "dvc.lock").is_file():
        raise UserError("dvc.lock: not found, so nothing is recorded yet; `dvc repro` first")
    lock = params.to_plain(params.read_yaml(root / "dvc.lock")).get("stages", {})
    stages = {stage.name: stage for stage in staleness.load_stages(root)}
    wanted = _normalise(root, path)
    owners = {out: stage.name for stage in stages.values() for out in stage.outs}
    matches = [out for out in owners if _is_within(out, wanted)] or [out for out in owners if _is_within(wanted, out)]
    if len({owners[out] for out in matches}) != 1:
        near = difflib.get_close_matches(wanted, [*owners, *(f"data/{name}" for name in stages)], 3, 0.5)
        near = near or list(owners)[-3:]
        raise UserError(f"{path}: no output of one stage in dvc.yaml; do you mean {', '.join(near)}?")
    last = owners[matches[0]]
    if last not in lock:
        raise UserError(f"{path}: stage {last} has not run; `dvc repro {last}`, or `dvc pull` if a colleague ran it")
    written = {name: {out["path"]: out["md5"] for out in lock[name].get("outs", [])} for name in lock}
    produced = {out: (name, md5) for name, outs in written.items() for out, md5 in outs.items()}
    names, queue = {last}, [last]
    while queue:
        parents = _find_parents(lock[queue.pop()], produced)
        queue += [name for name in parents if name not in names]
        names.update(parents)
    entries = journal.load_entries(root)
    steps = [_make_step(root, stages[name], lock[name], produced, entries) for name in stages if name in names]
    outputs = {out: written[last].get(out, "") for out in matches}
    return Lineage(wanted, outputs, steps, count_licences(root, steps))


def count_licences(root: Path, steps: list[Step]) -> dict[str, dict[str, int]]:
    """{benchmark: {licence: number}} of the problems in the .jsonl files that the stages wrote and that are here."""
    counts: dict[str, dict[str, int]] = {}
    for path in (
        path for step in steps for path in step.outputs if path.endswith(".jsonl") and (root / path).is_file()
    ):
        for line in (root / path).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if isinstance(row, dict) and "licence" in row and "benchmark" in row:
                own = counts.setdefault(row["benchmark"], {})
                own[row["licence"]] = own.get(row["licence"], 0) + 1
    return counts


def _make_step(root: Path, stage: Any, entry: dict[str, Any], produced: dict, entries: list[journal.Entry]) -> Step:
    deps = {dep["path"]: dep["md5"] for dep in entry.get("deps", [])}
    code = {path: md5 for path, md5 in deps.items() if import_closure.is_code(path)}
    inputs = {path: md5 for path, md5 in deps.items() if path not in code}
    outputs = {out["path"]: out["md5"] for out in entry.get("outs", [])}
    values = {key: value for keys in entry.get("params", {}).values() for key, value in keys.items()}
    runs = journal.find_runs(entries, stage.name, outputs)
    run = min(runs, key=lambda entry: bool(_list_other_inputs(entry, inputs)), default=None)  # the first is the newest
    return Step(
        stage.name,
        stage.desc,
        outputs,
        inputs,
        code,
        values,
        [path for path, md5 in inputs.items() if path in produced and produced[path][1] != md5],
        _find_parents(entry, produced),
        run and {**_describe_run(run), "other_inputs": _list_other_inputs(run, inputs)},
        None if run else _find_commit(root, next(iter(outputs.values()), "")),
    )


def _find_parents(entry: dict[str, Any], produced: dict[str, tuple[str, str]]) -> list[str]:
    """The stages that wrote what a stage read, also where it read a folder of outputs, or a file in one."""
    paths = [dep["path"] for dep in entry.get("deps", [])]
    names = [
        name
        for out, (name, _) in produced.items()
        if any(_is_within(out, path) or _is_within(path, out) for path in paths)
    ]
    return list(dict.fromkeys(names))


def _list_other_inputs(run: journal.Entry, inputs: dict[str, str]) -> list[str]:
    """The inputs of which a run read another version."""
    return [path for path, md5 in inputs.items() if run.info.get("inputs", {}).get(path) != md5]


def _describe_run(entry: journal.Entry) -> dict[str, Any]:
    info, git = entry.info, entry.info.get("git") or {}
    facts = {key: info.get(key) for key in ("started", "ended", "seconds", "peak_memory", "experiment")}
    return {"id": entry.id, **facts, "commit": git.get("commit"), "dirty": git.get("dirty")}


def _find_commit(root: Path, md5: str) -> str | None:
    """The first commit whose dvc.lock holds this md5."""
    if not md5:
        return None
    try:
        commits = journal.run_git(root, "log", "--format=%H", "--reverse", f"-S{md5}", "--", "dvc.lock", timeout=60)
    except UserError:
        return None
    return next(iter(commits.split()), None)


def _normalise(root: Path, path: str) -> str:
    """Relative to the repository, with slashes. Raises UserError for a path outside."""
    full = (root / path).resolve()
    if not full.is_relative_to(root.resolve()):
        raise UserError(f"{path}: is outside the repository; name an output, such as data/prm/model")
    return full.relative_to(root.resolve()).as_posix()


def _is_within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(f"{outer}/")
