"""Hidden states of many continuations of one prompt, the prompt read once.

The samples of a problem share its prompt, in the tiny world more than half of what a verifier reads. The prompt runs
through the model alone; its cache (keys, values, sliding windows, states of short convolutions) is copied for every
row, and the continuations go on from it, each text once, in passes that pad as little as pays. Continuations are padded
at the right, where causal layers never look, so a row's numbers depend on its own tokens up to rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch

from stages.lib.models.forward import get_decoder

# Measured on CPUs; they change speed alone.
MAX_ROWS = 32  # continuations in a forward pass
PASS_OVERHEAD_TOKENS = 96  # tokens that could be read in the time that a pass takes in addition to its tokens


@torch.inference_mode()
def compute_hidden_states(
    model: torch.nn.Module, prompt: Sequence[int], continuations: Sequence[Sequence[int]]
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Pass by pass: indices of continuations, and (rows, length, width) last hidden states after the final norm, one row
    for each of them. Equal continuations come in one pass and share their row's numbers.

    Raises ValueError for an empty prompt or continuation: both need a token to be read at.
    """
    if not prompt or not all(continuations):
        raise ValueError("a prompt and its continuations need at least one token each")
    from transformers import DynamicCache

    model.eval()
    device = next(model.parameters()).device
    members: dict[tuple[int, ...], list[int]] = {}
    for i, ids in enumerate(continuations):
        members.setdefault(tuple(ids), []).append(i)
    texts = sorted(members, key=lambda ids: (len(ids), ids))  # by content: the order of the samples changes nothing
    cache = DynamicCache(config=model.config)
    if texts:
        get_decoder(model)(input_ids=torch.tensor([list(prompt)], device=device), past_key_values=cache, use_cache=True)
    for part in (texts[first:end] for first, end in plan_batches([len(text) for text in texts])):
        ids = torch.zeros(len(part), len(part[-1]), dtype=torch.long)
        for row, text in enumerate(part):
            ids[row, : len(text)] = torch.tensor(text)
        own = copy.deepcopy(cache)
        own.reorder_cache(torch.zeros(len(part), dtype=torch.long, device=device))
        hidden = get_decoder(model)(input_ids=ids.to(device), past_key_values=own, use_cache=True).last_hidden_state
        rows = [(i, row) for row, text in enumerate(part) for i in members[text]]
        yield [i for i, _ in rows], hidden[torch.tensor([row for _, row in rows], device=device)]


def plan_batches(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """(first, end) of every pass over rows of ascending lengths: the split of least cost, where a pass costs PASS and each
    of its rows, at most ROWS, as many tokens as the longest."""
    best: list[tuple[float, int]] = [(0, 0)]  # (cost of the first rows, where their last pass begins)
    for end in range(1, len(lengths) + 1):
        splits = range(max(0, end - MAX_ROWS), end)
        best.append(
            min((best[first][0] + PASS_OVERHEAD_TOKENS + (end - first) * lengths[end - 1], first) for first in splits)
        )
    found, end = [], len(lengths)
    while end:
        found.append((best[end][1], end))
        end = best[end][1]
    return found[::-1]
