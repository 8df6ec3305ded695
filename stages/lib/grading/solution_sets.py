"""What a relation or a set holds, numerically: the roots of an equation, and the boundary of a set of real numbers.

Found along a line: one variable varies, the others stand at the point of `formulas.evaluate_at`. Only quotients of polynomials of
low degree have roots here, and their coefficients are interpolated, so that they may be any numbers (`x > \\sqrt{2}`).
Of what is more, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from mpmath import mpc, mpf, polyroots
from sympy import (
    Abs,
    And,
    Complement,
    Eq,
    FiniteSet,
    Float,
    Ge,
    Gt,
    Intersection,
    Interval,
    Le,
    Lt,
    Ne,
    Or,
    Symbol,
    Union,
    fraction,
    together,
)
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational

from stages.lib.grading import formulas

MAX_DEGREE = 4  # of a polynomial, at most
ZERO_TOLERANCE = mpf(10) ** -25  # relative
ROUNDOFF = mpf(10) ** -36  # what 40 digits leave of a zero
CLOSE_TOLERANCE = mpf(10) ** -12  # two places that are one but for floating-point noise; relative
_SIGN_TESTS: dict[type, Callable[[int], bool]] = {
    Lt: lambda sign: sign < 0,
    Le: lambda sign: sign <= 0,
    Gt: lambda sign: sign > 0,
    Ge: lambda sign: sign >= 0,
    Eq: lambda sign: sign == 0,
    Ne: lambda sign: sign != 0,
}


class Region(NamedTuple):
    """A set of real numbers: whether it holds one, and the places where that may change."""

    contains: Callable[[Any], bool]
    breakpoints: list[Any]

    def find_boundary(self) -> list[Any]:
        """The places where it does change, in order."""
        places = deduplicate(sorted(self.breakpoints))
        between = [self.contains(place) for place in _sample_between(places)]
        return [p for p, *held in zip(places, between, between[1:], strict=False) if {*held} != {self.contains(p)}]


def equal(left: Region, right: Region) -> bool:
    """Whether two regions hold the same numbers."""
    places = deduplicate(sorted([*left.breakpoints, *right.breakpoints]))
    return all(left.contains(place) == right.contains(place) for place in (*places, *_sample_between(places)))


def find_region(each: Any, name: Symbol | None = None) -> Region | None:
    """The real numbers in a set, or for which a relation holds along a variable; None if that cannot be told."""
    if isinstance(each, Relational):
        return _find_relation_region(each, name) if name else None
    if isinstance(each, Interval):
        ends = [None if end.is_infinite else _evaluate_real(end) for end in (each.start, each.end)]
        if any(end is None and not whole.is_infinite for end, whole in zip(ends, (each.start, each.end), strict=True)):
            return None
        low, high = ends
        return Region(
            lambda t: (
                (low is None or (not each.left_open if _is_close(t, low) else t > low))
                and (high is None or (not each.right_open if _is_close(t, high) else t < high))
            ),
            [end for end in ends if end is not None],
        )
    if isinstance(each, FiniteSet) and any(isinstance(part, Relational | And | Or) for part in each):
        return _find_list_region(each, name)
    if isinstance(each, FiniteSet):
        points = [_evaluate_real(point) for point in each]
        return None if None in points else Region(lambda t: any(_is_close(t, point) for point in points), points)
    if not isinstance(each, And | Or | Union | Intersection | Complement):
        return Region(lambda t: False, []) if each.is_empty else None
    parts = [find_region(part, name) for part in each.args]
    if None in parts:
        return None
    places = [place for part in parts for place in part.breakpoints]
    if isinstance(each, Complement):
        return Region(lambda t: parts[0].contains(t) and not parts[1].contains(t), places)
    some = any if isinstance(each, Or | Union) else all
    return Region(lambda t: some(part.contains(t) for part in parts), places)


def _find_list_region(each: FiniteSet, name: Symbol | None) -> Region | None:
    """Relations in a list hold together; where nothing is left then, each holds alone (`x < 1, x > 3`)."""
    both = find_region(And(*each, evaluate=False), name)
    return both if both is None or both.find_boundary() else find_region(Or(*each, evaluate=False), name)


def find_roots(equation: Eq, name: Symbol) -> list[Any] | None:
    """The different complex roots of an equation along a variable; None if they cannot be told, or there is no end of
    them."""
    found = _make_quotient(equation.lhs, equation.rhs, name)
    if found is None or not found[0]:
        return None
    above, below = (deduplicate(_find_zeros(coefficients)) for coefficients in found)
    return [root for root in above if not any(_is_close(root, pole) for pole in below)]


def equal_roots(left: Eq, right: Eq) -> bool | None:
    """Whether two equations in one variable have the same roots; None if that cannot be told."""
    (name,) = {*list_variables(left), *list_variables(right)}
    ours, theirs = find_roots(left, name), find_roots(right, name)
    if ours is None or theirs is None:
        return None
    return len(ours) == len(theirs) and all(any(_is_close(root, other) for other in theirs) for root in ours)


def list_variables(each: Any) -> list[Symbol]:
    """The free symbols; an unknown function's value is one."""
    return sorted(_replace_functions(each).free_symbols, key=str)


def _replace_functions(each: Any) -> Any:
    return each.replace(lambda part: isinstance(part, AppliedUndef), lambda part: Symbol(str(part)))


def _find_relation_region(relation: Relational, name: Symbol) -> Region | None:
    if absolute := next(iter(relation.atoms(Abs)), None):
        (inside,) = absolute.args
        positive, negative = (relation.xreplace({absolute: value}) for value in (inside, -inside))
        return find_region(Or(And(inside >= 0, positive), And(inside < 0, negative)), name)
    found = _make_quotient(relation.lhs, relation.rhs, name)
    if found is None:
        return None
    above, below = found
    zeros, poles = (
        [root.real for root in _find_zeros(each) if abs(root.imag) <= CLOSE_TOLERANCE * (1 + abs(root))]
        for each in found
    )
    test = next(test for kind, test in _SIGN_TESTS.items() if isinstance(relation, kind))

    def holds(t: Any) -> bool:
        if any(_is_close(t, pole) for pole in poles):
            return False
        if any(_is_close(t, zero) for zero in zeros):
            return test(0)
        value = (_evaluate_polynomial(above, t) * _evaluate_polynomial(below, t)).real
        return test((value > 0) - (value < 0))

    return Region(holds, [*zeros, *poles])


@lru_cache(maxsize=4096)
def _make_quotient(left: Any, right: Any, name: Symbol) -> tuple[list[Any], list[Any]] | None:
    """The coefficients of two polynomials, constant first, whose quotient is the difference of two sides."""
    try:
        above, below = fraction(together(_replace_functions(left - right)))
    except (TypeError, AttributeError):
        return None
    found = _interpolate(above, name), _interpolate(below, name)
    return None if found[0] is None or not found[1] else found


def _interpolate(expression: Any, name: Symbol) -> list[Any] | None:
    """Of a polynomial, constant first; [] of zero. By Newton's divided differences: two that vanish end it."""
    names = sorted(map(str, expression.free_symbols))
    if name not in expression.free_symbols:
        value = formulas.evaluate_at(expression, names, formulas.SAMPLE_POINTS[0])
        return None if value is None else [value] if value else []
    places: list[Any] = []
    values: list[Any] = []
    table: list[Any] = []  # the last diagonal of divided differences
    leading: list[Any] = []
    for step in range(MAX_DEGREE + 3):
        place = Float(7 * step, 40) / 5 - Float("1.3", 40)
        value = formulas.evaluate_at(expression, names, formulas.SAMPLE_POINTS[0], {name: place})
        if value is None:
            return None
        places.append(mpf(place._mpf_))
        values.append(value)
        row = [value]
        for back, difference in enumerate(table, 1):
            row.append((row[-1] - difference) / (places[step] - places[step - back]))
        table = row
        leading.append(row[-1])
        size = max(map(abs, values))
        if step and all(abs(difference) <= ZERO_TOLERANCE * size for difference in leading[-2:]):
            return _expand(leading[:-2], places, size)
    return None


def _expand(leading: list[Any], places: list[Any], size: Any) -> list[Any]:
    """Newton's form as powers; without leading zeros."""
    found: list[Any] = []
    for difference, place in zip(reversed(leading), reversed(places[: len(leading)]), strict=True):
        found = [a - place * b for a, b in zip([mpf(0), *found], [*found, mpf(0)], strict=True)] if found else [mpf(0)]
        found[0] += difference
    while found and abs(found[-1]) <= ZERO_TOLERANCE * size:
        found.pop()
    return [mpf(0) if abs(each) <= ROUNDOFF * size else each for each in found]


def _find_zeros(coefficients: list[Any]) -> list[Any]:
    """The complex roots of a polynomial."""
    found = polyroots(coefficients[::-1], maxsteps=500, extraprec=400) if len(coefficients) > 1 else []
    return [mpc(root) for root in found]


def _evaluate_polynomial(coefficients: list[Any], t: Any) -> Any:
    total = mpf(0)
    for each in reversed(coefficients):
        total = total * t + each
    return total


def _evaluate_real(number: Any) -> Any:
    value = formulas.evaluate_at(number, [], formulas.SAMPLE_POINTS[0]) if not number.free_symbols else None
    return None if value is None or abs(value.imag) > CLOSE_TOLERANCE * abs(value) else value.real


def _is_close(one: Any, other: Any) -> bool:
    return abs(one - other) <= CLOSE_TOLERANCE * max(abs(one), abs(other))


def deduplicate(found: Iterable[Any]) -> list[Any]:
    """Numbers without those that are one of the others but for noise."""
    kept: list[Any] = []
    for one in found:
        if not any(_is_close(one, other) for other in kept):
            kept.append(one)
    return kept


def _sample_between(places: list[Any]) -> list[Any]:
    """A number below the first place, between each two, and above the last."""
    if not places:
        return [mpf(0)]
    return [places[0] - 1, *((a + b) / 2 for a, b in zip(places, places[1:], strict=False)), places[-1] + 1]
