"""Exact pass@k and best-of-k from one pool of N solutions: the expected accuracy over all C(N, k) draws, for every k.

Sort a problem's N solutions by score. The best of a random k-subset has rank i (0 = worst) with
probability C(i, k-1) / C(N, k), so best-of-k is the product of the vector "correct, by rank" and that table. Solutions
with equal scores are exchangeable, so each carries its tie group's share of correct ones: the expected value under
uniform tie-breaking. pass@k is best-of-k under an oracle that scores by correctness. Every term is positive, so
nothing cancels. Majority votes are in `majority`, weighted and top votes in `voting`.

One rule throughout: a solution without an answer (unfinished or unparsed) is wrong and is elected after every other.

Sources: Chen et al. 2021 (arXiv 2107.03374) for pass@k; the tie-free sum is `verifier_at_k` of sc-genrm-scaling
(arXiv 2504.01005), which shuffles ties a hundred times instead.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=8)
def rank_table(n: int) -> np.ndarray:
    """(n, n): entry [i, k-1] is the probability that the best of k drawn from n has rank i (0: worst).

    By ratios from the top rank down, C(i-1, k-1) / C(i, k-1) = (i-k+1) / i, which no factorial can overflow.
    """
    k = np.arange(1, n + 1)
    ranks = np.arange(n - 1, 0, -1)[:, None]
    ratios = np.maximum(ranks - k + 1, 0) / ranks
    table = np.vstack([k / n, ratios]).cumprod(axis=0)[::-1]
    table.flags.writeable = False
    return table


def best_of_k(correct: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Accuracy of the highest-scored of k, ties split evenly.

    correct: (problems, N) in [0, 1]; scores: (problems, N), higher is better, -inf for a solution without an answer.
    Returns (problems, N): column k-1 is the expectation over all k-subsets. Raises ValueError for a NaN score.
    """
    correct, scores = np.asarray(correct, float), np.asarray(scores, float)
    if np.isnan(scores).any():
        raise ValueError("a score is NaN; a ranking needs numbers")
    problems, n = correct.shape
    order = np.argsort(scores, axis=1, kind="stable")
    correct, scores = np.take_along_axis(correct, order, 1), np.take_along_axis(scores, order, 1)
    starts = np.ones((problems, n), bool)
    starts[:, 1:] = scores[:, 1:] != scores[:, :-1]  # also ends a row's last group where the next row begins
    group = np.cumsum(starts.ravel()) - 1
    share = np.bincount(group, correct.ravel()) / np.bincount(group)
    return share[group].reshape(problems, n) @ rank_table(n)


def pass_at_k(correct: np.ndarray) -> np.ndarray:
    """Probability that at least one of k is correct. correct: (problems, N) of 0/1; returns (problems, N), column k-1."""
    return best_of_k(correct, correct)
