"""`car`: cluster and rank (Ge et al. 2024, arXiv 2402.18191): the rows of highest quality, and the best of every cluster.

Texts are embedded, normalised, reduced by PCA to 95 % of the variance and clustered by k-means with k = int(sqrt(n / 2)).
Chosen are the `top` rows of highest quality, and of each cluster those of its `per_cluster` best that are not among them.
Of 52,002 rows that is k = 161 and 1,000 + 13 rows, so the method is mostly rank. Its ablations: `per_cluster=0` is rank
without clusters, and `top=0` clusters without rank: with a budget the best of every cluster, then the second best of every
one, and so on; without one `per_cluster` rows of each.

Where a budget is set instead of `top`, the best of every cluster come first and the highest quality fills what is left. For
a budget of rows that is the same set, with the `top` that makes the size exact: one more in `top` adds a row or none.

Of more than 20,000 rows k-means learns its centres from so many, drawn by key, and every row goes to its nearest centre:
all of 100,000 rows take more than a quarter of an hour. scikit-learn changed the default of KMeans' `n_init` between
versions, so it is set here. Sums inside k-means depend on how many threads share them, so PCA and k-means run on one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from pydantic import Field
from scipy.stats import rankdata
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from stages.lib.core import params as core_params
from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.selection import budgets, inputs
from stages.lib.selection.rows import NO_VALUES, VERSION, Budget, Choice, Labelled, Row, Values

TOP = 1000  # of the paper
N_INIT = 10  # starts of k-means, of which the best is kept
MAX_FITTED = 20_000  # rows that centres are learned from, at most


class Params(core_params.Params):
    """How many rows, and how they are clustered."""

    top: int | None = Field(default=None, ge=0)  # rows of highest quality; null: what the budget leaves, or 1,000
    per_cluster: int = Field(default=1, ge=0)  # the best of each cluster; of top=0 and a budget, as many as fit
    clusters: int | None = Field(default=None, ge=1)  # null: int(sqrt(rows / 2))
    variance: float = Field(default=0.95, gt=0, lt=1)  # share of the variance that PCA keeps
    rank_within_source: bool = False  # qualities of different sources are not comparable: compare ranks in each source


DEFAULTS = Params()


class Clusters(NamedTuple):
    """labels: (rows,) the cluster of each row. distances: (rows,) to its centre, after PCA. k: how many clusters were asked
    for; fewer are there where rows coincide. dims: after PCA. variance: the share of it that these dimensions explain."""

    labels: np.ndarray
    distances: np.ndarray
    k: int
    dims: int
    variance: float


def select(
    rows: Sequence[Row],
    embeddings: np.ndarray | None,
    budget: Budget,
    labelled: Labelled | None,
    seed: int,
    params: Params = DEFAULTS,
    values: Values = NO_VALUES,
) -> list[Choice]:
    """Rows of highest quality, then the best of clusters; reasons `top` and `cluster NUMBER`, the value is the quality.

    Raises UserError without embeddings or `values.quality`, where there are fewer rows than clusters, for a budget beside
    a `params.top` above 0, and, without a `top`, for one that does not hold the best of every cluster."""
    given = inputs.sort_inputs("car", rows, embeddings, budget, values, ["embeddings", "quality"])
    if not given.rows:
        return []
    labels = cluster(given.rows, given.vectors, seed, params).labels
    return choose(given.rows, labels, given.quality, budget, params)


def count_clusters(rows: int) -> int:
    """int(sqrt(rows / 2)), at least 1."""
    return max(1, int(math.sqrt(rows / 2)))


def cluster(rows: Sequence[Row], embeddings: np.ndarray, seed: int, params: Params) -> Clusters:
    """The clusters of rows, in the order of the rows. Raises UserError for more clusters than rows."""
    given = inputs.sort_inputs("car", rows, embeddings, needs=["embeddings"])
    k = params.clusters or count_clusters(len(rows))
    if len(rows) < k:
        raise UserError(f"method car: {len(rows)} rows are fewer than clusters={k}; set at most {len(rows)}")
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters
        vectors, variance = _reduce(inputs.normalise(given.vectors), params.variance)
        key = seeds.key(seed, "selection", VERSION, "car", "k-means") % 2**32
        means = KMeans(k, n_init=cast("Any", N_INIT), random_state=key, algorithm="lloyd")
        nearest = means.fit(_draw_fitted(vectors, k, key)).predict(vectors)
    labels, distances = np.empty(len(rows), int), np.empty(len(rows))
    labels[given.places] = nearest
    distances[given.places] = np.linalg.norm(vectors - means.cluster_centers_[nearest], axis=1)
    return Clusters(labels, distances, k, vectors.shape[1], variance)


def choose(
    rows: Sequence[Row], labels: np.ndarray, quality: np.ndarray, budget: Budget, params: Params
) -> list[Choice]:
    """The choice, given the clusters: labels and quality are (rows,), in the order of the rows. Raises as `select`."""
    if params.top and not budgets.is_unbounded(budget):
        raise UserError(f"method car: top={params.top} and a budget both say how many rows to keep; set one of them")
    if 0 in budget:
        return []
    scores = _rank_within_sources(rows, quality) if params.rank_within_source else np.asarray(quality, float)
    order = budgets.rank(rows, lambda i: scores[i])
    places = _rank_within_clusters(order, labels)
    best, top = [i for i in order if places[i] < params.per_cluster], []
    if budgets.is_unbounded(budget):
        top = order[: TOP if params.top is None else params.top]
    elif params.top == 0:
        best = budgets.take_in_order(rows, sorted(order, key=places.__getitem__), budget)
    else:
        top = _fill(rows, order, best, budget)
    is_top = {*top}
    chosen = top + [i for i in best if i not in is_top]
    reasons = {i: "top" if i in is_top else f"cluster {labels[i]}" for i in chosen}
    return [Choice(rows[i].id, reasons[i], float(quality[i])) for i in chosen]


def _fill(rows: Sequence[Row], order: list[int], best: list[int], budget: Budget) -> list[int]:
    """The rows of highest quality that fit beside the best of every cluster, and those of `best` that rank among them."""
    left = budgets.Spending(budget)
    if not all([left.take(rows[i]) for i in best]):
        tokens = sum(rows[i].tokens for i in best)
        raise UserError(
            f"method car: the budget ({_describe(budget)}) does not hold the best of every cluster ({len(best)} rows, "
            f"{tokens} tokens); raise it, or set fewer `clusters`"
        )
    is_best, filled = {*best}, []
    for i in order:
        if left.is_over:
            break
        if i in is_best or left.take(rows[i]):
            filled.append(i)
    return filled


def _describe(budget: Budget) -> str:
    return " and ".join(f"{amount} {name}" for name, amount in budget._asdict().items() if amount is not None)


def _rank_within_clusters(order: list[int], labels: np.ndarray) -> dict[int, int]:
    """{row: how many rows of its cluster come before it in `order`}"""
    counts: dict[int, int] = {}
    places = {}
    for i in order:
        label = int(labels[i])
        places[i] = counts.get(label, 0)
        counts[label] = places[i] + 1
    return places


def _reduce(vectors: np.ndarray, variance: float) -> tuple[np.ndarray, float]:
    """(rows, dims) after PCA, and the share of the variance that is kept; unchanged where there is none."""
    if len(vectors) < 2 or not np.ptp(vectors, axis=0).any():
        return vectors, 1.0
    pca = PCA(variance, svd_solver="covariance_eigh" if len(vectors) > vectors.shape[1] else "full")
    return pca.fit_transform(vectors), float(pca.explained_variance_ratio_.sum())


def _draw_fitted(vectors: np.ndarray, k: int, key: int) -> np.ndarray:
    """The rows that centres are learned from: all, or MAX_FITTED of them (k, if that is more)."""
    count = max(MAX_FITTED, k)
    if len(vectors) <= count:
        return vectors
    return vectors[np.sort(np.random.default_rng(key).choice(len(vectors), count, replace=False))]


def _rank_within_sources(rows: Sequence[Row], quality: np.ndarray) -> np.ndarray:
    """(rows,) in (0, 1): the share of a row's source that is below it, ties counting half."""
    sources, shares = np.array([row.source for row in rows]), np.empty(len(rows))
    for source in np.unique(sources):
        is_here = sources == source
        shares[is_here] = (rankdata(np.asarray(quality)[is_here]) - 0.5) / is_here.sum()
    return shares
