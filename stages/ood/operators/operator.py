"""What an operator is: a change of a program, drawn from keyed randomness, then applied without any."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

State = dict[str, Any]  # a program in the format of its generator, plain data
Draw = Callable[[State, random.Random, Mapping[str, Any]], dict[str, Any]]
Apply = Callable[[State, Mapping[str, Any]], State]


class Unfit(Exception):
    """The operator cannot change this problem honestly; the message is the reason of the Reject."""


class Change(NamedTuple):
    """draw(state, rng, knobs) -> parameters, or Unfit; apply(state, parameters) -> the changed state (a new one)."""

    draw: Draw
    apply: Apply


class Operator(NamedTuple):
    """A named change with its contract, by the generator of the program it works on."""

    name: str
    contract: str  # preserving: the answer stays; changing: it is computed anew, and differs; unsolvable: N/A
    by: Mapping[str, Change]  # generator -> change: gradeschool, lifted, text
    idea: str

    @property
    def applies_to(self) -> tuple[str, ...]:
        """Benchmarks with problems that this operator changes."""
        benchmarks = {"gradeschool": ("gradeschool",), "lifted": ("gsm8k",), "text": ("aime", "math", "mmlu", "gpqa"),
                      "code": ("codeforces", "humaneval")}  # fmt: skip
        return tuple(name for generator in self.by for name in benchmarks[generator])
