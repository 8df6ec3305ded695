"""The engines by name: `native` for any transformers causal LM, `vllm` (an optional extra) for large models on GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from stages.lib.core import heap
from stages.lib.inference.native_engine import NativeEngine
from stages.lib.inference.sampling import Engine, MaxRows
from stages.lib.inference.vllm_engine import VllmEngine
from stages.lib.models import loading


def make_engine(
    name: str, path: Path, max_rows: MaxRows, dtype: str = "float32", device: torch.device | str = "cpu"
) -> Engine:
    """The engine `name` on the model saved at `path`.

    max_rows: the most samples decoded at a time, auto for what fits (for vllm: its own default); it bounds memory and
    changes no draw of the native engine on a CPU.
    Raises UserError when the model cannot be loaded, the GPU does not support dtype, or `vllm` is not installed.
    """
    device = torch.device(device)
    loading.check_bf16_support(device, dtype, "dtype: float16")
    if name == "vllm":
        return VllmEngine(path, max_rows, dtype, device)
    heap.return_freed_memory()
    model: Any = loading.load_causal_lm(path, dtype)
    return NativeEngine(model.to(device), max_rows)
