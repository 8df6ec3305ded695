"""Part training: tokens per second and MFU of SFT, and what a loss over a large vocabulary costs."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from bench.accelerator.measuring import (
    SEED,
    SHAPES,
    Clock,
    attempt,
    count_waits,
    make_qwen2,
    measure_memory,
    measure_product,
    measure_seconds,
    synchronize,
)

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}  # dense bf16, by the vendor


def measure_training(
    shape: str, device: Any, micro: int, compiled: bool, checkpointing: bool, steps: int, clock: Clock
) -> dict[str, Any]:
    import numpy as np

    from bench.training import make_params
    from stages.lib.core import seeds
    from stages.lib.models import loading
    from stages.lib.models.batch import Example
    from stages.lib.models.objectives import LanguageModelingObjective
    from stages.lib.run.execution import StageRun
    from stages.lib.training import data_loader
    from stages.lib.training.loop import Trainer

    rng, batch = np.random.default_rng(SEED), max(64, micro) if shape != "toy" else 8
    lengths = np.clip(rng.normal(210, 60, batch * 32), 80, 480).astype(int)  # GSM8K's questions and solutions
    examples = [
        Example(rng.integers(4, SHAPES[shape][4], n).tolist(), [0.0] * (n // 3) + [1.0] * (n - n // 3)) for n in lengths
    ]
    batches = data_loader.make_epoch_batches(lengths.tolist(), batch, seeds.rng(SEED, "bench"))
    params = make_params(
        global_batch_size=batch,
        device_batch_size=micro,
        lr=1e-5,
        precision="bf16",
        compile=compiled,
        gradient_checkpointing=checkpointing,
    )
    model = make_qwen2(shape, device)
    weights = loading.count_parameters(model)
    with tempfile.TemporaryDirectory() as folder:
        run = StageRun("generator", params, SEED, Path(folder), "key", 0, 1)
        trainer = Trainer(run, LanguageModelingObjective(model), examples, params, dropout=0.0)
        began = time.perf_counter()
        for step in range(2):
            trainer.step(step, batches[step], 1.0)
        synchronize(device)
        start_seconds, tokens, padded, count = time.perf_counter() - began, 0, 0, 0
        began = time.perf_counter()
        while count < steps and (count < 2 or clock.left > 0):
            indices = batches[2 + count % 30]
            trainer.step(2 + count, indices, 1.0)
            tokens += sum(int(lengths[i]) for i in indices)
            parts = [indices[i : i + micro] for i in range(0, len(indices), micro)]
            padded += sum(len(part) * max(int(lengths[i]) for i in part) for part in parts)
            count += 1
        synchronize(device)
        rate, memory = tokens / (time.perf_counter() - began), measure_memory(device)
        waits = count_waits(lambda: [trainer.step(40 + i, batches[i], 1.0) for i in range(2)], device)
    return {
        "tokens_per_s": round(rate),
        "tflops": round(6 * weights * rate / 1e12, 1),
        "padding": round(1 - tokens / padded, 3),
        "start_s": round(start_seconds, 1),
        "peak_gb": memory,
        "waits_per_step": None if waits is None else waits / 2,
        "steps": count,
    }


def run_training(device: Any, clock: Clock, toy: bool) -> dict[str, Any]:
    from stages.lib.models import objectives

    peak = find_peak(device)
    results: dict[str, Any] = {"product_tflops": round(measure_product(device) / 1e12, 1)}
    for vocabulary in (1000,) if toy else (151936, 262144):
        for name, chunk in (("whole", None), ("chunked", objectives.MAX_LOGITS // vocabulary)):
            with attempt(f"loss {vocabulary} {name}", results):
                results[f"loss {vocabulary} {name}"] = measure_loss(device, vocabulary, 64 if toy else 8192, chunk)
                print(f"loss, vocabulary {vocabulary}, {name}: {results[f'loss {vocabulary} {name}']}", flush=True)
    plan = [
        ("0.5B", 128, True, False),
        ("0.5B", 64, True, False),
        ("1.5B", 32, True, False),
        ("0.5B", 64, False, False),
        ("0.5B", 64, False, True),
        ("1.5B", 32, False, True),
        ("1.5B", 32, True, True),
        ("0.5B", 64, True, True),
    ]
    if toy:
        plan = [("toy", 8, False, False), ("toy", 4, False, True)]
    for shape, micro, compiled, checkpointing in plan:
        name = f"{shape} {micro}" + (" compiled" if compiled else "") + (" checkpointed" if checkpointing else "")
        if clock.left < 15 and not toy:
            results[name] = "left out: no time"
            continue
        with attempt(name, results):
            figures = measure_training(shape, device, micro, compiled, checkpointing, 3 if toy else 12, clock)
            if peak:
                figures["mfu"] = round(figures["tflops"] * 1e12 / peak, 3)
            results[name] = figures
            print(f"{name}: {figures}", flush=True)
    return results


def measure_loss(device: Any, vocabulary: int, places: int, chunk: int | None) -> dict[str, float | None]:
    """Milliseconds and peak GB of a loss with its gradients at `places` positions of width 896, in bf16. chunk: positions
    a chunk; None: torch's own loss over all logits at once."""
    import torch

    from stages.lib.models import objectives

    matrix = torch.randn(vocabulary, 896, device=device, requires_grad=True)
    hidden = torch.randn(places, 896, device=device, dtype=torch.bfloat16, requires_grad=True)
    ids, weight = torch.randint(vocabulary, (places,), device=device), torch.ones(places, device=device)
    config = make_qwen2("toy", "cpu").config

    def compute() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            inputs = hidden, matrix, None, ids, weight, config
            loss = objectives.ChunkedLoss.apply(*inputs, chunk) if chunk else objectives._sum_chunk(*inputs)
        loss.backward()

    seconds = min(measure_seconds(compute, device)[0] for _ in range(3))
    return {"ms": round(1000 * seconds, 1), "peak_gb": measure_memory(device)}


def find_peak(device: Any) -> float | None:
    import torch

    if device.type != "cuda":
        return None
    return next((peak for name, peak in PEAKS.items() if name in torch.cuda.get_device_name(device)), None)
