"""Math-Verify's verdict on two expressions, in a worker process that lib/grading/workers.py starts and questions.

It reads lines of JSON on standard input, one or two expressions, and answers with one line each: of a pair whether they
are equal; of one its fingerprints. A question that exceeds its processor time ends the worker.

Expressions are compared by their values at several points, to 25 digits, relations and sets by the numbers they hold
(`lib/solutions.py`); where every other reading of them fails, by Math-Verify. What the fingerprints tell apart is
different, so that equal answers always have fingerprints in common.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from zlib import crc32

from math_verify import verify
from math_verify.grader import is_assignment_relation, is_equation, is_relation, take_first_relation, take_last_relation
from mpmath import mpc, mpf
from sympy import (
    And,
    Derivative,
    E,
    Eq,
    Expr,
    FiniteSet,
    Float,
    Integral,
    Interval,
    Limit,
    MatrixBase,
    Mul,
    Or,
    Pow,
    Product,
    Set,
    Sum,
    Symbol,
    Tuple,
    Union,
    binomial,
    factorial,
)

from stages.lib.grading import fingerprints, formulas, solution_sets
from stages.lib.grading.fingerprints import Fingerprint
from stages.lib.grading.formulas import SAMPLE_POINTS, evaluate_at, has_value

MEMORY_LIMIT = 2 << 30  # address space of a worker
MAX_VARIABLES = 3  # of an equation or inequality, that its fingerprint tries to look along
Collection = Tuple | MatrixBase | FiniteSet


def _serve(parent: int, seconds: float) -> None:
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_LIMIT if most == resource.RLIM_INFINITY else min(MEMORY_LIMIT, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    formulas.configure_math_verify()
    for line in _read_lines(parent):
        signal.setitimer(signal.ITIMER_PROF, seconds)
        for text in (question := json.loads(line)):
            marks = _fingerprint_text(text)
            os.write(1, b" ")  # who dies of an expression has said which ones it survived
        answer = _equal_texts(*question) if len(question) == 2 else marks
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(1, json.dumps(answer).encode() + b"\n")


def _read_lines(parent: int) -> Any:
    """Lines of standard input, until it closes or the parent is gone.

    Both are needed: a fork of the parent may hold the pipe open after the parent itself was killed.
    """
    buffer = b""
    while True:
        if not select.select([0], [], [], 1.0)[0]:
            if os.getppid() != parent:
                return
            continue
        block = os.read(0, 1 << 16)
        if not block:
            return
        buffer += block
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            yield line


def _equal_texts(left: str, right: str) -> bool:
    try:
        if not fingerprints.may_equal(_fingerprint_text(left), _fingerprint_text(right)):
            return False
        if (ours := formulas.parse_cases(left)) or (theirs := formulas.parse_cases(right)):
            return bool(ours and (theirs := formulas.parse_cases(right))) and _equal_rows_unordered(ours, theirs)
        if formulas.is_matrix(left) != formulas.is_matrix(right):  # `[1, 2]` may be an interval, or a vector
            ours, theirs = formulas.parse_vector(left), formulas.parse_vector(right)
            return len(ours) == len(theirs) > 0 and all(_equal_texts(a, b) for a, b in zip(ours, theirs, strict=True))
        return any(
            _equal_expressions(a, b) for a in formulas.parse_readings(left) for b in formulas.parse_readings(right)
        )
    except Exception:  # RecursionError, MemoryError, whatever sympy raises on nonsense: it was not shown to be equal
        return False


def _equal_rows_unordered(ours: list[tuple[str, ...]], theirs: list[tuple[str, ...]]) -> bool:
    """Whether the rows are the same in some order."""
    return len(ours) == len(theirs) and _match_unordered(ours, theirs, _equal_rows)


def _match_unordered(ours: Iterable[Any], theirs: Iterable[Any], same: Callable[[Any, Any], bool]) -> bool:
    """Whether each of ours finds one of theirs that is the same, and that no other has found."""
    rest = list(theirs)
    for one in ours:
        found = next((index for index, other in enumerate(rest) if same(one, other)), None)
        if found is None:
            return False
        del rest[found]
    return True


def _equal_rows(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    return len(ours) == len(theirs) and all(
        a.replace(" ", "") == b.replace(" ", "") or _equal_texts(a, b) for a, b in zip(ours, theirs, strict=True)
    )


def _equal_expressions(left: Any, right: Any) -> bool:
    """By value where both have one; else Math-Verify's `verify`, made symmetric where its two orders disagree."""
    if is_equation(right) and not is_equation(left):
        left, right = right, left
    if is_equation(left) and not is_equation(right):  # `x = 5` and `1/2 = 5` say 5; `2x + z = 5` does not
        if not is_assignment_relation(left) and left.free_symbols:
            return False
        left = take_last_relation(left).rhs
    if isinstance(left, FiniteSet) and isinstance(right, Tuple):  # in this order, (3, 1) would equal {1, 3}
        left, right = right, left
    if isinstance(right, Expr):
        left, right = right, left
    if isinstance(left, Expr) and isinstance(right, Interval | Union):
        return False
    for kind in (Tuple, MatrixBase, FiniteSet):
        if isinstance(left, kind) and isinstance(right, kind) and not (_is_number_set(left) and _is_number_set(right)):
            return _equal_elements(left, right)
    if isinstance(left, Interval) and isinstance(right, Interval):
        open_ = (left.left_open, left.right_open) == (right.left_open, right.right_open)
        return open_ and _equal_expressions(left.start, right.start) and _equal_expressions(left.end, right.end)
    if is_equation(left) and is_equation(right) and (agreed := _equal_equations(left, right)) is not None:
        return agreed
    agreed = _equal_values(left, right)
    if agreed is None:
        agreed = _equal_regions(left, right)
    if agreed is not None:
        return agreed
    if verify(left, right, timeout_seconds=None):
        return True
    return (is_relation(left) or is_relation(right)) and verify(right, left, timeout_seconds=None)


def _equal_equations(left: Any, right: Any) -> bool | None:
    """Whether two equations have the same sides, or differences of their sides in a constant ratio; None if that
    cannot be told."""
    if left == right:
        return True
    if left.has(Derivative, Limit) or right.has(Derivative, Limit):
        return False
    if not (isinstance(left, Eq) and isinstance(right, Eq)):
        return None
    if solution_sets.list_variables(left) != solution_sets.list_variables(right):
        return False
    ours, theirs = left.lhs - left.rhs, right.lhs - right.rhs
    names = sorted({str(name) for name in ours.free_symbols | theirs.free_symbols})
    pairs = [(evaluate_at(ours, names, signs), evaluate_at(theirs, names, signs)) for signs in SAMPLE_POINTS]
    pairs = [(a, b) for a, b in pairs if a is not None and b]
    if len(pairs) < 3 or not names:
        return None
    ratio = pairs[0][0] / pairs[0][1]
    if ratio and all(abs(a - ratio * b) <= 1e-12 * abs(a) for a, b in pairs):
        return True
    if len(names) == 1 and (found := solution_sets.equal_roots(left, right)) is not None:
        return found
    return None


def _equal_regions(left: Any, right: Any) -> bool | None:
    """Whether two sets of real numbers, or relations of one variable, hold for the same; None if that cannot be told."""
    if not (_is_number_set(left) and _is_number_set(right)):
        return None
    names = solution_sets.list_variables(left), solution_sets.list_variables(right)
    if all(names) and names[0] != names[1]:
        return False
    ours, theirs = (solution_sets.find_region(each, *name) for each, name in zip((left, right), names, strict=True))
    return solution_sets.equal(ours, theirs) if ours and theirs else None


def _is_number_set(each: Any) -> bool:
    if isinstance(each, FiniteSet):  # of relations; one of numbers may be a point, which is written as an interval is
        return len(solution_sets.list_variables(each)) < 2 and all(map(_is_number_set, each))
    if isinstance(each, Set):
        return not each.free_symbols
    return _is_logic(each) and not is_equation(each) and len(solution_sets.list_variables(each)) == 1


def _is_logic(each: Any) -> bool:
    return is_relation(each) or isinstance(each, And | Or)


def _equal_elements(left: Any, right: Any) -> bool:
    if getattr(left, "shape", None) != getattr(right, "shape", None) or len(left) != len(right):
        return False
    if not isinstance(left, FiniteSet):
        return all(_equal_expressions(a, b) for a, b in zip(left, right, strict=True))
    return _match_unordered(left, right, _equal_expressions)


def _equal_values(left: Any, right: Any) -> bool | None:
    """Whether two expressions have the same value wherever both are real, and for positive variables; None if they have
    no numerical value."""
    if not (has_value(left) and has_value(right)):
        return None
    left, right = formulas.substitute_i(left), formulas.substitute_i(right)
    names = sorted({str(name) for name in left.free_symbols | right.free_symbols})
    told = False
    for signs in SAMPLE_POINTS if names else SAMPLE_POINTS[:1]:
        ours, theirs = evaluate_at(left, names, signs), evaluate_at(right, names, signs)
        if ours is None or theirs is None:
            continue
        if min(signs) < 0 and (abs(ours.imag) > 1e-20 or abs(theirs.imag) > 1e-20):
            continue
        noise = 1e-12 if left.has(Float) or right.has(Float) else 1e-25
        if abs(ours - theirs) > noise * max(abs(ours), abs(theirs)):
            return False
        told = True
    if told and not names and None not in (exact := (_evaluate_exactly(left), _evaluate_exactly(right))):
        return exact[0] == exact[1]
    return True if told else None


def _evaluate_exactly(each: Any) -> Any:
    """The value of a fraction of whole numbers of moderate size; None of anything else."""
    sizes = [part.args[-1] for part in each.atoms(Pow, factorial, binomial)]
    if each.has(Sum, Product, Integral, Float) or not all(size.is_Integer and abs(size) <= 1000 for size in sizes):
        return None
    found = each.doit()
    return found if found.is_Rational else None


# Fingerprints. Each rule follows one of the comparison's: what that accepts has to have a mark in common.


@lru_cache(maxsize=4096)
def _fingerprint_text(text: str) -> list[Fingerprint] | None:
    """The fingerprints of an expression: none if it equals nothing; None if it might equal anything."""
    try:
        if rows := formulas.parse_cases(text):
            cells = [_fingerprint_text(cell) for row in rows for cell in row]
            numbers = [_fingerprint_cell(cell) for cell in cells]
            return [("cases", {} if None in numbers else {"": _combine_leaves(numbers)})]
        found: list[Fingerprint] = []
        for each in (read := formulas.parse_readings(text)):
            if (marks := _fingerprint_expression(each)) is None:
                return None
            found += marks
        return found if read or not formulas.parse_vector(text) else None
    except Exception:  # as above
        return None


def _fingerprint_expression(each: Any) -> list[Fingerprint] | None:
    if is_equation(each):
        first, last = take_first_relation(each), take_last_relation(each)
        if not each.free_symbols or is_assignment_relation(each):  # says `x = 5`, and 5
            value = _fingerprint_expression(last.rhs)
            return None if value is None else [*value, *_fingerprint_equation(Eq(first.lhs, last.rhs, evaluate=False))]
        return _fingerprint_equation(each) if isinstance(each, Eq) else [("equation", {})]
    if _is_logic(each) and len(names := solution_sets.list_variables(each)) > 1:
        found = ((name, solution_sets.find_region(each, name)) for name in names[:MAX_VARIABLES])
        return [
            ("inequality", next(({str(name): _combine_leaves(one.find_boundary())} for name, one in found if one), {}))
        ]
    if isinstance(each, Symbol):
        return [(f"word {each.name.lower()}", {})]
    leaves = _collect_leaves(each)
    if leaves is None:
        return None
    word = each.args if isinstance(each, Mul) else (each,)
    words = []
    if all(part == E or isinstance(part, Symbol) for part in word):  # `\text{even}` is read as `even`, or e v e n
        words = [(f"word {''.join('e' if part == E else part.name.lower() for part in word)}", {})]
    return [("value", {"": _combine_leaves(solution_sets.deduplicate(leaves))}), *words]


def _fingerprint_equation(each: Eq) -> list[Fingerprint]:
    found = (
        (name, solution_sets.find_roots(each, name)) for name in solution_sets.list_variables(each)[:MAX_VARIABLES]
    )
    return [("equation", next(({str(name): _combine_leaves(roots)} for name, roots in found if roots is not None), {}))]


def _collect_leaves(each: Any) -> list[Any] | None:
    """The numbers of which an expression is made, in any order; None if it has others."""
    if isinstance(each, Collection) and not _is_number_set(each):
        parts = [_collect_leaves(part) for part in each]
        return None if None in parts else [leaf for part in parts for leaf in part]
    if is_equation(each):
        return _collect_leaves(take_last_relation(each).rhs) if is_assignment_relation(each) else None
    if isinstance(each, Interval):
        ends = [_collect_leaves(end) for end in (each.start, each.end) if not end.is_infinite]
        return None if None in ends else [leaf for end in ends for leaf in end]
    if _is_logic(each) or isinstance(each, Set):
        found = solution_sets.find_region(each, *solution_sets.list_variables(each)[:1])
        return found.find_boundary() if found else None
    if not has_value(each):
        return None
    each = formulas.substitute_i(each)
    value = evaluate_at(each, sorted(map(str, each.free_symbols)), SAMPLE_POINTS[0])
    return None if value is None else [value]


def _fingerprint_cell(cell: list[Fingerprint] | None) -> Any:
    """The fingerprint of a cell as one number; of an equation the one of its roots, of a word the word's."""
    kind, marks = next((each for each in cell or () if each[0] == "equation"), cell[0] if cell else ("", {}))
    if len(marks) == 1:
        ((name, mark),) = marks.items()
        return mpc(mark[0] + crc32(name.encode()) % 997)
    return mpc(crc32(kind.encode()) % 997) if kind.startswith("word") else None


def _combine_leaves(leaves: Iterable[Any]) -> tuple[float, float]:
    """One number for several in any order, and how large its parts are. Not linear: -2, 2 and -3, 3 differ."""
    total = scale = mpf(0)
    for leaf in leaves:
        real = leaf.real + 2 * leaf.imag
        total += real + real * abs(real) / (1 + abs(real)) * (0.7 if real < 0 else 0.3)
        scale += 6 * abs(leaf)
    return float(total), float(scale)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), float(sys.argv[2]))
