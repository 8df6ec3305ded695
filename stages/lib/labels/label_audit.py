"""Audit of step labels against the exact truth: do labels place the first error, do values separate right from wrong steps?

Figures of binary labels:
precision   of the solutions in which the labels have an error, the share whose first error is placed right
recall      of the solutions that have an error, the same share
micro_f1    their harmonic mean, counted over all solutions together. (ProcessBench's F1 is another, see first_error.py.)
steps_right the share of steps whose label is the truth, which papers call label accuracy

Figures of all labels over all steps, including success rates, which no threshold turns into decisions because the right
steps of a hard problem have low rates:
auc         the probability that a right step has a higher value than a wrong one, ties counting half
brier       the mean squared difference of value and truth, 1 for a right step and 0 for a wrong one

Intervals resample problems, because solutions of one problem are not independent, and compute the ratio for each resample.
Rollouts are drawn once, for the largest N; labels with smaller N, and their cost, are computed from the same rollouts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.lib.display import charts
from stages.lib.display.tables import Table, format_markdown
from stages.lib.labels import first_error, label_methods, rollouts
from stages.lib.labels.label_methods import Estimate, Solution
from stages.lib.labels.rollouts import PrefixKey, Search

LabelSearch = Callable[[Solution, int], Search[list[Estimate] | None]]
FREE_METHODS: dict[str, LabelSearch] = {
    "outcome alone": label_methods.outcome_labels,
    "pool alone": label_methods.pool_labels,
}
METHODS: dict[str, LabelSearch] = {
    "hard": label_methods.mc_hard,
    "soft": label_methods.mc_soft,
    "relative progress": label_methods.relative_progress,
    "hard, agreeing with progress": label_methods.consensus,
    "hard, monotone": label_methods.mc_monotone,
    "binary search": lambda solution, n: label_methods.binary_search(without_pool(solution), n),
    "binary search from the pool": label_methods.binary_search,
}
SOFT_METHODS = {"soft"}  # whose values are not binary
SUMMARY_HEADER = ("labels", "N", "completions", "AUC", "95% interval", "Brier", "micro F1")  # on the terminal
HEADER = (*SUMMARY_HEADER, "95% interval", "precision", "recall", "steps right", "solutions")
NOTE = """\
The first two make no completions. `outcome alone`: all steps but the last are right. `pool alone`: those are that a
right sample of the same problem shares. `binary search from the pool` starts where `pool alone` leaves off, so all that
its completions add is the difference of the two; `binary search` does without the pool. F1 is the micro F1 of placed
first errors; shares of successes (`soft`) decide nothing and have none.
"""


class Case(NamedTuple):
    """One solution: its problem, the labels of its steps, and the truth of its steps."""

    problem: str
    values: Sequence[float]
    correct: Sequence[bool]


class Interval(NamedTuple):
    """A figure and the ends of its interval."""

    value: float
    low: float
    high: float


class Audit(NamedTuple):
    """Figures in [0, 1]; None where labels are not binary, or steps are all right or all wrong."""

    precision: float | None
    recall: float | None
    micro_f1: Interval | None
    steps_right: float | None
    auc: Interval | None
    brier: float
    solutions: int

    def to_dict(self) -> dict[str, float | int]:
        """Flat, without None: an interval is `auc`, `auc_low` and `auc_high`."""
        figures: dict[str, float | int] = {}
        for name, value in self._asdict().items():
            if isinstance(value, Interval):
                figures |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
            elif value is not None:
                figures[name] = value
        return figures


class Row(NamedTuple):
    """A method at N rollouts a step (0: it needs none), the completions per solution that it takes, and its audit."""

    method: str
    rollouts: int
    completions: float
    audit: Audit

    def to_dict(self) -> dict[str, float | int | str]:
        return {"labels": self.method, "n": self.rollouts, "completions": self.completions, **self.audit.to_dict()}


def measure(
    cases: Sequence[Case], key: int, is_binary: bool = True, resamples: int = 2000, confidence: float = 0.95
) -> Audit | None:
    """The audit of one method's labels; None without any step. The same key gives the same intervals. A ratio with
    denominator 0 is 0."""
    values, correct = (np.array([x for case in cases for x in case[part]], float) for part in (1, 2))
    if not len(values):
        return None
    problems = {name: i for i, name in enumerate(dict.fromkeys(case.problem for case in cases))}
    owners = np.array([problems[case.problem] for case in cases])
    random = np.random.Generator(np.random.Philox(key=key))
    draws = random.multinomial(len(problems), np.full(len(problems), 1 / len(problems)), size=resamples)

    def make_interval(value: float, resampled: np.ndarray) -> Interval:
        low, high = np.nanquantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
        return Interval(float(value), min(float(low), float(value)), max(float(high), float(value)))

    precision = recall = micro_f1 = steps_right = None
    if is_binary:
        counts = np.zeros((len(problems), 3))  # errors placed right, errors in the labels, errors in truth
        for owner, case in zip(owners, cases, strict=True):
            label, error = first_error.locate(case.values), first_error.locate(case.correct)
            counts[owner] += (label == error >= 0, label >= 0, error >= 0)
        placed, labelled, true = counts.sum(axis=0)
        precision, recall = float(placed / max(1, labelled)), float(placed / max(1, true))
        f1, *f1_resampled = _micro_f1(np.vstack([counts.sum(axis=0), draws @ counts]))
        micro_f1 = make_interval(f1, np.array(f1_resampled))
        steps_right = float(np.mean((values >= 0.5) == (correct > 0)))
    auc = _measure_auc(values, correct > 0, np.repeat(owners, [len(case.values) for case in cases]), draws)
    return Audit(
        precision,
        recall,
        micro_f1,
        steps_right,
        auc and make_interval(*auc),
        float(np.mean((values - correct) ** 2)),
        len(cases),
    )


def _micro_f1(counts: np.ndarray) -> np.ndarray:
    return 2 * counts[:, 0] / np.maximum(1, counts[:, 1] + counts[:, 2])


def _measure_auc(
    values: np.ndarray, correct: np.ndarray, owners: np.ndarray, draws: np.ndarray
) -> tuple[float, np.ndarray] | None:
    """(AUC over all steps, AUC of each resample); None where all steps are right or all wrong.

    values, correct, owners (the number of the problem): (steps,); draws: (resamples, problems), how often each is drawn."""
    problems = draws.shape[1]
    if correct.all() or not correct.any():
        return None
    levels, level = np.unique(values, return_inverse=True)  # few: values are labels, or shares of a few successes
    counts = np.zeros((2, problems, len(levels)))  # [is right, problem, level]: number of steps
    np.add.at(counts, (correct.astype(int), owners, level), 1)
    wrong, right = np.vstack([np.ones(problems), draws]) @ counts  # (1 + resamples, levels) each
    wins = (right * (wrong.cumsum(axis=1) - wrong / 2)).sum(axis=1)
    with np.errstate(invalid="ignore"):  # a resample may hold no wrong step
        auc, *resampled = wins / (right.sum(axis=1) * wrong.sum(axis=1))
    return float(auc), np.array(resampled)


def without_pool(solution: Solution) -> Solution:
    """The solution as if no other sample of its problem existed."""
    return solution._replace(last_shared_step=len(solution.steps) - 1 if solution.correct else -1)


def compare_to_truth(
    solutions: Sequence[Solution],
    correct: Sequence[Sequence[bool]],
    outcomes: Mapping[PrefixKey, Sequence[bool]],
    ns: Sequence[int],
    key: int,
) -> list[Row]:
    """The audit of every method at every N of `ns`. correct: the truth of each step of each solution.

    Raises KeyError or ValueError when `outcomes` lacks rollouts for the largest N.
    """
    rows = []
    for method, search in (FREE_METHODS | METHODS).items():
        for n in ns if method in METHODS else (0,):
            jobs = [(solution.problem, solution.steps, search(solution, n)) for solution in solutions]
            labels, cost = rollouts.run_searches(jobs, rollouts.make_cached_completer(outcomes))
            cases = [
                Case(solution.problem.id, [estimate.value for estimate in estimates], truth)
                for solution, estimates, truth in zip(solutions, labels, correct, strict=True)
                if estimates is not None
            ]
            if audit := measure(cases, key, is_binary=method not in SOFT_METHODS):
                rows.append(Row(method, n, cost.completions / len(solutions), audit))
    return rows


def flawed_correct_rate(correct: Sequence[bool], step_correct: Sequence[Sequence[bool]]) -> float | None:
    """Of the solutions with the right answer, the share with a wrong step; None if there is none."""
    flawed = [not all(steps) for is_right, steps in zip(correct, step_correct, strict=True) if is_right]
    return sum(flawed) / len(flawed) if flawed else None


def tabulate(rows: Sequence[Row]) -> Table:
    """(header, rows); completions are per solution."""

    def format_interval(interval: Interval | None) -> list[str]:
        return [f"{interval.value:.3f}", f"{interval.low:.3f} to {interval.high:.3f}"] if interval else ["", ""]

    def format_row(method: str, n: int, completions: float, audit: Audit) -> list[str]:
        row = [method, str(n or ""), f"{completions:.1f}", *format_interval(audit.auc), f"{audit.brier:.3f}"]
        shares = (audit.precision, audit.recall, audit.steps_right)
        row += [*format_interval(audit.micro_f1), *("" if share is None else f"{share:.3f}" for share in shares)]
        return [*row, str(audit.solutions)]

    return HEADER, [format_row(*row) for row in rows]


def format_report(rows: Sequence[Row]) -> str:
    """The table in Markdown, and how to read it."""
    return f"{format_markdown(*tabulate(rows))}\n{NOTE}"


def plot(path: Path, rows: Sequence[Row], title: str) -> None:
    """AUC and micro F1 against N on log2 axes, one line a method with its interval shaded; methods without rollouts are
    dotted. Equal results give equal bytes."""
    figure, both = charts.create_subplots((12, 4.6), nrows=1, ncols=2)
    ns = sorted({row.rollouts for row in rows if row.rollouts})
    panels = (("auc", "AUC of right against wrong steps", 0.5), ("micro_f1", "micro F1 of placed first errors", 0.0))
    for axes, (name, label, worst) in zip(both, panels, strict=True):
        figures = [(row.method, row.rollouts, interval) for row in rows if (interval := getattr(row.audit, name))]
        for i, method in enumerate(METHODS):
            points = sorted((n, interval) for other, n, interval in figures if other == method)
            if points:
                value, low, high = zip(*(interval for _, interval in points), strict=True)
                style, at = charts.get_style(i), [n for n, _ in points]
                axes.plot(at, value, **style, markersize=4.5, linewidth=1.7, label=method)
                axes.fill_between(at, low, high, color=style["color"], alpha=0.10, linewidth=0)
        for method, n, interval in figures:
            if not n:
                axes.axhline(interval.value, color="#777777", linestyle=":", linewidth=1.3)
                axes.annotate(
                    f"{method}, no completions",
                    (1, interval.value),
                    xycoords=("axes fraction", "data"),
                    xytext=(-4, 3),
                    textcoords="offset points",
                    ha="right",
                    fontsize=8,
                    color="#555555",
                )
        charts.set_log2_ticks(axes, ns)
        axes.set_ylim(worst, 1.02)
        axes.set_xlabel("N, completions allowed after a step")
        charts.style_axes(axes, label, fontsize=10)
    if ns:
        handles = both[0].get_legend_handles_labels()  # all methods have an AUC
        both[1].legend(*handles, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=9)
    figure.suptitle(title, x=0.045, ha="left", fontsize=11)
    figure.subplots_adjust(left=0.045, right=0.8, top=0.86, bottom=0.12, wspace=0.12)
    charts.save_figure(path, figure, crop=False)
