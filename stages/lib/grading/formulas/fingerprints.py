"""The fingerprints of an expression, by which `fingerprint_filter` tells most formulas apart without comparing them.

Each rule here follows a rule of `equality`: two expressions that are equal there have a fingerprint in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from zlib import crc32

import sympy
from math_verify.grader import is_assignment_relation, is_equation, take_first_relation, take_last_relation
from mpmath import mpc, mpf

from stages.lib.grading.formulas import parsing, solution_sets, values
from stages.lib.grading.formulas.fingerprint_filter import Component, Fingerprint

MAX_VARIABLES = 3  # of an equation or inequality: how many to try to solve it for
_COLLECTIONS: Any = sympy.Tuple | sympy.MatrixBase | sympy.FiniteSet


@lru_cache(maxsize=4096)
def fingerprint_text(text: str) -> list[Fingerprint] | None:
    """The fingerprints of a standardised text: [] if it equals nothing; None if it might equal anything."""
    try:
        if rows := parsing.parse_cases(text):
            numbers = [_combine_cell(fingerprint_text(cell)) for row in rows for cell in row]
            return [("cases", {} if None in numbers else {"": _combine_leaves(numbers)})]
        fingerprints: list[Fingerprint] = []
        readings = parsing.parse_readings(text)
        for reading in readings:
            if (more := _fingerprint(reading)) is None:
                return None
            fingerprints += more
        return fingerprints if readings or not parsing.parse_vector(text) else None
    except Exception:  # RecursionError, MemoryError, any error of sympy on malformed input
        return None


def _fingerprint(expression: Any) -> list[Fingerprint] | None:
    if is_equation(expression):
        first, last = take_first_relation(expression), take_last_relation(expression)
        if not expression.free_symbols or is_assignment_relation(expression):  # says `x = 5`, and 5
            value = _fingerprint(last.rhs)
            equation = sympy.Eq(first.lhs, last.rhs, evaluate=False)
            return None if value is None else [*value, _fingerprint_equation(equation)]
        return [_fingerprint_equation(expression) if isinstance(expression, sympy.Eq) else ("equation", {})]
    if solution_sets.is_logic(expression) and len(variables := solution_sets.list_variables(expression)) > 1:
        for variable in variables[:MAX_VARIABLES]:
            if region := solution_sets.find_region(expression, variable):
                return [("inequality", {str(variable): _combine_leaves(region.find_boundary())})]
        return [("inequality", {})]
    if isinstance(expression, sympy.Symbol):
        return [(f"word {expression.name.lower()}", {})]
    leaves = _collect_leaves(expression)
    if leaves is None:
        return None
    value = ("value", {"": _combine_leaves(solution_sets.deduplicate(leaves))})
    letters: Any = expression.args if isinstance(expression, sympy.Mul) else (expression,)
    if all(letter == sympy.E or isinstance(letter, sympy.Symbol) for letter in letters):
        # `\text{even}` is read as the word, or as e v e n.
        word = "".join("e" if letter == sympy.E else letter.name.lower() for letter in letters)
        return [value, (f"word {word}", {})]
    return [value]


def _fingerprint_equation(equation: Any) -> Fingerprint:
    for variable in solution_sets.list_variables(equation)[:MAX_VARIABLES]:
        if (roots := solution_sets.find_roots(equation, variable)) is not None:
            return "equation", {str(variable): _combine_leaves(roots)}
    return "equation", {}


def _collect_leaves(expression: Any) -> list[Any] | None:
    """The numbers in an expression, in any order; None if it has other parts, too."""
    if isinstance(expression, _COLLECTIONS) and not solution_sets.is_number_set(expression):
        return _collect_all(expression)
    if is_equation(expression):
        return _collect_leaves(take_last_relation(expression).rhs) if is_assignment_relation(expression) else None
    if isinstance(expression, sympy.Interval):
        return _collect_all(end for end in (expression.start, expression.end) if not end.is_infinite)
    if solution_sets.is_logic(expression) or isinstance(expression, sympy.Set):
        region = solution_sets.find_region(expression, *solution_sets.list_variables(expression)[:1])
        return region.find_boundary() if region else None
    if not values.has_value(expression):
        return None
    expression = values.substitute_i(expression)
    value = values.evaluate_at(expression, sorted(map(str, expression.free_symbols)), values.SAMPLE_POINTS[0])
    return None if value is None else [value]


def _collect_all(expressions: Iterable[Any]) -> list[Any] | None:
    leaves: list[Any] = []
    for expression in expressions:
        if (more := _collect_leaves(expression)) is None:
            return None
        leaves += more
    return leaves


def _combine_cell(fingerprints: list[Fingerprint] | None) -> Any:
    """The fingerprints of a cell as one number: of an equation the one of its roots, of a word the word's."""
    if not fingerprints:
        return None
    kind, components = next((mark for mark in fingerprints if mark[0] == "equation"), fingerprints[0])
    if len(components) == 1:
        ((name, component),) = components.items()
        return mpc(component[0] + crc32(name.encode()) % 997)
    return mpc(crc32(kind.encode()) % 997) if kind.startswith("word") else None


def _combine_leaves(leaves: Iterable[Any]) -> Component:
    """(one number for several in any order, how large its parts are). Not linear: -2, 2 and -3, 3 must differ."""
    total = scale = mpf(0)
    for leaf in leaves:
        real = leaf.real + 2 * leaf.imag
        total += real + real * abs(real) / (1 + abs(real)) * (0.7 if real < 0 else 0.3)
        scale += 6 * abs(leaf)
    return float(total), float(scale)
