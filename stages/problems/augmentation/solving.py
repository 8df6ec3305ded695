"""The proof of a problem that no program knows: more than half of a solver's sampled solutions end in its answer.

One answer would do in the published recipe (MetaMath, Yu et al. 2024, arXiv 2309.12284); `solver_samples: 1` is that
rule. A majority of several (`consensus.py`) costs more and keeps fewer wrong labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from stages.lib.chat.base import Chat
from stages.lib.core.records import Problem, Step
from stages.lib.grading import answers
from stages.lib.procedural.states import NotApplicable
from stages.problems.augmentation import consensus
from stages.problems.augmentation.candidate import hash_prompt

BATCH = 8  # parents that are worked on at a time where no model is asked
T = TypeVar("T")
U = TypeVar("U")


class Vote(NamedTuple):
    """The share of the sampled solutions that agree with what was expected, and the steps of one of them."""

    share: float
    steps: list[Step]
    prompt_sha: str


def require_majority(problem: Problem, solver: Chat, samples: int, seed: int) -> Vote:
    """Ask for `samples` solutions. Raises NotApplicable unless more than half of them give the problem's answer, compared
    as numbers or formulas and not as strings."""
    question = problem.format_prompt()
    (vote,) = consensus.solve(solver, [question], samples, (samples // 2 + 1) / samples, seed)
    if isinstance(vote, str):
        raise NotApplicable(vote)
    if not answers.equal(problem.answer, vote.answer, problem.answer_type):
        raise NotApplicable("the solver gives another answer")
    return Vote(vote.share, vote.steps, hash_prompt(consensus.PROMPT.format(question=question)))


def map_in_batches(function: Callable[[T], U], items: Sequence[T], chat: Chat | None) -> Iterator[U]:
    """`function` of each item, in order: a batch at a time on the threads of a chat, or one after the other. No result
    depends on the size of the batches."""
    size = chat.threads if chat else BATCH
    for start in range(0, len(items), size):
        batch = items[start : start + size]
        yield from chat.map(function, batch) if chat else map(function, batch)
