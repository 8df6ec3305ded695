"""Two linear equations in x and y; some of the six coefficients are the roots of arithmetic trees.

The others are drawn from -10 to 10 until the determinant is not zero (exactly, not in floating point) and no solution has
a denominator over `MAX_DENOMINATOR`. All names come from one pool, those of distractors too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from stages.lib.core.records import Step
from stages.lib.procedural.dyval import arithmetic, trees
from stages.lib.procedural.dyval.levels import EquationKnobs
from stages.lib.procedural.dyval.statements import Statement

ANSWER_TYPE = "latex"
MAX_DENOMINATOR = 20
MAX_COEFFICIENT = 50  # of the root of a tree
MAX_ATTEMPTS = 60
render_sentence = arithmetic.render_sentence


def solve_cramer(coefficients: Sequence[Any]) -> tuple[Fraction, Fraction] | None:
    """(x, y) of ax + by = c, dx + ey = f by Cramer's rule; None unless there is exactly one solution."""
    a, b, c, d, e, f = coefficients
    determinant = a * e - b * d
    return (Fraction(c * e - b * f) / determinant, Fraction(a * f - c * d) / determinant) if determinant else None


def _resolve(coefficients: Sequence[Any], values: Mapping[Any, Any]) -> list[Any]:
    """Coefficients as numbers: [name] becomes the value of the name, or None."""
    return [values.get(entry[0]) if isinstance(entry, list) else entry for entry in coefficients]


def sample(draw: Any, knobs: EquationKnobs, label: int, broken: bool) -> dict[str, Any] | None:
    statements: list[Statement] = []
    values: dict[Any, Any] = {}
    roots = []
    for number in range(knobs.dags):
        grown = trees.grow_tree(
            draw(f"graph {number}"),
            knobs,
            arithmetic.OPERATIONS[: knobs.operations],
            arithmetic.UNARY,
            arithmetic.draw_leaf,
            arithmetic.apply,
            first=len(statements),
        )
        if grown is None or type(root := grown[1][grown[0][-1][0]]) is not int or abs(root) > MAX_COEFFICIENT:
            return None
        statements, values = statements + grown[0], values | grown[1]
        roots.append(grown[0][-1][0])
    extra = trees.grow_distractors(draw("distractors"), statements, knobs.distractors, arithmetic.apply, values)
    coefficients = _draw_coefficients(draw("coefficients"), roots, values)
    if extra is None or coefficients is None:
        return None

    def answer(outcome: dict[Any, Any]) -> tuple[Fraction, Fraction] | None:
        numbers = _resolve(coefficients, outcome)
        return None if None in numbers else solve_cramer(numbers)

    if knobs.deleted or knobs.cycles:
        first = len(statements + extra)
        damaged = arithmetic.damage_or_distract(draw, statements, roots, knobs, values, broken, answer, first)
        if damaged is None:
            return None
        statements = damaged
    return {"statements": statements + extra, "coefficients": coefficients, "asked": roots}


def _draw_coefficients(rng: Any, roots: list[int], values: dict[Any, Any]) -> list[Any] | None:
    """Six coefficients: numbers, and [name] for the root of a tree."""
    for _ in range(MAX_ATTEMPTS):
        coefficients = [[root] for root in roots] + [rng.randint(-10, 10) for _ in range(6 - len(roots))]
        rng.shuffle(coefficients)
        solution = solve_cramer(_resolve(coefficients, values))
        if solution and max(entry.denominator for entry in solution) <= MAX_DENOMINATOR:
            return coefficients
    return None


def _format_equations(coefficients: Sequence[int | str]) -> list[str]:
    """The equations in usual notation: `-5x - 8y = 6`, `x + nlj*y = 9`."""
    a, b, c, d, e, f = coefficients
    return [
        f"{_format_left_side(x_factor, y_factor)} = {total}" for x_factor, y_factor, total in ((a, b, c), (d, e, f))
    ]


def _format_left_side(x: int | str, y: int | str) -> str:
    factors = [(factor, letter) for factor, letter in ((x, "x"), (y, "y")) if factor != 0]
    signs = [not isinstance(factor, str) and factor < 0 for factor, _ in factors]
    terms = [
        f"{factor}*{letter}" if isinstance(factor, str) else letter if abs(factor) == 1 else f"{abs(factor)}{letter}"
        for factor, letter in factors
    ]
    first = f"{'-' * signs[0]}{terms[0]}"
    return first + "".join(f" {'-' if sign else '+'} {term}" for sign, term in zip(signs[1:], terms[1:], strict=True))


def render_frame(params: dict[str, Any]) -> tuple[str, str]:
    first, second = _format_equations(
        [entry[0] if isinstance(entry, list) else entry for entry in params["coefficients"]]
    )
    before = f"Two equations have the unknowns x and y:\n{first}\n{second}"
    if params["asked"]:
        before += "\nSome values are described by others."
    return before, (
        "What are x and y? Give the pair (x, y), both as whole numbers or fractions in lowest terms. A value can be "
        "calculated only if every value it is calculated from is known; if x and y cannot be calculated, answer N/A."
    )


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    steps, values, is_known = arithmetic.write_lines(params["statements"], params["asked"])
    if not is_known:
        return steps, "N/A"
    numbers = _resolve(params["coefficients"], values)
    a, b, c, d, e, f = numbers
    steps += [Step(text=line) for line in _format_equations(numbers)]
    inner = arithmetic._format_operand
    determinant, over_x, over_y = a * e - b * d, c * e - b * f, a * f - c * d
    solution: Any = solve_cramer(numbers)
    x, y = solution
    for name, (p, q, r, s), value in (
        ("D", (a, e, b, d), determinant),
        ("Dx", (c, e, b, f), over_x),
        ("Dy", (a, f, c, d), over_y),
    ):
        products = f"{inner(p)} * {inner(q)} - {inner(r)} * {inner(s)}"
        steps.append(Step(text=f"{name} = {products} = {p * q} - {inner(r * s)} = {value}", value=str(value)))
    steps.append(Step(text=f"x = Dx / D = {inner(over_x)} / {inner(determinant)} = {x}", value=str(x)))
    steps.append(Step(text=f"y = Dy / D = {inner(over_y)} / {inner(determinant)} = {y}", value=str(y)))
    return steps, f"({x}, {y})"
