"""The launcher's FSDP settings, as accelerate passes them on in environment variables."""

from __future__ import annotations

import os

from stages.lib.core.errors import UserError

# Variable -> (the value that is supported, what to set instead of another).
_REQUIRED_SETTINGS = {
    "FSDP_VERSION": ("2", "fsdp_version: 2"),
    "FSDP_OFFLOAD_PARAMS": ("false", "fsdp_offload_params: false"),
    "FSDP_ACTIVATION_CHECKPOINTING": ("false", "gradient_checkpointing: true in params.yaml"),
    # transformers would otherwise read weights in the first process only, wherever a stage reads a model.
    "FSDP_CPU_RAM_EFFICIENT_LOADING": ("false", "fsdp_cpu_ram_efficient_loading: false"),
}


def fsdp_enabled() -> bool:
    """Whether the launcher's configuration asks for FSDP. Raises UserError for a setting that is not supported."""
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        return False
    for name, (value, instead) in _REQUIRED_SETTINGS.items():
        setting = os.environ.get(name, value)
        if setting.lower() != value:
            raise UserError(f"{name.lower()}: {setting} is not supported; set {instead} (see stages/launch/fsdp.yaml)")
    return True
