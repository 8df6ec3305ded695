"""Two linear equations in x and y; some of the six coefficients are the roots of arithmetic trees.

The plain ones are drawn from -10 to 10 until the determinant is not zero (exactly, not in floating point) and neither
unknown has over `MAX_DENOMINATOR` below the line. All names come from one pool, those of distractors too.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from stages.lib.core.records import Step
from stages.problems.ood.dyval import arithmetic, trees
from stages.problems.ood.dyval.levels import EquationKnobs
from stages.problems.ood.dyval.statements import Statement

ANSWER_TYPE = "latex"
MAX_DENOMINATOR = 20
MAX_COEFFICIENT = 50  # of a coefficient that is calculated
MAX_ATTEMPTS = 60
render_sentence = arithmetic.render_sentence


def solve_cramer(coefficients: Sequence[Any]) -> tuple[Fraction, Fraction] | None:
    """(x, y) of a x + b y = c, d x + e y = f by Cramer's rule; None unless there is exactly one."""
    a, b, c, d, e, f = coefficients
    determinant = a * e - b * d
    return (Fraction(c * e - b * f) / determinant, Fraction(a * f - c * d) / determinant) if determinant else None


def sample(draw: Any, knobs: EquationKnobs, label: int, broken: bool) -> dict[str, Any] | None:
    statements: list[Statement] = []
    values: dict[Any, Any] = {}
    roots = []
    for number in range(knobs.dags):
        grown = trees.grow_tree(
            draw(f"graph {number}"),
            knobs,
            arithmetic.OPERATIONS,
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

    def answer(found: dict[Any, Any]) -> tuple[Fraction, Fraction] | None:
        known = [found.get(one[0]) if isinstance(one, list) else one for one in coefficients]
        return None if None in known else solve_cramer(known)

    if knobs.deleted or knobs.cycles:
        first = len(statements + extra)
        statements = arithmetic.damage_or_distract(draw, statements, roots, knobs, values, broken, answer, first)
    if statements is None:
        return None
    return {"statements": statements + extra, "coefficients": coefficients, "asked": roots}


def _draw_coefficients(rng: Any, roots: list[int], values: dict[Any, Any]) -> list[Any] | None:
    """Six of them: numbers, and [root] for one that is calculated."""
    for _ in range(MAX_ATTEMPTS):
        drawn = [[root] for root in roots] + [rng.randint(-10, 10) for _ in range(6 - len(roots))]
        rng.shuffle(drawn)
        found = solve_cramer([values[one[0]] if isinstance(one, list) else one for one in drawn])
        if found and max(one.denominator for one in found) <= MAX_DENOMINATOR:
            return drawn
    return None


def is_within_bounds(params: dict[str, Any]) -> bool:
    """Whether an item keeps the bounds of the task: one solution, fine enough, of coefficients that are whole."""
    values = trees.evaluate(params["statements"], params["asked"], arithmetic.apply)
    numbers = [values.get(one[0]) if isinstance(one, list) else one for one in params["coefficients"]]
    if any(type(number) is not int or abs(number) > MAX_COEFFICIENT for number in numbers):
        return False
    found = solve_cramer(numbers)
    return bool(found) and max(one.denominator for one in found) <= MAX_DENOMINATOR


def _format_equations(coefficients: Sequence[int | str]) -> list[str]:
    """`-5x - 8y = 6`, `x + nlj*y = 9`: numbers and names as one writes them."""
    a, b, c, d, e, f = coefficients
    return [f"{_format_left_side(one, other)} = {total}" for one, other, total in ((a, b, c), (d, e, f))]


def _format_left_side(x: int | str, y: int | str) -> str:
    terms = [(factor, letter) for factor, letter in ((x, "x"), (y, "y")) if factor != 0]
    signs = [not isinstance(factor, str) and factor < 0 for factor, _ in terms]
    said = [
        f"{factor}*{letter}" if isinstance(factor, str) else letter if abs(factor) == 1 else f"{abs(factor)}{letter}"
        for factor, letter in terms
    ]
    first = f"{'-' * signs[0]}{said[0]}"
    return first + "".join(f" {'-' if sign else '+'} {one}" for sign, one in zip(signs[1:], said[1:], strict=True))


def render_frame(params: dict[str, Any]) -> tuple[str, str]:
    first, second = _format_equations([one[0] if isinstance(one, list) else one for one in params["coefficients"]])
    before = f"Two equations have the unknowns x and y:\n{first}\n{second}"
    if params["asked"]:
        before += "\nSome values are described by others."
    return before, (
        "What are x and y? Give the pair (x, y), both as whole numbers or fractions in lowest terms. A value can be "
        "calculated only if every value it is calculated from is known; if x and y cannot be calculated, answer N/A."
    )


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    steps, values, known = arithmetic.write_lines(params["statements"], params["asked"])
    if not known:
        return steps, "N/A"
    numbers = [values[one[0]] if isinstance(one, list) else one for one in params["coefficients"]]
    a, b, c, d, e, f = numbers
    steps += [Step(text=line) for line in _format_equations(numbers)]
    inner = arithmetic._format_operand
    determinant, over_x, over_y = a * e - b * d, c * e - b * f, a * f - c * d
    x, y = solve_cramer(numbers)
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
