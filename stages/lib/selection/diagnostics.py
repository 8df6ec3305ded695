"""What a choice covers: distances, families, tokens, and how two choices agree."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from stages.lib.selection import inputs
from stages.lib.selection.methods.k_center import find_distances
from stages.lib.selection.rows import Choice, Row

BLOCK = 512  # rows whose distances are computed at once: memory, no result


class Diagnostics(NamedTuple):
    """rows, tokens: how many are chosen. covering_radius: the largest Euclidean distance of a row of the pool to the
    nearest chosen one. nearest_distance: the mean over chosen rows of the distance to the nearest other chosen row: high is
    diverse. similarity: the mean cosine of two chosen rows. families: how many of the pool's are among the
    chosen; all_families: how many the pool has. None where the choice has too few rows for the figure, or there are no
    embeddings."""

    rows: int
    tokens: int
    covering_radius: float | None
    nearest_distance: float | None
    similarity: float | None
    families: int
    all_families: int


def describe(rows: Sequence[Row], embeddings: np.ndarray | None, choices: Sequence[Choice]) -> Diagnostics:
    """The diagnostics of a choice from a pool. embeddings: (rows, width), in the order of the rows."""
    places = {row.id: i for i, row in enumerate(rows)}
    chosen = sorted((places[choice.id] for choice in choices), key=lambda i: rows[i].id)
    radius = distance = similarity = None
    if embeddings is not None:
        vectors = np.asarray(embeddings[chosen], float)
        radius = compute_covering_radius(embeddings, vectors)
        distance, similarity = compute_nearest_distance(vectors), compute_similarity(vectors)
    return Diagnostics(
        rows=len(chosen),
        tokens=sum(rows[i].tokens for i in chosen),
        covering_radius=radius,
        nearest_distance=distance,
        similarity=similarity,
        families=len({rows[i].family for i in chosen}),
        all_families=len({row.family for row in rows}),
    )


def compute_covering_radius(vectors: np.ndarray, chosen: np.ndarray) -> float | None:
    """The largest distance of a row to the nearest of `chosen`; None for none of these. As method k_center measures it."""
    if not len(chosen):
        return None
    parts = range(0, len(vectors), BLOCK)
    farthest = np.concatenate([_find_distances(vectors[i : i + BLOCK], chosen) for i in parts]).argmax()
    return float(find_distances(np.asarray(vectors[farthest : farthest + 1], float), chosen)[0])


def compute_nearest_distance(vectors: np.ndarray) -> float | None:
    """The mean distance of a row to its nearest other row; None for fewer than two."""
    if len(vectors) < 2:
        return None
    parts = range(0, len(vectors), BLOCK)
    return sum(float(_find_distances(vectors[i : i + BLOCK], vectors, own=i).sum()) for i in parts) / len(vectors)


def _find_distances(block: np.ndarray, others: np.ndarray, own: int | None = None) -> np.ndarray:
    """(rows,) the distance of each row of the block to the nearest of `others`, in which the block begins at `own` and no
    row is its own nearest. Products say which is nearest, a hundred times sooner than differences; differences say how far
    that is, so that equal rows are at 0."""
    block = np.asarray(block, float)
    distances = (others**2).sum(1) - 2 * block @ others.T  # squared, less what all of a row have in common
    if own is not None:
        distances[np.arange(len(block)), np.arange(own, own + len(block))] = np.inf
    return np.sqrt(((block - others[distances.argmin(1)]) ** 2).sum(1))


def compute_similarity(vectors: np.ndarray) -> float | None:
    """The mean cosine of two different rows; None for fewer than two. By the length of the sum, without the pairs."""
    if (count := len(vectors)) < 2:
        return None
    units = inputs.normalise(vectors)
    own = float((units**2).sum())  # the number of rows that are not zero
    return (float((units.sum(0) ** 2).sum()) - own) / (count * (count - 1))


def compute_jaccard(first: Collection[str], second: Collection[str]) -> float:
    """Shared ids over all ids; 1 for two empty choices."""
    union = {*first, *second}
    return len({*first} & {*second}) / len(union) if union else 1.0


def compute_stability(choices: Sequence[Collection[str]]) -> float | None:
    """The mean Jaccard index over pairs of choices, one for each seed; None for fewer than two."""
    indices = [compute_jaccard(first, second) for first, second in combinations(choices, 2)]
    return float(np.mean(indices)) if indices else None
