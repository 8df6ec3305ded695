"""A training example, and a batch of examples as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch


class Example(NamedTuple):
    """One sequence of T tokens and its targets, each list of length T.

    lm_weight: weight of predicting ids[t] from ids[:t]; lm_weight[0] is ignored.
    target, target_weight: what a verifier's head should output at position t, and its weight; None without a head.
    """

    ids: list[int]
    lm_weight: list[float]
    target: list[float] | None = None
    target_weight: list[float] | None = None


class Batch(NamedTuple):
    """Tensors of shape (rows, length). There is no attention mask: padding is on the right, and attention and convolutions
    look only to the left."""

    ids: torch.Tensor
    lm_weight: torch.Tensor
    target: torch.Tensor
    target_weight: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(*(tensor.to(device) for tensor in self))


def collate(examples: Sequence[Example], pad: int = 0) -> Batch:
    """Examples as one batch, padded to the longest."""
    shape = (len(examples), max(len(example.ids) for example in examples))
    batch = Batch(torch.full(shape, pad), *(torch.zeros(shape) for _ in range(3)))
    for row, example in enumerate(examples):
        length = len(example.ids)
        batch.ids[row, :length] = torch.tensor(example.ids)
        batch.lm_weight[row, 1:length] = torch.tensor(example.lm_weight[1:])
        if example.target is not None:
            batch.target[row, :length] = torch.tensor(example.target)
            batch.target_weight[row, :length] = torch.tensor(example.target_weight)
    return batch
