"""How unsure a language model is: of an answer, by its perplexity, and of the options of a multiple choice.

Perplexity counts the tokens of the answer alone (published versions also counted those of the question, which say nothing
about the answer). The probability of an option is the product over all of its tokens: by the first alone, options that
begin alike would be one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from stages.lib.core.errors import UserError
from stages.lib.inference.multiple_choice import compute_logprobs
from stages.lib.inference.prefix_forward import plan_batches
from stages.lib.models import loading
from stages.lib.models.batch import Example, collate
from stages.lib.models.encoding import Encoder
from stages.lib.models.forward import compute_hidden_states
from stages.lib.models.heads import scale_logits
from stages.lib.selection.progress import Track, track_nothing
from stages.lib.selection.row_tokens import encode_row
from stages.lib.selection.rows import Measure, Row

CHUNK = 64  # tokens whose logits are in memory at once


class OptionUncertainty(NamedTuple):
    """mass: the probability that the model writes any of the options; low is unsure. entropy: of the options' probabilities
    given that it writes one, in nats, from 0 to the log of their number; high is unsure. margin: the probability of the
    likeliest option less that of the second, given that it writes one, from 0 to 1; low is unsure."""

    mass: float
    entropy: float
    margin: float


def load_meter(folder: Path, measure: Measure, device: str = "auto") -> Callable[..., np.ndarray]:
    """`compute_uncertainties` of (rows, track) by the language model in this folder.

    Raises UserError for a folder or device that cannot be used."""
    model = loading.load_causal_lm(folder).to(loading.resolve_device(device))
    encoder = Encoder.load(folder)

    def compute(rows: Sequence[Row], track: Track = track_nothing) -> np.ndarray:
        return compute_uncertainties(measure, rows, model, encoder, track)

    return compute


def compute_uncertainties(
    measure: Measure, rows: Sequence[Row], model: Any, encoder: Encoder, track: Track = track_nothing
) -> np.ndarray:
    """(rows,) higher is less sure: the perplexity of the answer, or of the options 1 - mass, entropy or 1 - margin.

    Raises UserError where the options are asked for and a row has none."""
    if measure == "perplexity":
        return compute_perplexities(rows, model, encoder, track)
    if bare := [row.id for row in rows if not row.options]:
        raise UserError(
            f"measure {measure}: needs the options of a multiple choice, which {len(bare)} of {len(rows)} rows do not "
            f"have, first row {bare[0]}; use perplexity"
        )
    model.eval()
    found = [
        measure_options(model, encoder, row.question, row.options) for row in track(rows, len(rows), "reading options")
    ]
    values = np.array([getattr(options, measure) for options in found])
    return values if measure == "entropy" else 1 - values


@torch.inference_mode()
def compute_perplexities(rows: Sequence[Row], model: Any, encoder: Encoder, track: Track = track_nothing) -> np.ndarray:
    """(rows,) exp of the mean negative log-probability of the answer's tokens and its end, given the question. A row's
    number depends on the row alone, up to rounding. Raises UserError for a row longer than the model's context."""
    model.eval()
    device = next(model.parameters()).device
    encoded = [encode_row(encoder, model, row) for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (len(encoded[i][0]), encoded[i][0]))
    perplexities = np.empty(len(rows))
    batches = plan_batches([len(encoded[i][0]) for i in order])
    for first, end in track(batches, len(batches), "reading answers"):
        members = order[first:end]
        batch = collate([Example(encoded[i][0], [0.0] * len(encoded[i][0])) for i in members]).to(device)
        for i, hidden in zip(members, compute_hidden_states(model, batch), strict=True):
            ids, start = encoded[i]
            total = sum_logprobs(model, hidden[start - 1 : len(ids) - 1], ids[start:])
            perplexities[i] = math.exp(min(-total / (len(ids) - start), 700.0))  # 700: exp is finite
    return perplexities


def sum_logprobs(model: Any, hidden: torch.Tensor, ids: Sequence[int]) -> float:
    """The log-probability of tokens. hidden: (tokens, width) the last hidden state before each of them."""
    total = 0.0
    for start in range(0, len(ids), CHUNK):
        logits = scale_logits(model.get_output_embeddings()(hidden[start : start + CHUNK]), model.config)
        targets = torch.tensor(ids[start : start + CHUNK], device=logits.device)
        total += float(logits.double().log_softmax(-1).gather(1, targets[:, None]).sum())
    return total


def measure_options(model: Any, encoder: Encoder, question: str, options: Sequence[str]) -> OptionUncertainty:
    """How unsure the model is of the options as what follows the question, each as a step of its own, to its end: so no
    option is the beginning of another, and probabilities add. Equal options count once.

    Raises UserError for fewer than two different options."""
    distinct = list(dict.fromkeys(options))
    if len(distinct) < 2:
        raise UserError(f"options {distinct}: two different ones are needed to tell how unsure a model is")
    texts = encoder.encode_texts([option + encoder.prompt.step_separator for option in distinct])
    logprobs = np.array([sum(tokens) for tokens in compute_logprobs(model, encoder.prompt_ids(question), texts)])
    mass = float(np.exp(logprobs).sum())
    shares = np.exp(logprobs - logprobs.max())
    shares /= shares.sum()
    positive = shares[shares > 0]
    second, best = np.sort(shares)[-2:]
    return OptionUncertainty(mass, float(-(positive * np.log(positive)).sum()), float(best - second))
