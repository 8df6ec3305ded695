"""What every method of augmentation gets and returns.

A method is a module of `methods/` with

    make_candidates(parents, section, context) -> Iterator[Candidate | Reject]
    fits_parent(parent, section, context) -> bool         whether it can try this problem at all

parents: training problems, in the order in which they are to be used. section: the stage's parameters (`section.py`), in
which a method with knobs of its own has a key of its name. Every problem that a method tries to make leaves it once, as a
Candidate that passed the checks of the method or as a Reject with the reason, so made = kept + rejected. The stage stops
asking when it has enough, so a method works on small batches of parents; it is equal for every size of batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from stages.lib.chat.base import Chat
from stages.lib.core.records import Problem
from stages.lib.operators.rejects import Reject
from stages.lib.run.execution import StageRun

PROGRAM = "program"  # the agent of what no model wrote


class Candidate(NamedTuple):
    """A new problem with its origin. `problem.parent` is the id of the parent, `problem.operator` the method."""

    problem: Problem
    agent: str  # who wrote it: PROGRAM, or the name of a model
    checks: dict[str, Any]  # what was checked, and with which result
    tries: int = 1  # texts or draws until one passed
    prompt_sha: str | None = None  # of the prompt that was answered with it
    masked: str | None = None  # the number, as written in the parent, that is asked for
    round: int = 1  # of methods that go on from what they made


class Context(NamedTuple):
    """What a method works with, beside its parameters."""

    seed: int
    split: str  # train or verifier: the split of the parents, and of what is made
    largest: int  # bound on the values of bundled problems (`operators.registry.compute_bound`)
    writer: Chat | None  # who writes questions; None: rules
    judge: Chat | None  # who judges them
    solver: Chat | None  # who answers what no program does
    run: StageRun[Any]  # for progress, costs and checkpoints


class Method(Protocol):
    """A module of `methods/`."""

    @staticmethod
    def fits_parent(parent: Problem, section: Any, context: Context) -> bool: ...

    @staticmethod
    def make_candidates(parents: Sequence[Problem], section: Any, context: Context) -> Iterator[Candidate | Reject]: ...


def hash_prompt(prompt: str) -> str:
    """The first 16 digits of the prompt's sha256."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def name_agent(chat: Chat | None) -> str:
    """The name of a model on a server, the digest of a local one, or PROGRAM."""
    return chat.name if chat else PROGRAM


def derive_problem(parent: Problem, method: str, number: int | None = None, **fields: Any) -> Problem:
    """A new problem of the same benchmark, split, licence and source, without the parent's program. number: where a parent
    gives several."""
    suffix = method if number is None else f"{method}{number}"
    own = {"id": f"{parent.id}~{suffix}", "parent": parent.id, "operator": method, "program": None, "contract": None}
    return parent.model_copy(update={**own, "steps": None, **fields})
