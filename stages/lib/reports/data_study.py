"""A study of training data: what models do that learned from the data of each arm, and against random data of equal size.

An arm is a way to choose or to make training problems. Its controls are arms with as many random problems, or with random
problems of as many tokens; arms of equal size share them. Every arm is trained with several seeds and answers the same test
problems. A gain is the mean difference over seeds and problems, with the two-way interval of metrics/crossed.py; variants
of one parent count as one problem. p-values of all gains of a study against one kind of control are corrected together
(Holm 1979).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

from stages.lib.core.problem_ids import get_root
from stages.lib.core.records import Problem, Sample, group_by_problem
from stages.lib.display import tables
from stages.lib.display.tables import Table
from stages.lib.metrics import crossed, intervals

GREEDY, PASS_1, PASS_K = "greedy", "pass@1", "pass@k"
MAIN = (GREEDY, PASS_1, PASS_K)  # outcomes in distribution; the others are pass@1 on a set out of it
DAGGER = "†"
MAX_SIZE_GAP = 0.02  # of the size of a control; a larger one is told
TRAINED_NOTE = f"{DAGGER} The arm trains on problems of this kind: the set is not out of distribution for it."
READING = (
    "Gains are paired by problem, with 95% intervals as other problems and other training seeds would vary, two-way "
    "(stages/lib/metrics/crossed.py); variants of one parent count as one problem. The smallest detectable "
    "difference is found four times in five, before the correction. p is corrected for all gains of a table "
    "(Holm); * marks p < 0.05. Jaccard: agreement of choices from one pool with other seeds."
)


class Outcome(NamedTuple):
    """What one training gave. values: outcome -> problem id -> accuracy; figures: metrics of stage selection."""

    values: Mapping[str, Mapping[str, float]]
    figures: Mapping[str, Any]


class Gain(NamedTuple):
    """An arm minus its control, as shares; p is corrected by `correct`."""

    arm: str
    control: str
    outcome: str
    mean: float
    low: float
    high: float
    p: float


Results = Mapping[str, Mapping[int, Outcome]]  # arm -> seed -> what it gave


def measure(
    test: Sequence[Sample],
    greedy: Sequence[Sample],
    ood: Sequence[Sample],
    problems: Iterable[Problem],
    sets: Sequence[str],
) -> dict[str, dict[str, float]]:
    """outcome -> problem id -> accuracy. problems: those of `ood`; sets: the operators that are looked at."""
    pools = {name: _collect(samples) for name, samples in (("test", test), ("greedy", greedy), ("ood", ood))}
    values = {
        GREEDY: {name: float(right.mean()) for name, right in pools["greedy"].items()},
        PASS_1: {name: float(right.mean()) for name, right in pools["test"].items()},
        PASS_K: {name: float(right.any()) for name, right in pools["test"].items()},
    }
    operators = {problem.id: problem.operator for problem in problems}
    for operator in sets:
        values[operator] = {
            name: float(right.mean()) for name, right in pools["ood"].items() if operators.get(name) == operator
        }
    return {name: part for name, part in values.items() if part}


def _collect(samples: Sequence[Sample]) -> dict[str, np.ndarray]:
    return {name: np.array([s.is_right for s in pool]) for name, pool in group_by_problem(samples).items()}


def compare(results: Results, arm: str, control: str, outcome: str) -> Gain | None:
    """None where the two have no seed or fewer than two problems in common."""
    seeds = [seed for seed in results.get(arm, {}) if seed in results.get(control, {})]
    tables_ = [[results[name][seed].values.get(outcome, {}) for seed in seeds] for name in (arm, control)]
    shared = sorted(set.intersection(*(set(values) for part in tables_ for values in part))) if seeds else []
    units = [get_root(name) for name in shared]
    if len(set(units)) < 2:
        return None
    first, second = (np.array([[values[name] for name in shared] for values in part]) for part in tables_)
    mean = crossed.estimate_mean(first - second, units)
    return Gain(arm, control, outcome, *mean[:3], crossed.compute_p_value(first - second, units))


def compare_all(results: Results, pairs: Mapping[str, str]) -> list[Gain]:
    """The gains of each arm on its control, pairs: arm -> control, in all outcomes; p corrected for all of them."""
    found = (
        compare(results, arm, control, outcome) for arm, control in pairs.items() for outcome in list_outcomes(results)
    )
    return correct([gain for gain in found if gain])


def correct(gains: Sequence[Gain]) -> list[Gain]:
    """The gains with p-values that are corrected for all of them."""
    return [gain._replace(p=p) for gain, p in zip(gains, intervals.holm([gain.p for gain in gains]), strict=True)]


def tabulate_arms(results: Results, trained: Mapping[str, Collection[str]]) -> Table:
    """A row for each arm: size of its data, accuracies, what it kept of faults and families; means over its seeds.

    trained: arm -> outcomes on sets that it trains on, which get a dagger."""
    outcomes = list_outcomes(results)
    header = ["arm", "seeds", "problems", "tokens", *(f"{name} %" for name in outcomes)]
    header += ["noise kept %", "families", "Jaccard"]
    rows = []
    for arm, seeds in results.items():
        cells = [arm, str(len(seeds)), *(_format(_average(seeds, key), ",.0f") for key in ("items", "tokens"))]
        for name in outcomes:
            means = [float(np.mean([*run.values[name].values()])) for run in seeds.values() if run.values.get(name)]
            cells.append(_format(100 * float(np.mean(means)) if means else None, ".1f") + _mark(arm, name, trained))
        noise, families, jaccard = (_average(seeds, key) for key in ("noise_kept", "families", "jaccard"))
        cells += [
            _format(None if noise is None else 100 * noise, ".1f"),
            _format(families, ".1f"),
            _format(jaccard, ".2f"),
        ]
        rows.append(cells)
    return header, rows


def list_outcomes(results: Results) -> list[str]:
    """Those in distribution, then the sets out of it, in the order of the first arm."""
    return list(dict.fromkeys(name for seeds in results.values() for run in seeds.values() for name in run.values))


def _average(seeds: Mapping[int, Outcome], key: str) -> float | None:
    found = [run.figures[key] for run in seeds.values() if run.figures.get(key) is not None]
    return float(np.mean(found)) if found else None


def _format(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _mark(arm: str, outcome: str, trained: Mapping[str, Collection[str]]) -> str:
    return DAGGER * (outcome in trained.get(arm, ()))


def tabulate_gains(gains: Sequence[Gain], trained: Mapping[str, Collection[str]]) -> Table:
    """A row for each arm: gains in points, their intervals, corrected p-values with a star where they survive.

    trained: arm -> outcomes on sets that it trains on, which get a dagger."""
    outcomes = list(dict.fromkeys(gain.outcome for gain in gains))
    header, rows = ["arm", *(cell for name in outcomes for cell in (name, "p"))], []
    for arm in dict.fromkeys(gain.arm for gain in gains):
        cells = [arm]
        for name in outcomes:
            found = next((gain for gain in gains if (gain.arm, gain.outcome) == (arm, name)), None)
            star = "*" * (found is not None and found.p < tables.SIGNIFICANCE_LEVEL)
            gain = tables.format_gain(found[3:6]) + _mark(arm, name, trained) if found else ""
            cells += [gain, tables.format_p_value(found.p) + star if found else ""]
        rows.append(cells)
    return header, rows


def describe_gains(gains: Sequence[Gain], control: str, trained: Mapping[str, Collection[str]]) -> str:
    """Whether any arm beats random data, and how small a difference would have been found."""
    better = [gain for gain in gains if gain.mean > 0 and gain.p < tables.SIGNIFICANCE_LEVEL]
    worse = [gain for gain in gains if gain.mean < 0 and gain.p < tables.SIGNIFICANCE_LEVEL]

    def name(some: Sequence[Gain]) -> str:
        return ", ".join(
            f"{gain.arm} on {gain.outcome}{_mark(gain.arm, gain.outcome, trained)} ({100 * gain.mean:+.1f})"
            for gain in some
        )

    if not gains:
        return f"Against random data of equal {control}: no arm has been run with its control."
    best = f"better: {name(better)}" if better else "random is as good: no gain is beyond chance"
    smallest = ", ".join(f"{outcome} {100 * size:.1f}" for outcome, size in compute_detectable(gains).items())
    return (
        f"Against random data of equal {control}, {best}{f'; worse: {name(worse)}' if worse else ''}. "
        f"Smallest detectable difference in points: {smallest}."
    )


def compute_detectable(gains: Sequence[Gain], power: float = 0.8, confidence: float = 0.95) -> dict[str, float]:
    """outcome -> the true difference that is found with this power, as a share: the median over arms of the half width of
    the interval x (1 + z(power) / z(confidence)). Without the correction for many gains."""
    factor = 1 + norm.ppf(power) / norm.ppf(0.5 + confidence / 2)
    halves: dict[str, list[float]] = {}
    for gain in gains:
        halves.setdefault(gain.outcome, []).append((gain.high - gain.low) / 2)
    return {outcome: float(factor * np.median(found)) for outcome, found in halves.items()}


def describe_sizes(results: Results, pairs: Mapping[str, str], kind: str) -> list[str]:
    """A sentence for each arm, pairs: arm -> control, whose data are not of the size of its control's."""
    told = []
    for arm, control in pairs.items():
        size, other = (_average(results.get(name, {}), kind) for name in (arm, control))
        if size is not None and other is not None and abs(size - other) > MAX_SIZE_GAP * other:
            told.append(f"{arm} has {size:,.0f} {kind}, its control {control} {other:,.0f}: not of equal size.")
    return told
