"""A procedural grade-school benchmark in the format of GSM8K, with the exact truth after every step.

Problems are chains of quantities told in natural sentences; solutions are one step a line with calculator annotations
(`16 + 7 = <<16+7=23>>23`) and `#### answer` last, as in Cobbe et al. 2021 (arXiv 2110.14168). Sentence templates and
stories are owned by one split each (`wording.owner`), so train, verifier, dev and test share neither, and none of them
shares any with the pretraining text. `rederive` rebuilds question, steps and answer from Problem.program alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.lib.core.records import Problem, Program, Source, Step
from stages.lib.procedural.gradeschool import program as programs
from stages.lib.procedural.gradeschool.program import VERSION, Fault, Knobs, Line, sample_program, solve_program

__all__ = ["VERSION", "Fault", "Knobs", "Line", "generate_problems", "rederive", "sample_program", "solve_program"]


def rederive(program: Mapping[str, Any]) -> tuple[str, list[Step], str]:
    """(question, steps, answer) of Problem.program.params; the last step is the `#### answer` line."""
    lines = solve_program(program)
    steps = [Step(text=line.text, value=str(line.value)) for line in lines]
    return programs.render_question(program), steps, str(lines[-1].value)


def generate_problems(split: str, n: int, seed: int, **knobs: Any) -> list[Problem]:
    """The first n problems of a split. Knobs as in `Knobs`; item i never depends on n or on the other items."""
    made = Knobs(**knobs)
    return [_generate_problem(split, f"gradeschool/{split}/{i:05d}", seed, made) for i in range(n)]


def _generate_problem(split: str, item: str, seed: int, knobs: Knobs) -> Problem:
    program = sample_program(split, item, seed, knobs)
    question, steps, answer = rederive(program)
    return Problem(
        id=item,
        benchmark="gradeschool",
        split=split,
        question=question,
        answer=answer,
        answer_type="integer",
        steps=steps,
        difficulty=float(sum("of" in entry for entry in program["quantities"])),
        program=Program(generator="gradeschool", version=VERSION, params=program),
        licence="MIT",
        source=Source(url="procedural:gradeschool", revision=f"seed={seed}"),
    )
