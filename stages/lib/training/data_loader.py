"""Examples into batches: steps of equal-length neighbours, rows of one sequence each.

Sorting by length leaves 1 % of padding at GSM8K's lengths in micro-batches of 8, 3 % in those of 16, so rows do not hold
several sequences: that needs a dense mask, with which attention gave up its causal path and took 1.1 to 1.5 times as long.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from stages.lib.models.batch import Batch, Example

SORT_WINDOW = 32  # batches whose examples are sorted by length together: little padding, and still an order that varies


def make_epoch_batches(lengths: Sequence[int], size: int, rng: random.Random) -> list[list[int]]:
    """One epoch: every index once, in steps of `size` (the last may be smaller) of similar lengths, shuffled."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    found = []
    for start in range(0, len(order), size * SORT_WINDOW):
        window = sorted(order[start : start + size * SORT_WINDOW], key=lambda i: lengths[i])
        found += [window[i : i + size] for i in range(0, len(window), size)]
    rng.shuffle(found)
    return found


def collate(examples: Sequence[Example], pad: int = 0) -> Batch:
    """One micro-batch, as long as its longest sequence."""
    shape = (len(examples), max(len(example.ids) for example in examples))
    ids, lm, value, value_weight = torch.full(shape, pad), *(torch.zeros(shape) for _ in range(3))
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids[row, :length] = torch.tensor(example.ids)
        lm[row, 1:length] = torch.tensor(example.lm_weight[1:])
        if example.target is not None:
            value[row, :length] = torch.tensor(example.target)
            value_weight[row, :length] = torch.tensor(example.target_weight)
    return Batch(ids, lm, value, value_weight)
