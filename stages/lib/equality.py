"""Math-Verify's verdict on two expressions, in a worker process that stages/lib/latex.py starts and questions.

Run as a file: nothing else of this project is imported, so that a worker starts fast. It reads lines of JSON on standard
input, one or two expressions, and answers with one line each: of a pair whether they are equal; of one its value at a
fixed point (a fingerprint), or null. A question that exceeds its processor time ends the worker.

Expressions are compared by their values at several points, to 25 digits; where every other reading of them fails, by
Math-Verify. An expression that its parser does not read whole equals nothing.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from zlib import crc32

MEMORY = 2 << 30  # address space of a worker
POINTS = ((1, 1, 1), (3, 1, 1), (1, 3, 1), (-1, -1, -1), (-1, 1, -1), (1, -1, 1))  # signs and scales of the variables


def _serve(parent: int, seconds: float) -> None:
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prepare()
    for line in _lines(parent):
        signal.setitimer(signal.ITIMER_PROF, seconds)
        for text in (question := json.loads(line)):
            value = _value(text)
            os.write(1, b" ")  # who dies of an expression has said which ones it survived
        answer = _same(*question) if len(question) == 2 else value
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(1, json.dumps(answer).encode() + b"\n")


def _lines(parent: int) -> Any:
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


_ARGUMENT = r"\s*(?:\{([^{}]*)\}|(\\[A-Za-z]+|[0-9A-Za-z]))"
_FRACTION = re.compile(rf"\\[dtc]?frac{_ARGUMENT}{_ARGUMENT}")
_UNREAD = re.compile(  # what the parser would drop or evaluate to something else
    r"\\(?:forall|exists|[lcd]?dots|dots[a-z]|mid|nmid|to|rightarrow|Rightarrow|mapsto|equiv|[bp]?mod|gcd|lcm|#|implies|iff"
    r"|wedge|vee|neg)(?![a-z])|[0-9]_\{?[0-9]|\\operatorname\{(?:lcm|gcd)|\.\.\."
)
_CASES = re.compile(
    r"(?:\\\{|\\left\\\{)?\s*\\begin\{(cases|array)\}(?:\{[lcr| ]*\})?(.*)\\end\{\1\}(?:\\right\.)?\s*", re.S
)
_MATRIX = re.compile(r"\s*\\begin\{([pbvBV]?matrix)\}(.*)\\end\{\1\}\s*", re.S)
_CONDITION = re.compile(
    r"\\(?:text|mbox|textrm)\s*\{\s*,?\s*(?:if|for|when|where)?\s*\}|\b(?:if|for|when)\b|^\s*,|,\s*$"
)


_LAST = re.compile(r"(?<=[0-9])(?!(?:mm|cm|dm|km|kg|mg)\b)[A-Za-z]{1,2}$")


def _same(left: str, right: str) -> bool:
    try:
        if (ours := _cases(left)) or (theirs := _cases(right)):
            return bool(ours and (theirs := _cases(right))) and _matched(ours, theirs)
        if bool(_MATRIX.fullmatch(left)) != bool(_MATRIX.fullmatch(right)):  # `[1, 2]` may be an interval, or a vector
            ours, theirs = _vector(left), _vector(right)
            return len(ours) == len(theirs) > 0 and all(_same(a, b) for a, b in zip(ours, theirs, strict=True))
        return any(_equal(a, b) for a in _readings(left) for b in _readings(right))
    except Exception:  # RecursionError, MemoryError, whatever sympy raises on nonsense: it was not shown to be equal
        return False


def _cases(text: str) -> list[tuple[str, ...]]:
    """The rows of a piecewise function or a system, cell by cell."""
    found = _CASES.fullmatch(text)
    if not found or (found[1] == "array" and not text.lstrip().startswith(("\\{", "\\left\\{"))):
        return []
    rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", found[2]) if row.strip()]
    return [tuple(_CONDITION.sub(" ", cell).strip().rstrip(",") for cell in row.split("&")) for row in rows]


def _vector(text: str) -> list[str]:
    """The entries of a column or row, or of what stands in brackets."""
    if found := _MATRIX.fullmatch(text):
        rows = [row.split("&") for row in found[2].split("\\\\") if row.strip()]
        if len(rows) == 1 or all(len(row) == 1 for row in rows):
            return [cell for row in rows for cell in row]
    elif (text := text.strip())[:1] in ("[", "(") and text[-1:] in ("]", ")"):
        return text[1:-1].split(",")
    return []


def _matched(ours: list[tuple[str, ...]], theirs: list[tuple[str, ...]]) -> bool:
    """Whether the rows are the same in some order."""
    return len(ours) == len(theirs) and _paired(ours, theirs, _row)


def _paired(ours: Iterable[Any], theirs: Iterable[Any], same: Callable[[Any, Any], bool]) -> bool:
    """Whether each of ours finds one of theirs that is the same, and that no other has found."""
    rest = list(theirs)
    for one in ours:
        found = next((index for index, other in enumerate(rest) if same(one, other)), None)
        if found is None:
            return False
        del rest[found]
    return True


def _row(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    return len(ours) == len(theirs) and all(
        a.replace(" ", "") == b.replace(" ", "") or _same(a, b) for a, b in zip(ours, theirs, strict=True)
    )


def _equal(left: Any, right: Any) -> bool:
    """By value where both have one; else Math-Verify's `verify`, made symmetric where its two orders disagree."""
    from math_verify import verify
    from math_verify.grader import is_assignment_relation, is_equation, is_relation, take_last_relation
    from sympy import Expr, FiniteSet, Interval, Matrix, Tuple, Union

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
    for kind in (Tuple, Matrix, FiniteSet):
        if isinstance(left, kind) and isinstance(right, kind) and not any(map(is_relation, [*left, *right])):
            return _equal_parts(left, right)
    if isinstance(left, Interval) and isinstance(right, Interval):
        open_ = (left.left_open, left.right_open) == (right.left_open, right.right_open)
        return open_ and _equal(left.start, right.start) and _equal(left.end, right.end)
    if is_equation(left) and is_equation(right) and (agreed := _same_equation(left, right)) is not None:
        return agreed
    agreed = _agree(left, right)
    if agreed is not None:
        return agreed
    if verify(left, right, timeout_seconds=None):
        return True
    return (is_relation(left) or is_relation(right)) and verify(right, left, timeout_seconds=None)


def _same_equation(left: Any, right: Any) -> bool | None:
    """Whether two equations have the same sides, or differences of their sides in a constant ratio; None if that
    cannot be told."""
    from sympy import Derivative, Equality, Limit

    if left == right:
        return True
    if left.has(Derivative, Limit) or right.has(Derivative, Limit):
        return False
    if not (isinstance(left, Equality) and isinstance(right, Equality)):
        return None
    ours, theirs = left.lhs - left.rhs, right.lhs - right.rhs
    names = sorted({str(name) for name in ours.free_symbols | theirs.free_symbols})
    pairs = [(_at(ours, names, signs), _at(theirs, names, signs)) for signs in POINTS]
    pairs = [(a, b) for a, b in pairs if a is not None and b]
    if len(pairs) < 3 or not names:
        return None
    ratio = pairs[0][0] / pairs[0][1]
    if ratio and all(abs(a - ratio * b) <= 1e-12 * abs(a) for a, b in pairs):
        return True
    return None


def _equal_parts(left: Any, right: Any) -> bool:
    from sympy import FiniteSet

    if getattr(left, "shape", None) != getattr(right, "shape", None) or len(left) != len(right):
        return False
    if not isinstance(left, FiniteSet):
        return all(_equal(a, b) for a, b in zip(left, right, strict=True))
    return _paired(left, right, _equal)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> list[Any]:
    """Math-Verify's reading of a text as one formula, read whole; nothing if it cannot be."""
    from math_verify import LatexExtractionConfig, parse

    text = re.sub(r"\\?%", "", text)  # Math-Verify cannot read it inside an expression
    text = _FRACTION.sub(r"\\frac{\1\2}{\3\4}", text)  # `\frac\pi2`, too
    text = _LAST.sub(lambda match: "".join(f"{{{letter}}}" for letter in match[0]), text)  # `3bc` has no unit
    if _UNREAD.search(text):
        return []
    found = parse(f"${text}$", [LatexExtractionConfig()], parsing_timeout=None)
    if len(found) < 2 or not isinstance(found[-1], str) or _content(found[-1]) != _content(text):
        return []
    return found[:-1]


def _readings(text: str) -> list[Any]:
    """`60,120` is a number, or a list."""
    return _parsed(text) + (_parsed(text.replace(",", ", ")) if re.fullmatch(r"[0-9]{1,3}(?:,[0-9]{3})+", text) else [])


def _content(text: str) -> list[str]:
    """The digits and variables of a formula, but for its unit: what the parser has lost of them it has not read."""
    text = re.sub(
        r"\\(?:text|mbox|textrm|mathrm)\s*\{[^{}]*\}(?:\s*\^\s*\{?[0-9]\}?)?|(?<=\s)[A-Za-z]{2,}\b\.?(?:\^[0-9])?",
        "",
        text,
    )
    text = re.sub(r"(?<=[0-9 ])(?:mm|cm|dm|km|kg|mg)(?![a-z])(?:\s*\^\s*\{?[0-9]\}?)?|\\[A-Za-z]+", "", text)
    text = re.sub(r"(?<![0-9])0?\.5(?![0-9])", "12", text)  # Math-Verify writes one half for it
    return sorted(re.findall("[0-9]|[a-z]", text.lower()))


def _agree(left: Any, right: Any) -> bool | None:
    """Whether two expressions have the same value wherever both are real, and for positive variables; None if they have
    no numerical value."""
    if not (_valued(left) and _valued(right)):
        return None
    left, right = _complex(left), _complex(right)
    names = sorted({str(name) for name in left.free_symbols | right.free_symbols})
    told = False
    for signs in POINTS if names else POINTS[:1]:
        ours, theirs = _at(left, names, signs), _at(right, names, signs)
        if ours is None or theirs is None:
            continue
        if min(signs) < 0 and (abs(ours.imag) > 1e-20 or abs(theirs.imag) > 1e-20):
            continue
        noise = 1e-12 if left.has(_float()) or right.has(_float()) else 1e-25
        if abs(ours - theirs) > noise * max(abs(ours), abs(theirs)):
            return False
        told = True
    return True if told else None


def _complex(expression: Any) -> Any:
    from sympy import I

    return expression.subs({name: I for name in expression.free_symbols if str(name) == "i"})


def _float() -> Any:
    from sympy import Float

    return Float


def _valued(each: Any) -> bool:
    """A lone symbol may be a word, and a percentage equals two numbers."""
    from sympy import Expr, Symbol, UnevaluatedExpr

    return isinstance(each, Expr) and not isinstance(each, Symbol) and not each.has(UnevaluatedExpr)


def _at(expression: Any, names: list[Any], signs: tuple[int, ...]) -> Any:
    """The value of an expression at a point to 40 digits; None where it has none (infinity, f(x))."""
    from mpmath import isfinite, mpc
    from sympy import Float, sqrt

    point = {
        name: signs[names.index(str(name)) % 3]
        * (Float("0.5", 40) + sqrt(Float(2 + crc32(str(name).encode()) % 997, 40)) % 1)
        for name in expression.free_symbols
    }
    try:
        value = expression.evalf(40, subs=point, maxn=200)
        real, imaginary = value.as_real_imag()
        found = mpc(real._to_mpmath(140), imaginary._to_mpmath(140))
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return None
    if not isfinite(found):
        return None
    return mpc(*(0 if abs(part) < 1e-120 else part for part in (found.real, found.imag)))


def _value(text: str) -> float | None:
    """A fingerprint: equal answers have almost the same; None where there is none."""
    from math_verify.grader import is_assignment_relation, is_equation, take_last_relation
    from sympy import FiniteSet, Interval, Matrix, Tuple

    try:
        if _cases(text) or len(found := _parsed(text)) != 1:
            return None
        (each,) = found
        if is_equation(each):
            if not is_assignment_relation(each) and each.free_symbols:
                return None
            each = take_last_relation(each).rhs
        parts = list(each.args[:2] if isinstance(each, Interval) else each) if isinstance(
            each, Tuple | Matrix | FiniteSet | Interval
        ) else [each]  # fmt: skip
        if not parts or not all(_valued(part) for part in parts):
            return None
        total = 0
        for part in parts:
            part = _complex(part)
            value = _at(part, sorted(map(str, part.free_symbols)), POINTS[0])
            if value is None:
                return None
            total += value
        return float(total.real + 2 * total.imag)
    except Exception:
        return None


def _prepare() -> None:
    """Import Math-Verify, silence it, and make its parser five times as fast.

    ANTLR's prediction mode SLL gives the same tree as the default, LL, wherever it gives one, but remembers its
    decisions; so it is tried first ("two-stage parsing", as the documentation of ANTLR 4's PredictionMode advises).
    And an integer need not pass through sympy's parser of Python expressions.
    """
    import logging

    logging.disable(logging.CRITICAL)
    import math_verify  # noqa: F401
    from antlr4.atn.PredictionMode import PredictionMode
    from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy
    from sympy import Integer

    parse, create_parser = _Latex2Sympy.parse, _Latex2Sympy.create_parser

    def fast_parser(self: Any, text: str) -> Any:
        parser = create_parser(self, text)
        parser._interp.predictionMode = PredictionMode.SLL
        return parser

    def two_stage(self: Any, text: str) -> Any:
        try:
            self.create_parser = fast_parser.__get__(self)
            return parse(self, text)
        except Exception:
            del self.create_parser
            return parse(self, text)

    parse_number = _Latex2Sympy.parse_number

    def fast_number(self: Any, text: str) -> Any:
        return Integer(int(text)) if text.isascii() and text.isdigit() else parse_number(self, text)

    _Latex2Sympy.parse = two_stage
    _Latex2Sympy.parse_number = fast_number


if __name__ == "__main__":
    _serve(int(sys.argv[1]), float(sys.argv[2]))
