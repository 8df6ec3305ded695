"""The vllm engine: for models too large for the native one. An optional extra, never needed by the default job.

vLLM batches as requests come, so its logits, and with them a draw near a boundary, can change with what else is in the
batch: draws repeat for the same call on the same machine, not to the last bit in any batch as the native engine's do.
Each sample is a request of its own with its own seed; vLLM's prefix cache shares the prompt between them. All requests
wait in the engine at once, which is what keeps it busy, and a prompt's draws are handed out when its last one ends.

Each process draws on the device that accelerate gave it. vLLM computes in a process that it starts itself and there
takes the first device that it sees, so it is shown this one alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stages.lib.core.errors import UserError
from stages.lib.inference.sampling import Draw
from stages.lib.models.stops import StopCriteria

if TYPE_CHECKING:
    import torch

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"


class VllmEngine:
    """See `sampling.Engine`. rows: the most requests vLLM runs at a time. Raises UserError without vllm."""

    def __init__(self, path: Path, rows: int, dtype: str, device: torch.device):
        try:
            from vllm import LLM
        except ImportError:
            raise UserError(
                "engine: vllm is not installed; `pip install vllm` where there is a GPU, or set engine: native"
            ) from None
        with restrict_visible_devices(device):
            model = LLM(
                str(path), dtype=dtype, max_num_seqs=rows, enable_prefix_caching=True, logprobs_mode="raw_logprobs"
            )
        self.engine = model.llm_engine
        self.context_length = self.engine.model_config.max_model_len

    def stream(
        self,
        prompts: Sequence[Sequence[int]],
        keys: Sequence[Sequence[int]],
        temperature: float,
        max_new_tokens: int,
        stops: StopCriteria | Sequence[int],
    ) -> Iterator[tuple[int, list[Draw]]]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        stops = stops if isinstance(stops, StopCriteria) else StopCriteria(None, stops)
        draws: list[list[Draw | None]] = [[None] * len(own) for own in keys]
        missing = [len(own) for own in keys]
        yield from ((i, []) for i, own in enumerate(keys) if not own)
        waiting: dict[str, tuple[int, int]] = {}  # of each request, the prompt and the number of its draw
        try:
            for i, (prompt, own) in enumerate(zip(prompts, keys, strict=True)):
                for j, key in enumerate(own):
                    settings = SamplingParams(
                        seed=key >> 1,  # a signed 64-bit integer there
                        temperature=temperature,
                        max_tokens=max_new_tokens,
                        stop_token_ids=list(stops.token_ids),
                        stop=list(stops.texts),
                        ignore_eos=True,
                        logprobs=0,  # of the token drawn, before temperature
                        detokenize=bool(stops.texts),
                        output_kind=RequestOutputKind.FINAL_ONLY,
                    )
                    self.engine.add_request(f"{i}/{j}", {"prompt_token_ids": list(prompt)}, settings)
                    waiting[f"{i}/{j}"] = i, j
            while waiting:
                for output in self.engine.step():
                    if not output.finished:
                        continue
                    i, j = waiting.pop(output.request_id)
                    draws[i][j] = _to_draw(output.outputs[0])
                    missing[i] -= 1
                    if not missing[i]:
                        yield i, draws[i]
                        draws[i] = []
        finally:
            if waiting:  # whoever asked has stopped listening
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


def _to_draw(output) -> Draw:
    ids = list(output.token_ids)
    logprobs = [step[token].logprob for token, step in zip(ids, output.logprobs, strict=True)]
    return Draw(ids, logprobs, "stop" if output.finish_reason == "stop" else "length")
