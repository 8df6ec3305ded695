"""Which slices may be weak: a one-sided permutation test over problems, with Benjamini & Hochberg's correction.

The effect of a slice is its gap: the mean accuracy of the rest minus that of the slice. Values are means over the samples
of a problem, and whole problems are permuted, since samples of one problem are correlated. The gap of a slice that was
proposed because of it is too large on average (selection); `confirmation` measures it anew, on fresh problems.

What is permuted is the gap in standard errors, each side with a variance of its own. The gap itself would find slices that
are no weaker, but smaller and more varied than the rest, too often.

Sources: Good 2005 (permutation tests); Chung & Romano 2013 (studentised ones); Benjamini & Hochberg 1995. Slices that are
significantly weak are those of EvalTree (Zeng et al. 2025, arXiv 2503.08893), there over a tree of capabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import false_discovery_control

from stages.lib.adaptation.slices import Slice

MAX_PERMUTED = 1 << 21  # values of permutations held in memory at once
SMALLEST_VARIANCE = 1e-12  # of a mean: where neither side varies, the gap alone decides


class Candidate(NamedTuple):
    """A slice with its size, its accuracy, that of the rest, and the test of its gap. q: p, corrected for all slices."""

    slice: Slice
    problems: int
    accuracy: float
    rest: float
    p: float
    q: float

    @property
    def gap(self) -> float:
        return self.rest - self.accuracy


def compute_means(masks: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean inside, mean outside) of each slice. masks: (slices, problems) bool; values: (problems,) in [0, 1]."""
    sizes, sums = masks.sum(1), masks.astype(float) @ values
    return sums / sizes, (values.sum() - sums) / (masks.shape[1] - sizes)


def compute_scores(masks: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(rows, slices): the gap of each slice in Welch's standard errors. values: (rows, problems)."""
    inside, sizes = masks.T.astype(float), masks.sum(1)
    rests = masks.shape[1] - sizes
    sums, squares = values @ inside, (values**2) @ inside
    others, other_squares = values.sum(1)[:, None] - sums, (values**2).sum(1)[:, None] - squares
    variance = (squares - sums**2 / sizes) / (sizes * np.maximum(1, sizes - 1))
    variance += (other_squares - others**2 / rests) / (rests * np.maximum(1, rests - 1))
    return (others / rests - sums / sizes) / np.sqrt(np.maximum(variance, SMALLEST_VARIANCE))


def permutation_test(masks: np.ndarray, values: np.ndarray, key: int, permutations: int) -> np.ndarray:
    """(slices,) one-sided p: how often problems dealt out at random give the slice a gap as large as its own, both in
    standard errors.

    All slices see the same permutations. The order of the problems counts: sort them, so that the same problems give the
    same p-values."""
    observed = compute_scores(masks, values[None])[0]
    random = np.random.Generator(np.random.Philox(key=key))
    beyond, done = np.zeros(len(masks), int), 0
    while done < permutations:
        rows = min(permutations - done, max(1, MAX_PERMUTED // max(1, len(values))))
        dealt = random.permuted(np.broadcast_to(values, (rows, len(values))), axis=1)
        beyond += (compute_scores(masks, dealt) >= observed - 1e-9 * np.maximum(1.0, np.abs(observed))).sum(0)
        done += rows
    return (1 + beyond) / (1 + permutations)


def list_candidates(
    slices: Sequence[Slice], masks: np.ndarray, values: np.ndarray, key: int, permutations: int = 10000
) -> list[Candidate]:
    """Every slice with its test, the weakest first: by p, then by the gap in standard errors, then by name."""
    if not slices:
        return []
    inside, outside = compute_means(masks, values)
    ps = permutation_test(masks, values, key, permutations)
    qs = false_discovery_control(ps)
    sizes = masks.sum(1)
    scores = (outside - inside) / np.sqrt(1 / sizes + 1 / (len(values) - sizes))
    candidates = [
        Candidate(each, int(n), float(a), float(b), float(p), float(q))
        for each, n, a, b, p, q in zip(slices, sizes, inside, outside, ps, qs, strict=True)
    ]
    order = sorted(range(len(slices)), key=lambda i: (ps[i], -round(float(scores[i]), 9), slices[i].name))
    return [candidates[i] for i in order]


def propose(
    candidates: Sequence[Candidate],
    slices: Sequence[Slice],
    masks: np.ndarray,
    values: np.ndarray,
    key: int,
    level: float = 0.10,
    most: int = 5,
    permutations: int = 10000,
) -> list[Candidate]:
    """The first `most` candidates with q <= level that no parent implies.

    A two-way slice is implied by a parent where it is not weaker than the rest of it, or, if the parent is proposed
    already, not significantly weaker at `level`."""
    mask_of = dict(zip(slices, masks, strict=True))
    proposed: list[Candidate] = []
    for candidate in candidates:
        if len(proposed) == most or candidate.q > level:
            break
        known = {each.slice for each in proposed}
        parents = [parent for parent in candidate.slice.parents if parent in mask_of]
        if not any(
            is_implied(mask_of[candidate.slice], mask_of[parent], values, key, permutations, level * (parent in known))
            for parent in parents
        ):
            proposed.append(candidate)
    return proposed


def is_implied(
    mask: np.ndarray, parent: np.ndarray, values: np.ndarray, key: int, permutations: int, level: float
) -> bool:
    """Whether a slice is not weaker than the rest of its parent; with a level, also whether it is not significantly weaker.
    A slice that is all of its parent is implied by it."""
    inside = mask[parent][None]
    if inside.all():
        return True
    [mean], [rest] = compute_means(inside, values[parent])
    return bool(rest <= mean or (level and permutation_test(inside, values[parent], key, permutations)[0] > level))
