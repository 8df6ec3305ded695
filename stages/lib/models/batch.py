"""One sequence to learn from, and a micro-batch of them."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Example(NamedTuple):
    """One sequence. lm: weight of predicting ids[t] from what is before it; that of the first token counts nothing.
    value: target of the verifier's head at t, where value_weight is not 0."""

    ids: list[int]
    lm_weight: list[float]
    target: list[float] | None = None
    target_weight: list[float] | None = None


class Batch(NamedTuple):
    """Tensors of shape (rows, length). There is no mask: padding stands at the right, and attention and convolutions look
    only to the left."""

    ids: torch.Tensor
    lm_weight: torch.Tensor
    target: torch.Tensor
    target_weight: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(*(tensor.to(device) for tensor in self))
