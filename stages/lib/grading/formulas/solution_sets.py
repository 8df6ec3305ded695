"""The numbers that solve a relation or belong to a set: the roots of an equation, the boundary of a set of real numbers.

One variable varies, the others have their values of `values.evaluate_at`. Only quotients of polynomials of low degree are
solved. Their coefficients are interpolated, so they may be any numbers (`x > \\sqrt{2}`). For anything
else the result is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import sympy
from math_verify.grader import is_equation, is_relation
from mpmath import mpc, mpf, polyroots
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational

from stages.lib.grading.formulas.values import SAMPLE_POINTS, evaluate_at

MAX_DEGREE = 4  # of a polynomial
ZERO_TOLERANCE = mpf(10) ** -25  # relative
ROUNDOFF = mpf(10) ** -36  # what 40 digits leave of a zero
CLOSE_TOLERANCE = mpf(10) ** -12  # relative; nearer numbers differ by floating-point noise only
_SIGN_TESTS: dict[type, Callable[[int], bool]] = {
    sympy.Lt: lambda sign: sign < 0,
    sympy.Le: lambda sign: sign <= 0,
    sympy.Gt: lambda sign: sign > 0,
    sympy.Ge: lambda sign: sign >= 0,
    sympy.Eq: lambda sign: sign == 0,
    sympy.Ne: lambda sign: sign != 0,
}
# Their stubs know neither `evaluate` nor that a difference of expressions is an expression.
_And: Any = sympy.And
_Or: Any = sympy.Or
_Float: Any = sympy.Float


class Region(NamedTuple):
    """A set of real numbers: whether it contains a number, and the numbers where that may change."""

    contains: Callable[[Any], bool]
    breakpoints: list[Any]

    def find_boundary(self) -> list[Any]:
        """The numbers where membership does change, in order."""
        points = deduplicate(sorted(self.breakpoints))
        between = [self.contains(point) for point in _sample_between(points)]
        return [
            point
            for point, below, above in zip(points, between, between[1:], strict=False)
            if {below, above} != {self.contains(point)}
        ]


def equal(left: Region, right: Region) -> bool:
    """Whether two regions contain the same numbers."""
    points = deduplicate(sorted([*left.breakpoints, *right.breakpoints]))
    return all(left.contains(point) == right.contains(point) for point in (*points, *_sample_between(points)))


def is_logic(expression: Any) -> bool:
    """Whether an expression is a relation, or relations joined by "and" or "or"."""
    return is_relation(expression) or isinstance(expression, sympy.And | sympy.Or)


def is_number_set(expression: Any) -> bool:
    """Whether an expression means a set of real numbers: a set, or an inequality in one variable."""
    if isinstance(expression, sympy.FiniteSet):
        # Of relations. One of numbers may be a point, which is written like an interval.
        return len(list_variables(expression)) < 2 and all(map(is_number_set, expression))
    if isinstance(expression, sympy.Set):
        return not expression.free_symbols
    return is_logic(expression) and not is_equation(expression) and len(list_variables(expression)) == 1


def list_variables(expression: Any) -> list[sympy.Symbol]:
    """The free symbols, by name. The value of an unknown function, `f(x)`, counts as one."""
    return sorted(_replace_functions(expression).free_symbols, key=str)


def _replace_functions(expression: Any) -> Any:
    return expression.replace(lambda part: isinstance(part, AppliedUndef), lambda part: sympy.Symbol(str(part)))


def find_region(expression: Any, variable: sympy.Symbol | None = None) -> Region | None:
    """The real numbers in a set, or for which a relation holds along a variable; None if unknown."""
    if isinstance(expression, Relational):
        return _find_relation_region(expression, variable) if variable else None
    if isinstance(expression, sympy.Interval):
        return _find_interval_region(expression)
    if isinstance(expression, sympy.FiniteSet):
        if any(isinstance(element, Relational | sympy.And | sympy.Or) for element in expression):
            return _find_list_region(expression, variable)
        points = [_evaluate_real(point) for point in expression]
        return None if None in points else Region(lambda t: any(_is_close(t, point) for point in points), points)
    if not isinstance(expression, sympy.And | sympy.Or | sympy.Union | sympy.Intersection | sympy.Complement):
        return Region(lambda t: False, []) if expression.is_empty else None
    regions: list[Region] = []
    for part in expression.args:
        if (region := find_region(part, variable)) is None:
            return None
        regions.append(region)
    breakpoints = [point for region in regions for point in region.breakpoints]
    if isinstance(expression, sympy.Complement):
        return Region(lambda t: regions[0].contains(t) and not regions[1].contains(t), breakpoints)
    combine = any if isinstance(expression, sympy.Or | sympy.Union) else all
    return Region(lambda t: combine(region.contains(t) for region in regions), breakpoints)


def _find_interval_region(interval: Any) -> Region | None:
    low, high = (None if end.is_infinite else _evaluate_real(end) for end in (interval.start, interval.end))
    if (low is None and not interval.start.is_infinite) or (high is None and not interval.end.is_infinite):
        return None

    def contains(t: Any) -> bool:
        return (low is None or (not interval.left_open if _is_close(t, low) else t > low)) and (
            high is None or (not interval.right_open if _is_close(t, high) else t < high)
        )

    return Region(contains, [end for end in (low, high) if end is not None])


def _find_list_region(relations: Any, variable: sympy.Symbol | None) -> Region | None:
    """Relations in a list hold together, or, if no number is left then, each alone (`x < 1, x > 3`)."""
    region = find_region(_And(*relations, evaluate=False), variable)
    if region is None or region.find_boundary():
        return region
    return find_region(_Or(*relations, evaluate=False), variable)


def _find_relation_region(relation: Any, variable: sympy.Symbol) -> Region | None:
    if absolute := next(iter(relation.atoms(sympy.Abs)), None):
        (inside,) = absolute.args
        positive, negative = (relation.xreplace({absolute: value}) for value in (inside, -inside))
        return find_region(_Or(_And(inside >= 0, positive), _And(inside < 0, negative)), variable)
    quotient = _make_quotient(relation.lhs, relation.rhs, variable)
    if quotient is None:
        return None
    numerator, denominator = quotient
    zeros, poles = (
        [root.real for root in _find_zeros(polynomial) if abs(root.imag) <= CLOSE_TOLERANCE * (1 + abs(root))]
        for polynomial in quotient
    )
    test = next(test for kind, test in _SIGN_TESTS.items() if isinstance(relation, kind))

    def contains(t: Any) -> bool:
        if any(_is_close(t, pole) for pole in poles):
            return False
        if any(_is_close(t, zero) for zero in zeros):
            return test(0)
        value = (_evaluate_polynomial(numerator, t) * _evaluate_polynomial(denominator, t)).real
        return test((value > 0) - (value < 0))

    return Region(contains, [*zeros, *poles])


def find_roots(equation: Any, variable: sympy.Symbol) -> list[Any] | None:
    """The distinct complex roots of an equation along a variable; None if unknown, or if every number is one."""
    quotient = _make_quotient(equation.lhs, equation.rhs, variable)
    if quotient is None or not quotient[0]:
        return None
    zeros, poles = (deduplicate(_find_zeros(polynomial)) for polynomial in quotient)
    return [root for root in zeros if not any(_is_close(root, pole) for pole in poles)]


def equal_roots(left: Any, right: Any) -> bool | None:
    """Whether two equations in the same variable have the same roots; None if unknown."""
    (variable,) = {*list_variables(left), *list_variables(right)}
    roots, others = find_roots(left, variable), find_roots(right, variable)
    if roots is None or others is None:
        return None
    return len(roots) == len(others) and all(any(_is_close(root, other) for other in others) for root in roots)


# Polynomials, as lists of coefficients, the constant first.


@lru_cache(maxsize=4096)
def _make_quotient(left: Any, right: Any, variable: sympy.Symbol) -> tuple[list[Any], list[Any]] | None:
    """The two polynomials whose quotient is `left - right`."""
    try:
        numerator, denominator = sympy.fraction(sympy.together(_replace_functions(left - right)))
    except (TypeError, AttributeError):
        return None
    above, below = _interpolate(numerator, variable), _interpolate(denominator, variable)
    return None if above is None or not below else (above, below)


def _interpolate(expression: Any, variable: sympy.Symbol) -> list[Any] | None:
    """The polynomial that an expression is; [] for zero, None if it is none, or of a higher degree than MAX_DEGREE.

    By Newton's divided differences, which end where two of them vanish.
    """
    names = sorted(map(str, expression.free_symbols))
    if variable not in expression.free_symbols:
        value = evaluate_at(expression, names, SAMPLE_POINTS[0])
        return None if value is None else [value] if value else []
    points: list[Any] = []
    samples: list[Any] = []
    diagonal: list[Any] = []  # the last one of the table of divided differences
    leading: list[Any] = []  # the last entry of each diagonal
    for step in range(MAX_DEGREE + 3):
        point = _Float(7 * step, 40) / 5 - _Float("1.3", 40)
        value = evaluate_at(expression, names, SAMPLE_POINTS[0], {variable: point})
        if value is None:
            return None
        points.append(mpf(point._mpf_))
        samples.append(value)
        row = [value]
        for back, difference in enumerate(diagonal, 1):
            row.append((row[-1] - difference) / (points[step] - points[step - back]))
        diagonal = row
        leading.append(row[-1])
        size = max(map(abs, samples))
        if step and all(abs(difference) <= ZERO_TOLERANCE * size for difference in leading[-2:]):
            return _expand(leading[:-2], points, size)
    return None


def _expand(leading: list[Any], points: list[Any], size: Any) -> list[Any]:
    """The coefficients of a polynomial in Newton's form, without leading zeros."""
    coefficients: list[Any] = []
    for difference, point in zip(reversed(leading), reversed(points[: len(leading)]), strict=True):
        shifted, scaled = [mpf(0), *coefficients], [*coefficients, mpf(0)]
        coefficients = [a - point * b for a, b in zip(shifted, scaled, strict=True)] if coefficients else [mpf(0)]
        coefficients[0] += difference
    while coefficients and abs(coefficients[-1]) <= ZERO_TOLERANCE * size:
        coefficients.pop()
    return [mpf(0) if abs(coefficient) <= ROUNDOFF * size else coefficient for coefficient in coefficients]


def _find_zeros(coefficients: list[Any]) -> list[Any]:
    """The complex roots of a polynomial."""
    roots = polyroots(coefficients[::-1], maxsteps=500, extraprec=400) if len(coefficients) > 1 else []
    return [mpc(root) for root in roots]


def _evaluate_polynomial(coefficients: list[Any], t: Any) -> Any:
    total = mpf(0)
    for coefficient in reversed(coefficients):
        total = total * t + coefficient
    return total


# Numbers.


def _evaluate_real(number: Any) -> Any:
    value = evaluate_at(number, [], SAMPLE_POINTS[0]) if not number.free_symbols else None
    return None if value is None or abs(value.imag) > CLOSE_TOLERANCE * abs(value) else value.real


def _is_close(left: Any, right: Any) -> bool:
    return abs(left - right) <= CLOSE_TOLERANCE * max(abs(left), abs(right))


def deduplicate(numbers: Iterable[Any]) -> list[Any]:
    """The numbers that differ from all before them by more than noise."""
    distinct: list[Any] = []
    for number in numbers:
        if not any(_is_close(number, other) for other in distinct):
            distinct.append(number)
    return distinct


def _sample_between(points: list[Any]) -> list[Any]:
    """A number below the first point, between each two, and above the last."""
    if not points:
        return [mpf(0)]
    return [points[0] - 1, *((a + b) / 2 for a, b in zip(points, points[1:], strict=False)), points[-1] + 1]
