"""How many samples fit on a card at a time: an estimate before the first of them is drawn."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

LOGIT_COPIES = (
    5  # float32 copies of a row's logits while its next token is drawn: as made, joined, and as probabilities
)
GB = 2**30
MAX_MEMORY_SHARE = (
    0.8  # of the free memory, to be asked for: scores of attention, and stores that grow by copying, need the rest
)


def estimate_row_bytes(config: PretrainedConfig, itemsize: int, tokens: int) -> int:
    """Bytes of a row at its longest: keys and values of so many tokens, states of convolutions, and its logits. A prompt
    that rows share is counted for each of them, as it must be when every row has its own."""
    config = config.get_text_config()
    kinds = getattr(config, "layer_types", None) or ["attention"] * config.num_hidden_layers
    recurrent = sum("linear" in kind for kind in kinds)
    attention = sum("attention" in kind for kind in kinds) - recurrent
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    states = (len(kinds) - attention - recurrent) * config.hidden_size * getattr(config, "conv_L_cache", 1)
    if recurrent:  # of a gated delta network (Qwen3-Next): a matrix a head, and what its convolution sees
        keys, values = config.linear_num_key_heads, config.linear_num_value_heads
        wide = 2 * keys * config.linear_key_head_dim + values * config.linear_value_head_dim
        states += recurrent * wide * config.linear_conv_kernel_dim
        states += (
            recurrent * values * config.linear_key_head_dim * config.linear_value_head_dim * 4 // itemsize
        )  # float32
    return (2 * attention * heads * width * tokens + states) * itemsize + LOGIT_COPIES * config.vocab_size * 4


def get_free_bytes(device: torch.device) -> int | None:
    """Bytes that a tensor may still take on a CUDA device, those that torch holds unused included; None elsewhere."""
    if device.type != "cuda":
        return None
    return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def limit_rows(model: PreTrainedModel, rows: int, tokens: int, least: int) -> int:
    """`rows`, or the largest multiple of `least` below it that fits beside what is on the model's device already. Says so
    when it is lower. Raises UserError when not even `least` fit."""
    room = get_free_bytes(model.device)
    if room is None:
        return rows
    kind = model.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else model.dtype
    each = estimate_row_bytes(model.config, dtype.itemsize, tokens)
    most = int(MAX_MEMORY_SHARE * room) // each // least * least
    if most >= rows:
        return rows
    few = rows if most else least
    found = f"{few} samples of up to {tokens} tokens take {few * each / GB:.2f} GB, and {room / GB:.2f} GB are free"
    if not most:
        raise UserError(
            f"{model.device}: {found}; lower max_new_tokens, choose a half-precision dtype, or stop what else runs there"
        )
    print(f"{model.device}: {found}; drawing {most} at a time", file=sys.stderr)
    return most
