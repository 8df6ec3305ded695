"""The vllm engine: for models too large for the native one. An optional extra, never needed by the default job.

vLLM batches as requests come, so its logits, and with them a draw near a boundary, can change with what else is in the
batch: draws repeat for the same call on the same machine, not to the last bit in any batch as the native engine's do.
Each sample is a request of its own with its own seed; vLLM's prefix cache shares the prompt between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from stages.lib.errors import UserError
from stages.lib.sampling import Draw
from stages.lib.stops import Stops


class VllmEngine:
    """See `sampling.Engine`. rows: the most requests vLLM runs at a time. Raises UserError without vllm."""

    def __init__(self, path: Path, rows: int, dtype: str):
        try:
            from vllm import LLM
        except ImportError:
            raise UserError(
                "samples.engine: vllm is not installed; `pip install vllm` where there is a GPU, or set engine: native"
            ) from None
        self.model = LLM(
            str(path), dtype=dtype, max_num_seqs=rows, enable_prefix_caching=True, logprobs_mode="raw_logprobs"
        )
        self.context = self.model.llm_engine.model_config.max_model_len

    def stream(
        self,
        prompts: Sequence[Sequence[int]],
        keys: Sequence[Sequence[int]],
        temperature: float,
        max_new_tokens: int,
        stops: Stops | Sequence[int],
    ) -> Iterator[tuple[int, list[Draw]]]:
        from vllm import SamplingParams

        stops = stops if isinstance(stops, Stops) else Stops(None, stops)
        for i, (prompt, own) in enumerate(zip(prompts, keys, strict=True)):
            settings = [
                SamplingParams(
                    seed=key >> 1,  # a signed 64-bit integer there
                    temperature=temperature,
                    max_tokens=max_new_tokens,
                    stop_token_ids=list(stops.ids),
                    stop=list(stops.texts),
                    ignore_eos=True,
                    logprobs=0,  # of the token drawn, before temperature
                    detokenize=bool(stops.texts),
                )
                for key in own
            ]
            outputs = self.model.generate([{"prompt_token_ids": list(prompt)}] * len(own), settings, use_tqdm=False)
            yield i, [_draw(output.outputs[0]) for output in outputs]


def _draw(output) -> Draw:
    ids = list(output.token_ids)
    logprobs = [step[token].logprob for token, step in zip(ids, output.logprobs, strict=True)]
    return Draw(ids, logprobs, "stop" if output.finish_reason == "stop" else "length")
