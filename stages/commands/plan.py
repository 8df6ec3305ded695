"""`python -m stages plan`: what `dvc repro` would run, why, how long it takes and what it downloads. Nothing runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stages.lib.workspace.staleness import Stage, State

MAX_REASONS = 3


def plan() -> None:
    """Show what `dvc repro` would run: why, how long the last run took, what it downloads. Works without any output."""
    from stages.lib.core import params
    from stages.lib.core.durations import format_duration
    from stages.lib.display import terminal
    from stages.lib.run import journal
    from stages.lib.workspace import forecast, staleness

    root = Path.cwd()
    stages = staleness.load_stages(root)
    states = staleness.compute_states(root, stages)
    todo = [stage for stage in stages if states[stage.name].status != staleness.FRESH]
    if not todo:
        print("nothing to run: every stage is fresh")
        return
    document = params.to_plain(params.read_yaml(root / params.PARAMS_FILE))
    times = forecast.make_forecast(journal.load_entries(root))
    header, rows = ["stage", "last run", "why", "downloads"], []
    for stage in todo:
        last = format_duration(times.last[stage.name]) if stage.name in times.last else ""
        why = explain(stage, states[stage.name], [other.name for other in stages])
        if stage.name in times.elapsed:
            why = f"running {times.describe_running(stage.name)}"
        rows.append([stage.name, last, why, ", ".join(list_downloads(document, stage.name))])
    if not any(row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    terminal.print_table(header, rows, numbers=("last run",))
    print()
    names = [stage.name for stage in todo]
    unknown = sum(name not in times.last for name in names)
    terminal.print_list(
        write_notes(len(todo), unknown, times.estimate_left(names), staleness.has_outputs(root, stages))
    )


def explain(stage: Stage, state: State, stages: Sequence[str]) -> str:
    """Why a stage would run. Outputs that an earlier stage has yet to write are named by that stage."""
    from stages.lib.workspace import staleness

    if state.status == staleness.NEVER_RUN:
        return "has never run"
    if state.status == staleness.UPSTREAM_STALE:
        return f"waits {', '.join(state.reasons)}; runs if their outputs change"
    reasons, writers = [], set()
    for reason in state.reasons:
        path, is_missing, _ = reason.partition(" missing")
        writer = path.split("/")[1] if path.startswith("data/") else ""
        if is_missing and writer in stages:
            writers.add(writer)
        else:
            reasons.append(reason)
    if stage.name in writers:
        reasons.append("its outputs are missing")
    elif writers:
        reasons.append(f"needs {', '.join(name for name in stages if name in writers)}")
    more = f", and {len(reasons) - MAX_REASONS} more" if len(reasons) > MAX_REASONS else ""
    return ", ".join(reasons[:MAX_REASONS]) + more


def list_downloads(document: Mapping[str, Any], stage: str) -> list[str]:
    """What a stage takes from the hub, by its parameters, and whether the hub's cache has it."""
    section = document.get(stage) or {}
    sources: list[tuple[str, Mapping[str, Any]]] = []
    if stage == "base" and section.get("source") == "hub":
        sources.append(("model", section))
    if stage == "benchmarks" and section.get("source") == "hub":
        sources.append(("dataset", section.get("hub") or {}))
    if stage == "scores":
        published = section.get("published") or {}
        sources += [("model", published[name]) for name in section.get("verifiers", ()) if name in published]
    if stage == "compression":
        sources += [("model", model) for model in (section.get("models") or {}).values()]
    return [
        f"{source['repo']}{' (cached)' if is_cached(kind, source) else ''}"
        for kind, source in sources
        if source.get("repo")
    ]


def is_cached(kind: str, source: Mapping[str, Any]) -> bool:
    """Whether the hub's cache holds this revision, whole or in part."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=source["repo"], repo_type=kind)
    return Path(HF_HUB_CACHE, folder, "snapshots", str(source.get("revision"))).is_dir()


def write_notes(count: int, unknown: int, seconds: float, has_outputs: bool) -> list[str]:
    """The time of all stages, and what may spare it. unknown: stages without a finished run here."""
    from stages.lib.core.durations import format_duration

    stages = f"{count} stage{'s' * (count > 1)}"
    if unknown == count:
        notes = [f"{stages}; no run is recorded here, so nothing says how long they take."]
    else:
        more = f" and the time of {unknown} that never ran here" if unknown else ""
        notes = [f"{stages}: about {format_duration(seconds)}, if they take as long as last time{more}."]
    if not has_outputs:
        notes.append("Nothing is computed here yet. If a DVC remote is set, `dvc pull` fetches the results instead.")
    return [*notes, "What ran before with the same inputs comes back from DVC's cache, if it is there."]
