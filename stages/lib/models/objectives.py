"""Training objectives: a model together with the losses that the training loop minimises (lib/training/loop.py).

To add one, subclass `Objective`; the loop needs no change. preference.py has one that is not for single sequences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from stages.lib.models import beta_binomial, heads
from stages.lib.models.batch import Batch, Example, collate
from stages.lib.models.forward import compute_hidden_states

MAX_LOGITS = 2**28  # logits in memory at a time: 1 GB in float32, and about as much again for their gradients


class Objective(nn.Module):
    """A model and its losses as one module, so that DDP and FSDP wrap the whole forward pass.

    For every loss the loop minimises coefficients[name] * sum / weight: the sum is `forward`'s over all batches of a step,
    the weight is `sum_weights`' over the step's examples. The history has a column `<name>_loss` with sum / weight.
    What `forward` and `sum_weights` name without a coefficient is only measured, and its column is `<name>`.
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

    def list_models(self) -> list[Any]:
        """The language models whose layers are sharded, the trained one first."""
        return [self.model]

    def finish_step(self, step: int) -> None:
        """Called in every process after optimizer step number `step` (from 1), for what follows the weights."""

    def list_followers(self) -> dict[str, torch.Tensor]:
        """Tensors that `finish_step` changes, by name: no optimizer knows them, every checkpoint holds them, and they stay
        in float32."""
        return {}


class LanguageModelingObjective(Objective):
    """Next-token prediction, weighted by token. Loss: `lm`."""

    coefficients: Mapping[str, float] = {"lm": 1.0}

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        return {"lm": self._sum_lm_loss(batch, compute_hidden_states(self.model, batch))}

    def _sum_lm_loss(self, batch: Batch, hidden: torch.Tensor) -> torch.Tensor:
        places = batch.lm_places
        before = hidden.flatten(0, 1).index_select(0, places - 1)  # a row's first token has no weight
        return sum_lm_loss(self.model, before, batch.ids.flatten()[places], batch.lm_weight.flatten()[places])

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
        places = batch.target_places
        read = hidden.flatten(0, 1).index_select(0, places)
        output = heads.compute_logits(self.head, read)
        target, weight = batch.target.flatten()[places], batch.target_weight.flatten()[places]
        loss = self._compute_target_loss(batch, read, output, target)
        return {"lm": lm_loss, "verification": (loss * weight).sum()}

    def _compute_target_loss(
        self, batch: Batch, read: torch.Tensor, output: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        """read: hidden states at the targets. output: the head's. All of length `target_places`."""
        if self.loss == "bce":
            return nn.functional.binary_cross_entropy_with_logits(output, target, reduction="none")
        return (output - target).square()

    def sum_weights(self, examples: Sequence[Example]) -> dict[str, float]:
        return super().sum_weights(examples) | {"verification": sum(sum(e.target_weight or ()) for e in examples)}


class BetaBinomialObjective(VerificationObjective):
    """The likelihood of successes among tries in place of cross-entropy (lib/models/beta_binomial.py): the head gives the
    mean, as with bce, and concentration_head the logarithm of the concentration. max_tries: the most of any target."""

    def __init__(
        self, model: Any, head: nn.Module, concentration_head: nn.Module, max_tries: int, lm_weight: float = 1.0
    ):
        super().__init__(model, head, "bce", lm_weight)
        self.concentration_head, self.max_tries = concentration_head, max_tries

    def _compute_target_loss(
        self, batch: Batch, read: torch.Tensor, output: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        log_concentration = heads.compute_logits(self.concentration_head, read)
        tries = torch.ones_like(target)
        if batch.target_tries is not None:
            tries = batch.target_tries.flatten()[batch.target_places]
        return beta_binomial.compute_loss(output, log_concentration, target, tries, self.max_tries)


def sum_lm_loss(model: Any, hidden: torch.Tensor, ids: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The weighted sum of the negative log-probabilities of tokens: hidden (n, width), ids and weight (n,) -> scalar.

    At most MAX_LOGITS logits are in memory: with a large vocabulary the positions go in chunks, each of which yields its
    gradients at once (`ChunkedLoss`).
    """
    output = model.get_output_embeddings()
    size = max(1, MAX_LOGITS // output.weight.shape[0])
    if len(ids) <= size:
        return _sum_chunk(hidden, output.weight, output.bias, ids, weight, model.config)
    return ChunkedLoss.apply(hidden, output.weight, output.bias, ids, weight, model.config, size)


def _sum_chunk(
    hidden: torch.Tensor,
    matrix: torch.Tensor,
    bias: torch.Tensor | None,
    ids: torch.Tensor,
    weight: torch.Tensor,
    config: Any,
) -> torch.Tensor:
    logits = heads.scale_logits(nn.functional.linear(hidden, matrix, bias), config).float()
    return (nn.functional.cross_entropy(logits, ids, reduction="none") * weight).sum()


class ChunkedLoss(torch.autograd.Function):
    """A sum of losses over chunks of positions. Since the sum only gets scaled afterwards, the gradients are known in the
    forward pass, while a chunk's logits exist: none are kept, and none computed twice (Hsu et al. 2024, Liger Kernel,
    arXiv 2410.10989, section 3.2)."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        matrix: torch.Tensor,
        bias: torch.Tensor | None,
        ids: torch.Tensor,
        weight: torch.Tensor,
        config: Any,
        size: int,
    ) -> torch.Tensor:
        total = torch.zeros((), device=hidden.device)
        shared: list[Any] = [
            x.detach().requires_grad_() if x is not None and x.requires_grad else x for x in (matrix, bias)
        ]
        learnt = [x for x in shared if x is not None and x.requires_grad]
        sums = [torch.zeros_like(x, dtype=torch.float32) for x in learnt]
        of_hidden = torch.empty_like(hidden)
        for first in range(0, len(ids), size):
            rows = slice(first, first + size)
            part = hidden[rows].detach().requires_grad_()
            with torch.enable_grad():
                loss = _sum_chunk(part, shared[0], shared[1], ids[rows], weight[rows], config)
            of_hidden[rows], *gradients = torch.autograd.grad(loss, [part, *learnt])
            for sum_, gradient in zip(sums, gradients, strict=True):
                sum_ += gradient
            total += loss.detach()
        found = iter(sums)
        by_input = [next(found) if x is not None and x.requires_grad else None for x in shared]
        ctx.gradients = of_hidden, *by_input
        return total

    @staticmethod
    def backward(ctx: Any, *scale: torch.Tensor) -> Any:
        gradients = [None if gradient is None else gradient.mul_(scale[0]) for gradient in ctx.gradients]
        return (*gradients, None, None, None, None)
