"""From the scores of steps to the score of a solution.

min is from Math-Shepherd (Wang et al. 2023, arXiv 2312.08935), product from Lightman et al. 2023 (arXiv 2305.20050). last
suits labels that look ahead to the answer, such as Monte-Carlo ones. Which one is best depends on the labels, so it is
chosen on dev, from step scores that are computed once and stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

Aggregation = Literal["min", "product", "last", "mean"]
AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)


def aggregate(name: str, step_scores: Sequence[float]) -> float:
    """One number in [0, 1] from step scores in [0, 1]. The product is that of the probabilities themselves, so longer
    solutions score lower. Raises ValueError for no steps at all and for an unknown name."""
    if not len(step_scores):
        raise ValueError("no step scores to aggregate")
    if name == "min":
        return float(min(step_scores))
    if name == "product":
        return float(math.prod(step_scores))
    if name == "last":
        return float(step_scores[-1])
    if name == "mean":
        return min(1.0, math.fsum(step_scores) / len(step_scores))  # rounding may lift it above 1
    raise ValueError(f"aggregation {name!r}: must be one of {', '.join(AGGREGATIONS)}")


def choose(
    step_scores: Sequence[Sequence[Sequence[float]]],
    correct: Sequence[Sequence[bool]],
    names: Sequence[str] = AGGREGATIONS,
) -> tuple[str, dict[str, float | None]]:
    """(the name with the best AUC within a problem, the AUC of each). step_scores: by problem, sample and step.

    If no problem has both right and wrong solutions, there is nothing to choose by: the first name, and None for each AUC.
    """
    from stages.lib.metrics.ranking import within_problem_auc

    aucs = {
        name: within_problem_auc([[aggregate(name, steps) for steps in pool] for pool in step_scores], correct)
        for name in names
    }
    return max(names, key=lambda name: -1.0 if (auc := aucs[name]) is None else auc), aucs
