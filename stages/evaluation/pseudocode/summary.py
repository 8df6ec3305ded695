"""The report and the picture of stage pseudocode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.evaluation.pseudocode.study import SETS, TARGETS
from stages.lib.chat import describe_cost
from stages.lib.core import files
from stages.lib.display import charts, tables
from stages.lib.display.tables import Table

ARM_NAMES = {
    "direct": "direct answer",
    "chain_of_thought": "chain of thought",
    "prose": "plan in prose",
    "code": "pseudocode without prints",
    "traced_code": "pseudocode with prints",
    "executed": "program executed",
}
SET_TITLES = {"test": "fresh programs", "longer": "longer programs", "renamed": "other names"}


def write(folder: Path, results: Mapping[str, Any]) -> None:
    """Write report.md and traces.png. results: of results.json."""
    content: dict[str, Table] = {}
    if results["tasks"]:
        content["Accuracy of each way to ask, %"] = tabulate_arms(results["tasks"])
        if traces := tabulate_traces(results["tasks"]):
            content["Traces that the reasoner writes"] = traces
    if results["study"]:
        content["Models trained on equally many target tokens: right answers, %"] = tabulate_study(results["study"])
        content["Paired differences between them, points"] = tabulate_differences(results["study"])
    files.write_text(folder / "report.md", tables.format_report(content, write_notes(results)))
    plot(folder / "traces.png", results)


def tabulate_arms(tasks: Mapping[str, Any]) -> Table:
    arms = [arm for arm in ARM_NAMES if any(arm in task.get("arms", {}) for task in tasks.values())]
    rows = []
    for name, task in tasks.items():
        cells = [_percent(task["arms"][arm]["accuracy"]) if arm in task["arms"] else "" for arm in arms]
        rows.append([name, str(task["problems"]), _percent(task["constant"]), *cells])
    return ["task", "problems", "best constant answer", *(ARM_NAMES[arm] for arm in arms)], rows


def tabulate_traces(tasks: Mapping[str, Any]) -> Table | None:
    """The arm with prints; None where it did not run."""
    rows = []
    for name, task in tasks.items():
        own = task["arms"].get("traced_code", {})
        if "trace_exact" in own:
            rows.append([name, *_format_traces(own), str(own["unreadable"]), str(own["failed"])])
    header = ["task", "exact", "right answer, wrong trace", "first wrong line", "unreadable", "failed"]
    return (header, rows) if rows else None


def _format_traces(own: Mapping[str, Any]) -> list[str]:
    names = ("trace_exact", "right_answer_wrong_trace", "first_error")
    return [_percent(own[name]) if own.get(name) is not None else "" for name in names]


def tabulate_study(study: Mapping[str, Any]) -> Table:
    rows = []
    for name, part in study["sets"].items():
        for target, own in part["targets"].items():
            interval = f"{_percent(own['accuracy'])} ({_percent(own['low'])} to {_percent(own['high'])})"
            rows.append(
                [
                    SET_TITLES[name],
                    target,
                    str(part["problems"]),
                    interval,
                    *_format_traces(own),
                    str(own["unreadable"]),
                ]
            )
    header = ["set", "trained on", "programs", "accuracy (95 %)", "trace exact", "right answer, wrong trace"]
    return [*header, "first wrong line", "unreadable"], rows


def tabulate_differences(study: Mapping[str, Any]) -> Table:
    rows = []
    for name, part in study["sets"].items():
        for pair, own in part["differences"].items():
            gain = tables.format_gain([own["difference"], own["low"], own["high"]])
            rows.append([SET_TITLES[name], pair, gain, tables.format_p_values(own["p"], own["p_holm"])])
    return ["set", "difference", "points [95 %]", "p (Holm)"], rows


def write_notes(results: Mapping[str, Any]) -> list[str]:
    notes = []
    if results["tasks"]:
        notes.append(
            "Best constant answer: what one and the same answer to every problem gives. Program executed: the interpreter "
            "runs the plan, so what is lacking to 100 % is the plan's fault."
        )
        left = {name: task["left_out"] for name, task in results["tasks"].items() if task["left_out"]}
        if left:
            counts = ", ".join(f"{name} {count}" for name, count in left.items())
            notes.append(f"Left out, because no program gives their answer: {counts}.")
        executed = {name: task["arms"].get("executed", {}) for name, task in results["tasks"].items()}
        if sandboxed := {name: own["sandboxed"] for name, own in executed.items() if "sandboxed" in own}:
            counts = ", ".join(f"{name} {count}" for name, count in sandboxed.items())
            notes.append(
                f"Programs outside the interpreter's language, which Python ran in the sandbox: {counts}. There numbers "
                "are Python's own, not exact."
            )
        notes += [describe_cost(name.capitalize(), counts) for name, counts in results.get("requests", {}).items()]
        if not any("traced_code" in task["arms"] for task in results["tasks"].values()):
            notes.append("No model reasons in this run (pseudocode.reasoner: rules), so only programs were executed.")
    if study := results["study"]:
        amounts = "; ".join(
            f"{target} {own['programs']} programs, {own['target_tokens']} target tokens, {own['tokens']} in all, "
            f"{own['updates']} updates"
            for target, own in study["training"].items()
        )
        notes += [
            f"Learned from, once an epoch: {amounts}.",
            "Traces and steps are compared line by line with the program's own. First wrong line: the share of the true "
            "lines that come before it, where there is one.",
            "The bundled base was pretrained on worked steps of word problems and on equations, not on programs.",
        ]
    return notes


def plot(path: Path, results: Mapping[str, Any]) -> None:
    """Accuracy with its interval: of the trained models by set, else of the arms by task."""
    figure, axes = charts.create_subplots((7.4, 3.8))
    if study := results["study"]:
        labels, title = [SET_TITLES[name] for name in SETS], "Right answers after learning equally many target tokens"
        series = {
            target: [
                tuple(study["sets"][name]["targets"][target][x] for x in ("accuracy", "low", "high")) for name in SETS
            ]
            for target in TARGETS
        }
    else:
        labels, title = list(results["tasks"]), "Right answers of each way to ask"
        arms = [arm for arm in ARM_NAMES if any(arm in task["arms"] for task in results["tasks"].values())]
        series = {
            ARM_NAMES[arm]: [
                (task["arms"].get(arm, {}).get("accuracy", 0.0),) * 3 for task in results["tasks"].values()
            ]
            for arm in arms
        }
    width = 0.8 / max(1, len(series))
    for i, (name, cells) in enumerate(series.items()):
        places = [at + (i - (len(series) - 1) / 2) * width for at in range(len(labels))]
        middle, low, high = ([100 * cell[part] for cell in cells] for part in range(3))
        errors = [[m - x for m, x in zip(middle, low, strict=True)], [x - m for m, x in zip(middle, high, strict=True)]]
        style = {"linewidth": 0.9, "color": "#333333"}
        axes.bar(
            places, middle, width * 0.92, yerr=errors, error_kw=style, color=charts.get_style(i)["color"], label=name
        )
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel("right answers, %")
    axes.set_ylim(0, 100)
    charts.style_axes(axes, title, grid="y")
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    charts.save_figure(path, figure)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
