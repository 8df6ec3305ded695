"""Supervised fine-tuning data: gold solutions as steps, as training examples, and as few-shot examples."""

from __future__ import annotations

from stages.lib.core.records import Problem
from stages.lib.models.batch import Example
from stages.lib.models.encoding import Encoder
from stages.lib.models.prompts import Prompt, format_answer


def get_steps(problem: Problem, prompt: Prompt | None = None) -> list[str]:
    """The published steps; without them the published program, or the answer in the form that the grader reads; [] where
    a problem has neither.

    prompt: with an instruction, a program is complete and in a fenced block, as the instruction asks. Where steps are
    paragraphs, the lines of a program or of a LaTeX solution, which are no steps, are joined into one.
    """
    prompt = prompt or Prompt()
    lines = _get_lines(problem, prompt)
    is_one_step = prompt.steps == "paragraphs" and problem.answer_type in ("code", "latex")
    return ["\n".join(lines)] if is_one_step and lines else lines


def _get_lines(problem: Problem, prompt: Prompt) -> list[str]:
    if problem.steps:
        return [prompt.format_gold_step(step.text) for step in problem.steps]
    if problem.answer_type != "code":
        return [format_answer(problem)]
    signature = problem.question if prompt.instruct and "entry_point" in (problem.tests or {}) else ""
    lines = [line for line in f"{signature}\n{problem.answer}".splitlines() if line.strip()]
    if prompt.instruct and problem.answer.strip():
        return ["```python", *lines, "```"]
    return lines if problem.answer else []


def make_sft_example(encoder: Encoder, problem: Problem) -> Example:
    """The loss is on every token of the solution, not on the prompt. Raises ValueError for a problem without one."""
    steps = get_steps(problem, encoder.prompt)
    if not steps:
        raise ValueError(f"{problem.id}: no gold solution")
    encoded = encoder.encode(problem, steps)
    solution_length = len(encoded.ids) - encoded.prompt_length
    return Example(encoded.ids, [0.0] * encoded.prompt_length + [1.0] * solution_length)
