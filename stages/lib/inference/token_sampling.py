"""Tokens from logits: each is the inverse of a cumulative distribution at a uniform number that its key and place give."""

from __future__ import annotations

import torch

from stages.lib.inference.sampling import Distribution


def to_int64(key: int) -> int:
    """An unsigned 64-bit key as the int64 with the same bits."""
    return (key & (2**64 - 1)) - 2**64 * (key >> 63 & 1)


def draw_uniform(key: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """float64 in [0, 1) for every (key, step), both int64: output number `step` of SplitMix64 (Steele et al., OOPSLA 2014)
    from state `key`. int64 products wrap around, as the algorithm requires."""
    z = key + (step + 1) * to_int64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> shift & (1 << 64 - shift) - 1)) * to_int64(factor)  # the mask makes the shift logical
    z = z ^ (z >> 31 & (1 << 33) - 1)
    return (z >> 11 & (1 << 53) - 1).double() * 2.0**-53


def sample_tokens(
    logits: torch.Tensor, u: torch.Tensor | None, distribution: Distribution, row: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (D,) and their log-probabilities at temperature 1 (D,), from logits (B, V) and each draw's row (D,).

    Greedy if u is None; else the first token at which the cumulative distribution exceeds u (D,).
    Only operations that treat each row alone are used. Sums of blocks of tokens come first, so that one pass over the
    vocabulary suffices and the cumulative sums in float64 are short.
    """
    logits = logits.float()
    p = logits.softmax(-1)
    if u is None:
        ids = logits.argmax(-1)[row]
    else:
        q = distribution.compute_probabilities(logits, p)
        width = 32  # tokens in a block
        q = torch.nn.functional.pad(q, (0, -q.shape[1] % width)).view(len(q), -1, width)
        blocks = q.sum(-1).double().cumsum(-1)[row]
        target = u[:, None] * blocks[:, -1:]
        block = inverse_cdf(blocks, target)
        below = torch.where(block > 0, blocks.gather(1, (block - 1).clamp(min=0)), 0)
        inner = q[row, block[:, 0]].double().cumsum(-1)
        ids = (block * width + inverse_cdf(inner, target - below))[:, 0]
    return ids, p[row, ids].log()


def inverse_cdf(sums: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(B, 1) the first index of ascending `sums` (B, n) above target (B, 1); where rounding leaves none, the index at
    which the last sum is reached, which is never a token of probability zero."""
    return torch.minimum((sums <= target).sum(-1, keepdim=True), (sums < sums[:, -1:]).sum(-1, keepdim=True))
