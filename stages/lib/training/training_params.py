"""How a model is trained: the keys that every training stage's section shares."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stages.lib.core.params import Params


class TrainingParams(Params):
    """Inherited by the sections of base, generator and verifiers."""

    epochs: float = Field(gt=0)  # passes over the examples
    global_batch_size: int = Field(gt=0)  # sequences a step, over all processes
    device_batch_size: int = Field(gt=0)  # sequences a process computes at once
    optimizer: Literal["adamw", "muon"]  # muon: for matrices inside the network; adamw for the rest
    lr: float = Field(gt=0)  # of adamw
    matrix_lr: float = Field(gt=0)  # of muon
    weight_decay: float = Field(ge=0)
    warmup_ratio: float = Field(ge=0, lt=1)  # share of the steps; after it the rate falls linearly to 0
    max_grad_norm: float = Field(gt=0)  # largest norm of the gradient
    precision: Literal["no", "bf16"]  # mixed precision of accelerate
    gradient_checkpointing: bool
    lora_rank: int = Field(ge=0)  # 0 trains all weights
    checkpoint_steps: int = Field(gt=0)  # unfinished work is saved this often
