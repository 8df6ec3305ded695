"""What every part measures with: the clock, random models of real shapes, seconds, memory, and errors that are reported."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SEED = 7
SHAPES = {  # hidden size, layers, heads, feed-forward size, vocabulary
    "0.5B": (896, 24, 14, 4864, 151936),
    "1.5B": (1536, 28, 12, 8960, 151936),
    "toy": (64, 2, 4, 128, 1024),
}


class Clock:
    """Seconds left until a deadline."""

    def __init__(self, seconds: float):
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self.end - time.monotonic()


def make_qwen2(shape: str, device: Any, dtype: str = "float32") -> Any:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    hidden, layers, heads, feed_forward, vocabulary = SHAPES[shape]
    torch.manual_seed(SEED)
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=2,
        intermediate_size=feed_forward,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
    )
    with torch.device(device):
        return Qwen2ForCausalLM(config).to(getattr(torch, dtype))


def synchronize(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


def measure_seconds(work: Callable[[], Any], device: Any) -> tuple[float, Any]:
    """(seconds until the device has finished, the result)."""
    synchronize(device)
    began = time.perf_counter()
    result = work()
    synchronize(device)
    return time.perf_counter() - began, result


def measure_memory(device: Any) -> float | None:
    """Peak GB since the last call."""
    import torch

    if device.type != "cuda":
        return None
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 2)


def measure_product(device: Any) -> float:
    """FLOP/s of a large product in bf16, the best of 10."""
    import torch

    n = 8192 if device.type == "cuda" else 512
    a = torch.randn(n, n, device=device, dtype=torch.bfloat16)
    seconds = min(measure_seconds(lambda: [a @ a for _ in range(4)], device)[0] for _ in range(10))
    return 4 * 2 * n**3 / seconds


def count_waits(work: Callable[[], Any], device: Any) -> int | None:
    """How often `work` makes the CPU wait for the GPU."""
    from torch.profiler import ProfilerActivity, profile

    if device.type != "cuda":
        return None
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as record:
        work()
    waits = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
    return sum(event.count for event in record.key_averages() if event.key in waits)


@contextmanager
def attempt(name: str, results: dict[str, Any]) -> Iterator[None]:
    """Report an error under `name` and go on."""
    import gc

    import torch

    try:
        yield
    except Exception as error:
        traceback.print_exc(limit=8)
        results[name] = f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
        print(f"{name}: {results[name]}", flush=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
