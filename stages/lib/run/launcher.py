"""What the launcher's configuration asks for, as accelerate passes it on."""

from __future__ import annotations

import os

from stages.lib.core.errors import UserError

# Keys of fsdp_config that would ask for something else than what is done here.
_REQUIRED_SETTINGS = {
    "FSDP_VERSION": ("2", "fsdp_version: 2"),
    "FSDP_OFFLOAD_PARAMS": ("false", "fsdp_offload_params: false"),
    "FSDP_ACTIVATION_CHECKPOINTING": ("false", "gradient_checkpointing: true in params.yaml"),
    # transformers would read weights in the first process and leave the others' empty, wherever a stage reads a model.
    "FSDP_CPU_RAM_EFFICIENT_LOADING": ("false", "fsdp_cpu_ram_efficient_loading: false"),
}


def fsdp_enabled() -> bool:
    """Whether the launcher's configuration says FSDP. Raises UserError for a setting of it that is not kept to."""
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        return False
    for name, (value, instead) in _REQUIRED_SETTINGS.items():
        found = os.environ.get(name, value)
        if found.lower() != value:
            raise UserError(f"{name.lower()}: {found} is not supported; set {instead} (see stages/launch/fsdp.yaml)")
    return True
