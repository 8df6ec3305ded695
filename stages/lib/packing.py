"""Examples into batches: rows of several sequences that cannot see each other, and steps of equal-length neighbours.

Attention is kept apart by a block-diagonal mask. Short convolutions (LFM2) ignore that mask and would carry the end of
a sequence into the next, so `gap` positions, whose input the model's own convolution mask sets to zero, stand between
two sequences: what a convolution sees there is what it sees before the first token of a row. Packed equals unpacked.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from transformers import PretrainedConfig

WINDOW = 32  # batches whose examples are sorted by length together: little padding, and still an order that varies


class Example(NamedTuple):
    """One sequence. lm: weight of predicting ids[t] from what is before it; that of the first token counts nothing.
    value: target of the verifier's head at t, where value_weight is not 0."""

    ids: list[int]
    lm: list[float]
    value: list[float] | None = None
    value_weight: list[float] | None = None


class Batch(NamedTuple):
    """Tensors of shape (rows, length). mask: what the model takes as attention_mask, or None for unpacked rows, which
    need none: padding stands at the right, and attention and convolutions look only to the left."""

    ids: torch.Tensor
    positions: torch.Tensor
    mask: Any
    lm: torch.Tensor
    value: torch.Tensor
    value_weight: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        mask = {k: v.to(device) for k, v in self.mask.items()} if isinstance(self.mask, dict) else self.mask
        mask = mask.to(device) if isinstance(mask, torch.Tensor) else mask
        return Batch(*(x.to(device) for x in self[:2]), mask, *(x.to(device) for x in self[3:]))


def steps(lengths: Sequence[int], size: int, rng: random.Random) -> list[list[int]]:
    """One epoch: every index once, in steps of `size` (the last may be smaller) of similar lengths, shuffled."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    found = []
    for start in range(0, len(order), size * WINDOW):
        window = sorted(order[start : start + size * WINDOW], key=lambda i: lengths[i])
        found += [window[i : i + size] for i in range(0, len(window), size)]
    rng.shuffle(found)
    return found


def gap(config: PretrainedConfig) -> int:
    """Masked positions needed between packed sequences: what a convolution of this model reaches back."""
    return max(0, getattr(config, "conv_L_cache", 1) - 1)


def rows(lengths: Sequence[int], room: int, gap: int) -> list[list[int]]:
    """First fit, longest first: indices of the sequences in each row of at most `room` positions."""
    found: list[list[int]] = []
    used: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        for row, taken in enumerate(used):
            if taken + gap + lengths[i] <= room:
                found[row].append(i)
                used[row] += gap + lengths[i]
                break
        else:
            found.append([i])
            used.append(lengths[i])
    return found


def collate(examples: Sequence[Example], config: PretrainedConfig, pack: bool, pad: int = 0) -> Batch:
    """One micro-batch. With `pack`, short sequences share rows as long as the longest sequence."""
    between = gap(config)
    lengths = [len(example.ids) for example in examples]
    layout = rows(lengths, max(lengths), between) if pack else [[i] for i in range(len(examples))]
    pack = any(len(row) > 1 for row in layout)
    length = max(sum(lengths[i] + between for i in row) - between for row in layout)
    shape = (len(layout), length)
    # Positions run on over padding: where they start anew, transformers would see another sequence and build a mask.
    ids, positions = torch.full(shape, pad), torch.arange(length).repeat(len(layout), 1)
    owner = torch.full(shape, -1)
    lm, value, value_weight = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape)
    for r, row in enumerate(layout):
        start = 0
        for i in row:
            example, here = examples[i], slice(start, start + lengths[i])
            ids[r, here] = torch.tensor(example.ids)
            positions[r, here] = torch.arange(lengths[i])
            owner[r, here] = i
            lm[r, start + 1 : start + lengths[i]] = torch.tensor(example.lm[1:], dtype=torch.float32)
            if example.value is not None:
                value[r, here] = torch.tensor(example.value, dtype=torch.float32)
                value_weight[r, here] = torch.tensor(example.value_weight, dtype=torch.float32)
            start += lengths[i] + between
    return Batch(ids, positions, _mask(owner, config) if pack else None, lm, value, value_weight)


def _mask(owner: torch.Tensor, config: PretrainedConfig) -> Any:
    """owner (rows, length): sequence of each position, -1 for none -> the masks by kind of layer, as the model asks."""
    length = owner.shape[1]
    back = torch.arange(length)[:, None] - torch.arange(length)[None, :]
    same = (owner[:, :, None] == owner[:, None, :]) & (back >= 0)
    same |= torch.eye(length, dtype=torch.bool)  # a position of no sequence attends to itself: no row of only -inf
    full = same[:, None]
    window = getattr(config, "sliding_window", None)
    sliding = full & (back < window) if window else full
    kinds = set(getattr(config, "layer_types", None) or [])
    masks = {"full_attention": full, "sliding_attention": sliding, "conv": (owner >= 0).long()}
    if kinds and config.model_type not in ("llama", "mistral"):
        return {kind: masks[kind] for kind in kinds}
    return sliding
