"""`tfidf`: character n-grams of three to five, reduced to 128 dimensions: needs no model, and sees words and forms alone.

N-grams are hashed into 2^16 counts, weighted by tf-idf (sublinear) and reduced by a truncated singular value decomposition
(latent semantic analysis, Deerwester et al. 1990). Both are fitted to at most 10,000 rows, drawn by keys, and applied to
all, so that 100,000 rows take minutes and their counts are never in memory at once. Of a row, the first 10,000 characters
are read: one in a hundred that runs on for 120,000 took most of the time, and says by then what it is about.
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
from stages.lib.selection.progress import Track, track_nothing
from stages.lib.selection.rows import VERSION, Row

WIDTH = 128
FEATURES = 2**16
MAX_FIT_ROWS = 10_000
MAX_CHARACTERS = 10_000  # of a text
BLOCK = 1000  # rows whose counts are in memory at once, beside those of the fit


class NgramSpace:
    """The space of n-grams that some texts span, into which any text can be put."""

    def __init__(self, texts: Sequence[str], seed: int, track: Track = track_nothing):
        """Fit to texts, which all are in memory as counts: `draw_for_fit` bounds them."""
        options: dict[str, Any] = {"analyzer": "char", "ngram_range": (3, 5), "alternate_sign": False, "norm": None}
        self._hasher = HashingVectorizer(n_features=FEATURES, **options)
        self._weights = TfidfTransformer(sublinear_tf=True)
        self._svd: TruncatedSVD | None = None  # None: nothing tells the texts apart
        blocks = range(0, len(texts), BLOCK)
        counts: list[Any] = [
            self._count(texts[start : start + BLOCK]) for start in track(blocks, len(blocks), "counting n-grams")
        ]
        if len(texts) < 2 or not any(block.nnz for block in counts):
            return  # one text, or none of three characters
        weighted = self._weights.fit_transform(csr_matrix(vstack(counts)))
        del counts
        width, key = min(WIDTH, len(texts) - 1), seeds.key(seed, "selection", VERSION, "tfidf svd") % 2**32
        # ARPACK takes two thirds of the time, but where rows coincide, two calls of it differed in the last bits.
        svd = TruncatedSVD(width, algorithm="randomized", n_iter=4, random_state=key)
        with threadpool_limits(limits=1):
            self._svd = svd.fit(weighted)

    def embed(self, texts: Sequence[str], track: Track = track_nothing) -> np.ndarray:
        """(texts, width) float64 of length 1; zeros for a text that shares no n-gram with those of the fit."""
        if self._svd is None:
            return np.ones((len(texts), 1))
        vectors = np.empty((len(texts), self._svd.n_components))
        blocks = range(0, len(texts), BLOCK)
        with threadpool_limits(limits=1):
            for start in track(blocks, len(blocks), "embedding rows"):
                counts = self._weights.transform(self._count(texts[start : start + BLOCK]))
                vectors[start : start + BLOCK] = self._svd.transform(counts)
        return inputs.normalise(vectors)

    def _count(self, texts: Sequence[str]) -> Any:
        """(texts, FEATURES) sparse counts of n-grams."""
        return self._hasher.transform([text[:MAX_CHARACTERS] for text in texts])


def embed(rows: Sequence[Row], seed: int, track: Track = track_nothing) -> np.ndarray:
    """(rows, width) float64 of length 1, in the order of the rows: width 128, or fewer for fewer rows.

    Rows are sorted by id before the fit, so their order changes nothing; one thread computes, so the number of cores does
    not, either. A row that shares no n-gram with those of the fit is all zeros."""
    if not rows:
        return np.empty((0, WIDTH))
    places = sorted(range(len(rows)), key=lambda i: rows[i].id)
    ordered = [rows[i] for i in places]
    space = NgramSpace([row.text for row in draw_for_fit(ordered, seed)], seed, track)
    embedded = space.embed([row.text for row in ordered], track)
    vectors = np.empty_like(embedded)
    vectors[places] = embedded
    return vectors


def draw_for_fit(rows: Sequence[Row], seed: int) -> list[Row]:
    """At most 10,000 rows, drawn by keys, in the order of the rows."""
    keyed = sorted(range(len(rows)), key=lambda i: seeds.key(seed, "selection", VERSION, rows[i].id, "tfidf fit"))
    return [rows[i] for i in sorted(keyed[:MAX_FIT_ROWS])]
