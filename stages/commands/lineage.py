"""`python -m stages lineage PATH`: the tree of what an output came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stages.lib.workspace.lineage import Lineage, Step


def lineage(
    path: Annotated[str, typer.Argument(help="An output, such as data/prm/model, or a file in it.")],
    as_json: Annotated[bool, typer.Option("--json", help="All of it, also code, as JSON.")] = False,
) -> None:
    """Print what an output came from: stages with their runs, changed parameters and inputs, down to raw files."""
    from stages.lib.display import terminal
    from stages.lib.workspace import lineage as workspace_lineage

    root = Path.cwd()
    traced = workspace_lineage.trace(root, path)
    if not as_json:
        print("\n".join(wrap_tree(format_lineage(root, traced).splitlines(), terminal.get_width())))
        return
    preset, changes = list_changes(traced)
    facts = {"preset": preset, "changes": changes}
    facts |= {"raw": list_raw_files(root, traced), "origins": load_origins(root, traced)}
    print(json.dumps(facts | traced.to_json(), indent=2, ensure_ascii=False))


def format_lineage(root: Path, traced: Lineage) -> str:
    """The tree of stages, then what they read that none of them wrote."""
    preset, changes = list_changes(traced)
    raw, origins = list_raw_files(root, traced), load_origins(root, traced)
    return "\n".join([*format_tree(traced, changes), "", *format_sources(traced, preset, raw, origins)])


def wrap_tree(lines: Iterable[str], width: int | None) -> list[str]:
    """The lines of a tree in this width: what goes over continues under its text, behind the branches. None: unchanged."""
    from stages.lib.display import terminal

    wrapped = []
    for line in lines:
        text = line.lstrip(" │├└─")
        branch = line[: len(line) - len(text)]
        first, *rest = terminal.wrap(text, None if width is None else max(20, width - len(branch)), 2)
        below = branch.replace("├", "│").replace("└", " ").replace("─", " ")
        wrapped += [branch + first, *(below + part for part in rest)]
    return wrapped


def list_changes(traced: Lineage) -> tuple[str, dict[str, list[dict[str, Any]]]]:
    """(the preset that params.yaml was made from, stage -> [{key, default, current}] of what differs from it)."""
    from ruamel.yaml import YAML

    from stages.commands import preset
    from stages.lib.core import params
    from stages.lib.core.settings import STACK_HEADER
    from stages.lib.core.settings import list_changes as compare

    names = [preset.DEFAULT]
    if params.PARAMS_FILE.exists():
        first = params.PARAMS_FILE.read_text(encoding="utf-8").partition("\n")[0]
        names = first.removeprefix(STACK_HEADER).split() if first.startswith(STACK_HEADER) else names
    document = YAML(typ="safe").load(preset.stack_presets(names))
    return " ".join(names), {
        step.stage: [
            change
            for key, value in step.params.items()
            for change in compare(params.get_by_path(document, key, None), value, key)
        ]
        for step in traced.steps
    }


def list_raw_files(root: Path, traced: Lineage) -> dict[str, dict[str, str]]:
    """Raw input -> its files with their md5; none where the folder has changed since it was read."""
    from stages.lib.core import digests
    from stages.lib.page.lineage import hash_inputs

    return {
        path: dict(hash_inputs(root, [path])) if (root / path).exists() and digests.md5(root / path) == md5 else {}
        for path, md5, _ in traced.list_raw_inputs()
    }


def load_origins(root: Path, traced: Lineage) -> dict[str, dict[str, Any]]:
    """What is recorded of the source of problems and base model, as far as they are part of the lineage."""
    from stages.lib.page import lineage as page_lineage

    steps = {step.stage: step for step in traced.steps}
    source = steps["base"].params["base"]["source"] if "base" in steps else ""
    origins = page_lineage.load_origins(root, source)
    return {
        what: origins[what] for what, stage in (("problems", "benchmarks"), ("base model", "base")) if stage in steps
    }


def format_tree(traced: Lineage, changes: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The lines of the tree, each stage once: where it is read again, only its name stands."""
    steps, raw = {step.stage: step for step in traced.steps}, traced.list_raw_inputs()
    lines = [f"{path}  {md5[:8]}" for path, md5 in traced.outputs.items()]
    shown: set[str] = set()

    def add(step: Step, reader: Step | None, prefix: str, is_last: bool) -> None:
        bar = prefix + ("   " if is_last else "│  ")
        head = f"{step.stage}: {'as above' if step.stage in shown else step.desc}"
        lines.append(f"{prefix}{'└─' if is_last else '├─'} {head}")
        if reader:
            used = [path for path in reader.inputs if step.owns(path)]
            names = [f"{path.removeprefix(f'data/{step.stage}/')} {reader.inputs[path][:8]}" for path in used]
            lines.append(f"{bar}   gives {', '.join(names)}")
            old = [path for path in reader.outdated if path in used]
            lines.extend(f"{bar}   {path} was written anew since; `dvc repro {reader.stage}`" for path in old)
        if step.stage in shown:
            return
        shown.add(step.stage)
        lines.append(f"{bar}   {describe_run(step)}")
        values = [f"{key} {value}" for key, value in step.params.items() if key.endswith("seed")]
        values += [f"{c['key']} {c['current']} (preset: {c['default']})" for c in changes[step.stage]]
        lines.extend([f"{bar}   {', '.join(values)}"] if values else [])
        branches = [path for path, _, reader_of_it in raw if reader_of_it == step.stage]
        for i, name in enumerate([*branches, *step.parents]):
            is_end = i == len(branches) + len(step.parents) - 1
            if i < len(branches):
                lines.append(f"{bar}{'└─' if is_end else '├─'} {name} {step.inputs[name][:8]}")
            else:
                add(steps[name], step, bar, is_end)

    add(traced.steps[-1], None, "", True)
    return lines


def format_sources(traced: Lineage, preset: str, raw: dict[str, dict[str, str]], origins: dict[str, Any]) -> list[str]:
    """Raw files, origins, licences and what else the stages read, a line each."""
    from stages.lib.page.lineage import list_origins

    others = {
        f"{path} {md5[:8]}": None
        for step in traced.steps
        for path, md5 in step.inputs.items()
        if path not in raw and not path.startswith("data/")
    }
    licences = [
        f"{benchmark} {licence} ({count:,} problems)"
        for benchmark, counts in traced.licences.items()
        for licence, count in counts.items()
    ]
    lines = [f"preset: {preset}", f"environment: {', '.join(others)}"]
    for path, files in raw.items():
        names = [f"{Path(name).name} {md5[:8]}" for name, md5 in files.items()]
        lines.append(f"{path}: {', '.join(names) or 'changed since it was read'}")
    lines += [f"{what}: {words}" for what, words in list_origins(origins)]
    return [*lines, f"licences: {'; '.join(licences) or 'no problem is here to read them from'}"]


def describe_run(step: Step) -> str:
    from stages.lib.core.durations import format_duration

    if step.run is None:
        return "run elsewhere" + (f"; in dvc.lock since commit {step.commit[:10]}" if step.commit else "")
    run = step.run
    commit = (run["commit"] or "none")[:10] + (" and changes" if run["dirty"] else "")
    experiment = f", experiment {run['experiment']}" if run["experiment"] else ""
    others = f", with another {', '.join(run['other_inputs'])}" if run["other_inputs"] else ""
    return f"run {run['id']}, {format_duration(run['seconds'])}, commit {commit}{experiment}{others}"
