"""The engines by name: `native` for any transformers causal LM, `vllm` (an optional extra) for large models on GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.lib.inference.sampling import Engine

if TYPE_CHECKING:
    from pathlib import Path

    import torch


def make_engine(name: str, path: Path, rows: int, dtype: str = "float32", device: torch.device | str = "cpu") -> Engine:
    """The engine `name` on the model saved at `path`.

    rows: the most samples decoded at a time; it bounds memory and changes no draw of the native engine on a CPU.
    Raises UserError when the model cannot be loaded, the card does not compute in dtype, or `vllm` is not installed.
    """
    import torch

    from stages.lib.models import loading

    device = torch.device(device)
    loading.check_bf16_support(device, dtype, "dtype: float16")
    if name == "vllm":
        from stages.lib.inference.vllm_engine import VllmEngine

        return VllmEngine(path, rows, dtype, device)
    from stages.lib.inference.native_engine import NativeEngine

    return NativeEngine(loading.load_causal_lm(path, dtype).to(device), rows)
