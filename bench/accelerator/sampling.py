"""Part sampling: tokens per second of the native engine and of `transformers.generate`."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.accelerator.measuring import (
    SEED,
    SHAPES,
    Clock,
    attempt,
    count_waits,
    make_qwen2,
    measure_memory,
    measure_seconds,
)


def run_sampling(device: Any, clock: Clock, toy: bool) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for shape in ("toy",) if toy else ("0.5B", "1.5B"):
        if clock.left < 20 and not toy:
            results[shape] = "left out: no time"
            continue
        with attempt(shape, results):
            results[shape] = compare_sampling(shape, device, clock)
            print(f"{shape}: {results[shape]}", flush=True)
    return results


def compare_sampling(shape: str, device: Any, clock: Clock) -> dict[str, Any]:
    """Tokens per second of both engines, how often the native one waits for the GPU, and how exact it is."""
    import numpy as np

    from bench import sampling
    from stages.lib.models.stops import StopCriteria

    toy, vocabulary = shape == "toy", SHAPES[shape][4]
    samples, count, limit = (16, 4, 24) if toy else (64, 64, 320)
    rng = np.random.default_rng(SEED)
    prompts = [rng.integers(4, vocabulary, rng.integers(64, 119)).tolist() for _ in range(count)]
    stops = list(range(1, vocabulary, 110))  # with random weights every token is about as likely
    model = make_qwen2(shape, device, "bfloat16").eval()

    def sample_few(tokens: int) -> int:
        return sampling.sample_with_native(model, prompts[:2], 16, 1.0, tokens, StopCriteria(None, []), 64)

    sample_few(8)
    few, many = (count_waits(lambda n=n: sample_few(n), device) for n in (4, 12))
    found: dict[str, Any] = {
        "waits_per_token": None if few is None or many is None else (many - few) / 8,
        "largest_logprob_difference": compare_logprobs(model, prompts[:8]),
    }
    sampling.sample_with_generate(model, prompts[:1], 4, 1.0, 4, stops, 1, device)  # first calls pay for imports

    def generate(batch: int) -> int:
        return sampling.sample_with_generate(model, prompts[:batch], samples, 1.0, limit, stops, batch, device)

    def sample(rows: int) -> int:
        return sampling.sample_with_native(model, prompts, samples, 1.0, limit, StopCriteria(None, stops), rows)

    runs = [(f"generate {n * samples}", partial(generate, n)) for n in ((2,) if toy else (16, 32, 8))]
    rows = 64 if toy else 4096
    runs.insert(1, (f"native {rows}", partial(sample, rows)))  # the ratio needs one of each, whatever time is left
    rates: dict[str, float] = {}
    for name, work in runs:
        if clock.left < 5 and not toy and len(rates) > 1:
            found[name] = "left out: no time"
            continue
        seconds, tokens = measure_seconds(work, device)
        rates[name] = tokens / seconds
        found[name] = {"tokens_per_s": round(rates[name]), "peak_gb": measure_memory(device)}
        print(f"{shape} {name}: {found[name]}", flush=True)
    best = [max(rate for name, rate in rates.items() if name.startswith(kind)) for kind in ("native", "generate")]
    return found | {"ratio": round(best[0] / best[1], 2)}


def compare_logprobs(model: Any, prompts: list[list[int]]) -> float:
    """The largest difference between a draw's log-probabilities and those of one pass over prompt and draw."""
    import torch

    from stages.lib.core import seeds
    from stages.lib.inference.native_engine import NativeEngine
    from stages.lib.inference.sampling import Distribution, sample

    keys = [[seeds.key("bench", i, j) for j in range(16)] for i in range(len(prompts))]
    worst = 0.0
    for prompt, draws in zip(
        prompts, sample(NativeEngine(model, 512), prompts, keys, Distribution(1.0), 32, []), strict=True
    ):
        ids = torch.tensor([prompt + draw.ids for draw in draws], device=model.device)
        with torch.inference_mode():
            logits = model(ids).logits[:, len(prompt) - 1 : -1].float().log_softmax(-1)
        expected = logits.gather(2, ids[:, len(prompt) :, None])[..., 0].cpu()
        worst = max(worst, float((expected - torch.tensor([draw.logprobs for draw in draws])).abs().max()))
    return worst
