"""Training objectives: a model together with the losses that the training loop minimises (lib/training/loop.py).

To add one (preference pairs, for instance), subclass `Objective`; the loop needs no change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from stages.lib.models import heads
from stages.lib.models.batch import Batch, Example, collate
from stages.lib.models.forward import compute_hidden_states

MAX_LOGITS = 2**28  # logits in memory at a time: 1 GB in float32, and about as much again for their gradients


class Objective(nn.Module):
    """A model and its losses as one module, so that DDP and FSDP wrap the whole forward pass.

    For every loss the loop minimises coefficients[name] * sum / weight: the sum is `forward`'s over all batches of a step,
    the weight is `sum_weights`' over the step's examples. The history has a column `<name>_loss` with sum / weight.
    Examples may be of any type that the four methods understand.
    """

    model: Any
    coefficients: Mapping[str, float]

    def forward(self, batch: Any) -> dict[str, torch.Tensor]:
        """The name of each loss and its weighted sum over the targets of a batch (a scalar)."""
        raise NotImplementedError

    def sum_weights(self, examples: Sequence[Any]) -> dict[str, float]:
        """The name of each loss and the sum of its targets' weights; 0 where the examples have no such target."""
        raise NotImplementedError

    def collate(self, examples: Sequence[Any]) -> Any:
        """The batch that `forward` takes; it has a method `to(device)`."""
        raise NotImplementedError

    def count_tokens(self, example: Any) -> int:
        """Tokens that the model reads for an example; examples of similar length share a batch."""
        raise NotImplementedError


class LanguageModelingObjective(Objective):
    """Next-token prediction, weighted by token. Loss: `lm`."""

    coefficients: Mapping[str, float] = {"lm": 1.0}

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        return {"lm": self._sum_lm_loss(batch, compute_hidden_states(self.model, batch))}

    def _sum_lm_loss(self, batch: Batch, hidden: torch.Tensor) -> torch.Tensor:
        is_target = batch.lm_weight[:, 1:] > 0
        loss = compute_lm_loss(self.model, hidden[:, :-1][is_target], batch.ids[:, 1:][is_target])
        return (loss * batch.lm_weight[:, 1:][is_target]).sum()

    def sum_weights(self, examples: Sequence[Example]) -> dict[str, float]:
        return {"lm": sum(sum(example.lm_weight[1:]) for example in examples)}

    def collate(self, examples: Sequence[Example]) -> Batch:
        return collate(examples)

    def count_tokens(self, example: Example) -> int:
        return len(example.ids)


class VerificationObjective(LanguageModelingObjective):
    """A head's loss at labelled positions beside next-token prediction (ORM, PRM). Losses: `lm`, `verification`.

    loss: "bce", where the head is a logit, or "mse", where it is the score. lm_weight: coefficient of `lm`.
    """

    def __init__(self, model: Any, head: nn.Module, loss: str = "bce", lm_weight: float = 1.0):
        super().__init__(model)
        self.head, self.loss, self.coefficients = head, loss, {"lm": lm_weight, "verification": 1.0}

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        hidden = compute_hidden_states(self.model, batch)
        lm_loss = self._sum_lm_loss(batch, hidden)
        is_target = batch.target_weight > 0
        output, target = heads.compute_logits(self.head, hidden[is_target]), batch.target[is_target]
        if self.loss == "bce":
            loss = nn.functional.binary_cross_entropy_with_logits(output, target, reduction="none")
        else:
            loss = (output - target).square()
        return {"lm": lm_loss, "verification": (loss * batch.target_weight[is_target]).sum()}

    def sum_weights(self, examples: Sequence[Example]) -> dict[str, float]:
        return super().sum_weights(examples) | {"verification": sum(sum(e.target_weight or ()) for e in examples)}


def compute_lm_loss(model: Any, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The negative log-probability of each token: hidden (n, width), ids (n,) -> (n,) in float32.

    At most MAX_LOGITS logits are in memory: with a large vocabulary the positions go in chunks, whose logits are computed
    again in the backward pass.
    """
    output = model.get_output_embeddings()

    def loss(hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        logits = heads.scale_logits(output(hidden), model.config).float()
        return nn.functional.cross_entropy(logits, ids, reduction="none")

    size = max(1, MAX_LOGITS // output.weight.shape[0])
    if len(ids) <= size:
        return loss(hidden, ids)
    chunks = zip(hidden.split(size), ids.split(size), strict=True)
    return torch.cat([checkpoint(loss, *chunk, use_reentrant=False) for chunk in chunks])
