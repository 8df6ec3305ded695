"""Sampling: the native engine against `transformers.generate`, 64 samples a prompt, in one run.

    python -m bench.sampling [--prompts 16] [--samples 64] [--rows 4096]

`ratio` is measured as the pipeline samples: the generator that `make repro` trained, problems of the bundled benchmark,
temperature 0.7, float32. There most samples of a prompt agree for long, and the engine computes what they share once.
So the same is measured where they share nothing but the prompt (`ratio_nothing_shared`): a model of random weights
(LFM2, 8 layers, width 128, 1,000 tokens) at temperature 1, whose samples have about 110 tokens. At most 160 new tokens
in both. `generate` runs with several batch sizes, the best of which counts. The machine's limit is its matrix product
of 2,048 x 1,024 x 1,024 in float32.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

SEED, VOCABULARY, LIMIT, STOP = 7, 1000, 160, [996, 997, 998, 999]


def make_tiny_model():
    import torch
    from transformers import Lfm2Config, Lfm2ForCausalLM

    torch.manual_seed(SEED)
    config = Lfm2Config(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        block_auto_adjust_ff_dim=False,
        num_hidden_layers=8,
        layer_types=["conv", "full_attention"] * 4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=STOP,
        pad_token_id=0,
    )
    return Lfm2ForCausalLM(config).eval()


def draw_prompts(count: int) -> list[list[int]]:
    import numpy as np

    rng = np.random.default_rng(SEED)
    return [rng.integers(4, 990, rng.integers(64, 119)).tolist() for _ in range(count)]


def load_generator(count: int):
    """(the generator, prompts of problems, its end token)"""
    from stages.lib.models import encoding, loading
    from stages.lib.procedural import gradeschool

    path = Path(__file__).parent.parent / "data" / "generator" / "model"
    if not path.exists():
        raise SystemExit("data/generator/model: not found; run `make repro` first")
    model, tokenizer = loading.load_causal_lm(path).eval(), loading.load_tokenizer(path)
    problems = gradeschool.generate_problems("test", count, SEED, steps=(3, 5), max_value=60)
    encoder = encoding.Encoder(tokenizer)
    return model, [encoder.prompt_ids(problem) for problem in problems], [tokenizer.eos_token_id]


def measure_rate(work: Callable[[], float]) -> float:
    """What `work` returns (tokens, operations), per second."""
    began = time.perf_counter()
    return work() / (time.perf_counter() - began)


def measure_matmul_flops() -> float:
    """FLOP/s of a large float32 matrix product, best of 20."""
    import torch

    a, b = torch.randn(2048, 1024), torch.randn(1024, 1024)
    return max(measure_rate(lambda: 2 * 1024 * (a @ b).numel()) for _ in range(20))


def count_flops_per_token(model, context: int) -> float:
    """Multiplications and additions of one decoded token whose attention sees `context` keys."""
    import torch

    linear = sum(module.weight.numel() for module in model.modules() if isinstance(module, torch.nn.Linear))
    config = model.config
    return 2 * linear + 4 * config.layer_types.count("full_attention") * config.hidden_size * context


def sample_with_generate(
    model, prompts, samples: int, temperature: float, limit: int, stop: list[int], batch: int, device="cpu"
) -> int:
    """Tokens drawn by `generate`, `batch` prompts at a time, padded on the left."""
    import torch

    total = 0
    for first in range(0, len(prompts), batch):
        part = prompts[first : first + batch]
        width = max(map(len, part))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in part], device=device)
        tokens = model.generate(
            ids,
            attention_mask=(ids != 0).long(),
            max_new_tokens=limit,
            num_return_sequences=samples,
            do_sample=True,
            temperature=temperature,
            top_k=0,
            top_p=1.0,
            eos_token_id=stop,
            pad_token_id=0,
        )[:, width:]
        total += int((tokens != 0).sum())  # token 0 is the padding
    return total


def sample_with_native(model, prompts, samples: int, temperature: float, limit: int, stop: list[int], rows: int) -> int:
    from stages.lib.core import seeds
    from stages.lib.inference import sampling
    from stages.lib.inference.native_engine import NativeEngine

    keys = [[seeds.key("bench", i, j) for j in range(samples)] for i in range(len(prompts))]
    draws = sampling.sample(NativeEngine(model, rows), prompts, keys, sampling.Distribution(temperature), limit, stop)
    return sum(len(draw.ids) for group in draws for draw in group)


def compare_engines(
    title: str, model, prompts, temperature: float, limit: int, stop: list[int], arguments
) -> dict[str, float]:
    """Print and return the tokens per second of both."""
    sample_with_generate(model, prompts[:1], 4, temperature, 4, stop, 1)  # first calls pay for imports
    sample_with_native(model, prompts[:1], 16, temperature, 4, stop, 16)
    settings = (model, prompts, arguments.samples, temperature, limit, stop)
    rates = {f"generate, {n} prompts a time": measure_rate(partial(sample_with_generate, *settings, n)) for n in (2, 8)}
    generate = max(rates.values())
    native = rates["native"] = measure_rate(partial(sample_with_native, *settings, arguments.rows))
    limit_flops, work = measure_matmul_flops(), count_flops_per_token(model, 90 + 50)
    print(f"{title}: {len(prompts)} prompts x {arguments.samples} samples")
    for name, tokens in rates.items():
        print(
            f"  {name:28} {tokens:10,.0f} tokens/s   {tokens * work / limit_flops:6.1%} of {limit_flops / 1e9:.0f} GFLOP/s"
        )
    return {"native": native, "generate": generate, "share_of_limit": native * work / limit_flops}


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--rows", type=int, default=4096)
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    model, prompts, stop = load_generator(arguments.prompts)
    as_run = compare_engines("as the pipeline samples", model, prompts, 0.7, LIMIT, stop, arguments)
    alone = compare_engines(
        "nothing shared but the prompt", make_tiny_model(), draw_prompts(arguments.prompts), 1.0, LIMIT, STOP, arguments
    )
    figures = {
        "ratio": as_run["native"] / as_run["generate"],
        "ratio_nothing_shared": alone["native"] / alone["generate"],
        "native_tokens_per_s": as_run["native"],
        "generate_tokens_per_s": as_run["generate"],
        "share_of_limit": as_run["share_of_limit"],
        "share_of_limit_nothing_shared": alone["share_of_limit"],
        "threads": torch.get_num_threads(),
        "prompts": arguments.prompts,
        "samples": arguments.samples,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
