"""The first wrong step of a solution: where values place it, and the F1 of ProcessBench.

By ProcessBench's definition (Zheng et al. 2024, arXiv 2412.06559) the first error is the first step whose score is below
a threshold. Its F1 is the harmonic mean of two accuracies: exact location on solutions with an error, no location on
solutions without. (The micro F1 of label audits is another, see label_audit.py.) The threshold is chosen on other
solutions than those reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stages.lib.core.records import Problem, Sample, Score
from stages.lib.labels import truth
from stages.lib.models.encoding import split_steps

Case = tuple[Sequence[float], int]  # the scores of a solution's steps, and its first wrong step, -1 for none


class F1(NamedTuple):
    """Accuracies in [0, 1] on solutions with an error and on right ones, and their harmonic mean; None without such
    solutions."""

    error: float | None
    correct: float | None
    f1: float | None


def locate(values: Iterable[float], threshold: float = 0.5) -> int:
    """The first step whose value (score, label or truth) is below the threshold; -1 if there is none."""
    return next((step for step, value in enumerate(values) if value < threshold), -1)


def f1(predictions: Sequence[int | str | None], truth: Sequence[int]) -> F1:
    """truth: the first wrong step of each solution, -1 for none. A prediction that is no step is wrong."""
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for prediction, step in zip(predictions, truth, strict=True):
        hits[step >= 0].append(prediction == step)
    error, correct = (sum(rows) / len(rows) if rows else None for rows in (hits[True], hits[False]))
    if error is None or correct is None:
        return F1(error, correct, None)
    return F1(error, correct, 2 * error * correct / (error + correct) if error + correct else 0.0)


def collect_cases(
    problems: Mapping[str, Problem],
    samples: Sequence[Sample],
    scores: Sequence[Score],
    split: Callable[[str], Sequence[str]] = split_steps,
) -> list[Case]:
    """The distinct solutions whose steps are scored and whose truth is known. The score of the end of a solution, after
    its last step, is left out."""
    step_scores = {(score.problem_id, score.index): score.step_scores for score in scores if score.step_scores}
    cases: dict[tuple[str, str], Case] = {}
    for sample in samples:
        values, key = step_scores.get((sample.problem_id, sample.index)), (sample.problem_id, sample.text)
        if values and key not in cases:
            labels = truth.label_steps(problems[sample.problem_id], sample.text, split)
            if labels:
                cases[key] = values[: len(split(sample.text))], locate(labels)
    return list(cases.values())


def measure(dev: Sequence[Case], reported: Mapping[str, Sequence[Case]]) -> dict[str, float | dict[str, float | int]]:
    """The threshold chosen on `dev`, and for every reported set the number of solutions and the figures of `F1`."""
    if not dev:
        return {}
    threshold = choose_threshold([scores for scores, _ in dev], [step for _, step in dev])
    result: dict[str, float | dict[str, float | int]] = {"threshold": threshold}
    for name, cases in reported.items():
        if cases:
            figures = f1([locate(scores, threshold) for scores, _ in cases], [step for _, step in cases])._asdict()
            result[name] = {"solutions": len(cases)} | {key: x for key, x in figures.items() if x is not None}
    return result


def choose_threshold(step_scores: Sequence[Sequence[float]], truth: Sequence[int], grid: int = 200) -> float:
    """The threshold with the best F1, the middle one of equals; candidates lie between quantiles of all scores."""
    scores = np.unique([score for steps in step_scores for score in steps])
    if not len(scores):
        return 0.5
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, grid)))
    candidates = [*(float(a + b) / 2 for a, b in zip(edges, edges[1:], strict=False)), float(edges[-1]) + 1e-9]
    values = [f1([locate(steps, threshold) for steps in step_scores], truth).f1 or 0.0 for threshold in candidates]
    best = [threshold for threshold, value in zip(candidates, values, strict=True) if value == max(values)]
    return best[len(best) // 2]
