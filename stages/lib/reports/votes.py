"""Weighted and top votes of many problems: pools of equal size vote together, all votes over the same subsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.lib.core import seeds
from stages.lib.metrics.voting import Estimate, draw_subsets, estimate_top, estimate_weighted
from stages.lib.reports.pools import Pool, ScoreKind, split_by_size

SOLUTIONS_PER_BATCH = 1 << 17  # of the subsets that are drawn at a time


@dataclass(frozen=True)
class WeightedVote:
    """Every answer has a weight of its score to this power."""

    score: str
    power: float


@dataclass(frozen=True)
class TopVote:
    """The majority of this share of the solutions, the best by their score."""

    score: str
    share: float


Vote = WeightedVote | TopVote


def estimate(pools: Sequence[Pool], votes: Sequence[Vote], ks: Sequence[int], draws: int, seed: int) -> Estimate:
    """(votes, problems, ks): NaN where a problem has fewer than k solutions. draws: random subsets per problem and k."""
    values, variances = (np.full((len(votes), len(pools), len(ks)), np.nan) for _ in range(2))
    for rows in split_by_size(pools, SOLUTIONS_PER_BATCH // draws):
        equal = [pools[i] for i in rows]
        columns = [column for column, k in enumerate(ks) if k <= equal[0].size]
        places = np.ix_(range(len(votes)), rows, columns)
        values[places], variances[places] = _estimate_equal(equal, votes, [ks[i] for i in columns], draws, seed)
    return Estimate(values, variances)


def _estimate_equal(pools: Sequence[Pool], votes: Sequence[Vote], ks: Sequence[int], draws: int, seed: int) -> Estimate:
    """`estimate` for pools of equal size, all ks of which they have."""
    classes, correct = np.stack([pool.answer_ids for pool in pools]), np.stack([pool.correct for pool in pools])
    weighted = [i for i, vote in enumerate(votes) if isinstance(vote, WeightedVote)]
    is_exact = len(weighted) == len(votes) and set(ks) <= {1, pools[0].size}
    orders = np.stack([draw_orders(pool, 0 if is_exact else draws, seed) for pool in pools])
    scores = {vote.score: np.stack([pool.scores[vote.score] for pool in pools]) for vote in votes}
    values, variances = (np.empty((len(votes), len(pools), len(ks))) for _ in range(2))
    if weighted:
        kinds = pools[0].score_kinds
        weights = [
            log_weights(scores[vote.score], kinds.get(vote.score, "probability"), vote.power)
            for vote in votes
            if isinstance(vote, WeightedVote)
        ]
        result = estimate_weighted(classes, correct, np.stack(weights), ks, orders)
        values[weighted], variances[weighted] = result
    for name, table in scores.items():
        shares = {i: vote.share for i, vote in enumerate(votes) if isinstance(vote, TopVote) and vote.score == name}
        if shares:
            result = estimate_top(classes, correct, table, list(shares.values()), ks, orders)
            values[list(shares)], variances[list(shares)] = result
    return Estimate(values, variances)


def draw_orders(pool: Pool, draws: int, seed: int) -> np.ndarray:
    """(draws, N) orders of a problem's solutions, the same for all votes."""
    return draw_subsets(pool.size, draws, seeds.key(seed, "best_of_n", 1, pool.problem_id, "subsets"))


def log_weights(scores: np.ndarray, kind: ScoreKind, power: float = 1.0) -> np.ndarray:
    """Natural log of the weight: (the probability, the likelihood, or the sigmoid of the logit) ** power. Power 0 gives
    equal weights, which is a plain majority."""
    if power == 0:
        return np.zeros(scores.shape)
    if kind == "probability":
        with np.errstate(divide="ignore"):
            return power * np.log(scores)
    return power * (scores if kind == "log-probability" else -np.logaddexp(0, -scores))
