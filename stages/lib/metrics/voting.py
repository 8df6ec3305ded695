"""Weighted votes and top votes of a verifier, over random k-subsets of one pool.

weighted   the answer with the largest sum of weights; weight = exp(power x log-weight), power chosen on dev
top        draw k, keep the best `ceil(share x k)` by score, take their majority (Cobbe et al. 2021, section 4.2)

Sums of real weights have no closed form over subsets. Both votes are exact at k = N, where there is only one subset (a
top vote up to ties at its cut-off), and Monte Carlo below, over keyed random subsets, with the standard error reported.
A solution without an answer has no vote. Ties split evenly. Sums within 1e-9 (relative) are tied, so the order of
addition never decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

TIE_TOLERANCE = 1e-9
SAMPLES_PER_BATCH = 1 << 15  # of subsets that vote at a time


class Estimate(NamedTuple):
    """(votes, problems, len(ks)) each: expected accuracy, and its Monte Carlo variance (0 where exact)."""

    value: np.ndarray
    variance: np.ndarray


class Tally(NamedTuple):
    """All (rows, answers), by class: sums of weights, relative to the row's largest weight; whether the answer wins or
    ties; share of its voters that are right."""

    votes: np.ndarray
    is_winner: np.ndarray
    right: np.ndarray


class Voters(NamedTuple):
    """Who votes in each row, whatever the weights. answered: (rows, voters), None if all are; cells: (answered voters,),
    the place of each one's answer in a table (rows, answers); counts, right: that table, of voters and of right voters."""

    answered: np.ndarray | None
    cells: np.ndarray
    counts: np.ndarray
    right: np.ndarray

    @classmethod
    def from_classes(cls, classes: np.ndarray, correct: np.ndarray) -> Voters:
        rows, width = len(classes), int(classes.max(initial=0)) + 1
        cells, is_right, answered = np.arange(rows)[:, None] * width + classes, correct, classes >= 0
        if answered.all():
            answered = None
        else:
            cells, is_right = cells[answered], correct[answered]
        counts = np.bincount(cells.ravel(), minlength=rows * width).reshape(rows, width)
        right = np.bincount(cells.ravel(), is_right.ravel(), rows * width).reshape(rows, width)
        return cls(answered, cells.ravel(), counts, right)

    def sum_weights(self, log_weights: np.ndarray) -> np.ndarray:
        """(rows, answers): the sums of (rows, voters) weights, relative to the row's largest: no underflow."""
        if self.answered is not None:
            log_weights = np.where(self.answered, log_weights, -np.inf)
        top = log_weights.max(axis=1, keepdims=True, initial=-np.inf)
        weights = np.exp(log_weights - np.where(np.isfinite(top), top, 0))
        voting = weights.ravel() if self.answered is None else weights[self.answered]
        return np.bincount(self.cells, voting, self.counts.size).reshape(self.counts.shape)

    def find_winners(self, votes: np.ndarray) -> np.ndarray:
        """(rows, answers): whether it has the most of these votes, or as many as any."""
        best = votes.max(axis=1, keepdims=True, initial=0)
        return (self.counts > 0) & (votes >= best * (1 - TIE_TOLERANCE))

    def score(self, votes: np.ndarray) -> np.ndarray:
        """(rows,): the probability that each row's winner by these votes is right, ties split evenly."""
        winners = np.flatnonzero(self.find_winners(votes))  # few of all answers
        rows, width = votes.shape
        row, shares = winners // width, self.right.ravel()[winners] / self.counts.ravel()[winners]
        return np.bincount(row, shares, rows) / np.maximum(np.bincount(row, minlength=rows), 1)


def score_votes(classes: np.ndarray, correct: np.ndarray, log_weights: np.ndarray) -> np.ndarray:
    """(rows,): the probability that each row's vote is right, ties split evenly. Arguments as for `count_votes`."""
    voters = Voters.from_classes(classes, correct)
    return voters.score(voters.sum_weights(log_weights))


def count_votes(classes: np.ndarray, correct: np.ndarray, log_weights: np.ndarray) -> Tally:
    """All (rows, voters): answer classes (negative: no vote), correct in [0, 1], natural log of the weight (-inf: weight
    0). A row whose voters all have weight 0 is a tie among their answers; a row without an answer is wrong.
    """
    voters = Voters.from_classes(classes, correct)
    votes = voters.sum_weights(log_weights)
    return Tally(votes, voters.find_winners(votes), voters.right / np.maximum(voters.counts, 1))


def draw_subsets(n: int, draws: int, key: int) -> np.ndarray:
    """(draws, n) random orders; the first k columns are k-subsets. The same key gives the same orders."""
    return np.random.Generator(np.random.Philox(key=key)).random((draws, n)).argsort(axis=1)


def estimate_weighted(
    classes: np.ndarray, correct: np.ndarray, log_weights: np.ndarray, ks: Sequence[int], orders: np.ndarray
) -> Estimate:
    """Weighted votes of problems of equal size. classes, correct: (problems, N); log_weights: (votes, problems, N);
    orders: (problems, draws, N), each from `draw_subsets`. All votes are over the same subsets, which are gathered once."""
    problems, n = classes.shape
    weights, whole = log_weights.reshape(len(log_weights), -1), np.arange(problems * n).reshape(problems, n)
    subsets = _flatten(orders)

    def vote_all(k: int) -> np.ndarray:
        results = []
        for rows in _split_rows(whole if k == n else subsets[:, :k]):
            voters = Voters.from_classes(classes.take(rows), correct.take(rows))
            results.append([voters.score(voters.sum_weights(row.take(rows))) for row in weights])
        return np.concatenate(results, axis=1).reshape(len(weights), problems, -1)

    return _estimate(vote_all, ks, classes, correct, len(weights))


def estimate_top(
    classes: np.ndarray,
    correct: np.ndarray,
    scores: np.ndarray,
    shares: Sequence[float],
    ks: Sequence[int],
    orders: np.ndarray,
) -> Estimate:
    """Majority of the best ceil(share x k) of k by score, for each share. Equal scores come in random order: their tie is
    fair. classes, correct, scores: (problems, N); orders: (problems, draws, N)."""
    problems, n = classes.shape
    distinct, places = np.unique(
        -np.where(classes >= 0, scores, -np.inf), return_inverse=True
    )  # 0: the best; equal for equals
    places = places.astype(np.uint16 if len(distinct) < 2**16 else int)  # of 16 bits, a stable sort takes linear time
    ranked, subsets = np.sort(places.reshape(problems, n), axis=1), _flatten(orders)

    def vote(subsets: np.ndarray, sizes: Sequence[int]) -> dict[int, np.ndarray]:
        """{size: (rows,)} of the best of each row."""
        results: dict[int, list[np.ndarray]] = {size: [] for size in sizes}
        for rows in _split_rows(subsets):
            best = np.take_along_axis(rows, np.argsort(places.take(rows), axis=1, kind="stable"), 1)
            for size in results:
                voters = Voters.from_classes(classes.take(best[:, :size]), correct.take(best[:, :size]))
                results[size].append(voters.score(voters.counts))
        return {size: np.concatenate(parts) for size, parts in results.items()}

    def vote_all(k: int) -> np.ndarray:
        sizes = [top_size(share, k) for share in shares]
        if k < n:
            results = {size: values.reshape(problems, -1) for size, values in vote(subsets[:, :k], sizes).items()}
        else:  # the same voters in any order, unless equal scores lie on both sides of the cut-off
            draws = orders.shape[1]
            results = {size: each[:, None].repeat(draws, 1) for size, each in vote(subsets[::draws], sizes).items()}
            for size in set(sizes) - {n}:
                tied = np.flatnonzero(ranked[:, size - 1] == ranked[:, size])
                if len(tied):
                    drawn = subsets.reshape(orders.shape)[tied].reshape(-1, n)
                    results[size][tied] = vote(drawn, [size])[size].reshape(len(tied), draws)
        return np.stack([results[size] for size in sizes])

    return _estimate(vote_all, ks, classes, correct, len(shares))


def _flatten(orders: np.ndarray) -> np.ndarray:
    """(problems x draws, N): places in a flat table (problems x N) of the orders (problems, draws, N)."""
    problems, _, n = orders.shape
    return (orders + n * np.arange(problems)[:, None, None]).reshape(-1, n)


def _split_rows(subsets: np.ndarray) -> Iterator[np.ndarray]:
    """Subsets (rows, k), a few rows at a time, which stay in the processor's cache."""
    rows = max(1, SAMPLES_PER_BATCH // subsets.shape[1])
    for first in range(0, len(subsets), rows):
        yield subsets[first : first + rows]


def top_size(share: float, k: int) -> int:
    """The number of solutions that vote in a top vote of k."""
    return max(1, ceil(share * k - TIE_TOLERANCE))


def _estimate(
    vote: Callable[[int], np.ndarray], ks: Sequence[int], classes: np.ndarray, correct: np.ndarray, votes: int
) -> Estimate:
    """Means and variances over subsets of `vote(k)`, (votes, problems, subsets). At k = 1 every vote is pass@1, without
    drawing."""
    values, variances = (np.zeros((votes, len(classes), len(ks))) for _ in range(2))
    for column, k in enumerate(ks):
        if k == 1:
            values[:, :, column] = np.where(classes >= 0, correct, 0).mean(axis=1)
            continue
        results = vote(k)
        values[:, :, column] = results.mean(axis=2)
        # All subsets agree: exact, up to the last digits of sums in another order.
        varies = np.ptp(results, axis=2) > TIE_TOLERANCE
        if varies.any():
            variances[:, :, column][varies] = results[varies].var(axis=1, ddof=1) / results.shape[2]
    return Estimate(values, variances)
