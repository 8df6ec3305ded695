"""How good a verifier's scores are, apart from any vote: ranking within a problem, calibration, bias to length.

Best-of-N accuracy alone does not identify a good verifier (Zhang et al. 2025, arXiv 2501.07301), so both are reported.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def problem_aucs(scores: Sequence[Sequence[float]], correct: Sequence[Sequence[bool]]) -> np.ndarray:
    """(problems,): the chance that a right solution outscores a wrong one of the same problem, ties counting half; NaN
    where a problem lacks either."""
    areas = [_auc(np.asarray(s), np.asarray(c)) for s, c in zip(scores, correct, strict=True)]
    return np.array([np.nan if area is None else area for area in areas])


def within_problem_auc(scores: Sequence[Sequence[float]], correct: Sequence[Sequence[bool]]) -> float | None:
    """The mean of `problem_aucs` over the problems that have both kinds of solutions; None when no problem has. An AUC
    over all solutions would mostly measure how hard problems are."""
    areas = problem_aucs(scores, correct)
    areas = areas[~np.isnan(areas)]
    return float(np.mean(areas)) if len(areas) else None


def compute(
    scores: Sequence[Sequence[float]], correct: Sequence[Sequence[bool]], tokens: Sequence[Sequence[int]]
) -> dict[str, float | None]:
    """All of this file for one verifier, problem by problem; {} where there is no sample."""
    flat, truth, sizes = ([x for row in rows for x in row] for rows in (scores, correct, tokens))
    if not flat:
        return {}
    return {
        "auc": within_problem_auc(scores, correct),
        "brier": brier_score(flat, truth),
        "ece": expected_calibration_error(flat, truth),
        "length_correlation": length_correlation(flat, sizes),
    }


def _auc(scores: np.ndarray, correct: np.ndarray) -> float | None:
    right, wrong = scores[correct.astype(bool)], scores[~correct.astype(bool)]
    if not len(right) or not len(wrong):
        return None
    ordered = np.sort(wrong)
    below = np.searchsorted(ordered, right, "left") + np.searchsorted(ordered, right, "right")
    return float(below.mean() / 2 / len(wrong))


def brier_score(scores: Sequence[float], correct: Sequence[bool]) -> float:
    """Mean squared difference between probability and outcome (Brier 1950)."""
    return float(np.mean((np.asarray(scores, float) - np.asarray(correct, float)) ** 2))


def expected_calibration_error(scores: Sequence[float], correct: Sequence[bool], bins: int = 15) -> float:
    """Expected calibration error over equal-width bins (Guo et al. 2017, arXiv 1706.04599)."""
    scores, correct = np.asarray(scores, float), np.asarray(correct, float)
    place = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = np.bincount(place, scores - correct, minlength=bins)
    return float(np.abs(gaps).sum() / len(scores))


def length_correlation(scores: Sequence[float], tokens: Sequence[int]) -> float:
    """Spearman's rank correlation of score and length; 0 where either is constant."""
    from scipy.stats import spearmanr

    if len(set(scores)) < 2 or len(set(tokens)) < 2:
        return 0.0
    return float(spearmanr(scores, tokens).statistic)


def reliability_bins(
    scores: Sequence[float], correct: Sequence[bool], bins: int = 10
) -> list[tuple[float, float, int]]:
    """(mean score, share right, solutions) of every equal-width bin that holds a score: the reliability diagram whose
    weighted distance from the diagonal is the calibration error (DeGroot & Fienberg 1983)."""
    scores, correct = np.asarray(scores, float), np.asarray(correct, float)
    place = np.minimum((scores * bins).astype(int), bins - 1)
    return [
        (float(scores[place == i].mean()), float(correct[place == i].mean()), int((place == i).sum()))
        for i in range(bins)
        if (place == i).any()
    ]


def lowest_step_last_share(step_scores: Sequence[Sequence[float]]) -> dict[str, float]:
    """share: of solutions whose lowest step is their last; chance: what it would be were each step as likely. A process
    verifier far above chance has become an outcome verifier (Zhang et al. 2025, arXiv 2501.07301, section 3.3).
    {} without a solution of two steps."""
    several = [steps for steps in step_scores if len(steps) > 1]
    if not several:
        return {}
    last = [steps[-1] < min(steps[:-1]) for steps in several]
    return {"share": float(np.mean(last)), "chance": float(np.mean([1 / len(steps) for steps in several]))}
