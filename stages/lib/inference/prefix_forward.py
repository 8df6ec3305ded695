"""Hidden states of many continuations of one prompt; the prompt is read once.

Equal continuations are read once, and where the model's layers allow it, every token that several share
(tree_forward.py). Where they do not, the prompt runs through the model alone, and its cache (keys, values, recurrent
states) is copied for every row. Batches are split so that padding costs little. Padding is on the right, where causal
layers never look, so a row's numbers depend on its own tokens up to rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import DynamicCache

from stages.lib.inference import tree_forward
from stages.lib.models.forward import get_decoder

# Measured on CPUs; they change speed alone.
MAX_ROWS = 32  # continuations in a forward pass
PASS_OVERHEAD_TOKENS = 96  # fixed time of a forward pass, in tokens that could be read in that time


@torch.inference_mode()
def compute_hidden_states(
    model: Any, prompt: Sequence[int], continuations: Sequence[Sequence[int]]
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """For each forward pass: indices of continuations, and (rows, length, width) their last hidden states after the final
    norm. Equal continuations come in one pass with the same numbers.

    Raises ValueError for an empty prompt or continuation.
    """
    if not prompt or not all(continuations):
        raise ValueError("a prompt and its continuations need at least one token each")
    model.eval()
    decoder, device = get_decoder(model), next(model.parameters()).device
    members: dict[tuple[int, ...], list[int]] = {}
    for i, ids in enumerate(continuations):
        members.setdefault(tuple(ids), []).append(i)
    if tree_forward.is_supported(model):
        texts = sorted(members)
        for first, hidden in tree_forward.compute_hidden_states(model, prompt, texts):
            rows = [(i, row) for row in range(len(hidden)) for i in members[texts[first + row]]]
            yield [i for i, _ in rows], hidden[torch.tensor([row for _, row in rows], device=device)]
        return
    texts = sorted(members, key=lambda ids: (len(ids), ids))  # by content: the order of the samples changes nothing
    prompt_cache = DynamicCache(config=model.config)
    if texts:
        decoder(input_ids=torch.tensor([list(prompt)], device=device), past_key_values=prompt_cache, use_cache=True)
    for first, end in plan_batches([len(text) for text in texts]):
        part = texts[first:end]
        ids = torch.zeros(len(part), len(part[-1]), dtype=torch.long)
        for row, text in enumerate(part):
            ids[row, : len(text)] = torch.tensor(text)
        cache: Any = copy.deepcopy(prompt_cache)
        cache.reorder_cache(torch.zeros(len(part), dtype=torch.long, device=device))
        hidden = decoder(input_ids=ids.to(device), past_key_values=cache, use_cache=True).last_hidden_state
        rows = [(i, row) for row, text in enumerate(part) for i in members[text]]
        yield [i for i, _ in rows], hidden[torch.tensor([row for _, row in rows], device=device)]


def plan_batches(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """(first, end) of each forward pass over rows of ascending lengths: the split of least cost, by dynamic programming.
    A pass costs PASS_OVERHEAD_TOKENS plus, for each of its rows (at most MAX_ROWS), the length of the longest."""
    best: list[tuple[float, int]] = [(0, 0)]  # for the first n rows: (cost, where their last pass begins)
    for end in range(1, len(lengths) + 1):
        starts = range(max(0, end - MAX_ROWS), end)
        best.append(min((best[i][0] + PASS_OVERHEAD_TOKENS + (end - i) * lengths[end - 1], i) for i in starts))
    batches, end = [], len(lengths)
    while end:
        batches.append((best[end][1], end))
        end = best[end][1]
    return batches[::-1]
