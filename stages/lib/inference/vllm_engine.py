"""The vllm engine: for models too large for the native one. An optional extra, never needed by the default pipeline.

vLLM batches requests as they come, so its logits, and with them a draw near a boundary, can depend on what else is in the
batch: draws repeat for the same call on the same machine, but not to the last bit in any batch as the native engine's do.
Each sample is a request with its own seed; vLLM's prefix cache shares the prompt between them. All requests are queued at
once to keep the engine busy, and a prompt's draws are returned when its last one ends.

Each process draws on the device that accelerate gave it. vLLM computes in a process that it starts itself, on the first
device that it sees, so only this device is made visible to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from stages.lib.core.errors import UserError
from stages.lib.inference.sampling import Distribution, Draw, DrawCollector, MaxRows
from stages.lib.models.calculator import Calculator
from stages.lib.models.stops import StopCriteria

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"


class VllmEngine:
    """See `sampling.Engine`. max_rows: the most requests vLLM runs at a time; auto: its own default. Raises
    UserError without vllm."""

    def __init__(self, path: Path, max_rows: MaxRows, dtype: str, device: torch.device):
        try:
            from vllm import LLM  # pyright: ignore[reportMissingImports]  # an optional extra
        except ImportError:
            raise UserError(
                "engine: vllm is not installed; `pip install vllm` where there is a GPU, or set engine: native"
            ) from None
        options: dict[str, Any] = {"enable_prefix_caching": True, "logprobs_mode": "raw_logprobs"}
        if max_rows != "auto":
            options["max_num_seqs"] = max_rows
        with restrict_visible_devices(device):
            model = LLM(str(path), dtype=dtype, **options)
        self.engine = model.llm_engine
        self.context_length = self.engine.model_config.max_model_len

    def stream(
        self,
        prompts: Sequence[Sequence[int]],
        keys: Sequence[Sequence[int]],
        distribution: Distribution,
        max_new_tokens: int,
        stops: StopCriteria | Sequence[int],
        calculator: Calculator | None = None,
    ) -> Iterator[tuple[int, list[Draw]]]:
        """Raises UserError for a calculator: vLLM does not let tokens be written into a running request."""
        if calculator:
            raise UserError(
                "engine: vllm cannot write the calculator's values; set engine: native, or generator.prompt.calculator: "
                "false and run generator again"
            )
        from vllm import SamplingParams  # pyright: ignore[reportMissingImports]
        from vllm.sampling_params import RequestOutputKind  # pyright: ignore[reportMissingImports]

        stops = stops if isinstance(stops, StopCriteria) else StopCriteria(None, stops)
        collector = DrawCollector(keys)
        yield from collector.get_empty()
        waiting: dict[str, tuple[int, int]] = {}  # request id -> (prompt, number of the draw)
        try:
            for i, (prompt, prompt_keys) in enumerate(zip(prompts, keys, strict=True)):
                for j, key in enumerate(prompt_keys):
                    settings = SamplingParams(
                        seed=key >> 1,  # a signed 64-bit integer there
                        **distribution._asdict(),
                        max_tokens=max_new_tokens,
                        stop_token_ids=list(stops.token_ids),
                        stop=list(stops.texts),
                        ignore_eos=True,
                        logprobs=0,  # of the drawn token alone
                        detokenize=bool(stops.texts),
                        output_kind=RequestOutputKind.FINAL_ONLY,
                    )
                    self.engine.add_request(f"{i}/{j}", {"prompt_token_ids": list(prompt)}, settings)
                    waiting[f"{i}/{j}"] = i, j
            while waiting:
                for output in self.engine.step():
                    if output.finished:
                        yield from collector.add(*waiting.pop(output.request_id), _to_draw(output.outputs[0]))
        finally:
            if waiting:  # the caller stopped early
                self.engine.abort_request(list(waiting))


@contextmanager
def restrict_visible_devices(device: torch.device) -> Iterator[None]:
    """Inside, processes that are started see `device` alone, where it is a numbered GPU."""
    before = os.environ.get(VISIBLE_DEVICES)
    if device.type == "cuda" and device.index is not None:
        os.environ[VISIBLE_DEVICES] = before.split(",")[device.index] if before else str(device.index)
    try:
        yield
    finally:
        os.environ.pop(VISIBLE_DEVICES, None)
        if before is not None:
            os.environ[VISIBLE_DEVICES] = before


def _to_draw(output: Any) -> Draw:
    ids = list(output.token_ids)
    logprobs = [step[token].logprob for token, step in zip(ids, output.logprobs, strict=True)]
    return Draw(ids, logprobs, "stop" if output.finish_reason == "stop" else "length")
