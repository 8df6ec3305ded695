"""Executions of plans: by the interpreter, and in the sandbox where a model's program is outside its language."""

from __future__ import annotations

from stages.evaluation.pseudocode import prompts
from stages.lib.core.errors import UserError
from stages.lib.grading import sandbox
from stages.lib.interpreter.run import MAX_OUTPUT, Execution, run_program

LIMITS = sandbox.Limits(cpu_seconds=2, memory=1 << 29, output=MAX_OUTPUT, wall_seconds=20.0)


def execute(code: str, input_text: str, is_written_by_model: bool) -> Execution:
    """What a plan's program prints for a problem.

    A program that a model wrote may say more than the interpreter knows, such as an import or a set: then Python runs it in
    the sandbox, where numbers are Python's own; its `is_outside` stays set, fuel and variables are not known. Where this
    machine has no sandbox, the error says so."""
    source = prompts.add_call(code)
    run = run_program(source, {"input_text": input_text})
    if not (run.is_outside and is_written_by_model):
        return run
    try:
        outcome = sandbox.run(f"input_text = {input_text!r}\n{source}", limits=LIMITS)
    except UserError as error:
        return Execution([], str(error), {}, 0, is_outside=True)
    return Execution(outcome.stdout.splitlines(), outcome.reason or None, {}, 0, is_outside=True)
