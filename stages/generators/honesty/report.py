"""report.md and curve.png of stage honesty: policies that may refuse, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.generators.honesty.policies import POLICIES, TRIVIAL
from stages.generators.honesty.selective import PENALTIES
from stages.lib.core import files
from stages.lib.display import charts, tables
from stages.lib.reports import refusals

if TYPE_CHECKING:
    from stages.generators.honesty.__main__ import Params

NAMES = {
    "always_refuse": "always refuse",
    "never_refuse": "never refuse",
    "vanilla": "generator",
    "prompt": "asked to allow N/A",
    "verifier": "silenced by the verifier",
    "r_tuning": "R-Tuning",
    "certain": "certainty-filtered",
    "shuffled": "refusals at random",
}
SET_NAMES = {
    "test": "test",
    "premise": "premise and twins",
    "deeper": "more steps",
    "passages": "passages",
    "facts": "made-up facts",
    "unknowns": "competition, unknowns",
}
Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]


def write(folder: Path, params: Params, results: dict[str, Any], curves: Curves) -> None:
    """Write report.md and curve.png into the stage's folder."""
    files.write_text(folder / "report.md", tables.format_report(build_tables(results), build_notes(params, results)))
    plot_curves(folder / "curve.png", curves, results["in_domain"])


def show(value: float | None, percent: bool = True) -> str:
    return "" if value is None else f"{100 * value:.1f}" if percent else f"{value:.3f}"


def build_tables(results: dict[str, Any]) -> dict[str, tables.Table]:
    figures = results["in_domain"]
    penalties = [f"{penalty:g}" for penalty in PENALTIES]
    header = ("policy", "coverage %", "accuracy %", "refusal recall %", "refused of unknown %", "over-refusal %")
    header += ("AP", "AURC", "THS", "ECE", *(f"score, wrong costs {penalty}" for penalty in penalties))
    present = [name for name in (*TRIVIAL, *POLICIES) if name in figures]
    rows = [
        [
            NAMES[name],
            *(show(own[key]) for key in ("coverage", "accuracy", "refusal_recall", "unknown_refusal", "over_refusal")),
            *(show(own[key], percent=False) for key in ("ap", "aurc", "ths", "ece")),
            *(show(own["scores"][penalty], percent=False) for penalty in penalties),
        ]
        for name, own in figures.items()
    ]
    equal = [
        [
            NAMES[name],
            *(show(own[key]) for key in ("coverage", "accuracy", "baseline")),
            tables.format_gain([own["difference"], own["low"], own["high"]]),
            tables.format_p_value(own["p"]),
        ]
        for name, own in results["equal_coverage"].items()
    ]
    items = figures["vanilla"]["items"]
    transfer = [
        [
            SET_NAMES[name],
            describe_kinds(results["kinds"][name]),
            *(describe_policy(own[policy]) for policy in present),
        ]
        for name, own in results["sets"].items()
    ]
    return {
        f"Test problems, unanswerable problems and their twins: {items} items": (header, rows),
        "At equal coverage": (
            (
                "policy",
                "coverage %",
                "accuracy %",
                f"{NAMES[results['baseline']]}: accuracy %",
                "right of all, difference [95%]",
                "p",
            ),
            equal,
        ),
        refusals.KINDS_TITLE: (
            ("items", "kinds", *(NAMES[policy] for policy in present)),
            transfer,
        ),
    }


def describe_kinds(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def describe_policy(own: Mapping[str, Any]) -> str:
    shown = (show(own[key]) or "-" for key in ("refusal_recall", "unknown_refusal", "over_refusal", "accuracy"))
    return " / ".join(shown)


def build_notes(params: Params, results: dict[str, Any]) -> list[str]:
    notes = describe_training(params, results) if results["training"] else describe_agent(params)
    for name, own in results["judge"].items():
        if note := refusals.describe_judgement(NAMES[name], own):
            examples = " | ".join(" ".join(x.split())[:80] for x in own["examples"][:2]) if own["missed"] else ""
            notes.append(f"{note}: {examples}." if examples else f"{note}.")
    for name, own in results["shortcuts"].items():
        notes.append(
            f"{SET_NAMES[name]}: AUC of length for a missing answer {own['length']:.2f}, of the answer's absence from the "
            f"question {own['answer_in_question']:.2f}."
        )
    return notes


def describe_counts(counts: Mapping[str, int]) -> str:
    """The number of samples behind c, for each set where sets differ."""
    if len(set(counts.values())) == 1:
        return str(next(iter(counts.values())))
    return ", ".join(f"{count} ({name})" for name, count in counts.items())


def describe_training(params: Params, results: dict[str, Any]) -> list[str]:
    plain, filtered = (results["training"][arm] for arm in ("r_tuning", "certain"))
    dropped = filtered["dropped"]
    notes = [
        f"Known: c, the share of right ones among {describe_counts(results['counts'])} samples of the generator, is at "
        f"least {params.known_at:g}. One reply to each item, at the temperature of the samples.",
        f"R-Tuning learns {plain['problems']} problems ({plain['refused']} with a refusal), {plain['unanswerable']} "
        f"unanswerable ones, {plain['twins']} twins and {plain['facts']} facts; {plain['steps']} steps.",
        f"The certainty-filtered arm learns {filtered['problems']} problems ({filtered['refused']} with a refusal) and the "
        f"same others; {filtered['steps']} steps. Of {filtered['pool']} it left out {dropped['between']} neither known nor "
        f"unknown, {dropped['static']} static and {dropped['dynamic']} dynamic conflicts; c moved by "
        f"{filtered['mean_drift']:.2f} on average.",
        f"The verifier ({tables.format_score_name(params.verifier)}) silences the generator below a threshold chosen on "
        f"answerable dev problems, where a wrong answer costs {params.penalty:g}. It trains nothing. AP, AURC and ECE of "
        "its row are of all answers of the generator by its score, before the threshold.",
        "AURC is the mean share of wrong answers over the coverages that a policy reaches. One that refuses by itself has "
        "no answers beyond its coverage, so its AURC may be low for that alone.",
    ]
    if own := results["training"].get("shuffled"):
        notes.append(
            f"Refusals at random: the {own['problems']} problems of R-Tuning, of which as many ({own['refused']}), drawn "
            f"by key, have a refusal, and the same others; {own['steps']} steps. All targets weigh alike."
        )
    if "passages" in results["sets"]:
        notes.append(
            "Of passages, known items are those whose fact stands in the passage, whatever the generator makes of it."
        )
    if "facts" in results["sets"]:
        notes.append(
            "Half of the made-up facts, called known, are taught to the tuned arms; no other policy knows any."
        )
    return notes


def describe_agent(params: Params) -> list[str]:
    name = params.agent.settings.get("model", params.agent.kind)
    return [
        f"{name} replies in place of the generator; nothing is trained. Known: c, the share of right ones among "
        f"{params.samples} replies, is at least {params.known_at:g}. The first reply counts; its confidence is the share "
        "of replies with the same answer.",
    ]


def plot_curves(path: Path, curves: Curves, figures: Mapping[str, Any]) -> None:
    """Share of wrong answers against coverage: a line for each policy, a mark where it stands by itself."""
    figure, axes = charts.create_subplots((7.6, 4.6))
    for i, (name, (coverage, risk)) in enumerate(curves.items()):
        style = charts.get_style(i)
        axes.plot(100 * coverage, 100 * risk, color=style["color"], linewidth=1.5, label=NAMES[name])
        if (accuracy := figures[name]["accuracy"]) is not None:
            axes.plot(100 * figures[name]["coverage"], 100 * (1 - accuracy), **style, markersize=7, linestyle="")
    axes.set_xlabel("coverage: answered, % of all items")
    axes.set_ylabel("risk: wrong, % of the answered")
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    charts.style_axes(axes, "What is wrong among the surest answers")
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    charts.save_figure(path, figure)
