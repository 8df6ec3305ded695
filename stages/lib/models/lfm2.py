"""Untrained small models of the LFM2 family (Liquid AI 2025, arXiv 2511.23404): convolutions and attention in turn."""

from __future__ import annotations

from typing import Any

MAX_TOKENS = 2048


def make_lfm2(
    key: int,
    *,
    vocabulary: int,
    width: int,
    feed_forward: int,
    layers: int,
    heads: int,
    conv_kernel: int,
    bos_token_id: int | None = None,
    eos_token_id: int | None = 1,
) -> Any:
    """key: 64 bits, of the weights. layers: an even number; every second one attends. Token 0 is the padding."""
    import torch
    from transformers import Lfm2Config, Lfm2ForCausalLM

    torch.manual_seed(key >> 1)
    config = Lfm2Config(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=feed_forward,
        block_auto_adjust_ff_dim=False,
        num_hidden_layers=layers,
        layer_types=["conv", "full_attention"] * (layers // 2),
        num_attention_heads=heads,
        num_key_value_heads=heads,
        conv_L_cache=conv_kernel,
        initializer_range=0.05,  # 0.02 suits wide models; in narrow ones the inputs then hardly show
        max_position_embeddings=MAX_TOKENS,
        pad_token_id=0,
        bos_token_id=bos_token_id,
        eos_token_id=eos_token_id,
    )
    return Lfm2ForCausalLM(config)
