"""Training parameters: the keys that base, generator, orm, prm, genrm, preference and honesty share.

Values that most stages share are set in section `training` of params.yaml; a stage's section overrides a value by naming
its key.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from stages.lib.core.params import Params


class TrainingParams(Params):
    """Parent of the parameters of every trained stage."""

    shared_section: ClassVar[str | None] = "training"

    epochs: float = Field(gt=0)  # passes over the training examples
    global_batch_size: int = Field(gt=0)  # sequences per step: device_batch_size x processes x accumulation
    device_batch_size: int = Field(gt=0)  # sequences that a process computes at once
    optimizer: Literal["adamw", "muon"]  # muon: for the inner matrices, adamw for the rest
    lr: float = Field(gt=0)  # peak learning rate of AdamW
    matrix_lr: float = Field(gt=0)  # peak learning rate of Muon
    weight_decay: float = Field(ge=0)  # decoupled weight decay, of both optimizers
    warmup_ratio: float = Field(ge=0, lt=1)  # share of the steps; afterwards the rate falls linearly to 0
    max_grad_norm: float = Field(gt=0)  # gradients are clipped to this norm
    precision: Literal["no", "bf16"]  # mixed precision, by accelerate
    master: Literal[
        "float32", "bfloat16"
    ]  # the weights that are updated; bfloat16 halves memory and loses small updates
    compile: bool  # layers as fused kernels, by torch.compile: for a GPU, where training takes minutes
    gradient_checkpointing: bool  # recompute activations in the backward pass: less memory, more time
    lora_rank: int = Field(ge=0)  # rank of LoRA adapters; 0 trains all weights
    checkpoint_steps: int = Field(gt=0)  # steps between two checkpoints of unfinished work


def make_training_params(**changes: Any) -> TrainingParams:
    """Parameters of a training that no section of params.yaml describes: one epoch with AdamW in float32, of all weights,
    without weight decay. Raises pydantic's ValidationError for an unknown key and a value out of its range."""
    defaults: dict[str, Any] = dict(
        epochs=1.0,
        global_batch_size=8,
        device_batch_size=8,
        optimizer="adamw",
        lr=3e-3,
        matrix_lr=0.02,
        weight_decay=0.0,
        warmup_ratio=0.0,
        max_grad_norm=1.0,
        precision="no",
        master="float32",
        compile=False,
        gradient_checkpointing=False,
        lora_rank=0,
        checkpoint_steps=100,
    )
    return TrainingParams(**{**defaults, **changes})
