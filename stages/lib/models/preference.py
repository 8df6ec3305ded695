"""Learning from pairs of solutions: DPO and IPO, against a reference that stays or follows the policy (TR-DPO).

Of a pair (chosen, rejected) of one problem,
    h = (log policy(chosen) - log reference(chosen)) - (log policy(rejected) - log reference(rejected))
    DPO: -log sigmoid(beta h)      IPO: (h - 1 / (2 beta))^2
with log-probabilities summed over the solution's tokens for DPO, and averaged over them for IPO, as its authors did
(they confirmed it to TRL, whose losses these equal). beta h is the margin.

Sources: Rafailov et al. 2023 (arXiv 2305.18290), equation 7; Azar et al. 2023 (2310.12036), equation 17; Gorbatovski et
al. 2024 (TR-DPO, 2404.09656), for references that follow the policy (lib/models/reference.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from stages.lib.models import heads, objectives
from stages.lib.models.batch import Batch, Example, collate
from stages.lib.models.forward import compute_hidden_states
from stages.lib.models.reference import Reference

PreferenceLoss = Literal["dpo", "ipo"]


class Pair(NamedTuple):
    """Two solutions of one problem. The weights of their tokens are 1 on the solution, 0 on the prompt."""

    chosen: Example
    rejected: Example


class PreferenceObjective(objectives.Objective):
    """Loss: `preference`, the mean over pairs.

    Measured beside it, as means over pairs: `accuracy`, the share of pairs with a positive margin (half of those with
    none); `margin`; `chosen_logprob` and `rejected_logprob`, the policy's summed log-probabilities in nats. Both can fall
    while the loss does (likelihood displacement, Razin et al. 2024, arXiv 2410.08847).
    """

    coefficients: Mapping[str, float] = {"preference": 1.0}

    def __init__(self, model: Any, reference: Reference, loss: PreferenceLoss, beta: float):
        super().__init__()
        self.model, self.reference, self.beta = model, reference, beta
        self.loss: PreferenceLoss = loss

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """batch: the chosen solutions, then the rejected ones in the same order."""
        before = self.reference.compute(self.model, batch, sum_log_probabilities)
        policy = sum_log_probabilities(self.model, batch)
        h = compare(policy - before, batch, is_mean=self.loss == "ipo")
        chosen, rejected = policy.detach().chunk(2)
        margin = self.beta * h.detach()
        return {
            "preference": compute_losses(h, self.loss, self.beta).sum(),
            "accuracy": (margin.sign().sum() + len(margin)) / 2,
            "margin": margin.sum(),
            "chosen_logprob": chosen.sum(),
            "rejected_logprob": rejected.sum(),
        }

    def sum_weights(self, examples: Sequence[Pair]) -> dict[str, float]:
        names = ("preference", "accuracy", "margin", "chosen_logprob", "rejected_logprob")
        return dict.fromkeys(names, float(len(examples)))

    def collate(self, examples: Sequence[Pair]) -> Batch:
        return collate_pairs(examples)

    def count_tokens(self, example: Pair) -> int:
        return len(example.chosen.ids) + len(example.rejected.ids)

    def list_models(self) -> list[Any]:
        return [self.model, *self.reference.list_models()]

    def finish_step(self, step: int) -> None:
        self.reference.update(self.model, step)

    def list_followers(self) -> dict[str, torch.Tensor]:
        return self.reference.list_tensors(self.model)


def collate_pairs(pairs: Sequence[Pair]) -> Batch:
    """The chosen solutions, then the rejected ones, as 2 n rows."""
    return collate([*(pair.chosen for pair in pairs), *(pair.rejected for pair in pairs)])


def compare(log_ratios: torch.Tensor, batch: Batch, is_mean: bool) -> torch.Tensor:
    """(pairs,) h, from (2 pairs,) log policy - log reference. is_mean: divided by each solution's number of tokens."""
    if is_mean:
        log_ratios = log_ratios / batch.lm_weight.sum(1).clamp(min=1)
    chosen, rejected = log_ratios.chunk(2)
    return chosen - rejected


def compute_losses(h: torch.Tensor, loss: PreferenceLoss, beta: float) -> torch.Tensor:
    """(pairs,) the loss of each pair."""
    if loss == "dpo":
        return -nn.functional.logsigmoid(beta * h)
    return (h - 1 / (2 * beta)).square()


def sum_log_probabilities(model: Any, batch: Batch) -> torch.Tensor:
    """(rows,) the log-probability in nats of each row's tokens with a weight, given those before them."""
    places, shape = batch.lm_places, batch.ids.shape
    before = compute_hidden_states(model, batch).flatten(0, 1).index_select(0, places - 1)
    logprobs = compute_log_probabilities(model, before, batch.ids.flatten()[places])
    rows = torch.zeros(shape.numel(), device=logprobs.device).index_copy(0, places, logprobs)
    return rows.view(shape).sum(1)


def compute_log_probabilities(model: Any, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """(n,) the log-probability of each token: hidden (n, width), of the position before it; ids (n,).

    At most objectives.MAX_LOGITS logits are in memory: with a large vocabulary the positions go in chunks, whose logits
    are computed again in the backward pass.
    """
    output = model.get_output_embeddings()
    size = max(1, objectives.MAX_LOGITS // output.weight.shape[0])
    arguments = output.weight, output.bias, model.config
    if len(ids) <= size:
        return _compute_chunk(hidden, ids, *arguments)
    chunks = zip(hidden.split(size), ids.split(size), strict=True)
    return torch.cat([checkpoint(_compute_chunk, *chunk, *arguments, use_reentrant=False) for chunk in chunks])  # pyright: ignore


def _compute_chunk(
    hidden: torch.Tensor, ids: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None, config: Any
) -> torch.Tensor:
    logits = heads.scale_logits(nn.functional.linear(hidden, matrix, bias), config).float()
    return -nn.functional.cross_entropy(logits, ids, reduction="none")
