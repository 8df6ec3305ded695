"""What the instructor is asked once for a task, and the reasoner for every problem (Chae et al. 2024, section 3)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Literal

from stages.evaluation.pseudocode.programs import FINAL, Plan, remove_prints
from stages.evaluation.pseudocode.tasks import Instance

Arm = Literal["direct", "chain_of_thought", "prose", "code", "traced_code", "executed"]
PLANNED = ("prose", "code", "traced_code", "executed")  # arms that need a plan
CALL = f'print("{FINAL}", solve(input_text))'  # what is run after the plan of a task
LANGUAGE = (
    "Use plain Python: assignments, if, for, while, arithmetic, comparisons, lists, dictionaries, strings and print. "
    "Import nothing, and define no other function."
)
EXACT = "Its numbers are exact: 7 / 3 prints 7/3, and 6 / 3 prints 2. "


def ask_analysis(shown: Sequence[Instance], others: Mapping[str, Plan]) -> str:
    """Step 1: what the task is. shown: problems with answers that are never asked; others: plans of other tasks."""
    return (
        f"{_format_others({name: plan.analysis for name, plan in others.items()}, 'analysis')}"
        f"These are problems of a new task, with their answers.\n\n{_format_shown(shown)}\n\n"
        "Explain in a few sentences how every problem of this task is solved. Do not solve one of them."
    )


def ask_code(shown: Sequence[Instance], analysis: str, others: Mapping[str, Plan]) -> str:
    """Step 2: the pseudocode, which prints the state after every step."""
    return (
        f"{_format_others({name: plan.code for name, plan in others.items()}, 'program')}"
        f"These are problems of a new task, with their answers.\n\n{_format_shown(shown)}\n\n"
        f"How they are solved: {analysis}\n\n"
        "Write a function solve(input_text) that reads the text of any problem of this task and returns its answer. Print "
        f"the state after every step with print(). {LANGUAGE} Write the program between ```python and ```."
    )


def ask_prose(shown: Sequence[Instance], analysis: str, others: Mapping[str, Plan]) -> str:
    """Step 2 of the arm without code: numbered steps in plain words."""
    return (
        f"{_format_others({name: plan.prose for name, plan in others.items()}, 'plan')}"
        f"These are problems of a new task, with their answers.\n\n{_format_shown(shown)}\n\n"
        f"How they are solved: {analysis}\n\n"
        "Write a plan in numbered steps, in plain words, for any problem of this task. Write no code."
    )


def _format_others(parts: Mapping[str, str], word: str) -> str:
    texts = [f"Task {name}, {word}:\n{text}\n\n" for name, text in parts.items()]
    return "".join(texts) + ("---\n\n" if texts else "")


def _format_shown(shown: Sequence[Instance]) -> str:
    return "\n\n".join(f"Problem:\n{instance.question}\nAnswer: {instance.answer}" for instance in shown)


def ask_reasoner(arm: Arm, instance: Instance, plan: Plan | None, is_exact: bool = True) -> str:
    """The request of an arm. is_exact: the interpreter runs the program, whose numbers are fractions, and not Python.
    Raises ValueError for an arm that asks no model, or has no plan."""
    form = f'End with a line "{FINAL}" and the answer'
    form += f", which is one of: {', '.join(instance.options)}." if instance.options else "."
    problem = f"{instance.question}\n\n"
    if arm == "direct":
        return f'{problem}Do not explain. Write nothing but the line "{FINAL}" and the answer. {form}'
    if arm == "chain_of_thought":
        return f"{problem}Let's think step by step. {form}"
    if plan is None or arm == "executed":
        raise ValueError(f"{instance.id}: the arm {arm} asks nothing here")
    if arm == "prose":
        return f"{problem}Follow this plan.\n\n{plan.prose}\n\n{form}"
    code = add_call(plan.code if arm == "traced_code" else remove_prints(plan.code))
    return (
        f"input_text = {instance.question!r}\n\n```python\n{code}\n```\n\nDo what this program does, with this input_text. "
        f"Write every line that it prints, in order, and nothing else. {EXACT if is_exact else ''}{form}"
    )


def add_call(code: str) -> str:
    """A program as it is run: a plan that is a function is called."""
    return f"{code}\n{CALL}" if "def solve(" in code and CALL not in code else code


def extract_code(reply: str) -> str:
    """The program in an instructor's reply: its last block of code, else all of it."""
    parts = reply.split("```")
    block = parts[-2] if len(parts) > 2 else reply
    first, _, rest = block.partition("\n")
    block = rest if first.strip().lower() in ("python", "py", "") and rest else block
    return textwrap.dedent(block).strip()
