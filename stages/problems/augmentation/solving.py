"""Answers that a solver gives: the proof of a problem that no program knows. More than half of them must agree.

One answer would do in the published recipes (MetaMath, Yu et al. 2024, arXiv 2309.12284). A majority of several, as in
self-consistency (Wang et al. 2023, arXiv 2203.11171), costs more and keeps fewer wrong labels; `solver_samples: 1` is the
published rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from stages.lib.chat.base import Chat
from stages.lib.core.records import Problem
from stages.lib.grading import answers, replies
from stages.lib.procedural.states import NotApplicable
from stages.problems.augmentation.candidate import hash_prompt

PROMPT = """Solve this problem step by step, one short step a line. The last line is "####" and the final answer alone.

{problem}"""
BATCH = 8  # parents that are worked on at a time where no model is asked
T = TypeVar("T")
U = TypeVar("U")


class Vote(NamedTuple):
    """How many of the answers agreed with what was expected, and the lines of the first solution that did."""

    share: float
    answers: int
    lines: list[str]  # without the last, which is the answer
    prompt_sha: str


def require_majority(problem: Problem, solver: Chat | None, samples: int) -> Vote:
    """Ask for `samples` solutions. Raises NotApplicable unless more than half of them end in the problem's answer, as
    numbers or formulas and not as strings. A reply that is not in the form asked for, or has no step, disagrees."""
    if solver is None:
        raise NotApplicable("no program knows the answer; set augmentation.solver to a model")
    prompt = PROMPT.format(problem=problem.format_prompt())
    solutions = []
    for number in range(samples):
        *lines, answer = read_solution(solver.ask(prompt, f"solution {number}"))
        if lines and answers.equal(problem.answer, answer, problem.answer_type):
            solutions.append(lines)
    if 2 * len(solutions) <= samples:
        raise NotApplicable(f"{len(solutions)} of {samples} answers of the solver agree")
    return Vote(len(solutions) / samples, samples, solutions[0], hash_prompt(prompt))


def read_solution(reply: str) -> list[str]:
    """The steps of a reply and its answer, which stands behind `####` on the last line; [""] where it does not."""
    lines = [line.strip() for line in (replies.strip_thinking(reply) or "").splitlines() if line.strip()]
    match = re.fullmatch(r"[*_]*####[*_:]*\s*(.*?\w.*?)[*_.]*", lines[-1]) if lines else None
    return [*lines[:-1], match[1]] if match else [""]


def map_in_batches(function: Callable[[T], U], items: Sequence[T], chat: Chat | None) -> Iterator[U]:
    """`function` of each item, in order: a batch at a time on the threads of a chat, or one after the other. No result
    depends on the size of the batches."""
    size = chat.threads if chat else BATCH
    for start in range(0, len(items), size):
        batch = items[start : start + size]
        yield from chat.map(function, batch) if chat else map(function, batch)
