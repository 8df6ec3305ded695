"""The audit of step labels against the exact truth: where decisions put the first error, how well values tell steps apart.

Of labels that decide, 1 or 0:
precision   of the solutions in which labels see an error, the share whose first error they place right
recall      of the solutions that have an error, the same share
micro_f1    their harmonic mean: the F1 of placed errors, counted over all solutions together. ProcessBench's F1 is another
            (lib/labels/first_error.py): the harmonic mean of the accuracies on solutions with an error and without
steps_right the share of all steps whose label is the truth, the figure that papers call label accuracy

Of all labels, over all steps of all solutions, and of shares of successful rollouts too, which no threshold turns into
decisions: a right step of a hard problem has a small share.
auc         the chance that a right step has a higher value than a wrong one, equal values counting half
brier       the mean squared difference of value and truth, 1 for a right step and 0 for a wrong one

Intervals resample problems, for the solutions of one problem are not independent, and take the ratio anew each time.
Rollouts are drawn once, for the largest N; what a kind of labels would say with fewer, and how many completions it alone
would have made, is read off them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stages.lib.core import files
from stages.lib.display import charts
from stages.lib.labels import rollouts, step_labels, truth
from stages.lib.labels.rollouts import PrefixKey, Search
from stages.lib.labels.step_labels import Solution

FREE_METHODS: dict[str, Callable[[Solution, int], Search]] = {
    "outcome alone": step_labels.outcome_labels,
    "pool alone": step_labels.pool_labels,
}
METHODS: dict[str, Callable[[Solution, int], Search]] = {
    "hard": step_labels.mc_hard,
    "soft": step_labels.mc_soft,
    "relative progress": step_labels.relative_progress,
    "hard, agreeing with progress": step_labels.consensus,
    "hard, monotone": step_labels.mc_monotone,
    "binary search": lambda of, n: step_labels.binary_search(without_pool(of), n),
    "binary search from the pool": step_labels.binary_search,
}
SOFT_METHODS = {"soft"}  # kinds whose values are no decisions
NOTE = """\
The first two make no completions. `outcome alone`: all steps but the last are right. `pool alone`: those are that a
right sample of the same problem shares. `binary search from the pool` starts where `pool alone` leaves off, so all that
its completions add is the difference of the two; `binary search` does without the pool. F1 is the micro F1 of placed
first errors; shares of successes (`soft`) decide nothing and have none.
"""


class Case(NamedTuple):
    """One solution: the problem it is of, the values that labels give to its steps, and the truth of each."""

    problem: str
    values: Sequence[float]
    correct: Sequence[bool]


class Interval(NamedTuple):
    """A figure and the ends of its interval."""

    value: float
    low: float
    high: float


class Audit(NamedTuple):
    """Shares in [0, 1]; None for what these labels do not have: decisions, or right steps and wrong ones."""

    precision: float | None
    recall: float | None
    micro_f1: Interval | None
    steps_right: float | None
    auc: Interval | None
    brier: float
    solutions: int

    def to_dict(self) -> dict[str, float | int]:
        """Flat, without what is None: `auc`, `auc_low` and `auc_high`, for instance."""
        found: dict[str, float | int] = {}
        for name, value in self._asdict().items():
            if isinstance(value, Interval):
                found |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
            elif value is not None:
                found[name] = value
        return found


class Row(NamedTuple):
    """kind of labels, N (0: it needs no rollouts), completions a solution that it alone makes, and its audit."""

    method: str
    rollouts: int
    completions: float
    audit: Audit


def measure(
    cases: Sequence[Case], key: int, is_binary: bool = True, resamples: int = 2000, confidence: float = 0.95
) -> Audit | None:
    """None without cases that have steps. decided: the values are decisions. A share of nothing is 0. The same key gives
    the same intervals."""
    import numpy as np

    steps = [(case.problem, value, so) for case in cases for value, so in zip(case.values, case.correct, strict=True)]
    if not steps:
        return None
    problems = {name: place for place, name in enumerate(dict.fromkeys(case.problem for case in cases))}
    random = np.random.Generator(np.random.Philox(key=key))
    draws = random.multinomial(len(problems), np.full(len(problems), 1 / len(problems)), size=resamples)

    def interval(value: float, resampled: np.ndarray) -> Interval:
        low, high = np.nanquantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
        return Interval(float(value), min(float(low), float(value)), max(float(high), float(value)))

    owner = np.array([problems[name] for name, _, _ in steps])
    values, right = np.array([(value, so) for _, value, so in steps], float).T
    precision = recall = micro_f1 = same = None
    if is_binary:
        counts = np.zeros((len(problems), 3))  # placed right, seen, there
        for case in cases:
            seen, there = (
                truth.find_first_error(value >= 0.5 for value in case.values),
                truth.find_first_error(case.correct),
            )
            counts[problems[case.problem]] += (seen is not None and seen == there, seen is not None, there is not None)
        placed, seen, there = counts.sum(axis=0)
        sums = draws @ counts
        precision, recall = float(placed / max(1, seen)), float(placed / max(1, there))
        micro_f1 = interval(_f1(placed, seen + there), _f1(sums[:, 0], sums[:, 1] + sums[:, 2]))
        same = float(np.mean((values >= 0.5) == (right > 0)))
    auc, good = None, right > 0
    if 0 < good.sum() < len(steps):
        wins = np.zeros((len(problems), len(problems)))  # [p, q]: pairs of a right step of p above a wrong one of q
        for q in range(len(problems)):
            low = np.sort(values[(owner == q) & ~good])
            above = (np.searchsorted(low, values[good], "left") + np.searchsorted(low, values[good], "right")) / 2
            wins[:, q] = np.bincount(owner[good], above, len(problems))
        rights, wrongs = (np.bincount(owner[mask], minlength=len(problems)) for mask in (good, ~good))
        with np.errstate(invalid="ignore"):  # a resample may hold no wrong step
            resampled = ((draws @ wins) * draws).sum(axis=1) / ((draws @ rights) * (draws @ wrongs))
        auc = interval(wins.sum() / (good.sum() * (~good).sum()), resampled)
    return Audit(precision, recall, micro_f1, same, auc, float(np.mean((values - right) ** 2)), len(cases))


def without_pool(solution: Solution) -> Solution:
    """As the other samples of the problem had not been drawn."""
    return solution._replace(last_shared_step=len(solution.steps) - 1 if solution.correct else -1)


def compare_to_truth(
    solutions: Sequence[Solution],
    correct: Sequence[Sequence[bool]],
    outcomes: Mapping[PrefixKey, Sequence[bool]],
    ns: Sequence[int],
    key: int,
) -> list[Row]:
    """The audit of every kind of labels at every N of `ns`. right: the truth of each step of each solution.

    Raises KeyError or ValueError when `outcomes` do not reach to the largest N.
    """
    rows = []
    for kind, search in (FREE_METHODS | METHODS).items():
        for n in ns if kind in METHODS else (0,):
            jobs = [(one.problem, one.steps, search(one, n)) for one in solutions]
            labels, cost = rollouts.run_searches(jobs, rollouts.make_cached_completer(outcomes))
            cases = [
                Case(one.problem.id, [each.value for each in estimates], so)
                for one, estimates, so in zip(solutions, labels, correct, strict=True)
                if estimates is not None
            ]
            if found := measure(cases, key, is_binary=kind not in SOFT_METHODS):
                rows.append(Row(kind, n, cost.completions / len(solutions), found))
    return rows


def _f1(placed, seen_and_there):
    import numpy as np

    return 2 * placed / np.maximum(1, seen_and_there)


def flawed_correct_rate(correct: Sequence[bool], step_correct: Sequence[Sequence[bool]]) -> float | None:
    """Of the solutions with the right answer, the share with a wrong step; None when there is none."""
    flawed = [not all(steps) for so, steps in zip(correct, step_correct, strict=True) if so]
    return sum(flawed) / len(flawed) if flawed else None


def format_markdown(rows: Sequence[Row]) -> str:
    """A table, and how to read it; completions are those that a solution takes."""
    header = (
        "labels",
        "N",
        "completions",
        "AUC",
        "95% interval",
        "Brier",
        "micro F1",
        "95% interval",
        "precision",
        "recall",
        "steps right",
        "solutions",
    )
    table = charts.format_table(
        header,
        [
            (
                row.method,
                str(row.rollouts or ""),
                f"{row.completions:.1f}",
                *format_interval(row.audit.auc),
                f"{row.audit.brier:.3f}",
                *format_interval(row.audit.micro_f1),
                _format_share(row.audit.precision),
                _format_share(row.audit.recall),
                _format_share(row.audit.steps_right),
                str(row.audit.solutions),
            )
            for row in rows
        ],
    )
    return f"{table}\n{NOTE}"


def format_interval(interval: Interval | None) -> tuple[str, str]:
    """A figure and its interval in words; blank for none."""
    return (f"{interval.value:.3f}", f"{interval.low:.3f} to {interval.high:.3f}") if interval else ("", "")


def _format_share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def plot(path: Path, rows: Sequence[Row], title: str) -> None:
    """AUC and micro F1 against N on log2 axes, one line a kind of labels with its interval shaded; kinds without rollouts
    are dotted. Equal results give equal bytes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, both = plt.subplots(1, 2, figsize=(12, 4.6), dpi=140)
    ns = sorted({row.rollouts for row in rows if row.rollouts})
    panels = (("auc", "AUC of right against wrong steps", 0.5), ("micro_f1", "micro F1 of placed first errors", 0.0))
    for axes, (figure_of, label, nothing) in zip(both, panels, strict=True):
        own = [(row.method, row.rollouts, found) for row in rows if (found := getattr(row.audit, figure_of))]
        for place, kind in enumerate(METHODS):
            line = sorted((n, found) for name, n, found in own if name == kind)
            if line:
                at, found = zip(*line, strict=True)
                value, low, high = zip(*found, strict=True)
                colour, mark = charts.COLOURS[place % len(charts.COLOURS)], charts.MARKERS[place % len(charts.MARKERS)]
                axes.plot(at, value, color=colour, marker=mark, markersize=4.5, linewidth=1.7, label=kind)
                axes.fill_between(at, low, high, color=colour, alpha=0.10, linewidth=0)
        for kind, n, found in own:
            if not n:
                axes.axhline(found.value, color="#777777", linestyle=":", linewidth=1.3)
                axes.annotate(
                    f"{kind}, no completions",
                    (1, found.value),
                    xycoords=("axes fraction", "data"),
                    xytext=(-4, 3),
                    textcoords="offset points",
                    ha="right",
                    fontsize=8,
                    color="#555555",
                )
        axes.set_xscale("log", base=2)
        axes.set_xticks(ns, [str(n) for n in ns])
        axes.set_ylim(nothing, 1.02)
        axes.set_xlabel("N, completions allowed after a step")
        axes.set_title(label, loc="left", fontsize=10)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    if ns:
        handles = both[0].get_legend_handles_labels()  # all kinds have an AUC
        both[1].legend(*handles, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=9)
    figure.suptitle(title, x=0.045, ha="left", fontsize=11)
    figure.subplots_adjust(left=0.045, right=0.8, top=0.86, bottom=0.12, wspace=0.12)
    with files.atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    plt.close(figure)
