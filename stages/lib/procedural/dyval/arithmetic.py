"""Arithmetic: a tree of + - * / sqrt and squares over the numbers 1 to 10, with exact values.

Unlike in DyVal, values may be negative, square roots are taken of squares only, and numerators and denominators are
bounded (in DyVal they reach 4e20), so the answer is a whole number or a fraction in lowest terms.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import isqrt, prod
from typing import Any

from stages.lib.core.records import Step
from stages.lib.procedural.dyval import trees
from stages.lib.procedural.dyval.levels import TreeKnobs
from stages.lib.procedural.dyval.statements import LEAF, Dependencies, Statement, find_dependencies

ANSWER_TYPE = "number"
UNARY = ("sqrt", "square")
OPERATIONS = ("+", "-", "*", "/", *UNARY)
MAX_NUMERATOR, MAX_DENOMINATOR = 10**5, 10**3
SQUARES = (1, 4, 9)
Value = int | Fraction


def apply(operation: str, values: Sequence[Value]) -> Value | None:
    """The exact value; None where it is undefined or out of bounds. `-` and `/` apply all further operands in turn."""
    first, rest = values[0], values[1:]
    if operation == "+":
        value = sum(values)
    elif operation == "-":
        value = first - sum(rest)
    elif operation == "*":
        value = prod(values)
    elif operation == "/":
        if not (bottom := prod(rest)):
            return None
        value = Fraction(first) / bottom
    elif operation == "square":
        value = first * first
    else:
        value = _exact_sqrt(first)
    if value is None:
        return None
    if type(value) is Fraction and value.denominator == 1:
        value = value.numerator
    top, bottom = (value, 1) if type(value) is int else (value.numerator, value.denominator)
    return value if -MAX_NUMERATOR <= top <= MAX_NUMERATOR and bottom <= MAX_DENOMINATOR else None


def _exact_sqrt(value: Value) -> Value | None:
    if value < 0:
        return None
    top, bottom = isqrt(value.numerator), isqrt(value.denominator)
    if top * top != value.numerator or bottom * bottom != value.denominator:
        return None
    return Fraction(top, bottom)


def draw_leaf(rng: random.Random, user: str) -> int:
    return rng.choice(SQUARES) if user == "sqrt" else rng.randint(1, 10)


def sample(draw: Any, knobs: TreeKnobs, label: int, broken: bool) -> dict[str, Any] | None:
    """{statements (named by numbers), asked}; None where this draw gives no item."""
    grown = trees.grow_tree(draw("graph"), knobs, OPERATIONS[: knobs.operations], UNARY, draw_leaf, apply)
    if grown is None:
        return None
    statements, values = grown
    target = statements[-1][0]
    extra = trees.grow_distractors(draw("distractors"), statements, knobs.distractors, apply, values)
    if extra is None:
        return None
    if knobs.deleted or knobs.cycles:
        statements = damage_or_distract(
            draw,
            statements,
            [target],
            knobs,
            values,
            broken,
            lambda outcome: outcome.get(target),
            len(statements + extra),
        )
    return {"statements": statements + extra, "asked": target} if statements else None


def damage_or_distract(
    draw: Any,
    statements: list[Statement],
    targets: list[Any],
    knobs: Any,
    values: dict[Any, Value],
    broken: bool,
    answer: Callable[[dict[Any, Value]], Any],
    first: int,
) -> list[Statement] | None:
    """The statements and those of a second tree, one of them damaged (`trees.damage_one`). first: the first name of the
    second tree. answer(values): the answer of the whole problem, or None."""
    second = trees.grow_tree(draw("beside"), knobs, OPERATIONS[: knobs.operations], UNARY, draw_leaf, apply, first)
    if second is None:
        return None
    root = second[0][-1][0]
    ours = trees.GraphPart(statements, targets, _make_undetermined_test(statements, targets, values, answer))
    beside = trees.GraphPart(
        second[0], [root], _make_undetermined_test(second[0], [root], second[1], lambda outcome: outcome.get(root))
    )
    return trees.damage_one(draw, ours, beside, knobs, broken, UNARY)


def _make_undetermined_test(
    statements: list[Statement], targets: list[Any], values: dict[Any, Value], answer: Callable[[dict[Any, Value]], Any]
) -> Callable[[Any], bool]:
    truth = answer(values)

    def undetermined(name: Any) -> bool:
        answers = (
            answer(trees.evaluate(statements, targets, apply, {name: other}))
            for other in list_alternatives(values[name])
        )
        return any(other_answer is not None and other_answer != truth for other_answer in answers)

    return undetermined


def list_alternatives(value: Value) -> tuple[Value, ...]:
    return (value + 1, value - 1, 4 * value, value + 2, 9 * value + 9, value * value, 0, 1, 4)


def format_value(value: Value | bool | None) -> str:
    return "N/A" if value is None else str(value)


def _format_operand(value: Value) -> str:
    return f"({value})" if value < 0 or type(value) is Fraction else str(value)


def join_names(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def render_sentence(statement: Statement) -> str:
    name, operation, below = statement
    if operation == LEAF:
        return f"{name} is {below}."
    first, rest = below[0], below[1:]
    return {
        "+": lambda: f"{name} is the sum of {join_names(below)}.",
        "-": lambda: f"{name} is {first} minus {' minus '.join(rest)}.",
        "*": lambda: f"{name} is the product of {join_names(below)}.",
        "/": lambda: f"{name} is {first} divided by {'the product of ' * (len(rest) > 1)}{join_names(rest)}.",
        "square": lambda: f"{name} is the square of {first}.",
        "sqrt": lambda: f"{name} is the square root of {first}.",
    }[operation]()


def render_frame(params: dict[str, Any]) -> tuple[str, str]:
    """(text before the statements, text after them)."""
    target = params["asked"]
    return "Some values are described by others.", (
        f"What is the value of {target}? Give a whole number or a fraction in lowest terms. A value can be calculated "
        f"only if every value it is calculated from is known; if {target} cannot be calculated, answer N/A."
    )


def format_equation(operation: str, operands: Sequence[str]) -> str:
    if operation == "square":
        return f"{operands[0]}^2"
    if operation == "sqrt":
        return f"sqrt({operands[0].removeprefix('(').removesuffix(')')})"
    if operation == "/" and len(operands) > 2:
        return f"{operands[0]} / ({' * '.join(operands[1:])})"
    return f" {operation} ".join(operands)


def write_lines(statements: list[Statement], targets: Sequence[str]) -> tuple[list[Step], dict[str, Value], bool]:
    """(a line for every value that can be calculated, the values, whether all targets can be calculated)."""
    table = {statement[0]: statement for statement in statements}
    values = trees.evaluate(statements, targets, apply)
    need, steps = find_dependencies(statements, targets), []
    for name in need.names:
        _, operation, below = table[name]
        if name not in values:
            continue
        value = format_value(values[name])
        if operation == LEAF:
            steps.append(Step(text=f"{name} = {value}", value=value))
        else:
            numbers = format_equation(operation, [_format_operand(values[operand]) for operand in below])
            steps.append(Step(text=f"{name} = {format_equation(operation, below)} = {numbers} = {value}", value=value))
    steps += explain_obstacles(need, targets)
    return steps, values, all(name in values for name in targets)


def explain_obstacles(dependencies: Dependencies, targets: Sequence[str]) -> list[Step]:
    """Lines that say why the targets cannot be calculated."""
    steps = [
        Step(text=f"{name} is not described" + (f", but {user} needs it" if user != name else ""), value="N/A")
        for name, user in dependencies.missing
    ]
    if dependencies.cycle:
        around = ", which needs ".join([*dependencies.cycle[1:], dependencies.cycle[0]])
        steps.append(Step(text=f"{dependencies.cycle[0]} needs {around}", value="N/A"))
    if steps:
        steps.append(Step(text=f"so {join_names(list(targets))} cannot be calculated", value="N/A"))
    return steps


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    """(steps without the last one, answer)."""
    steps, values, is_known = write_lines(params["statements"], [params["asked"]])
    return steps, format_value(values[params["asked"]] if is_known else None)
