"""The kinds of programs that operators can change, in one table: how each is written out and checked.

gradeschool  problems of the bundled benchmark
lifted       GSM8K problems whose solutions were turned into programs (`lib/procedural/lifting`)
competition  competition problems (`lib/procedural/competition`)
code         statements of code problems: only their story may change
text         all other problems: no program, so only the words of the question may change
"""

from __future__ import annotations

from stages.lib.core.records import Step
from stages.lib.operators.programs import code_statement, competition_program, gsm8k_program
from stages.lib.operators.programs.base import ProgramKind, State, apply_edits
from stages.lib.procedural import gradeschool, lifting
from stages.lib.procedural.gradeschool import variation


def _render_text(state: State) -> tuple[str, list[Step] | None, str]:
    steps = [Step(**step) for step in state["steps"]] if state.get("steps") else None
    return apply_edits(state["question"], state.get("edits", [])), steps, state["answer"]


def _check_solvers_agree(state: State) -> list[str]:
    """Compare the benchmark's own solver with `variation.solve`, which derives values from equations."""
    _, steps, answer = gradeschool.rederive(state)
    return [] if (steps, answer) == variation.solve(state) else ["the two solvers disagree on the parent"]


PROGRAM_KINDS: dict[str, ProgramKind] = {
    "gradeschool": ProgramKind(variation.render, _check_solvers_agree),
    "lifted": ProgramKind(gsm8k_program.render, lifting.check_program),
    "competition": ProgramKind(
        competition_program.render,
        competition_program.find_faults,
        competition_program.find_faults,
        competition_program.estimate_difficulty,
    ),
    "code": ProgramKind(code_statement.render),
    "text": ProgramKind(_render_text),
}
