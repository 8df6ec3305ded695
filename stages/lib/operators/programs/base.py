"""What every operator and every kind of program has in common: the types, and two changes that any text can carry."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from stages.lib.core.records import Step
from stages.lib.procedural.states import Knobs, NotApplicable, State, apply_edits

__all__ = ["Knobs", "NotApplicable", "State", "apply_edits"]  # beside what is defined here

T = TypeVar("T")
DrawFunction = Callable[[State, random.Random, Knobs], dict[str, Any]]
ApplyFunction = Callable[[State, Mapping[str, Any]], State]
CheckFunction = Callable[[State, Mapping[str, Any]], list[str]]


class Change(NamedTuple):
    """A change of one kind of program: all randomness is in `draw`, so that `apply` can be repeated from the record.

    draw(state, rng, knobs): the parameters of the change, plain data; raises NotApplicable.
    apply(state, parameters): the changed state; the old one is not modified.
    check_proof(state, parameters): faults of the proof that the answer is not determined (contract `unsolvable`).
    dose: of what a dose is a share, in words; "" where a smaller dose has no meaning.
    """

    draw: DrawFunction
    apply: ApplyFunction
    check_proof: CheckFunction = lambda state, parameters: ["there is no proof"]
    dose: str = ""


class Operator(NamedTuple):
    """A named change with its contract."""

    name: str
    contract: str  # preserving: the answer stays; changing: another answer is computed; unsolvable: N/A
    changes: Mapping[str, Change]  # kind of program (`programs/kinds.py`) -> its change


class ProgramKind(NamedTuple):
    """A kind of program.

    render(state): question, steps, answer.
    check_original(state): faults of the unchanged program, found by a second implementation.
    check_changed(state): the same of the changed program, where that implementation can read it.
    estimate_difficulty(state): the difficulty after a change; None: the parent's stays.
    """

    render: Callable[[State], tuple[str, list[Step] | None, str]]
    check_original: Callable[[State], list[str]] = lambda state: []
    check_changed: Callable[[State], list[str]] = lambda state: []
    estimate_difficulty: Callable[[State], float] | None = None


def count_share(total: int, dose: float) -> int:
    """How many of `total` units a dose changes: the nearest whole number, halves up, but at least one."""
    return max(1, int(dose * total + 0.5))


def select_share(units: Sequence[T], dose: float, rng: random.Random) -> list[T]:
    """The units that a dose changes, in random order. With an equal generator a larger dose only adds to them."""
    return rng.sample(units, len(units))[: count_share(len(units), dose)]


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def prepend_preamble(state: State, question: str) -> str:
    """The question after the preamble of its state, if it has one."""
    return f"{state['preamble']} {question}" if "preamble" in state else question
