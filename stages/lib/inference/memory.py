"""How many samples fit into the memory at a time, estimated before the first is drawn."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import torch

from stages.lib.core.errors import UserError
from stages.lib.inference.sampling import MaxRows

LOGIT_COPIES = 5  # float32 copies of a row's logits while its next token is drawn: raw, concatenated, as probabilities
SORTED_LOGIT_COPIES = 15  # the same where top_p sorts them
GB = 2**30
MAX_AUTO_ROWS = 4096  # beyond, a GPU draws hardly faster, and a problem is saved later
HOST_SHARE = 0.5  # of the main memory, which everything else needs, too
MAX_MEMORY_SHARE = 0.8  # of the free memory; attention scores, and caches that grow by copying, need the rest


def estimate_row_bytes(config: Any, itemsize: int, tokens: int, logit_copies: int = LOGIT_COPIES) -> int:
    """Bytes of a row at its longest: keys and values of `tokens` tokens, states of convolutions, and its logits. A prompt
    that rows share counts for each of them, because in the worst case every row has its own."""
    config = config.get_text_config()
    layers = getattr(config, "layer_types", None) or ["attention"] * config.num_hidden_layers
    recurrent = sum("linear" in kind for kind in layers)
    attention = sum("attention" in kind for kind in layers) - recurrent
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    states = (len(layers) - attention - recurrent) * config.hidden_size * getattr(config, "conv_L_cache", 1)
    if recurrent:  # a gated delta network (Qwen3-Next): the inputs of its convolution, and a float32 matrix a head
        key_heads, value_heads = config.linear_num_key_heads, config.linear_num_value_heads
        channels = 2 * key_heads * config.linear_key_head_dim + value_heads * config.linear_value_head_dim
        states += recurrent * channels * config.linear_conv_kernel_dim
        states += recurrent * value_heads * config.linear_key_head_dim * config.linear_value_head_dim * 4 // itemsize
    cache = (2 * attention * heads * head_size * tokens + states) * itemsize
    return cache + logit_copies * config.vocab_size * 4


def get_free_bytes(device: torch.device) -> int | None:
    """Bytes that a tensor may still take on a CUDA device, including those that torch reserves unused; None elsewhere."""
    if device.type != "cuda":
        return None
    return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def get_host_bytes() -> int:
    """Bytes of main memory that this process may still take: its share of what is available, or of its container."""
    available = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):  # no control groups, or no limit
        available = min(available, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return int(HOST_SHARE * available) // int(os.environ.get("LOCAL_WORLD_SIZE") or 1)


def limit_rows(model: Any, rows: MaxRows, tokens: int, multiple: int, logit_copies: int = LOGIT_COPIES) -> int:
    """`rows`, or the largest multiple of `multiple` below it that fits into the free memory of the model's device; it then
    prints a line on standard error. auto: the largest up to MAX_AUTO_ROWS that fits, on a CPU into its share of the main
    memory. Raises UserError when not even `multiple` rows fit."""
    most = MAX_AUTO_ROWS if rows == "auto" else rows
    free = get_free_bytes(model.device)
    if free is None:
        if rows != "auto":
            return rows
        free = get_host_bytes()
    kind = model.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else model.dtype
    row_bytes = estimate_row_bytes(model.config, dtype.itemsize, tokens, logit_copies)
    limit = int(MAX_MEMORY_SHARE * free) // row_bytes // multiple * multiple
    if limit >= most or limit and rows == "auto":
        return min(limit, most)
    count = most if limit else multiple
    need = f"{count} samples of up to {tokens} tokens take {count * row_bytes / GB:.2f} GB, and {free / GB:.2f} GB are free"
    if not limit:
        raise UserError(
            f"{model.device}: {need}; lower max_new_tokens, choose a half-precision dtype, or stop what else runs there"
        )
    print(f"{model.device}: {need}; drawing {limit} at a time", file=sys.stderr)
    return limit
