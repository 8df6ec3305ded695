"""Drawing solutions from a language model: what an engine is, and what a draw is.

Two engines stand behind one small interface: `native` (lib/inference/native_engine.py: any transformers causal LM, on any device;
on a CPU in float32 the same draws whatever the batch) and `vllm` (lib/inference/vllm_engine.py: an optional extra for large
models on GPUs).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from stages.lib.models.stops import StopCriteria


class Draw(NamedTuple):
    """One sample.

    ids: the new tokens; the last one ended the sample exactly when `finish` is "stop": an end token, or one that
    completes a text at which to stop.
    logprobs: natural log-probability of each of `ids` under the model itself (temperature 1, whatever T drew them).
    """

    ids: list[int]
    logprobs: list[float]
    finish: Literal["stop", "length"]


class Engine(Protocol):
    """Draws len(keys[i]) samples for prompt i, sample j from the 64-bit key keys[i][j] alone.

    prompts: token ids, at least one each. temperature: 0 is greedy (keys then only count). stops: what ends a
    sample, or only its end tokens. max_new_tokens: a sample ends there at the latest, with finish "length".
    """

    context_length: int  # most tokens of a prompt and a sample together

    def stream(
        self,
        prompts: Sequence[Sequence[int]],
        keys: Sequence[Sequence[int]],
        temperature: float,
        max_new_tokens: int,
        stops: StopCriteria | Sequence[int],
    ) -> Iterator[tuple[int, list[Draw]]]:
        """(index of the prompt, its draws in the order of its keys), each as soon as it is complete."""
        ...


def sample(engine: Engine, prompts, keys, temperature: float, max_new_tokens: int, stops) -> list[list[Draw]]:
    """All draws of all prompts, in the order of the prompts."""
    done = dict(engine.stream(prompts, keys, temperature, max_new_tokens, stops))
    return [done[i] for i in range(len(prompts))]
