"""`tfidf`: character n-grams of three to five, reduced to 128 dimensions: needs no model, and sees words and forms alone.

N-grams are hashed into 2^16 counts, weighted by tf-idf (sublinear) and reduced by a truncated singular value decomposition
(latent semantic analysis, Deerwester et al. 1990). Both are fitted to at most 10,000 rows, drawn by keys, and applied to
all, so that 100,000 rows take minutes and their counts are never in memory at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, vstack
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from threadpoolctl import threadpool_limits

from stages.lib.core import seeds
from stages.lib.selection import inputs
from stages.lib.selection.rows import VERSION, Row
from stages.lib.selection.tracking import Track, track_nothing

WIDTH = 128
FEATURES = 2**16
MAX_FIT_ROWS = 10_000
BLOCK = 1000  # rows whose counts are in memory at once, beside those of the fit


def embed(rows: Sequence[Row], seed: int, track: Track = track_nothing) -> np.ndarray:
    """(rows, width) float64 of length 1, in the order of the rows: width 128, or fewer for fewer rows.

    Rows are sorted by id before the fit, so their order changes nothing; one thread computes, so the number of cores does
    not, either. A row that shares no n-gram with those of the fit is all zeros."""
    if not rows:
        return np.empty((0, WIDTH))
    places = sorted(range(len(rows)), key=lambda i: rows[i].id)
    texts = [rows[i].text for i in places]
    keyed = sorted(
        range(len(rows)), key=lambda i: seeds.key(seed, "selection", VERSION, rows[places[i]].id, "tfidf fit")
    )
    fitted = sorted(keyed[:MAX_FIT_ROWS])
    options: dict[str, Any] = {"analyzer": "char", "ngram_range": (3, 5), "alternate_sign": False, "norm": None}
    hasher = HashingVectorizer(n_features=FEATURES, **options)
    weights = TfidfTransformer(sublinear_tf=True)
    blocks = range(0, len(fitted), BLOCK)
    counts = [
        hasher.transform([texts[i] for i in fitted[start : start + BLOCK]])
        for start in track(blocks, len(blocks), "counting n-grams")
    ]
    weighted = weights.fit_transform(csr_matrix(vstack(counts)))
    del counts
    if len(fitted) < 2 or not weighted.nnz:
        return np.ones((len(rows), 1))  # one row, or texts of fewer than three characters: nothing tells them apart
    width, key = min(WIDTH, len(fitted) - 1), seeds.key(seed, "selection", VERSION, "tfidf svd") % 2**32
    # ARPACK takes two thirds of the time, but where rows coincide, two calls of it differed in the last bits.
    svd = TruncatedSVD(width, algorithm="randomized", n_iter=4, random_state=key)
    vectors = np.empty((len(rows), width))
    blocks = range(0, len(rows), BLOCK)
    with threadpool_limits(limits=1):
        svd.fit(weighted)
        del weighted
        for start in track(blocks, len(blocks), "embedding rows"):
            counts = hasher.transform(texts[start : start + BLOCK])
            vectors[places[start : start + BLOCK]] = svd.transform(weights.transform(counts))
    return inputs.normalise(vectors)
