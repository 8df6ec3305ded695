"""What an operator is: a change of a program, drawn from keyed randomness, then applied without any."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from stages.lib.core.records import Step

State = dict[str, Any]  # a program in the format of its generator, plain data
DrawFunction = Callable[[State, random.Random, Mapping[str, Any]], dict[str, Any]]
ApplyFunction = Callable[[State, Mapping[str, Any]], State]


class NotApplicable(Exception):
    """The operator cannot change this problem honestly; the message is the reason of the Reject."""


class Change(NamedTuple):
    """draw(state, rng, knobs) -> parameters, or Unfit; apply(state, parameters) -> the changed state (a new one)."""

    draw: DrawFunction
    apply: ApplyFunction


class ProgramKind(NamedTuple):
    """A kind of program.

    render(state): question, steps, answer. sound(state): faults of the unchanged program, by a second road;
    holds(state): of the changed one, where that road is open to it. proven(state, change): faults of the proof that
    `premise` leaves the answer open. difficulty(state): what it is after a change; without it the parent's stays.
    """

    render: Callable[[State], tuple[str, list[Step] | None, str]]
    check_original: Callable[[State], list[str]] = lambda state: []
    check_changed: Callable[[State], list[str]] = lambda state: []
    check_proof: Callable[[State, Mapping[str, Any]], list[str]] = lambda state, change: ["there is no proof"]
    estimate_difficulty: Callable[[State], float] | None = None


class Operator(NamedTuple):
    """A named change with its contract, by the generator of the program it works on."""

    name: str
    contract: str  # preserving: the answer stays; changing: it is computed anew, and differs; unsolvable: N/A
    changes: Mapping[str, Change]  # generator -> change: gradeschool, lifted, competition, code, text
    description: str
