"""The order of the examples in an epoch: batches of similar lengths, shuffled.

Sorting by length leaves 1 % of padding at GSM8K's lengths in micro-batches of 8, 3 % in those of 16. So a row holds one
sequence: packing several needs a dense mask, without attention's causal kernel, and took 1.1 to 1.5 times as long.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

SORT_WINDOW = 32  # batches whose examples are sorted by length together: little padding, and the order still varies


def make_epoch_batches(lengths: Sequence[int], size: int, rng: random.Random) -> list[list[int]]:
    """One epoch: every index once, in batches of `size` (the last of a window may be smaller)."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), size * SORT_WINDOW):
        window = sorted(order[start : start + size * SORT_WINDOW], key=lambda i: lengths[i])
        batches += [window[i : i + size] for i in range(0, len(window), size)]
    rng.shuffle(batches)
    return batches
