"""Gold solutions as a language model learns them, and as examples show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.lib.encoding import without_annotations
from stages.lib.packing import Example
from stages.lib.prompts import answer_line

if TYPE_CHECKING:
    from stages.lib.encoding import Encoder
    from stages.lib.records import Problem


def steps(problem: Problem) -> list[str]:
    """The published steps; where there are none, the published program, or the answer in the form that is asked for.
    [] where a problem has neither."""
    if problem.steps:
        return [without_annotations(step.text) for step in problem.steps]
    if problem.answer_type == "code":
        return [line for line in problem.answer.splitlines() if line.strip()]
    return [answer_line(problem)]


def example(encoder: Encoder, problem: Problem) -> Example:
    """The loss falls on every token of the solution, not on the prompt. Raises ValueError for a problem without one."""
    lines = steps(problem)
    if not lines:
        raise ValueError(f"{problem.id}: no gold solution")
    found = encoder.encode(problem, lines)
    solution = len(found.ids) - found.prompt_length
    return Example(found.ids, [0.0] * found.prompt_length + [1.0] * solution)
