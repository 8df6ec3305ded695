"""Arithmetic: a tree of + - * / sqrt and squares over the numbers 1 to 10, with exact values.

Unlike DyVal's, roots may be negative, a square root is only taken of a square, and no value has over `MAX_NUMERATOR` above
or `MAX_DENOMINATOR` below the line (there they reach 4e20), so the answer is a whole number or a fraction in lowest terms.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import isqrt
from typing import Any

from stages.lib.core.records import Step
from stages.problems.ood.dyval import trees
from stages.problems.ood.dyval.levels import TreeKnobs
from stages.problems.ood.dyval.statements import LEAF, Statement, find_dependencies

ANSWER_TYPE = "number"
UNARY = ("sqrt", "square")
OPERATIONS = ("+", "-", "*", "/", *UNARY)
MAX_NUMERATOR, MAX_DENOMINATOR = 10**5, 10**3
SQUARES = (1, 4, 9)
Value = int | Fraction


def apply(operation: str, values: Sequence[Value]) -> Value | None:
    """The exact value; None where there is none or it is beyond the bounds. - and / take all further operands."""
    first, rest = values[0], values[1:]
    if operation == "+":
        value = sum(values)
    elif operation == "-":
        value = first - sum(rest)
    elif operation == "*":
        value = first
        for one in rest:
            value *= one
    elif operation == "/":
        bottom = 1
        for one in rest:
            bottom *= one
        if not bottom:
            return None
        value = Fraction(first, 1) / bottom
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
    """Statements named by numbers and the asked one; None when the draw leads nowhere."""
    grown = trees.grow_tree(draw("graph"), knobs, OPERATIONS, UNARY, draw_leaf, apply)
    if grown is None:
        return None
    statements, values = grown
    asked = statements[-1][0]
    extra = trees.grow_distractors(draw("distractors"), statements, knobs.distractors, apply, values)
    if extra is None:
        return None
    if knobs.deleted or knobs.cycles:
        statements = damage_or_distract(
            draw, statements, [asked], knobs, values, broken, lambda found: found.get(asked), len(statements + extra)
        )
    return statements and {"statements": statements + extra, "asked": asked}


def damage_or_distract(
    draw: Any,
    statements: list[Statement],
    asked: list[Any],
    knobs: Any,
    values: dict[Any, Value],
    broken: bool,
    answer: Callable[[dict[Any, Value]], Any],
    first: int,
) -> list[Statement] | None:
    """The statements and those of another tree, its names from `first` on, one of them damaged (`trees.damage_one`).
    answer(values): of the whole problem, or None."""
    other = trees.grow_tree(draw("beside"), knobs, OPERATIONS, UNARY, draw_leaf, apply, first)
    if other is None:
        return None
    root = other[0][-1][0]
    ours = trees.GraphPart(statements, asked, _make_undetermined_test(statements, asked, values, answer))
    beside = trees.GraphPart(
        other[0], [root], _make_undetermined_test(other[0], [root], other[1], lambda found: found.get(root))
    )
    return trees.damage_one(draw, ours, beside, knobs, broken, UNARY)


def _make_undetermined_test(
    statements: list[Statement], asked: list[Any], values: dict[Any, Value], answer: Callable[[dict[Any, Value]], Any]
) -> Callable[[Any], bool]:
    truth = answer(values)

    def undetermined(name: Any) -> bool:
        found = (
            answer(trees.evaluate(statements, asked, apply, {name: other})) for other in list_alternatives(values[name])
        )
        return any(one is not None and one != truth for one in found)

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
    """What stands before and after the statements."""
    asked = params["asked"]
    return "Some values are described by others.", (
        f"What is the value of {asked}? Give a whole number or a fraction in lowest terms. A value can be calculated "
        f"only if every value it is calculated from is known; if {asked} cannot be calculated, answer N/A."
    )


def format_equation(operation: str, operands: Sequence[str]) -> str:
    if operation == "square":
        return f"{operands[0]}^2"
    if operation == "sqrt":
        return f"sqrt({operands[0].removeprefix('(').removesuffix(')')})"
    if operation == "/" and len(operands) > 2:
        return f"{operands[0]} / ({' * '.join(operands[1:])})"
    return f" {operation} ".join(operands)


def write_lines(statements: list[Statement], asked: Sequence[str]) -> tuple[list[Step], dict[str, Value], bool]:
    """A line for every value that can be calculated, the values, and whether all that is needed can be."""
    table = {statement[0]: statement for statement in statements}
    values = trees.evaluate(statements, asked, apply)
    need, steps = find_dependencies(statements, asked), []
    for name in need.names:
        _, operation, below = table[name]
        if name not in values:
            continue
        value = format_value(values[name])
        if operation == LEAF:
            steps.append(Step(text=f"{name} = {value}", value=value))
        else:
            numbers = format_equation(operation, [_format_operand(values[one]) for one in below])
            steps.append(Step(text=f"{name} = {format_equation(operation, below)} = {numbers} = {value}", value=value))
    steps += explain_obstacles(need, asked)
    return steps, values, all(name in values for name in asked)


def explain_obstacles(need: Any, asked: Sequence[str]) -> list[Step]:
    """Lines that say why what is asked cannot be calculated."""
    steps = [
        Step(text=f"{name} is not described" + (f", but {user} needs it" if user != name else ""), value="N/A")
        for name, user in need.missing
    ]
    if need.cycle:
        around = ", which needs ".join([*need.cycle[1:], need.cycle[0]])
        steps.append(Step(text=f"{need.cycle[0]} needs {around}", value="N/A"))
    if steps:
        steps.append(Step(text=f"so {join_names(list(asked))} cannot be calculated", value="N/A"))
    return steps


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    """Steps without the last one, and the answer."""
    steps, values, known = write_lines(params["statements"], [params["asked"]])
    return steps, format_value(values[params["asked"]] if known else None)
