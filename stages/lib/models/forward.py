"""The forward pass of a causal language model, up to the hidden states from which everything is read."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import nn

from stages.lib.models.batch import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def get_decoder(model: PreTrainedModel) -> PreTrainedModel:
    """The layers of a causal language model without its output matrix, adapters or none."""
    return (model.get_base_model() if hasattr(model, "peft_config") else model).base_model


def compute_hidden_states(model: nn.Module, batch: Batch) -> torch.Tensor:
    """(rows, length, width): the last hidden states, after the final norm, from which the vocabulary is predicted."""
    return get_decoder(model)(input_ids=batch.ids, use_cache=False).last_hidden_state


def autocast(module: nn.Module, precision: str) -> AbstractContextManager:
    """Inside, `module` computes as it does in training, so that what is measured of it is what was trained."""
    device = next(module.parameters()).device.type
    return torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext()
