"""Gold solutions as a language model learns them, and as examples show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.lib.models.batch import Example
from stages.lib.models.encoding import strip_annotations
from stages.lib.models.prompts import format_answer

if TYPE_CHECKING:
    from stages.lib.core.records import Problem
    from stages.lib.models.encoding import Encoder
    from stages.lib.models.prompts import Prompt


def get_steps(problem: Problem, prompt: Prompt | None = None) -> list[str]:
    """The published steps; where there are none, the published program, or the answer in the form that is asked for.
    [] where a problem has neither.

    prompt: with an instruction a program is whole and in a block, as it wants it. Where steps are paragraphs, the lines
    of a program, or of a LaTeX solution, whose lines are no steps, are one.
    """
    lines = _get_lines(problem, bool(prompt and prompt.instruct))
    whole = prompt and prompt.steps == "paragraphs" and problem.answer_type in ("code", "latex")
    return ["\n".join(lines)] if whole and lines else lines


def _get_lines(problem: Problem, instruct: bool) -> list[str]:
    if problem.steps:
        return [strip_annotations(step.text) for step in problem.steps]
    if problem.answer_type == "code":
        start = problem.question if instruct and "entry_point" in (problem.tests or {}) else ""
        lines = [line for line in f"{start}\n{problem.answer}".splitlines() if line.strip()]
        return ["```python", *lines, "```"] if instruct and problem.answer.strip() else lines if problem.answer else []
    return [format_answer(problem)]


def make_sft_example(encoder: Encoder, problem: Problem) -> Example:
    """The loss falls on every token of the solution, not on the prompt. Raises ValueError for a problem without one."""
    lines = get_steps(problem, encoder.prompt)
    if not lines:
        raise ValueError(f"{problem.id}: no gold solution")
    found = encoder.encode(problem, lines)
    solution = len(found.ids) - found.prompt_length
    return Example(found.ids, [0.0] * found.prompt_length + [1.0] * solution)
