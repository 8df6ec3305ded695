"""Bits per character of a corpus under a causal language model (Huang et al. 2024, arXiv 2404.09937, section 3.2).

    bits per character = sum of -ln p(token) / (ln 2 * characters)

Log-probabilities are taken in float64 from the model's logits and summed exactly, so that neither the batches nor the
order of windows nor the number format of the weights adds an error of its own. Only text is scored: no end token.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from stages.lib.compression import documents
from stages.lib.compression.documents import Corpus
from stages.lib.compression.kept_sums import KeptSums
from stages.lib.compression.windows import plan_windows
from stages.lib.core.errors import UserError
from stages.lib.models import forward, heads

MAX_BLOCK = 2048  # tokens of a window by default, where the model's context is longer
MAX_LOGITS = 2**25  # in memory at a time: 256 MB in float64
BATCH_TOKENS = 4096  # tokens of a forward pass by default

Track = Callable[[Iterable[Any], int], Iterable[Any]]  # (items, how many) -> the items, showing how far they are


class Piece(NamedTuple):
    """ids: what the model reads. first: the first of them that is scored, at least 1."""

    ids: Sequence[int]
    first: int


class TokenScores(NamedTuple):
    """Of each scored token: nlls, float64 -ln p; likeliest, whether it is the likeliest (of equals the first counts)."""

    nlls: np.ndarray
    likeliest: np.ndarray


class Bits(NamedTuple):
    """One corpus under one model. nll: natural logarithm, summed. tokens, chars, bytes: of what is scored. begin: whether
    a begin token stands before every document; without one `skipped` characters at the documents' starts do not count."""

    documents: int
    tokens: int
    chars: int
    bytes: int
    nll: float
    begin: bool
    skipped: int
    block: int
    stride: int

    @property
    def bpc(self) -> float:
        return self.nll / (math.log(2) * self.chars)

    @property
    def bpb(self) -> float:
        return self.nll / (math.log(2) * self.bytes)

    def describe(self) -> dict[str, Any]:
        return {**self._asdict(), "bpc": self.bpc, "bpb": self.bpb}


def choose_window(model: Any, block: int | None, stride: int | None) -> tuple[int, int]:
    """(block, stride): by default the model's context, at most MAX_BLOCK, and half of it. Raises UserError for a block
    beyond the context and a stride that is not below the block."""
    context = getattr(model.config, "max_position_embeddings", None) or MAX_BLOCK
    if block is not None and block > context:
        raise UserError(f"block: {block} tokens, but the model's context is {context}; lower it")
    chosen = block or min(context, MAX_BLOCK)
    if stride is not None and stride >= chosen:
        raise UserError(f"stride: {stride} must be below the block of {chosen} tokens")
    return chosen, stride or max(1, chosen // 2)


def plan_batches(pieces: Sequence[Piece], batch_tokens: int) -> list[list[int]]:
    """Indices of the pieces that share a forward pass, the longest pieces first. They depend on lengths alone."""
    order, batches = sorted(range(len(pieces)), key=lambda i: -len(pieces[i].ids)), []
    while order:
        rows = max(1, batch_tokens // len(pieces[order[0]].ids))
        batches.append(order[:rows])
        order = order[rows:]
    return batches


@torch.inference_mode()
def score_batch(model: Any, pieces: Sequence[Piece]) -> list[TokenScores]:
    """The scores of each piece's ids from `first` on, in one forward pass, padded on the right, where causal layers never
    look."""
    device = next(model.parameters()).device
    ids = nn.utils.rnn.pad_sequence([torch.tensor(piece.ids) for piece in pieces], batch_first=True).to(device)
    hidden = forward.get_decoder(model)(input_ids=ids, use_cache=False).last_hidden_state
    return [
        _score_tokens(model, hidden[row, first - 1 : len(own) - 1], ids[row, first : len(own)])
        for row, (own, first) in enumerate(pieces)
    ]


def score_pieces(
    model: Any, pieces: Sequence[Piece], batch_tokens: int = BATCH_TOKENS
) -> Iterator[tuple[int, TokenScores]]:
    """(index of a piece, the scores of its ids from `first` on), the longest pieces first."""
    for batch in plan_batches(pieces, batch_tokens):
        yield from zip(batch, score_batch(model, [pieces[i] for i in batch]), strict=True)


def _score_tokens(model: Any, hidden: torch.Tensor, targets: torch.Tensor) -> TokenScores:
    """hidden: (n, width), from which targets (n,) are predicted."""
    output = model.get_output_embeddings()
    size = max(1, MAX_LOGITS // output.weight.shape[0])
    nlls, likeliest = [], []
    for some, ids in zip(hidden.split(size), targets.split(size), strict=True):
        logits = heads.scale_logits(nn.functional.linear(some, output.weight, output.bias), model.config).double()
        nlls.append((logits.logsumexp(-1) - logits.gather(-1, ids[:, None])[:, 0]).cpu())
        likeliest.append((logits.argmax(-1) == ids).cpu())
    return TokenScores(torch.cat(nlls).numpy(), torch.cat(likeliest).numpy())


def measure(
    model: Any,
    tokenizer: Any,
    corpus: Corpus,
    block: int | None = None,
    stride: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    track: Track = lambda items, total: items,
    kept: KeptSums | None = None,
) -> Bits:
    """The bits of a corpus. block, stride: of `choose_window`. batch_tokens: of a forward pass; changes memory and speed.
    kept: what a killed run with the same arguments measured, and where this one keeps its own.

    Raises UserError where nothing can be scored, and where the model's numbers are not finite.
    """
    block, stride = choose_window(model, block, stride)
    encoded = [documents.encode(tokenizer, text) for text in corpus.texts]
    pieces = [
        Piece(some.ids[window.start : window.end], window.first - window.start)
        for some in encoded
        for window in plan_windows(len(some.ids), some.first, block, stride)
    ]
    sums = list(track(_iter_sums(model, pieces, batch_tokens, kept), len(pieces)))
    tokens = sum(len(piece.ids) - piece.first for piece in pieces)
    text, skipped = "".join(corpus.texts), "".join(some.skipped for some in encoded)
    if not tokens:
        raise UserError(f"{corpus.name}: no token is left to score; give longer documents")
    if not math.isfinite(total := math.fsum(sums)):
        raise UserError(f"{corpus.name}: the model gives a token no finite probability; try --dtype float32")
    return Bits(
        documents=len(corpus.texts),
        tokens=tokens,
        chars=len(text) - len(skipped),
        bytes=len(text.encode()) - len(skipped.encode()),
        nll=total,
        begin=tokenizer.bos_token_id is not None,
        skipped=len(skipped),
        block=block,
        stride=stride,
    )


def _iter_sums(model: Any, pieces: Sequence[Piece], batch_tokens: int, kept: KeptSums | None) -> Iterator[float]:
    """The negative log-probability of each piece, in the order of the batches; what is kept is not computed again."""
    for number, batch in enumerate(plan_batches(pieces, batch_tokens)):
        sums = None if kept is None else kept.get(number)
        if sums is None:
            sums = [math.fsum(scores.nlls) for scores in score_batch(model, [pieces[i] for i in batch])]
            if kept is not None:
                kept.add(number, sums)
        yield from sums
