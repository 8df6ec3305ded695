"""Heads of discriminative verifiers: a scalar head with trained weights, or the logits of two tokens.

A scalar head may be initialised with the difference of two words' output embeddings (Cobbe et al. 2021, arXiv 2110.14168,
also read the score off an output embedding): a model that has seen work being marked then starts as a verifier. The
token-logit head *is* that difference and adds no weights: the good and bad tokens of Math-Shepherd (arXiv 2312.08935).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from stages.lib.core.errors import UserError
from stages.lib.models.encoding import Encoder


def make_zero_head(width: int, loss: str) -> nn.Linear:
    """A scalar head that outputs probability 1/2 everywhere. loss: "bce", where it is a logit, or "mse"."""
    head = nn.Linear(width, 1)
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, 0.0 if loss == "bce" else 0.5)
    return head


def make_concentration_head(width: int) -> nn.Linear:
    """The logarithm of a concentration, 2 everywhere: a beta distribution of mean 1/2 is then uniform."""
    head = nn.Linear(width, 1)
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, math.log(2))
    return head


def compute_logits(head: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    """(.., width) -> (..): the head's output, always in float32: in bfloat16, logits near 4 come in steps of 1/32, and
    scores would tie."""
    with torch.autocast(hidden.device.type, enabled=False):
        return head(hidden.float())[..., 0]


def scale_logits(raw: torch.Tensor, config: Any) -> torch.Tensor:
    """The logits of a language model from hidden states times output matrix. Some models scale them (Granite, Cohere) or
    bound them (Gemma 2), which only their config says."""
    if factor := get_logit_scale(config):
        raw = raw * factor
    if bound := getattr(config, "final_logit_softcapping", None):
        raw = bound * torch.tanh(raw / bound)
    return raw


def get_logit_scale(config: Any) -> float | None:
    """The factor on the logits of Granite, Cohere and Falcon-H1; None for most models."""
    if divisor := getattr(config, "logits_scaling", None):
        return 1 / divisor
    return getattr(config, "logit_scale", None) or getattr(config, "lm_head_multiplier", None)


def get_first_tokens(encoder: Encoder, right: str, wrong: str) -> tuple[int, int]:
    """The first token of each word. Raises UserError when they are the same."""
    ids = [word_ids[:1] for word_ids in encoder.encode_texts([right, wrong])]
    if not all(ids) or ids[0] == ids[1]:
        raise UserError(f"the words {right!r} and {wrong!r} begin with the same token; choose words that do not")
    return ids[0][0], ids[1][0]


def init_from_tokens(head: nn.Linear, model: Any, encoder: Encoder, right: str, wrong: str) -> None:
    """Initialise the head so that it outputs the model's own logit of `right` minus that of `wrong`."""
    vectors = model.get_output_embeddings().weight.detach()
    good, bad = get_first_tokens(encoder, right, wrong)
    with torch.no_grad():
        head.weight.copy_((vectors[good] - vectors[bad])[None] * (get_logit_scale(model.config) or 1.0))


class TokenLogitHead(nn.Module):
    """(.., width) -> (.., 1): the logit of token `good` minus that of `bad`, by the model's output matrix and config. Its
    sigmoid is the softmax over the two tokens, so binary cross-entropy on it is cross-entropy between them, for soft
    labels too."""

    def __init__(self, output: nn.Linear, good: int, bad: int, config: Any = None):
        super().__init__()
        self.output, self.tokens, self.config = output, [good, bad], config

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        weight = self.output.weight[self.tokens].to(hidden.dtype)
        bias = None if self.output.bias is None else self.output.bias[self.tokens].to(hidden.dtype)
        logits = scale_logits(nn.functional.linear(hidden, weight, bias), self.config)
        return logits[..., :1] - logits[..., 1:]
