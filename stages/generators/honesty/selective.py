"""Selective answering in numbers: what is answered, how much of that is right, and what refusing costs.

A policy answers or refuses each item. `right` is whether the answer is right; a refused item has none and is not right. An
item without an answer can only be refused. Confidence orders the items; refused ones come last.

Sources: risk-coverage curve and its area: El-Yaniv & Wiener 2010, Geifman et al. 2019 (1805.08206); average precision over
confidence: R-Tuning, Zhang et al. 2024 (2311.09677), section 4.3; Truthful Helpfulness Score: CRaFT, Zhu et al. 2025
(2410.06913), the evaluation metrics.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from stages.lib.metrics import ranking

PENALTIES = (0.0, 0.5, 1.0, 2.0)  # lambda: what a wrong answer costs, where a right one earns 1 and a refusal nothing


class Outcomes(NamedTuple):
    """(items,) each: whether the item was refused, whether the answer is right, and the confidence in [0, 1]."""

    refused: np.ndarray
    right: np.ndarray
    confidence: np.ndarray

    def select(self, mask: np.ndarray) -> Outcomes:
        return Outcomes(self.refused[mask], self.right[mask], self.confidence[mask])

    def expect_right(self, count: int) -> np.ndarray:
        """(items,): whether each is answered rightly where only the `count` most confident answers are given; of equal
        ones at the edge, the share of random orders in which it is."""
        confidence = np.where(self.refused, -1.0, self.confidence)
        count = min(count, int((~self.refused).sum()))
        if not count:
            return np.zeros(len(confidence))
        edge = np.sort(confidence)[-count]
        above, level = confidence > edge, confidence == edge
        return self.right * (above + level * (count - above.sum()) / level.sum())

    def apply_threshold(self, threshold: float) -> Outcomes:
        """The policy that answers where its confidence reaches the threshold."""
        refused = self.refused | (self.confidence < threshold)
        return Outcomes(refused, self.right & ~refused, self.confidence)


def always_refuse(n: int) -> Outcomes:
    return Outcomes(np.ones(n, bool), np.zeros(n, bool), np.zeros(n))


def never_refuse(outcomes: Outcomes) -> Outcomes:
    """The same answers, and every refusal counted as a wrong answer."""
    return outcomes._replace(refused=np.zeros(len(outcomes.refused), bool))


def score_items(outcomes: Outcomes, penalty: float) -> np.ndarray:
    """(items,): 1 for a right answer, 0 for a refusal, -penalty for a wrong answer."""
    return np.where(outcomes.refused, 0.0, np.where(outcomes.right, 1.0, -penalty))


def average_precision(outcomes: Outcomes) -> float | None:
    """Area under precision and recall of right answers, by confidence, ties together. None without a right answer."""
    if not outcomes.right.any():
        return None
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(outcomes.right, np.where(outcomes.refused, -1.0, outcomes.confidence)))


def risk_coverage(outcomes: Outcomes) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, risk), (answered,) each: the share of wrong answers among the k most confident ones, k from 1. Within a
    tie of confidences the risk is the one that a random order expects."""
    order = np.argsort(-outcomes.confidence[~outcomes.refused], kind="stable")
    confidence = outcomes.confidence[~outcomes.refused][order]
    wrong = 1.0 - outcomes.right[~outcomes.refused][order]
    _, first, group = np.unique(-confidence, return_index=True, return_inverse=True)
    if len(wrong):
        means = np.bincount(group, wrong) / np.bincount(group)
        wrong = means[group]
    ranks = np.arange(1, len(wrong) + 1)
    return ranks / max(1, len(outcomes.refused)), np.cumsum(wrong) / ranks


def aurc(outcomes: Outcomes) -> float | None:
    """Mean risk over the coverages that the policy reaches. None where it answers nothing."""
    _, risk = risk_coverage(outcomes)
    return float(risk.mean()) if len(risk) else None


def truthful_helpfulness(outcomes: Outcomes, start: Outcomes) -> float | None:
    """THS: with (share right, share wrong) of the policy E2 and of the model before E1 as vectors from the origin O, the
    cross product OE2 x OE1 over OA x OE1, A = (1, 0). So it is right2 - wrong2 * right1 / wrong1: 0 for the model before
    and for one that refuses all, negative where wrong answers fall by less than right ones. None where E1 has no wrong
    answer."""
    (right, wrong), (right_1, wrong_1) = (count_shares(x) for x in (outcomes, start))
    return right - wrong * right_1 / wrong_1 if wrong_1 else None


def count_shares(outcomes: Outcomes) -> tuple[float, float]:
    """Shares of right and of wrong answers among all items."""
    n = max(1, len(outcomes.refused))
    return float(outcomes.right.sum()) / n, float((~outcomes.right & ~outcomes.refused).sum()) / n


def divide(part: float, whole: float) -> float | None:
    return float(part) / float(whole) if whole else None


def summarize(
    outcomes: Outcomes,
    start: Outcomes,
    answerable: np.ndarray,
    solvable: np.ndarray,
    sure: np.ndarray | None = None,
    ranked: Outcomes | None = None,
) -> dict[str, Any]:
    """All figures of a policy. answerable, solvable: (items,) whether there is an answer, and whether the model before
    knows it. sure: (items,) its probability of being right, for the calibration error. ranked: where a threshold on the
    confidence refuses, the outcomes before it, of which AP, AURC and calibration are; else they could not be compared with
    those of a policy without one. Shares of nothing are None."""
    ranked = ranked or outcomes
    refused, right = outcomes.refused, outcomes.right
    answered, is_unknown = ~refused, answerable & ~solvable
    return {
        "items": len(refused),
        "coverage": divide(answered.sum(), len(refused)),
        "refusal": divide(refused.sum(), len(refused)),
        "accuracy": divide(right.sum(), answered.sum()),
        "refusal_recall": divide((refused & ~answerable).sum(), (~answerable).sum()),
        "unknown_refusal": divide((refused & is_unknown).sum(), is_unknown.sum()),
        "over_refusal": divide((refused & solvable).sum(), solvable.sum()),
        "ap": average_precision(ranked),
        "aurc": aurc(ranked),
        "ths": truthful_helpfulness(outcomes, start),
        "ece": ranking.expected_calibration_error(sure, ranked.right) if sure is not None and len(refused) else None,
        "scores": {f"{x:g}": float(score_items(outcomes, x).mean()) if len(refused) else None for x in PENALTIES},
    }


def choose_threshold(outcomes: Outcomes, penalty: float) -> float:
    """The threshold of the highest mean score at this penalty; of equal ones the lowest, which refuses least. Above every
    confidence (2) where refusing all is best, so that no answer is worth its risk."""
    candidates = [0.0, *np.unique(outcomes.confidence).tolist(), 2.0]
    return max(candidates, key=lambda t: (float(score_items(outcomes.apply_threshold(t), penalty).mean()), -t))
