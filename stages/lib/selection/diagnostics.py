"""What a choice covers: distances, families, tokens, and how two choices agree."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from stages.lib.selection import inputs
from stages.lib.selection.methods.k_center import find_distances
from stages.lib.selection.rows import Choice, Row

BLOCK = 512  # chosen rows whose distances are computed at once: memory, no result


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
    vectors = None if embeddings is None else np.asarray(embeddings, float)
    return Diagnostics(
        rows=len(chosen),
        tokens=sum(rows[i].tokens for i in chosen),
        covering_radius=None
        if vectors is None or not chosen
        else float(find_distances(vectors, vectors[chosen]).max()),
        nearest_distance=None if vectors is None else compute_nearest_distance(vectors[chosen]),
        similarity=None if vectors is None else compute_similarity(vectors[chosen]),
        families=len({rows[i].family for i in chosen}),
        all_families=len({row.family for row in rows}),
    )


def compute_nearest_distance(vectors: np.ndarray) -> float | None:
    """The mean distance of a row to its nearest other row; None for fewer than two."""
    if len(vectors) < 2:
        return None
    total = 0.0
    for start in range(0, len(vectors), BLOCK):
        distances = cdist(vectors[start : start + BLOCK], vectors)
        distances[np.arange(len(distances)), np.arange(start, start + len(distances))] = np.inf
        total += float(distances.min(1).sum())
    return total / len(vectors)


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
