"""Quality of a verifier's scores apart from any vote: ranking within a problem (AUC), calibration, bias to length.

Best-of-N accuracy alone does not identify a good verifier (Zhang et al. 2025, arXiv 2501.07301), so both are reported.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def problem_aucs(scores: Sequence[ArrayLike], correct: Sequence[ArrayLike]) -> np.ndarray:
    """(problems,): the probability that a right solution outscores a wrong one of the same problem, ties counting half.
    NaN for a problem without right or without wrong solutions."""
    return np.array([_auc(np.asarray(s), np.asarray(c, bool)) for s, c in zip(scores, correct, strict=True)])


def ranked_problem_aucs(scores: Sequence[ArrayLike], correct: Sequence[ArrayLike]) -> np.ndarray:
    """`problem_aucs` without the NaN: of the problems with both right and wrong solutions."""
    aucs = problem_aucs(scores, correct)
    return aucs[~np.isnan(aucs)]


def within_problem_auc(scores: Sequence[ArrayLike], correct: Sequence[ArrayLike]) -> float | None:
    """The mean of `ranked_problem_aucs`, None without such a problem. (An AUC over the solutions of all problems would
    mostly measure how hard the problems are.)"""
    aucs = ranked_problem_aucs(scores, correct)
    return float(aucs.mean()) if len(aucs) else None


def _auc(scores: np.ndarray, correct: np.ndarray) -> float:
    right, wrong = scores[correct], np.sort(scores[~correct])
    if not len(right) or not len(wrong):
        return np.nan
    below = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
    return float(below.mean() / 2 / len(wrong))


def compute(
    scores: Sequence[Sequence[float]], correct: Sequence[Sequence[bool]], tokens: Sequence[Sequence[int]]
) -> dict[str, float | None]:
    """auc, brier, ece and length_correlation of one verifier; arguments problem by problem. {} without a sample."""
    flat_scores, flat_correct, flat_tokens = (
        np.array([x for row in rows for x in row]) for rows in (scores, correct, tokens)
    )
    if not len(flat_scores):
        return {}
    return {
        "auc": within_problem_auc(scores, correct),
        "brier": brier_score(flat_scores, flat_correct),
        "ece": expected_calibration_error(flat_scores, flat_correct),
        "length_correlation": length_correlation(flat_scores, flat_tokens),
    }


def brier_score(scores: ArrayLike, correct: ArrayLike) -> float:
    """Mean squared difference between probability and outcome (Brier 1950)."""
    return float(np.mean((np.asarray(scores, float) - np.asarray(correct, float)) ** 2))


def _bin_index(scores: np.ndarray, bins: int) -> np.ndarray:
    """The equal-width bin of each probability; 1 belongs to the last."""
    return np.minimum((scores * bins).astype(int), bins - 1)


def expected_calibration_error(scores: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error over equal-width bins (Guo et al. 2017, arXiv 1706.04599)."""
    scores, correct = np.asarray(scores, float), np.asarray(correct, float)
    gaps = np.bincount(_bin_index(scores, bins), scores - correct, minlength=bins)
    return float(np.abs(gaps).sum() / len(scores))


def length_correlation(scores: ArrayLike, tokens: ArrayLike) -> float:
    """Spearman's rank correlation of score and length; 0 where either is constant."""
    from scipy.stats import spearmanr  # half a second to import, and the only use of scipy by training stages

    if len(np.unique(scores)) < 2 or len(np.unique(tokens)) < 2:
        return 0.0
    return float(np.asarray(spearmanr(scores, tokens))[0])


def reliability_bins(scores: ArrayLike, correct: ArrayLike, bins: int = 10) -> list[tuple[float, float, int]]:
    """(mean score, share right, solutions) of every equal-width bin that holds a score: the reliability diagram whose
    weighted distance from the diagonal is the calibration error (DeGroot & Fienberg 1983)."""
    scores, correct = np.asarray(scores, float), np.asarray(correct, float)
    masks = [_bin_index(scores, bins) == i for i in range(bins)]
    return [(float(scores[m].mean()), float(correct[m].mean()), int(m.sum())) for m in masks if m.any()]


def lowest_step_last_share(step_scores: Sequence[Sequence[float]]) -> dict[str, float]:
    """share: of solutions whose lowest step is their last; chance: what it would be were each step as likely. A process
    verifier far above chance has become an outcome verifier (Zhang et al. 2025, arXiv 2501.07301, section 3.3).
    {} without a solution of two steps."""
    several = [steps for steps in step_scores if len(steps) > 1]
    if not several:
        return {}
    last = [steps[-1] < min(steps[:-1]) for steps in several]
    return {"share": float(np.mean(last)), "chance": float(np.mean([1 / len(steps) for steps in several]))}
