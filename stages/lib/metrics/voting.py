"""Weighted votes and top votes of a verifier, over random k-subsets of one pool.

weighted   the answer with the largest sum of weights; weight = exp(power x log-weight), power chosen on dev
top        draw k, keep the best `ceil(share x k)` by score, take their majority (Cobbe et al. 2021, section 4.2)

Sums of real weights have no closed form over subsets. Both votes are exact at k = N, where there is only one subset (a
top vote up to ties at its cut-off), and Monte Carlo below, over keyed random subsets, with the standard error reported.
A solution without an answer has no vote. Ties split evenly. Sums within 1e-9 (relative) are tied, so the order of
addition never decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

TIE_TOLERANCE = 1e-9
SAMPLES_PER_BATCH = 1 << 15  # of subsets that vote at a time


class Estimate(NamedTuple):
    """(len(ks),) each: expected accuracy of one problem, and its Monte Carlo variance (0 where exact)."""

    value: np.ndarray
    variance: np.ndarray


class Tally(NamedTuple):
    """All (rows, answers), by class: sums of weights, relative to the row's largest weight; whether the answer wins or
    ties; share of its voters that are right."""

    votes: np.ndarray
    is_winner: np.ndarray
    right: np.ndarray


def score_votes(classes: np.ndarray, correct: np.ndarray, log_weights: np.ndarray) -> np.ndarray:
    """(rows,): the probability that each row's vote is right, ties split evenly. Arguments as for `count_votes`."""
    _, is_winner, voters, right = _sum_by_answer(classes, correct, log_weights)
    winners = np.flatnonzero(is_winner)  # few of all answers
    row, shares = winners // is_winner.shape[1], right.ravel()[winners] / voters.ravel()[winners]
    return np.bincount(row, shares, len(classes)) / np.maximum(np.bincount(row, minlength=len(classes)), 1)


def count_votes(classes: np.ndarray, correct: np.ndarray, log_weights: np.ndarray) -> Tally:
    """All (rows, voters): answer classes (negative: no vote), correct in [0, 1], natural log of the weight (-inf: weight
    0). A row whose voters all have weight 0 is a tie among their answers; a row without an answer is wrong.
    """
    votes, is_winner, voters, right = _sum_by_answer(classes, correct, log_weights)
    return Tally(votes, is_winner, right / np.maximum(voters, 1))


def _sum_by_answer(classes: np.ndarray, correct: np.ndarray, log_weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """(votes, is_winner, voters, right voters), (rows, answers) each."""
    rows, _ = classes.shape
    answered = classes >= 0
    log_weights = np.where(answered, log_weights, -np.inf)
    top = log_weights.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp(log_weights - np.where(np.isfinite(top), top, 0))  # relative to the row's largest: no underflow
    width = int(classes.max(initial=0)) + 1
    select: Callable[..., np.ndarray] = np.ravel if answered.all() else lambda values: values[answered]
    cell = select(np.arange(rows)[:, None] * width + classes)

    def sum_by_answer(values: np.ndarray | None = None) -> np.ndarray:
        selected = None if values is None else select(values)
        return np.bincount(cell, selected, minlength=rows * width).reshape(rows, width)

    votes, voters, right = sum_by_answer(weights), sum_by_answer(), sum_by_answer(correct)
    best = votes.max(axis=1, keepdims=True, initial=0)
    return votes, (voters > 0) & (votes >= best * (1 - TIE_TOLERANCE)), voters, right


def draw_subsets(n: int, draws: int, key: int) -> np.ndarray:
    """(draws, n) random orders; the first k columns are k-subsets. The same key gives the same orders."""
    return np.random.Generator(np.random.Philox(key=key)).random((draws, n)).argsort(axis=1)


def estimate_weighted(
    classes: np.ndarray, correct: np.ndarray, log_weights: np.ndarray, ks: Sequence[int], orders: np.ndarray
) -> Estimate:
    """Weighted vote of one problem. classes, correct, log_weights: (N,); orders: (draws, N) from `draw_subsets`."""

    def vote(subsets: np.ndarray) -> np.ndarray:
        return score_votes(classes[subsets], correct[subsets], log_weights[subsets])

    def vote_all(k: int) -> np.ndarray:
        return vote(np.arange(k)[None]) if k == len(classes) else _vote_in_batches(vote, orders[:, :k])

    return _estimate(vote_all, ks, np.where(classes >= 0, correct, 0).mean())


def estimate_top(
    classes: np.ndarray, correct: np.ndarray, scores: np.ndarray, share: float, ks: Sequence[int], orders: np.ndarray
) -> Estimate:
    """Majority of the best ceil(share x k) of k by score. Equal scores come in random order: their tie is fair."""
    _, places = np.unique(
        -np.where(classes >= 0, scores, -np.inf), return_inverse=True
    )  # 0: the best; equal for equals
    places = places.astype(np.uint16 if len(places) < 2**16 else int)  # of 16 bits, a stable sort takes linear time

    def vote(subsets: np.ndarray) -> np.ndarray:
        best = np.argsort(places[subsets], axis=1, kind="stable")[:, : top_size(share, subsets.shape[1])]
        voters = np.take_along_axis(subsets, best, 1)
        return score_votes(classes[voters], correct[voters], np.zeros(voters.shape))

    def vote_all(k: int) -> np.ndarray:
        ranked, size = np.sort(places), top_size(share, k)
        if k == len(places) and (size == k or ranked[size - 1] < ranked[size]):  # the same voters in any order
            return vote(orders[:1]).repeat(len(orders))
        return _vote_in_batches(vote, orders[:, :k])

    return _estimate(vote_all, ks, np.where(classes >= 0, correct, 0).mean())


def _vote_in_batches(vote: Callable[[np.ndarray], np.ndarray], subsets: np.ndarray) -> np.ndarray:
    """`vote` of all subsets (rows, k), a few rows at a time, which stay in the processor's cache."""
    rows = max(1, SAMPLES_PER_BATCH // subsets.shape[1])
    return np.concatenate([vote(subsets[first : first + rows]) for first in range(0, len(subsets), rows)])


def top_size(share: float, k: int) -> int:
    """The number of solutions that vote in a top vote of k."""
    return max(1, ceil(share * k - TIE_TOLERANCE))


def _estimate(vote: Callable[[int], np.ndarray], ks: Sequence[int], pass_at_1: float) -> Estimate:
    """Mean and variance of a vote over subsets, for each k. At k = 1 every vote is pass@1, without drawing."""
    values, variances = [], []
    for k in ks:
        results = np.array([pass_at_1]) if k == 1 else vote(k)
        values.append(results.mean())
        # All subsets agree: exact, up to the last digits of sums in another order.
        variances.append(results.var(ddof=1) / len(results) if np.ptp(results) > TIE_TOLERANCE else 0.0)
    return Estimate(np.array(values), np.array(variances))
