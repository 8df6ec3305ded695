"""`hidden`: the hidden states of a language model's last layer, pooled with weights that grow with the position.

The weight of token i of T is i over the sum of 1..T, so that tokens which have seen more count more (RDS+, Ivison et al.
2025, arXiv 2503.01807). Question and answer are encoded as for training, prompt included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from stages.lib.inference.prefix_forward import plan_batches
from stages.lib.models.batch import Example, collate
from stages.lib.models.encoding import Encoder
from stages.lib.models.forward import compute_hidden_states
from stages.lib.selection import inputs
from stages.lib.selection.progress import Track, track_nothing
from stages.lib.selection.row_tokens import encode_row
from stages.lib.selection.rows import Row


@torch.inference_mode()
def embed(rows: Sequence[Row], model: Any, encoder: Encoder, track: Track = track_nothing) -> np.ndarray:
    """(rows, width) float64 of length 1, in the order of the rows. A row's numbers depend on the row alone, up to rounding.

    Raises UserError for a row that is longer than the model's context."""
    model.eval()
    device = next(model.parameters()).device
    ids = [encode_row(encoder, model, row)[0] for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (len(ids[i]), ids[i]))
    vectors = np.empty((len(rows), model.config.hidden_size))
    batches = plan_batches([len(ids[i]) for i in order])
    for first, end in track(batches, len(batches), "embedding rows"):
        members = order[first:end]
        batch = collate([Example(ids[i], [0.0] * len(ids[i])) for i in members]).to(device)
        for i, hidden in zip(members, compute_hidden_states(model, batch), strict=True):
            vectors[i] = pool(hidden[: len(ids[i])].double()).cpu().numpy()
    return inputs.normalise(vectors)


def pool(hidden: torch.Tensor) -> torch.Tensor:
    """(T, width) -> (width,): the mean with weights 1, 2, .. T."""
    weights = torch.arange(1, len(hidden) + 1, dtype=hidden.dtype, device=hidden.device)
    return weights @ hidden / weights.sum()
