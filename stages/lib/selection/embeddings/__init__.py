"""Rows as vectors of length 1, by name: `tfidf` needs no model, `hidden` reads a model folder, `minilm` a package.

Must not know methods: the same vectors serve all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.lib.core.errors import UserError
from stages.lib.selection.progress import Track, track_nothing
from stages.lib.selection.rows import Row

EMBEDDINGS = ("tfidf", "hidden", "minilm")


def embed(
    name: str,
    rows: Sequence[Row],
    seed: int,
    model: Path | None = None,
    device: str = "auto",
    track: Track = track_nothing,
) -> np.ndarray:
    """(rows, width) float64 of length 1, in the order of the rows, and the same for any order of them up to rounding.

    model: the folder of a causal language model, for `hidden`. Raises UserError for an unknown name, for `hidden` without a
    model, and where `minilm` is not installed."""
    if name == "tfidf":
        from stages.lib.selection.embeddings import tfidf

        return tfidf.embed(rows, seed, track)
    if name == "hidden":
        if model is None:
            raise UserError("embedding hidden: needs the folder of a language model; name one, or use tfidf")
        from stages.lib.models import loading
        from stages.lib.models.encoding import Encoder
        from stages.lib.selection.embeddings import hidden

        loaded = loading.load_causal_lm(model).to(loading.resolve_device(device))
        return hidden.embed(rows, loaded, Encoder.load(model), track)
    if name == "minilm":
        from stages.lib.models import loading
        from stages.lib.selection.embeddings import minilm

        return minilm.embed(rows, device=str(loading.resolve_device(device)), track=track)
    raise UserError(f"embedding {name}: unknown; allowed are {', '.join(EMBEDDINGS)}")
