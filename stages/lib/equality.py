"""Math-Verify's verdict on two expressions, in a worker process that stages/lib/latex.py starts and questions.

Run as a file: nothing else of this project is imported, so that a worker starts fast. It reads pairs as lines of JSON on
standard input and answers true or false, one line each; a question that exceeds its processor time ends it.
"""

from __future__ import annotations

import json
import math
import os
import re
import select
import signal
import sys
from functools import lru_cache
from typing import Any

MEMORY = 2 << 30  # address space of a worker


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
        answer = _same(*json.loads(line))
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


def _same(left: str, right: str) -> bool:
    try:
        return any(_equal(a, b) for a in _parsed(left) for b in _parsed(right))
    except Exception:  # RecursionError, MemoryError, whatever sympy raises on nonsense: it was not shown to be equal
        return False


def _equal(left: Any, right: Any) -> bool:
    """Math-Verify's `verify`, made symmetric where its two orders disagree."""
    from math_verify import verify
    from math_verify.grader import is_assignment_relation, is_equation, is_relation, take_last_relation
    from sympy import Expr, FiniteSet, Interval, Tuple, Union

    if isinstance(left, str) or isinstance(right, str):
        return isinstance(left, str) and isinstance(right, str) and left.strip() == right.strip() != ""
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
    if (isinstance(left, Expr) and isinstance(right, Interval | Union)) or _apart(left, right):
        return False
    if verify(left, right, timeout_seconds=None):
        return True
    return (is_relation(left) or is_relation(right)) and verify(right, left, timeout_seconds=None)


_ARGUMENT = r"\s*(?:\{([^{}]*)\}|(\\[A-Za-z]+|[0-9A-Za-z]))"
_FRACTION = re.compile(rf"\\[dtc]?frac{_ARGUMENT}{_ARGUMENT}")


@lru_cache(maxsize=4096)
def _parsed(text: str) -> list[Any]:
    """Math-Verify's reading of a text; of a bare expression as if it stood between dollars."""
    from math_verify import parse

    text = re.sub(r"\\?%", "", text)  # Math-Verify cannot read it inside an expression
    text = _FRACTION.sub(r"\\frac{\1\2}{\3\4}", text)  # `\frac\pi2`, too
    if not re.search(r"\$|\\\(|\\\[|\\boxed", text):
        found = parse(f"${text}$", parsing_timeout=None)
        if found:
            return found
    return parse(text, parsing_timeout=None)


def _apart(left: Any, right: Any) -> bool:
    """Whether two expressions differ by far at some point: a quick no, which spares most calls of `simplify`."""
    from sympy import Expr, Symbol, UnevaluatedExpr

    for each in (left, right):  # a lone symbol may be a word; a percentage equals two numbers
        if not isinstance(each, Expr) or isinstance(each, Symbol) or each.has(UnevaluatedExpr):
            return False
    names = sorted(left.free_symbols | right.free_symbols, key=str)
    point = {name: 0.5 + math.sqrt(2 + index) % 1 for index, name in enumerate(names)}
    try:
        ours, theirs = (complex(each.evalf(15, subs=point)) for each in (left, right))
    except (TypeError, ValueError):  # it has no numerical value, as f(x) has none
        return False
    return abs(ours - theirs) > 1e-4 * (1 + abs(ours) + abs(theirs))  # not so for inf and nan


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
