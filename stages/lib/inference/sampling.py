"""Sampling from a language model: what an engine is, and what a draw is.

There are two engines: `native` (native_engine.py: any transformers causal LM on any device; on a CPU in float32 the same
draws in any batch) and `vllm` (vllm_engine.py: an optional extra for large models on GPUs).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch

    from stages.lib.models.calculator import Calculator
    from stages.lib.models.stops import StopCriteria


MaxRows = int | Literal["auto"]  # draws decoded at a time; auto: as many as fit into the memory


class Draw(NamedTuple):
    """One sampled continuation.

    ids: the new tokens. The last one ended the sample exactly when `finish` is "stop": an end token, or the token that
    completes a stop text.
    logprobs: natural log-probability of each of `ids` at temperature 1, even if they were drawn at another; 0 where the
    calculator wrote the token, so that their sum is the log-probability of what the model chose.
    """

    ids: list[int]
    logprobs: list[float]
    finish: Literal["stop", "length"]


class Distribution(NamedTuple):
    """What tokens are drawn from.

    temperature: 0 is greedy. top_k: the k likeliest tokens alone; 0: all. top_p: the likeliest that together reach this
    probability (Holtzman et al. 2020, arXiv 1904.09751). They apply in this order, as in transformers.
    """

    temperature: float
    top_k: int = 0
    top_p: float = 1.0

    def compute_probabilities(self, logits: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        """(rows, V) the probabilities, from logits and their softmax p."""
        if self.temperature != 1:
            logits = logits / self.temperature
        elif not self.top_k and self.top_p == 1:
            return p
        if 0 < self.top_k < logits.shape[-1]:
            logits = logits.masked_fill(logits < logits.topk(self.top_k).values[:, -1:], float("-inf"))
        q = logits.softmax(-1)
        if self.top_p < 1:
            largest, order = q.sort(dim=-1, descending=True, stable=True)
            is_beyond = largest.double().cumsum(-1) - largest >= self.top_p  # the likeliest token is always kept
            q = q.masked_fill(is_beyond.new_zeros(is_beyond.shape).scatter(-1, order, is_beyond), 0.0)
            q = q / q.sum(-1, keepdim=True)
        return q


GREEDY = Distribution(0.0)


class Engine(Protocol):
    """Draws len(keys[i]) samples for prompt i; sample j depends on the 64-bit key keys[i][j] alone.

    prompts: token ids, at least one each. distribution: of every token; if it is greedy, only the number of keys matters.
    stops: what ends a sample, or its end tokens alone. A sample of max_new_tokens tokens ends with finish "length".
    calculator: writes the values of annotations (models/calculator.py), in tokens of the sample like others.
    """

    context_length: int  # most tokens of a prompt and a sample together

    def stream(
        self,
        prompts: Sequence[Sequence[int]],
        keys: Sequence[Sequence[int]],
        distribution: Distribution,
        max_new_tokens: int,
        stops: StopCriteria | Sequence[int],
        calculator: Calculator | None = None,
    ) -> Iterator[tuple[int, list[Draw]]]:
        """(index of a prompt, its draws in the order of its keys), each prompt as soon as it is complete."""
        ...


class DrawCollector:
    """Collects draws, which end in any order, until all of a prompt's are there."""

    def __init__(self, keys: Sequence[Sequence[int]]):
        self._sizes = [len(prompt_keys) for prompt_keys in keys]
        self._draws: dict[int, dict[int, Draw]] = defaultdict(dict)

    def get_empty(self) -> Iterator[tuple[int, list[Draw]]]:
        """The prompts without keys."""
        return ((i, []) for i, size in enumerate(self._sizes) if not size)

    def add(self, prompt_index: int, number: int, draw: Draw) -> Iterator[tuple[int, list[Draw]]]:
        """Keep draw `number` of a prompt; yield the prompt when it is complete."""
        draws = self._draws[prompt_index]
        draws[number] = draw
        if len(draws) == self._sizes[prompt_index]:
            del self._draws[prompt_index]
            yield prompt_index, [draws[j] for j in range(len(draws))]


def sample(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    keys: Sequence[Sequence[int]],
    distribution: Distribution,
    max_new_tokens: int,
    stops: StopCriteria | Sequence[int],
    calculator: Calculator | None = None,
) -> list[list[Draw]]:
    """All draws of all prompts, in the order of the prompts."""
    draws = dict(engine.stream(prompts, keys, distribution, max_new_tokens, stops, calculator))
    return [draws[i] for i in range(len(prompts))]
