"""Formulas as Math-Verify reads them, and their values at fixed points, to 40 digits.

Only a worker (lib/grading/math_verify_worker.py) imports this: Math-Verify and sympy take a second. An expression
that the parser does not read whole is not read at all.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from functools import lru_cache
from typing import Any
from zlib import crc32

import math_verify
from antlr4.atn.PredictionMode import PredictionMode
from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy
from math_verify.grader import is_relation
from mpmath import isfinite, mp, mpc
from sympy import And, Expr, Float, I, Integer, Or, Symbol, UnevaluatedExpr, sqrt

_ARGUMENT = r"\s*(?:\{([^{}]*)\}|(\\[A-Za-z]+|[0-9A-Za-z]))"
_FRACTION = re.compile(rf"\\[dtc]?frac{_ARGUMENT}{_ARGUMENT}")
_UNSUPPORTED = re.compile(  # what the parser would drop or evaluate to something else
    r"\\(?:forall|exists|[lcd]?dots|dots[a-z]|mid|nmid|to|rightarrow|Rightarrow|mapsto|equiv|[bp]?mod|gcd|lcm|#|implies|iff"
    r"|neg)(?![a-z])|[0-9]_\{?[0-9]|\\operatorname\{(?:lcm|gcd)|\.\.\."
)
_CASES = re.compile(
    r"(?:\\\{|\\left\\\{)?\s*\\begin\{(cases|array)\}(?:\{[lcr| ]*\})?(.*)\\end\{\1\}(?:\\right\.)?\s*", re.S
)
_MATRIX = re.compile(r"\s*\\begin\{([pbvBV]?matrix)\}(.*)\\end\{\1\}\s*", re.S)
_CONDITION = re.compile(
    r"\\(?:text|mbox|textrm)\s*\{\s*,?\s*(?:if|for|when|where)?\s*\}|\b(?:if|for|when)\b|^\s*,|,\s*$"
)
_CONNECTIVE = re.compile(r"\\(?:wedge|vee)(?![a-z])")
_TRAILING_LETTERS = re.compile(r"(?<=[0-9])(?!(?:mm|cm|dm|km|kg|mg)\b)[A-Za-z]{1,2}$")


def parse_readings(text: str) -> list[Any]:
    """`60,120` is a number, or a list."""
    return _parse(text) + (_parse(text.replace(",", ", ")) if re.fullmatch(r"[0-9]{1,3}(?:,[0-9]{3})+", text) else [])


@lru_cache(maxsize=4096)
def _parse(text: str) -> list[Any]:
    """Math-Verify's reading of a text as one formula, read whole; nothing if it cannot be."""
    text = re.sub(r"\\?%", "", text)  # Math-Verify cannot read it inside an expression
    text = _FRACTION.sub(r"\\frac{\1\2}{\3\4}", text)  # `\frac\pi2`, too
    text = _TRAILING_LETTERS.sub(
        lambda match: "".join(f"{{{letter}}}" for letter in match[0]), text
    )  # `3bc` has no unit
    if joined := _CONNECTIVE.findall(text):
        parts = [_parse(part) for part in _CONNECTIVE.split(text)]
        if {*joined} == {joined[0]} and all(len(part) == 1 and is_relation(part[0]) for part in parts):
            return [(And if joined[0] == r"\wedge" else Or)(*(part[0] for part in parts), evaluate=False)]
        return []
    if _UNSUPPORTED.search(text):
        return []
    found = math_verify.parse(f"${text}$", [math_verify.LatexExtractionConfig()], parsing_timeout=None)
    if len(found) < 2 or not isinstance(found[-1], str) or _list_symbols(found[-1]) != _list_symbols(text):
        return []
    return found[:-1]


def _list_symbols(text: str) -> list[str]:
    """The digits and variables of a formula, but for its unit: what the parser has lost of them it has not read."""
    text = re.sub(
        r"\\(?:text|mbox|textrm|mathrm)\s*\{[^{}]*\}(?:\s*\^\s*\{?[0-9]\}?)?|(?<=\s)[A-Za-z]{2,}\b\.?(?:\^[0-9])?",
        "",
        text,
    )
    text = re.sub(r"(?<=[0-9 ])(?:mm|cm|dm|km|kg|mg)(?![a-z])(?:\s*\^\s*\{?[0-9]\}?)?|\\[A-Za-z]+", "", text)
    text = re.sub(r"(?<![0-9])0?\.5(?![0-9])", "12", text)  # Math-Verify writes one half for it
    return sorted(re.findall("[0-9]|[a-z]", text.lower()))


def parse_cases(text: str) -> list[tuple[str, ...]]:
    """The rows of a piecewise function or a system, cell by cell."""
    found = _CASES.fullmatch(text)
    if not found or (found[1] == "array" and not text.lstrip().startswith(("\\{", "\\left\\{"))):
        return []
    rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", found[2]) if row.strip()]
    return [tuple(_CONDITION.sub(" ", cell).strip().rstrip(",") for cell in row.split("&")) for row in rows]


def is_matrix(text: str) -> bool:
    return bool(_MATRIX.fullmatch(text))


def parse_vector(text: str) -> list[str]:
    """The entries of a column or row, or of what stands in brackets."""
    if found := _MATRIX.fullmatch(text):
        rows = [row.split("&") for row in found[2].split("\\\\") if row.strip()]
        if len(rows) == 1 or all(len(row) == 1 for row in rows):
            return [cell for row in rows for cell in row]
    elif (text := text.strip())[:1] in ("[", "(") and text[-1:] in ("]", ")"):
        return text[1:-1].split(",")
    return []


mp.dps = 40
SAMPLE_POINTS = (
    (1, 1, 1),
    (3, 1, 1),
    (1, 3, 1),
    (-1, -1, -1),
    (-1, 1, -1),
    (1, -1, 1),
)  # signs and scales of the variables


def has_value(each: Any) -> bool:
    """A lone symbol may be a word, and a percentage equals two numbers."""
    return isinstance(each, Expr) and not isinstance(each, Symbol) and not each.has(UnevaluatedExpr)


def substitute_i(expression: Any) -> Any:
    return expression.subs({name: I for name in expression.free_symbols if str(name) == "i"})


def evaluate_at(
    expression: Any, names: list[Any], signs: tuple[int, ...], fixed: dict[Symbol, Float] | None = None
) -> Any:
    """The value of an expression at a point to 40 digits; None where it has none (infinity, f(x)).

    `fixed`: the places of variables that are elsewhere.
    """
    point = {
        name: signs[names.index(str(name)) % 3]
        * (Float("0.5", 40) + sqrt(Float(2 + 4 * (crc32(str(name).encode()) % 999_983), 40)) % 1)
        for name in expression.free_symbols - (fixed or {}).keys()
    } | (fixed or {})
    try:
        value = expression.evalf(40, subs=point, maxn=200)
        real, imaginary = value.as_real_imag()
        found = mpc(real._to_mpmath(140), imaginary._to_mpmath(140))
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return None
    if not isfinite(found):
        return None
    return mpc(*(0 if abs(part) < 1e-120 else part for part in (found.real, found.imag)))


def configure_math_verify() -> None:
    """Silence Math-Verify, tell capital letters from small ones, and make its parser five times as fast.

    ANTLR's prediction mode SLL gives the same tree as the default, LL, wherever it gives one, but remembers its
    decisions; so it is tried first ("two-stage parsing", as the documentation of ANTLR 4's PredictionMode advises).
    And an integer need not pass through sympy's parser of Python expressions.
    """
    logging.disable(logging.CRITICAL)
    parse, create_parser = _Latex2Sympy.parse, _Latex2Sympy.create_parser

    def fast_parser(self: Any, text: str) -> Any:
        parser = create_parser(self, text)
        parser._interp.predictionMode = PredictionMode.SLL
        return parser

    def two_stage(self: Any, text: str) -> Any:
        self.config = replace(self.config, lowercase_symbols=False)  # an angle A, a side a
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
