"""Where a verifier sees the first error of a solution, by the definition of ProcessBench (Zheng et al. 2024, arXiv
2412.06559): the first step whose score is below a threshold, none if all are above. Exact place on solutions with an
error and no step on right ones are two accuracies; their harmonic mean is the F1 (that of label audits is another, see
label_audit.py). The threshold is chosen on other solutions than those reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from stages.lib.core.records import Problem, Sample, Score
from stages.lib.labels import truth
from stages.lib.models.encoding import split_steps

Case = tuple[Sequence[float], int]  # the scores of a solution's steps, and its first wrong step, -1 for none


class F1(NamedTuple):
    """Shares in [0, 1]: of the solutions with an error, those whose first error was placed exactly; of those without,
    those in which none was seen; and their harmonic mean. None where there are no such solutions."""

    error: float | None
    correct: float | None
    f1: float | None


def locate(step_scores: Sequence[float], threshold: float) -> int:
    """The first step that scores below the threshold; -1 if none does."""
    return next((step for step, score in enumerate(step_scores) if score < threshold), -1)


def f1(found: Sequence[int], truth: Sequence[int]) -> F1:
    """found, truth: the first wrong step of each solution, -1 for none."""
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for guess, place in zip(found, truth, strict=True):
        hits[place >= 0].append(guess == place)
    error, correct = (sum(own) / len(own) if own else None for own in (hits[True], hits[False]))
    if error is None or correct is None:
        return F1(error, correct, None)
    return F1(error, correct, 2 * error * correct / (error + correct) if error + correct else 0.0)


def collect_cases(
    problems: Mapping[str, Problem],
    samples: Sequence[Sample],
    scores: Sequence[Score],
    split: Callable[[str], Sequence[str]] = split_steps,
) -> list[Case]:
    """Every solution whose steps are scored and whose truth is known, each wording once a problem. What a verifier says of
    the end of a solution, after its last step, is left out."""
    given = {(score.problem_id, score.index): score.step_scores for score in scores if score.step_scores}
    found: dict[tuple[str, str], Case] = {}
    for sample in samples:
        steps = given.get((sample.problem_id, sample.index))
        if not steps or (sample.problem_id, sample.text) in found:
            continue
        right = truth.label_steps(problems[sample.problem_id], sample.text, split)
        if right:
            own = steps[: len(split(sample.text))]
            found[sample.problem_id, sample.text] = own, right.index(False) if False in right else -1
    return list(found.values())


def measure(dev: Sequence[Case], reported: Mapping[str, Sequence[Case]]) -> dict[str, float | dict[str, float | int]]:
    """The threshold chosen on `dev`, and for every reported set what ProcessBench reports, with the number of solutions."""
    if not dev:
        return {}
    chosen = choose_threshold(*zip(*dev, strict=True))
    result: dict[str, float | dict[str, float | int]] = {"threshold": chosen}
    for name, own in reported.items():
        if own:
            scores, places = zip(*own, strict=True)
            figures = f1([locate(each, chosen) for each in scores], places)._asdict()
            result[name] = {"solutions": len(own)} | {key: x for key, x in figures.items() if x is not None}
    return result


def choose_threshold(step_scores: Sequence[Sequence[float]], truth: Sequence[int], grid: int = 200) -> float:
    """The threshold with the best F1 here, the middle one of equals; candidates are quantiles of all scores."""
    import numpy as np

    scores = np.unique([score for own in step_scores for score in own])
    if not len(scores):
        return 0.5
    places = np.unique(np.quantile(scores, np.linspace(0, 1, grid)))
    candidates = [*(float(a + b) / 2 for a, b in zip(places, places[1:], strict=False)), float(places[-1]) + 1e-9]
    values = [f1([locate(own, each) for own in step_scores], truth).f1 or 0.0 for each in candidates]
    best = [each for each, value in zip(candidates, values, strict=True) if value == max(values)]
    return best[len(best) // 2]
