"""The forward pass of a causal language model up to its last hidden states."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from stages.lib.models.batch import Batch


def get_decoder(model: Any) -> Any:
    """The layers of a causal language model without its output matrix, with or without LoRA adapters."""
    return (model.get_base_model() if hasattr(model, "peft_config") else model).base_model


def compute_hidden_states(model: Any, batch: Batch) -> torch.Tensor:
    """(rows, length, width) hidden states after the final norm, from which logits are computed."""
    return get_decoder(model)(input_ids=batch.ids, use_cache=False).last_hidden_state


def autocast(module: nn.Module, precision: str) -> AbstractContextManager[Any]:
    """Inside, `module` computes in its training precision ("no" or "bf16"), so that evaluation measures the same model."""
    device = next(module.parameters()).device.type
    return torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext()
