"""Best-of-N of a pool from elsewhere. There is no dev, so nothing is chosen: every score has the same given settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stages.lib.reports import curves, leaderboard
from stages.lib.reports.curves import Curve
from stages.lib.reports.pools import Pool, sort_score_names
from stages.lib.reports.vote_settings import VoteSettings


class PoolResults(NamedTuple):
    """k: that of the tables. settings: by score; the rest by method. gains: over majority, at k."""

    k: int
    settings: dict[str, VoteSettings]
    curves: dict[str, Curve]
    intervals: dict[str, dict[int, dict[str, float]]]
    gains: dict[str, dict[str, float]]


def compute(pools: Sequence[Pool], power: float, share: float, draws: int, resamples: int, seed: int) -> PoolResults:
    """power, share: of weighted and top votes; draws: Monte Carlo subsets per problem and k; resamples: bootstrap ones."""
    settings = {name: VoteSettings(power, share) for name in sort_score_names(pools[0].scores)}
    k, by_method = curves.median_k(pools), curves.evaluate(pools, settings, draws, seed)
    intervals = curves.compute_intervals(by_method, seed, resamples)
    versus = leaderboard.compare_to("majority", by_method, k, seed)
    gains = leaderboard.add_holm(versus, leaderboard.order_methods(by_method))
    return PoolResults(k, settings, by_method, intervals, gains)
