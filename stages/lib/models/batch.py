"""A training example, and a batch of examples as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch


class Example(NamedTuple):
    """One sequence of T tokens and its targets, each list of length T.

    lm_weight: weight of predicting ids[t] from ids[:t]; lm_weight[0] is ignored.
    target, target_weight: what a verifier's head should output at position t, and its weight; None without a head.
    target_tries: how many tries the target is the share of successes of; None for one each.
    """

    ids: list[int]
    lm_weight: list[float]
    target: list[float] | None = None
    target_weight: list[float] | None = None
    target_tries: list[float] | None = None


class Batch(NamedTuple):
    """ids, lm_weight, target, target_weight, target_tries: (rows, length). There is no attention mask: padding is on the
    right, and attention and convolutions look only to the left, so a GPU's causal kernel applies.

    lm_places, target_places: where the weights are positive, as indices into the flattened tensors, ascending. They are
    found on the CPU, because a GPU that is asked which entries of a tensor are positive must first finish its work.
    """

    ids: torch.Tensor
    lm_weight: torch.Tensor
    target: torch.Tensor
    target_weight: torch.Tensor
    lm_places: torch.Tensor
    target_places: torch.Tensor
    target_tries: torch.Tensor | None = None  # where no example counts tries

    def to(self, device: torch.device) -> Batch:
        tensors = {name: send(tensor, device) for name, tensor in self._asdict().items() if tensor is not None}
        return self._replace(**tensors)


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the CPU on a device, without waiting for what a GPU computes."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def collate(examples: Sequence[Example], pad: int = 0) -> Batch:
    """Examples as one batch, padded to the longest."""
    shape = (len(examples), max(len(example.ids) for example in examples))
    ids, (lm_weight, target, target_weight) = torch.full(shape, pad), (torch.zeros(shape) for _ in range(3))
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids[row, :length] = torch.tensor(example.ids)
        lm_weight[row, 1:length] = torch.tensor(example.lm_weight[1:])
        if example.target is not None:
            target[row, :length] = torch.tensor(example.target)
            target_weight[row, :length] = torch.tensor(example.target_weight)
    tries = None
    if any(example.target_tries for example in examples):
        tries = torch.ones(shape)
        for row, example in enumerate(examples):
            if example.target_tries:
                tries[row, : len(example.ids)] = torch.tensor(example.target_tries)
    lm_places, target_places = (weight.flatten().nonzero()[:, 0] for weight in (lm_weight, target_weight))
    return Batch(ids, lm_weight, target, target_weight, lm_places, target_places, tries)
