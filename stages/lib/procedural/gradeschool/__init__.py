"""Grade-school word problems in the format of GSM8K, with the exact value after every step.

A problem is a chain of quantities in natural sentences; a solution has one step a line with calculator annotations
(`16 + 7 = <<16+7=23>>23`) and ends in `#### answer`, as in Cobbe et al. 2021 (arXiv 2110.14168). Every sentence template
and story belongs to one split (`wording.find_owner`), so train, verifier, dev, test and the pretraining text share none.
`rederive` rebuilds question, steps and answer from Problem.program alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.lib.core.records import Problem, Program, Source, Step
from stages.lib.procedural.gradeschool.program import (
    VERSION,
    Fault,
    Knobs,
    Line,
    render_question,
    sample_program,
    solve_program,
)

__all__ = ["VERSION", "Fault", "Knobs", "Line", "generate_problems", "rederive", "sample_program", "solve_program"]


def rederive(program: Mapping[str, Any]) -> tuple[str, list[Step], str]:
    """(question, steps, answer) of a program (Problem.program.params); the last step is the `#### answer` line."""
    steps = [Step(text=line.text, value=str(line.value)) for line in solve_program(program)]
    return render_question(program), steps, str(steps[-1].value)


def generate_problems(split: str, n: int, seed: int, **knobs: Any) -> list[Problem]:
    """The first n problems of a split. `knobs` are the fields of `Knobs`; item i depends on no other item and not on n."""
    return [_generate_problem(split, f"gradeschool/{split}/{i:05d}", seed, Knobs(**knobs)) for i in range(n)]


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
