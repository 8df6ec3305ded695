"""How far a policy has moved from another model: the Kullback-Leibler divergence along sequences that it has drawn."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from stages.lib.models import heads, objectives
from stages.lib.models.batch import Batch
from stages.lib.models.forward import compute_hidden_states


@torch.inference_mode()
def sum_divergences(policy: Any, other: Any, batch: Batch) -> torch.Tensor:
    """(rows,) for each row the sum over its tokens with a weight of KL(policy || other) of the next token's distribution.

    Over sequences drawn from the policy at temperature 1 its mean is the divergence between the two distributions over
    sequences, without bias. It varies less than the difference of log-probabilities and is never negative (Amini et al.
    2025, arXiv 2504.10637). In nats.
    """
    places, shape = batch.lm_places, batch.ids.shape
    hidden = [
        compute_hidden_states(model, batch).flatten(0, 1).index_select(0, places - 1) for model in (policy, other)
    ]
    size = max(1, objectives.MAX_LOGITS // 2 // policy.get_output_embeddings().weight.shape[0])
    sums = [
        _compute_divergences(*(_compute_logprobs(m, part) for m, part in zip((policy, other), parts, strict=True)))
        for parts in zip(*(states.split(size) for states in hidden), strict=True)
    ]
    rows = torch.zeros(shape.numel(), device=places.device).index_copy(0, places, torch.cat(sums))
    return rows.view(shape).sum(1)


def _compute_logprobs(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    output = model.get_output_embeddings()
    logits = heads.scale_logits(nn.functional.linear(hidden, output.weight, output.bias), model.config)
    return logits.float().log_softmax(-1)


def _compute_divergences(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return (p.exp() * (p - q)).sum(-1)
