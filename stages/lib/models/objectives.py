"""What a model is trained for."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from stages.lib.models import heads
from stages.lib.models.batch import Batch
from stages.lib.models.forward import compute_hidden_states

MAX_LOGITS = (
    2**28
)  # of a language loss in memory at a time: 1 GB in float32, and about as much again for their gradient


class LossModule(nn.Module):
    """A model and what it is trained for, as one module: the forward pass under DDP must go through the wrapper.

    Returns sums over targets; `train` divides. A head, if there is one, predicts a value at positions (ORM, PRM).
    """

    def __init__(self, model: nn.Module, head: nn.Module | None = None, loss: str = "bce"):
        super().__init__()
        self.model, self.head, self.loss = model, head, loss

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """(sum of weighted LM loss, sum of weighted verification loss)."""
        hidden = compute_hidden_states(self.model, batch)
        targets = batch.lm_weight[:, 1:] > 0
        language = compute_lm_loss(self.model, hidden[:, :-1][targets], batch.ids[:, 1:][targets])
        language = (language * batch.lm_weight[:, 1:][targets]).sum()
        if self.head is None:
            return language, language.new_zeros(())
        places = batch.target_weight > 0
        predicted, wanted = heads.compute_logits(self.head, hidden[places]), batch.target[places]
        if self.loss == "bce":
            verification = nn.functional.binary_cross_entropy_with_logits(predicted, wanted, reduction="none")
        else:
            verification = (predicted - wanted).square()
        return language, (verification * batch.target_weight[places]).sum()


def compute_lm_loss(model: nn.Module, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """(places,) the negative log-probability of each of `ids` in float32. Where the vocabulary is large, some places at a
    time, whose logits are computed again when gradients are: at most LOGITS of them stand in memory."""
    output = model.get_output_embeddings()

    def loss(hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(
            heads.scale_logits(output(hidden), model.config).float(), ids, reduction="none"
        )

    size = max(1, MAX_LOGITS // output.weight.shape[0])
    if len(ids) <= size:
        return loss(hidden, ids)
    pairs = zip(hidden.split(size), ids.split(size), strict=True)
    return torch.cat([checkpoint(loss, *pair, use_reentrant=False) for pair in pairs])
