"""Are two expressions equal? By value where they have one, else by the numbers that solve them, else by Math-Verify.

Values are compared at several points, to 25 digits; relations and sets by the real numbers that they hold
(`solution_sets`). Expressions whose fingerprints differ are never equal, so that `formulas.find_candidates` misses none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import sympy
from math_verify import verify
from math_verify.grader import is_assignment_relation, is_equation, is_relation, take_last_relation

from stages.lib.grading.formulas import parsing, solution_sets, values
from stages.lib.grading.formulas.fingerprint_filter import may_equal
from stages.lib.grading.formulas.fingerprints import fingerprint_text
from stages.lib.grading.formulas.values import SAMPLE_POINTS, evaluate_at


def equal_texts(left: str, right: str) -> bool:
    """Whether two standardised texts have equal readings; False for what cannot be read."""
    try:
        if not may_equal(fingerprint_text(left), fingerprint_text(right)):
            return False
        left_rows, right_rows = parsing.parse_cases(left), parsing.parse_cases(right)
        if left_rows or right_rows:
            return len(left_rows) == len(right_rows) and _match_unordered(left_rows, right_rows, _equal_rows)
        if parsing.is_matrix(left) != parsing.is_matrix(right):  # `[1, 2]` may be an interval, or a vector
            entries, others = parsing.parse_vector(left), parsing.parse_vector(right)
            return len(entries) == len(others) > 0 and all(map(equal_texts, entries, others))
        return any(_equal(a, b) for a in parsing.parse_readings(left) for b in parsing.parse_readings(right))
    except Exception:  # RecursionError, MemoryError, any error of sympy on malformed input: not shown to be equal
        return False


def _match_unordered(left: Iterable[Any], right: Iterable[Any], equal: Callable[[Any, Any], bool]) -> bool:
    """Whether each element on the left has a distinct equal one on the right."""
    rest = list(right)
    for element in left:
        match = next((index for index, other in enumerate(rest) if equal(element, other)), None)
        if match is None:
            return False
        del rest[match]
    return True


def _equal_rows(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    return len(left) == len(right) and all(
        a.replace(" ", "") == b.replace(" ", "") or equal_texts(a, b) for a, b in zip(left, right, strict=True)
    )


def _equal(left: Any, right: Any) -> bool:
    """By value where both have one; else Math-Verify's `verify`, made symmetric where its two orders disagree."""
    if is_equation(right) and not is_equation(left):
        left, right = right, left
    if is_equation(left) and not is_equation(right):  # `x = 5` and `1/2 = 5` say 5; `2x + z = 5` does not
        if not is_assignment_relation(left) and left.free_symbols:
            return False
        left = take_last_relation(left).rhs
    if isinstance(left, sympy.FiniteSet) and isinstance(right, sympy.Tuple):  # in this order, (3, 1) would equal {1, 3}
        left, right = right, left
    if isinstance(right, sympy.Expr):
        left, right = right, left
    if isinstance(left, sympy.Expr) and isinstance(right, sympy.Interval | sympy.Union):
        return False
    for kind in (sympy.Tuple, sympy.MatrixBase, sympy.FiniteSet):
        is_collection = isinstance(left, kind) and isinstance(right, kind)
        if is_collection and not (solution_sets.is_number_set(left) and solution_sets.is_number_set(right)):
            return _equal_elements(left, right)
    if isinstance(left, sympy.Interval) and isinstance(right, sympy.Interval):
        is_same_kind = (left.left_open, left.right_open) == (right.left_open, right.right_open)
        return is_same_kind and _equal(left.start, right.start) and _equal(left.end, right.end)
    if is_equation(left) and is_equation(right) and (verdict := _equal_equations(left, right)) is not None:
        return verdict
    verdict = _equal_values(left, right)
    if verdict is None:
        verdict = _equal_regions(left, right)
    if verdict is not None:
        return verdict
    if verify(left, right, timeout_seconds=None):
        return True
    return (is_relation(left) or is_relation(right)) and verify(right, left, timeout_seconds=None)


def _equal_elements(left: Any, right: Any) -> bool:
    if getattr(left, "shape", None) != getattr(right, "shape", None) or len(left) != len(right):
        return False
    if isinstance(left, sympy.FiniteSet):
        return _match_unordered(left, right, _equal)
    return all(_equal(a, b) for a, b in zip(left, right, strict=True))


def _equal_equations(left: Any, right: Any) -> bool | None:
    """Whether the differences between their sides are in a constant ratio, or the roots are equal; None if unknown."""
    if left == right:
        return True
    if left.has(sympy.Derivative, sympy.Limit) or right.has(sympy.Derivative, sympy.Limit):
        return False
    if not all(isinstance(equation, sympy.Eq) for equation in (left, right)):
        return None
    if solution_sets.list_variables(left) != solution_sets.list_variables(right):
        return False
    difference, other = left.lhs - left.rhs, right.lhs - right.rhs
    names = sorted({str(symbol) for symbol in difference.free_symbols | other.free_symbols})
    pairs = [(evaluate_at(difference, names, scales), evaluate_at(other, names, scales)) for scales in SAMPLE_POINTS]
    pairs = [(a, b) for a, b in pairs if a is not None and b]
    if len(pairs) < 3 or not names:
        return None
    ratio = pairs[0][0] / pairs[0][1]
    if ratio and all(abs(a - ratio * b) <= 1e-12 * abs(a) for a, b in pairs):
        return True
    return solution_sets.equal_roots(left, right) if len(names) == 1 else None


def _equal_regions(left: Any, right: Any) -> bool | None:
    """Whether two sets of real numbers, or relations in one variable, hold for the same numbers; None if unknown."""
    if not (solution_sets.is_number_set(left) and solution_sets.is_number_set(right)):
        return None
    variables = solution_sets.list_variables(left), solution_sets.list_variables(right)
    if all(variables) and variables[0] != variables[1]:
        return False
    region, other = (
        solution_sets.find_region(expression, *names)
        for expression, names in zip((left, right), variables, strict=True)
    )
    return solution_sets.equal(region, other) if region and other else None


def _equal_values(left: Any, right: Any) -> bool | None:
    """Whether two expressions have the same value wherever both are real, and for positive variables; None if they have
    no numerical value."""
    if not (values.has_value(left) and values.has_value(right)):
        return None
    left, right = values.substitute_i(left), values.substitute_i(right)
    names = sorted({str(symbol) for symbol in left.free_symbols | right.free_symbols})
    is_compared = False
    for scales in SAMPLE_POINTS if names else SAMPLE_POINTS[:1]:
        a, b = evaluate_at(left, names, scales), evaluate_at(right, names, scales)
        if a is None or b is None or (min(scales) < 0 and (abs(a.imag) > 1e-20 or abs(b.imag) > 1e-20)):
            continue
        noise = 1e-12 if left.has(sympy.Float) or right.has(sympy.Float) else 1e-25
        if abs(a - b) > noise * max(abs(a), abs(b)):
            return False
        is_compared = True
    if is_compared and not names and None not in (exact := (_evaluate_exactly(left), _evaluate_exactly(right))):
        return exact[0] == exact[1]
    return True if is_compared else None


def _evaluate_exactly(expression: Any) -> Any:
    """The value of a fraction of integers of moderate size; None of anything else."""
    sizes = [part.args[-1] for part in expression.atoms(sympy.Pow, sympy.factorial, sympy.binomial)]
    if expression.has(sympy.Sum, sympy.Product, sympy.Integral, sympy.Float):
        return None
    if not all(size.is_Integer and abs(size) <= 1000 for size in sizes):
        return None
    value = expression.doit()
    return value if value.is_Rational else None
