"""The audit of step labels: where they put the first error of a solution, against the exact truth.

precision   of the solutions in which labels see an error, the share whose first error they place right
recall      of the solutions that have an error, the same share
f1          their harmonic mean
steps       the share of all steps whose label (1 from 0.5 on) is the truth: the figure that papers call label accuracy

Intervals resample problems, for the solutions of one problem are not independent, and take the ratio anew each time.
Rollouts are drawn once, for the largest N; what a kind of labels would say with fewer, and how many completions it alone
would have made, is read off them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stages.lib import charts, files, rollouts, step_labels, truth
from stages.lib.rollouts import Prefix, Search
from stages.lib.step_labels import Solution

KINDS: dict[str, Callable[[Solution, int], Search]] = {
    "hard": step_labels.until_success,
    "soft": step_labels.every,
    "relative progress": step_labels.relative_progress,
    "hard, agreeing with progress": step_labels.agreed,
    "hard, monotone": step_labels.monotone,
    "binary search": lambda of, n: step_labels.bisect(alone(of), n),
    "binary search from the pool": step_labels.bisect,
}
FREE: dict[str, Callable[[Solution, int], Search]] = {"outcome": step_labels.outcome, "pool": step_labels.pool}


class Case(NamedTuple):
    """One solution: the problem it is of, the values that labels give to its steps, and the truth of each."""

    problem: str
    values: Sequence[float]
    right: Sequence[bool]


class Audit(NamedTuple):
    """Shares in [0, 1]; low and high: the ends of the interval of f1. solutions: how many were judged."""

    precision: float
    recall: float
    f1: float
    low: float
    high: float
    steps: float
    solutions: int


class Row(NamedTuple):
    """kind of labels, N (0: it needs no rollouts), completions a solution that it alone makes, and its audit."""

    kind: str
    n: int
    completions: float
    audit: Audit


def audit(cases: Sequence[Case], key: int, resamples: int = 2000, confidence: float = 0.95) -> Audit | None:
    """None without cases. A share of nothing is 0. The same key gives the same interval."""
    import numpy as np

    if not cases:
        return None
    problems = {name: place for place, name in enumerate(dict.fromkeys(case.problem for case in cases))}
    counts = np.zeros((len(problems), 3))  # placed right, seen, there
    for case in cases:
        seen, there = truth.first_error(value >= 0.5 for value in case.values), truth.first_error(case.right)
        counts[problems[case.problem]] += (seen is not None and seen == there, seen is not None, there is not None)
    random = np.random.Generator(np.random.Philox(key=key))
    draws = random.multinomial(len(problems), np.full(len(problems), 1 / len(problems)), size=resamples)
    placed, seen, there = counts.sum(axis=0)
    sums = draws @ counts
    low, high = np.quantile(_f1(sums[:, 0], sums[:, 1] + sums[:, 2]), [(1 - confidence) / 2, (1 + confidence) / 2])
    f1 = float(_f1(placed, seen + there))
    same = [(value >= 0.5) == so for case in cases for value, so in zip(case.values, case.right, strict=True)]
    return Audit(
        float(placed / max(1, seen)), float(placed / max(1, there)), f1, min(float(low), f1), max(float(high), f1),
        float(np.mean(same)) if same else 0.0, len(cases),
    )  # fmt: skip


def alone(of: Solution) -> Solution:
    """As the other samples of the problem had not been drawn."""
    return of._replace(reached=len(of.steps) - 1 if of.correct else -1)


def against_truth(
    of: Sequence[Solution],
    right: Sequence[Sequence[bool]],
    outcomes: Mapping[Prefix, Sequence[bool]],
    ns: Sequence[int],
    key: int,
) -> list[Row]:
    """The audit of every kind of labels at every N of `ns`. right: the truth of each step of each solution.

    Raises KeyError or ValueError when `outcomes` do not reach to the largest N.
    """
    rows = []
    for kind, search in (KINDS | FREE).items():
        for n in ns if kind in KINDS else (0,):
            jobs = [(one.problem, one.steps, search(one, n)) for one in of]
            labels, cost = rollouts.resolve(jobs, rollouts.replay(outcomes))
            cases = [
                Case(one.problem.id, [each.value for each in estimates], so)
                for one, estimates, so in zip(of, labels, right, strict=True)
                if estimates is not None
            ]
            if found := audit(cases, key):
                rows.append(Row(kind, n, cost.completions / len(of), found))
    return rows


def _f1(placed, seen_and_there):
    import numpy as np

    return 2 * placed / np.maximum(1, seen_and_there)


def right_answer_wrong_step(correct: Sequence[bool], right: Sequence[Sequence[bool]]) -> float | None:
    """Of the solutions with the right answer, the share with a wrong step; None when there is none."""
    flawed = [not all(steps) for so, steps in zip(correct, right, strict=True) if so]
    return sum(flawed) / len(flawed) if flawed else None


def markdown(rows: Sequence[Row]) -> str:
    """A table; completions are those that a solution takes."""
    header = ("labels", "N", "completions", "precision", "recall", "F1", "95% interval", "steps right", "solutions")
    return charts.markdown(
        header,
        [
            (row.kind, str(row.n or ""), f"{row.completions:.1f}", f"{row.audit.precision:.3f}", f"{row.audit.recall:.3f}",
             f"{row.audit.f1:.3f}", f"{row.audit.low:.3f} to {row.audit.high:.3f}", f"{row.audit.steps:.3f}",
             str(row.audit.solutions))
            for row in rows
        ],
    )  # fmt: skip


def draw(path: Path, rows: Sequence[Row], title: str) -> None:
    """F1 against N on a log2 axis, one line a kind of labels with its interval shaded; kinds without rollouts are dotted.
    Equal results give equal bytes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8.4, 4.6), dpi=140)
    ns = sorted({row.n for row in rows if row.n})
    for place, kind in enumerate(dict.fromkeys(row.kind for row in rows if row.n)):
        own = sorted((row.n, row.audit) for row in rows if row.kind == kind)
        at, f1, low, high = zip(*((n, each.f1, each.low, each.high) for n, each in own), strict=True)
        colour, mark = charts.COLOURS[place % len(charts.COLOURS)], charts.MARKS[place % len(charts.MARKS)]
        axes.plot(at, f1, color=colour, marker=mark, markersize=4.5, linewidth=1.7, label=kind)
        axes.fill_between(at, low, high, color=colour, alpha=0.10, linewidth=0)
    for row in rows:
        if not row.n:
            axes.axhline(row.audit.f1, color="#777777", linestyle=":", linewidth=1.3)
            axes.annotate(
                f"{row.kind}, no completions", (1, row.audit.f1), xycoords=("axes fraction", "data"), xytext=(-4, 3),
                textcoords="offset points", ha="right", fontsize=8, color="#555555",
            )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(ns, [str(n) for n in ns])
    axes.set_ylim(0, 1)
    axes.set_xlabel("N, completions allowed after a step")
    axes.set_ylabel("F1 of the first error against the truth")
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if ns:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    figure.subplots_adjust(left=0.075, right=0.71, top=0.92, bottom=0.12)
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    plt.close(figure)
