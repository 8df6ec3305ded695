"""What a discriminative verifier reads its score with: a scalar head of its own, or two words of the vocabulary.

A scalar head may start as the words' difference (Cobbe et al. 2021, arXiv 2110.14168, also read the score off an output
embedding): a model that has seen work being marked then starts as a judge. The word head *is* that difference, and adds
no weights: the good and bad tokens of Math-Shepherd (arXiv 2312.08935).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.models.encoding import Encoder


def make_zero_head(width: int, loss: str) -> nn.Linear:
    """A head that says nothing yet: probability one half everywhere."""
    head = nn.Linear(width, 1)
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, 0.0 if loss == "bce" else 0.5)
    return head


def compute_logits(head: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    """(.., width) -> (..): what the head says, in float32 whatever the model computes in. In bfloat16 logits near 4 would
    come in steps of 1/32, and scores would tie."""
    with torch.autocast(hidden.device.type, enabled=False):
        return head(hidden.float())[..., 0]


def scale_logits(raw: torch.Tensor, config: Any) -> torch.Tensor:
    """The logits of a language model from hidden states times output matrix: scaled and bounded as its config asks, which
    the output matrix does not know. Most models ask for neither."""
    if factor := get_logit_scale(config):
        raw = raw * factor
    if bound := getattr(config, "final_logit_softcapping", None):  # Gemma 2
        raw = bound * torch.tanh(raw / bound)
    return raw


def get_logit_scale(config: Any) -> float | None:
    """What the products are multiplied with: of Granite, Cohere and Falcon-H1."""
    if divisor := getattr(config, "logits_scaling", None):
        return 1 / divisor
    return getattr(config, "logit_scale", None) or getattr(config, "lm_head_multiplier", None)


def get_first_tokens(encoder: Encoder, right: str, wrong: str) -> tuple[int, int]:
    """The first token of each word. Raises UserError when it is the same, for then they cannot be told apart."""
    ids = [own[:1] for own in encoder.encode_texts([right, wrong])]
    if not all(ids) or ids[0] == ids[1]:
        raise UserError(f"the words {right!r} and {wrong!r} begin with the same token; choose words that do not")
    return ids[0][0], ids[1][0]


def init_from_tokens(head: nn.Linear, model: Any, encoder: Encoder, right: str, wrong: str) -> None:
    """Let the head begin as what the language model itself says: the logit of `right` minus that of `wrong`."""
    vectors = model.get_output_embeddings().weight.detach()
    good, bad = get_first_tokens(encoder, right, wrong)
    with torch.no_grad():
        head.weight.copy_((vectors[good] - vectors[bad])[None] * (get_logit_scale(model.config) or 1.0))


class TokenLogitHead(nn.Module):
    """(.., width) -> (.., 1): the logit of token `good` minus that of `bad`, by the model's own output matrix and config.
    Its sigmoid is the two tokens' softmax, so binary cross-entropy on it is cross-entropy between them, for soft labels
    too."""

    def __init__(self, output: nn.Linear, good: int, bad: int, config: Any = None):
        super().__init__()
        self.output, self.tokens, self.config = output, (good, bad), config

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        rows = list(self.tokens)
        weight, bias = (None if x is None else x[rows].to(hidden.dtype) for x in (self.output.weight, self.output.bias))
        logits = scale_logits(nn.functional.linear(hidden, weight, bias), self.config)
        return logits[..., :1] - logits[..., 1:]
