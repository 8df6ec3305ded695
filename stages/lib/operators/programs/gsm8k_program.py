"""Changed GSM8K problems: a lifted program with changes, written out as question, steps and answer.

A state is a program of `lib/procedural/lifting` with further keys, all optional:
  values     new numbers, as text, for those of the question
  leading    steps before the gold steps: {"text", "value"}
  further    {"operation", "number", "text"}: one more step on the answer, and its sentence
  unknown    {"number": i}: this number is replaced by x and asked for, the answer is given (`reversal.py`)
  withheld   {"number": i, "noun"}: this number is deleted before the noun (`premise.py`)
  tale       an unrelated sentence before the question
  edits      typos, made last
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from stages.lib.core.expressions import ANNOTATION, Tree, evaluate_tree, parse_tree
from stages.lib.core.records import Step
from stages.lib.operators.programs.base import NotApplicable, State, apply_edits
from stages.lib.procedural.lifting import programs

Parts = list[Any]  # strings, and slots for the numbers
_SENTENCE_BOUNDARY = re.compile(r"(?<=[.!?])[\"”]?\s+(?=[A-Z])")
_ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Jr|vs|[A-Z]|[ap]\.m|lbs?|oz|No)\.$")


def get_numbers(state: State) -> list[Fraction]:
    if "values" in state:
        return [Fraction(value) for value in state["values"]]
    return programs.list_numbers(state)


def get_original_text(part: Any) -> str:
    """A part of a question as it was in the original."""
    return part if isinstance(part, str) else part["said"]


def split_sentences(parts: Sequence[Any]) -> list[Parts]:
    """The sentences of a question, each a list of parts; joined by spaces they are the question again."""
    sentences: list[Parts] = [[]]
    for part in parts:
        if not isinstance(part, str):
            sentences[-1].append(part)
            continue
        position = 0
        for match in _SENTENCE_BOUNDARY.finditer(part):
            if _ABBREVIATION.search(part[: match.start()]):
                continue
            sentences[-1].append(part[position : match.start()])
            sentences.append([])
            position = match.end()
        sentences[-1].append(part[position:])
    return [[part for part in sentence if part != ""] for sentence in sentences]


def render_parts(parts: Sequence[Any]) -> str:
    return "".join(get_original_text(part) for part in parts)


def rewrite_state(state: State, change: Callable[[str], str]) -> State:
    """The state with `change` applied to every string of its question and lines; numbers stay."""
    state = copy.deepcopy(state)
    state["question"] = [change(part) if isinstance(part, str) else part for part in state["question"]]
    state["lines"] = [[change(part) if isinstance(part, str) else part for part in line] for line in state["lines"]]
    return state


def get_full_text(state: State) -> str:
    """The text of question and lines, to look for words in."""
    return " ".join(
        [render_parts(state["question"]), *("".join(p for p in line if isinstance(p, str)) for line in state["lines"])]
    )


def render(state: State) -> tuple[str, list[Step], str]:
    """(question, steps, answer) of a state. Raises NotApplicable where a number cannot be written down."""
    shown = dict(state)
    if "unknown" in state:
        shown["question"] = [
            "x" if isinstance(part, dict) and part["is"].get("number") == state["unknown"]["number"] else part
            for part in state["question"]
        ]
    if "withheld" in state:
        shown["question"] = _drop_number(state["question"], state["withheld"])
    try:
        question, steps, answer = programs.render_program(shown, get_numbers(state))
    except ValueError as error:
        raise NotApplicable(str(error)) from None
    steps = [Step(**line) for line in state.get("leading", [])] + steps
    if "further" in state:
        question, steps, answer = _append_step(state["further"], question, steps, answer)
    if "unknown" in state:
        question = f"{question} The answer to that question is {answer}. What is x?"
        steps, answer = _write_inverse_steps(state, steps)
    if "withheld" in state:
        steps, answer = _write_stuck_steps(state, steps), "N/A"
    if "tale" in state:
        question = f"{state['tale']} {question}"
    return apply_edits(question, state.get("edits", [])), steps, answer


def _drop_number(parts: Parts, withheld: dict[str, Any]) -> Parts:
    at = next(
        i for i, part in enumerate(parts) if isinstance(part, dict) and part["is"]["number"] == withheld["number"]
    )
    return [*parts[:at], parts[at + 1][1:], *parts[at + 2 :]]  # without the space after it


def _append_step(further: dict[str, Any], question: str, steps: list[Step], answer: str) -> tuple[str, list[Step], str]:
    operation, number = further["operation"], further["number"]
    result = programs.format_decimal(evaluate_tree((operation, answer, str(number))))
    line = f"Then {answer} {operation} {number} = <<{answer}{operation}{number}={result}>>{result}."
    steps = [*steps[:-1], Step(text=line, value=result), Step(text=f"#### {result}", value=result)]
    return f"{question} {further['text']}", steps, result


# Dependencies.


def list_bindings(state: State, k: int) -> list[dict[str, Any]]:
    """The bindings of annotation k, including the possible ones."""
    pieces = state["annotations"][k]["expression"]
    return [ref for piece in pieces if isinstance(piece, dict) for ref in (piece["is"], *piece.get("or", []))]


def find_dependents(state: State, number: int) -> set[int]:
    """The annotations whose result depends on a number of the question."""
    dependents: set[int] = set()
    for k in range(len(state["annotations"])):
        if any(ref.get("number") == number or ref.get("step") in dependents for ref in list_bindings(state, k)):
            dependents.add(k)
    return dependents


def find_used_numbers(state: State) -> set[int]:
    """The numbers of the question that the answer depends on."""
    stack, visited, numbers = [state["answer"]["step"]], set(), set()
    while stack:
        k = stack.pop()
        if k in visited:
            continue
        visited.add(k)
        for ref in list_bindings(state, k):
            if "step" in ref:
                stack.append(ref["step"])
            elif "number" in ref:
                numbers.add(ref["number"])
    return numbers


def _select_independent_lines(state: State, steps: Sequence[Step], number: int) -> list[Step]:
    """The gold steps that do not depend on a number. Of a line that only mentions it, the calculations alone."""
    dependent, independent = find_dependents(state, number), []
    for line, step in zip(state["lines"], steps, strict=False):
        inside = [part["annotation"] for part in line if isinstance(part, dict) and "annotation" in part]
        refs = [part["is"] for part in line if isinstance(part, dict) and "is" in part]
        if not inside or dependent & {*inside}:
            continue
        if any(r.get("number") == number or r.get("step") in dependent for r in refs):
            found = (match[0][2:-2].partition("=") for match in ANNOTATION.finditer(step.text))
            lines = [f"{left} = <<{left}={right}>>{right}." for left, _, right in found]
            independent.append(Step(text=" ".join(lines), value=step.value))
        else:
            independent.append(step)
    return independent


def _write_stuck_steps(state: State, steps: Sequence[Step]) -> list[Step]:
    withheld = state["withheld"]
    unknown = Step(text=f"The problem does not say how many {withheld['noun']} there are.")
    return [*_select_independent_lines(state, steps, withheld["number"]), unknown, Step(text="#### N/A", value="N/A")]


# The inverse of a solution: from the answer back to one number.


def _write_inverse_steps(state: State, steps: Sequence[Step]) -> tuple[list[Step], str]:
    number, values = state["unknown"]["number"], programs.compute_results(state, get_numbers(state))
    dependent = find_dependents(state, number)
    lines = _select_independent_lines(state, steps, number)
    k = state["answer"]["step"]
    result_text = programs.format_decimal(values[k])
    while True:
        expression, ref = _solve_operand(state, k, result_text, dependent, number, values)
        result = programs.format_decimal(evaluate_tree(parse_tree(_split_tokens(expression))))
        name = "x" if "number" in ref else "the result before it"
        lines.append(
            Step(text=f"Going back, {name} is {expression} = <<{expression}={result}>>{result}.", value=result)
        )
        if "number" in ref:
            return [*lines, Step(text=f"#### {result}", value=result)], result
        k, result_text = ref["step"], result


def _split_tokens(expression: str) -> list[str]:
    from stages.lib.core.expressions import tokenize

    return tokenize(expression)


def _solve_operand(
    state: State, k: int, result: str, dependent: set[int], number: int, now: Sequence[Fraction]
) -> tuple[str, dict[str, Any]]:
    """(expression that gives the one unknown operand of annotation k from its result, its binding)."""

    def unknown(ref: dict[str, Any]) -> bool:
        return ref.get("number") == number or ref.get("step") in dependent

    def holds(node: Tree) -> bool:
        return any(map(holds, node[1:])) if isinstance(node, tuple) else isinstance(node, dict) and unknown(node["is"])

    def said(node: Tree) -> str:
        if isinstance(node, tuple):
            return f"({said(node[1])}{node[0]}{said(node[2])})"
        if isinstance(node, str):
            return node
        return programs.format_decimal(programs.resolve_ref(node["is"], get_numbers(state), now))

    node, target = parse_tree(state["annotations"][k]["expression"]), result
    while isinstance(node, tuple):
        operation, left, right = node
        if holds(left) and holds(right):
            raise NotApplicable("the number enters a step twice")
        if operation == "//" or (
            operation == "*" and not evaluate_tree(right if holds(left) else left, _make_value_reader(state, now))
        ):
            raise NotApplicable("a step cannot be undone")
        wrapped = target if target == result else f"({target})"
        if holds(left):
            target = f"{wrapped}{ {'+': '-', '-': '+', '*': '/', '/': '*'}[operation] }{said(right)}".replace(" ", "")
            node = left
        else:
            other = said(left)
            target = {
                "+": f"{wrapped}-{other}",
                "-": f"{other}-{wrapped}",
                "*": f"{wrapped}/{other}",
                "/": f"{other}/{wrapped}",
            }[operation]
            node = right
    if "as" in node["is"]:
        raise NotApplicable("the number enters as a percentage")
    return target, node["is"]


def _make_value_reader(state: State, now: Sequence[Fraction]) -> Callable[[Any], Fraction]:
    return lambda slot: programs.resolve_ref(slot["is"], get_numbers(state), now)
