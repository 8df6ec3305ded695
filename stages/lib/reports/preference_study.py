"""Arms of stage preference over seeds: which one dev chooses, what that is worth on test, and solve rate against KL.

Arms differ in beta, tau, rate, kind of reference and teacher. The best of many arms on test looks better than it is, so the
arm is chosen on dev, and its gains on test have an interval: on the start, and on the arm that learned from the same pairs
with a toss for which solution is chosen. All seeds answer the same test problems.

The claim of TR-DPO (Gorbatovski et al. 2024, arXiv 2404.09656, section 4) is about the picture: at the same distance from
the start, a reference that follows the policy should lose less. Every arm and seed is a point; lines join the arms of one
kind of reference within a seed by growing KL, since seeds may go very different ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from stages.lib.display import charts, tables
from stages.lib.display.tables import Table
from stages.lib.reports import data_study
from stages.lib.reports.data_study import Gain, Outcome

START, CONTROL = "start", "random"  # what the chosen arm is compared with
HEADER = (
    "arm",
    "seeds",
    "KL, nats",
    "dev pass@1 %",
    "dev gain",
    "test pass@1 %",
    "test gain",
    "majority gain",
    "pass@N gain",
    "pairs held out %",
    "chosen, nats",
)
CHOICE_HEADER = ("chosen on dev", "minus", "seeds", "test pass@1, difference [95%]", "p")


class Point(NamedTuple):
    """One arm and seed. Accuracies and gains on the start are shares, those of dev named so and the others of test; kl and
    chosen (the change of the mean log-probability of held-out chosen solutions) are in nats. solved: of `start` and
    `policy`, test problem -> the share of its samples that are right."""

    arm: str
    reference: str
    seed: int
    kl: float
    dev_pass_1: float
    dev_gain: float
    pass_1: float
    gain: float
    majority_gain: float
    pass_n_gain: float
    heldout: float | None
    chosen: float | None
    solved: Mapping[str, Mapping[str, float]]


def make_point(arm: str, reference: str, seed: int, results: Mapping[str, Any]) -> Point:
    """From the results.json of an experiment."""
    dev, methods, held_out = results["dev"]["methods"]["pass_1"], results["test"]["methods"], results["held_out"]
    gain, majority_gain, pass_n_gain = (methods[name]["difference"] for name in ("pass_1", "majority_n", "pass_n"))
    return Point(
        arm=arm,
        reference=reference,
        seed=seed,
        kl=results["kl"]["mean"],
        dev_pass_1=dev["policy"],
        dev_gain=dev["difference"],
        pass_1=methods["pass_1"]["policy"],
        gain=gain,
        majority_gain=majority_gain,
        pass_n_gain=pass_n_gain,
        heldout=held_out["accuracy"],
        chosen=held_out.get("chosen"),
        solved=results["test"]["solved"],
    )


def choose(points: Sequence[Point]) -> str | None:
    """The arm with the highest mean gain on dev, of equals the first; of those with the most seeds, since a mean over fewer
    is noisier and wins more easily. The control is no candidate. None without a candidate."""
    gains: dict[str, list[float]] = {}
    for point in points:
        if point.arm != CONTROL:
            gains.setdefault(point.arm, []).append(point.dev_gain)
    most = max(map(len, gains.values()), default=0)
    whole = {arm: mean(own) for arm, own in gains.items() if len(own) == most}
    return max(whole, key=whole.__getitem__, default=None)


def compare_chosen(points: Sequence[Point]) -> list[Gain]:
    """The chosen arm's gains on test, on the start and on the control where that has run: paired by problem, over all seeds
    that both have, with the two-way interval of metrics/crossed.py; p corrected for both (Holm)."""
    arm = choose(points)
    if arm is None:
        return []
    results: dict[str, dict[int, Outcome]] = {}
    for point in points:
        if point.arm in (arm, CONTROL):
            values = {data_study.PASS_1: point.solved["policy"]}
            results.setdefault(point.arm, {})[point.seed] = Outcome(values, {})
        if point.arm == arm:
            values = {data_study.PASS_1: point.solved["start"]}
            results.setdefault(START, {})[point.seed] = Outcome(values, {})
    gains = (data_study.compare(results, arm, other, data_study.PASS_1) for other in (START, CONTROL))
    return data_study.correct([gain for gain in gains if gain])


def tabulate(points: Sequence[Point]) -> Table:
    """A row for each arm: means over seeds, with their standard deviation where there are several."""
    rows = []
    for arm in dict.fromkeys(point.arm for point in points):
        own = [point for point in points if point.arm == arm]

        def show(name: str, form: str, scale: float = 100.0, own: Sequence[Point] = own) -> str:
            return tables.format_mean([scale * value for x in own if (value := getattr(x, name)) is not None], form)

        cells = [
            show("kl", ".2f", 1.0),
            show("dev_pass_1", ".1f"),
            show("dev_gain", "+.1f"),
            show("pass_1", ".1f"),
            show("gain", "+.1f"),
            show("majority_gain", "+.1f"),
            show("pass_n_gain", "+.1f"),
            show("heldout", ".1f"),
            show("chosen", "+.2f", 1.0),
        ]
        rows.append([arm, str(len(own)), *cells])
    return HEADER, rows


def tabulate_choice(points: Sequence[Point]) -> Table | None:
    """A row for each of the chosen arm's gains on test; None where there are none."""
    seeds = {arm: {point.seed for point in points if point.arm == arm} for arm in {point.arm for point in points}}
    rows = []
    for gain in compare_chosen(points):
        shared = seeds[gain.arm] & seeds.get(gain.control, seeds[gain.arm])
        interval = tables.format_gain((gain.mean, gain.low, gain.high))
        rows.append([gain.arm, gain.control, str(len(shared)), interval, tables.format_p_value(gain.p)])
    return (CHOICE_HEADER, rows) if rows else None


def build_notes(points: Sequence[Point]) -> list[str]:
    """How the arm was chosen, and how to read its gains."""
    arm = choose(points)
    if arm is None:
        return []
    own = [point.dev_gain for point in points if point.arm == arm]
    candidates = len({point.arm for point in points if point.arm != CONTROL})
    said = f"Dev chooses {arm} of {candidates} arms: {100 * mean(own):+.1f} points of pass@1 on the start there"
    notes = [
        said + (", so it would rather keep the start." if mean(own) <= 0 else ", the highest mean over seeds."),
        "Nothing is chosen on test. Its intervals are paired by problem, as other problems and other training seeds would "
        "vary (two-way, stages/lib/metrics/crossed.py); p is corrected for both comparisons (Holm).",
    ]
    if not any(point.arm == CONTROL for point in points):
        notes.append(f"Without the arm {CONTROL} a gain may come from training on any pairs: run it, too.")
    return notes


def plot(path: Path, points: Sequence[Point]) -> None:
    """Gain of pass@1 on the start against KL: a mark for each arm and seed, a line through those of one reference and
    seed."""
    figure, axes = charts.create_subplots((7.2, 4.4))
    axes.axhline(0, color="#000000", linewidth=0.8)
    for i, reference in enumerate(dict.fromkeys(point.reference for point in points)):
        own = [point for point in points if point.reference == reference]
        style = charts.get_style(i)
        axes.plot(
            [x.kl for x in own], [100 * x.gain for x in own], linestyle="", **style, markersize=4.5, label=reference
        )
        for seed in {point.seed for point in own}:
            line = sorted((x.kl, 100 * x.gain) for x in own if x.seed == seed)
            axes.plot(*zip(*line, strict=True), color=style["color"], linewidth=1.2)
    axes.set_xlabel("KL from the start, nats a solution")
    axes.set_ylabel("pass@1 minus that of the start, points")
    charts.style_axes(axes, "Solve rate against distance from the start")
    axes.legend(fontsize=9, frameon=False)
    charts.save_figure(path, figure)
