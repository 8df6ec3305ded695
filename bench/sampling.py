"""Sampling: the native engine against `transformers.generate`, 64 samples a prompt at temperature 1, one run.

    python -m bench.sampling [--prompts 16] [--samples 64] [--rows 1024]

Same model (LFM2, 8 layers, width 128, 1,000 tokens, random weights, float32), same prompts (64 to 118 tokens, as in the
bundled benchmark) and the same rule to stop (4 of 1,000 tokens end a sample, which therefore has about 95 tokens of at most
120). `generate` runs with
several batch sizes, the best of which counts. The machine's limit is its matrix product of 2,048 x 1,024 x 1,024 in
float32, measured between the two.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

SEED, VOCABULARY, LIMIT, STOP = 7, 1000, 120, [996, 997, 998, 999]


def tiny_model():
    import torch
    from transformers import Lfm2Config, Lfm2ForCausalLM

    torch.manual_seed(SEED)
    config = Lfm2Config(
        vocab_size=VOCABULARY, hidden_size=128, intermediate_size=384, block_auto_adjust_ff_dim=False,
        num_hidden_layers=8, layer_types=["conv", "full_attention"] * 4, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=512, bos_token_id=1, eos_token_id=STOP, pad_token_id=0,
    )  # fmt: skip
    return Lfm2ForCausalLM(config).eval()


def rate(work: Callable[[], float]) -> float:
    """What `work` returns (tokens, operations), per second."""
    began = time.perf_counter()
    return work() / (time.perf_counter() - began)


def matrix_limit() -> float:
    """FLOP/s of a large float32 matrix product, best of 20."""
    import torch

    a, b = torch.randn(2048, 1024), torch.randn(1024, 1024)
    return max(rate(lambda: 2 * 1024 * (a @ b).numel()) for _ in range(20))


def flops_per_token(model, context: int) -> float:
    """Multiplications and additions of one decoded token whose attention sees `context` keys."""
    import torch

    linear = sum(module.weight.numel() for module in model.modules() if isinstance(module, torch.nn.Linear))
    config = model.config
    return 2 * linear + 4 * config.layer_types.count("full_attention") * config.hidden_size * context


def by_generate(model, prompts: list[list[int]], samples: int, batch: int) -> int:
    """Tokens drawn by `generate`, `batch` prompts at a time, padded on the left."""
    import torch

    total = 0
    for first in range(0, len(prompts), batch):
        part = prompts[first : first + batch]
        width = max(map(len, part))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in part])
        drawn = model.generate(
            ids, attention_mask=(ids != 0).long(), max_new_tokens=LIMIT, num_return_sequences=samples, do_sample=True,
            temperature=1.0, top_k=0, top_p=1.0, eos_token_id=STOP, pad_token_id=0,
        )[:, width:]  # fmt: skip
        total += int((drawn != 0).sum())  # token 0 is the padding; it is drawn once in 1,000
    return total


def by_native(model, prompts: list[list[int]], samples: int, rows: int) -> int:
    from stages.lib import sampling, seeds
    from stages.lib.native import NativeEngine

    keys = [[seeds.key("bench", i, j) for j in range(samples)] for i in range(len(prompts))]
    draws = sampling.sample(NativeEngine(model, rows), prompts, keys, 1.0, LIMIT, STOP)
    return sum(len(draw.ids) for group in draws for draw in group)


def main() -> None:
    import numpy as np
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--rows", type=int, default=1024)
    arguments = parser.parse_args()

    model, rng = tiny_model(), np.random.default_rng(SEED)
    prompts = [rng.integers(1, 990, rng.integers(64, 119)).tolist() for _ in range(arguments.prompts)]
    torch.set_grad_enabled(False)
    by_generate(model, prompts[:1], 4, 1), by_native(model, prompts[:1], 16, 16)  # first calls pay for imports
    rates = {
        f"generate, {batch} prompts a time": rate(partial(by_generate, model, prompts, arguments.samples, batch))
        for batch in (1, 4, 16)
    }
    best = max(rates.values())
    limit = matrix_limit()
    native = rate(partial(by_native, model, prompts, arguments.samples, arguments.rows))
    work = flops_per_token(model, 91 + LIMIT // 2)
    for name, tokens in {**rates, "native": native}.items():
        print(f"{name:28} {tokens:10,.0f} tokens/s   {tokens * work / limit:6.1%} of {limit / 1e9:.0f} GFLOP/s")
    figures = {
        "ratio": native / best,
        "native_tokens_per_s": native,
        "generate_tokens_per_s": best,
        "matrix_gflops": limit / 1e9,
        "share_of_limit": native * work / limit,
        "threads": torch.get_num_threads(),
        "prompts": arguments.prompts,
        "samples": arguments.samples,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
