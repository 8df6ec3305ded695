"""LaTeX to sympy by Math-Verify's parser. An expression that the parser does not read whole is not read at all."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

import math_verify
import sympy
from antlr4.atn.PredictionMode import PredictionMode
from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy
from math_verify.grader import is_relation

_ARGUMENT = r"\s*(?:\{([^{}]*)\}|(\\[A-Za-z]+|[0-9A-Za-z]))"
_FRACTION = re.compile(rf"\\[dtc]?frac{_ARGUMENT}{_ARGUMENT}")
_UNSUPPORTED = re.compile(  # the parser would drop it, or evaluate it to something else
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
    """The sympy expressions that a text may mean: `60,120` is a number, or a list."""
    return _parse(text) + (_parse(text.replace(",", ", ")) if re.fullmatch(r"[0-9]{1,3}(?:,[0-9]{3})+", text) else [])


@lru_cache(maxsize=4096)
def _parse(text: str) -> list[Any]:
    """Math-Verify's readings of a text as one formula; none if it does not read all of it."""
    text = re.sub(r"\\?%", "", text)  # Math-Verify cannot read it inside an expression
    text = _FRACTION.sub(r"\\frac{\1\2}{\3\4}", text)  # `\frac\pi2`, too
    text = _TRAILING_LETTERS.sub(lambda match: "".join(f"{{{letter}}}" for letter in match[0]), text)  # `3bc`: no unit
    if connectives := _CONNECTIVE.findall(text):
        parts = [_parse(part) for part in _CONNECTIVE.split(text)]
        if len({*connectives}) > 1 or not all(len(part) == 1 and is_relation(part[0]) for part in parts):
            return []
        join: Any = sympy.And if connectives[0] == r"\wedge" else sympy.Or
        return [join(*(part[0] for part in parts), evaluate=False)]
    if _UNSUPPORTED.search(text):
        return []
    parse: Any = math_verify.parse  # its timeout may be None
    readings = parse(f"${text}$", [math_verify.LatexExtractionConfig()], parsing_timeout=None)
    if len(readings) < 2 or not isinstance(readings[-1], str) or _list_symbols(readings[-1]) != _list_symbols(text):
        return []
    return readings[:-1]


def _list_symbols(text: str) -> list[str]:
    """The digits and variables of a formula without its unit. If the parser has lost one, it has not read the text."""
    text = re.sub(
        r"\\(?:text|mbox|textrm|mathrm)\s*\{[^{}]*\}(?:\s*\^\s*\{?[0-9]\}?)?|(?<=\s)[A-Za-z]{2,}\b\.?(?:\^[0-9])?",
        "",
        text,
    )
    text = re.sub(r"(?<=[0-9 ])(?:mm|cm|dm|km|kg|mg)(?![a-z])(?:\s*\^\s*\{?[0-9]\}?)?|\\[A-Za-z]+", "", text)
    text = re.sub(r"(?<![0-9])0?\.5(?![0-9])", "12", text)  # Math-Verify writes one half for it
    return sorted(re.findall("[0-9]|[a-z]", text.lower()))


def parse_cases(text: str) -> list[tuple[str, ...]]:
    """The rows of a piecewise function or a system, cell by cell; [] of anything else."""
    match = _CASES.fullmatch(text)
    if not match or (match[1] == "array" and not text.lstrip().startswith(("\\{", "\\left\\{"))):
        return []
    rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", match[2]) if row.strip()]
    return [tuple(_CONDITION.sub(" ", cell).strip().rstrip(",") for cell in row.split("&")) for row in rows]


def is_matrix(text: str) -> bool:
    return bool(_MATRIX.fullmatch(text))


def parse_vector(text: str) -> list[str]:
    """The entries of a column or row vector, or of a list in brackets; [] of anything else."""
    if match := _MATRIX.fullmatch(text):
        rows = [row.split("&") for row in match[2].split("\\\\") if row.strip()]
        if len(rows) == 1 or all(len(row) == 1 for row in rows):
            return [cell for row in rows for cell in row]
    elif (text := text.strip())[:1] in ("[", "(") and text[-1:] in ("]", ")"):
        return text[1:-1].split(",")
    return []


def configure_math_verify() -> None:
    """Silence Math-Verify, let it tell capital letters from small ones, and make its parser five times as fast.

    ANTLR's prediction mode SLL gives the same tree as the default, LL, wherever it gives one, but remembers its
    decisions; so it is tried first ("two-stage parsing", as the documentation of ANTLR 4's PredictionMode advises).
    And an integer need not pass through sympy's parser of Python expressions.
    """
    logging.disable(logging.CRITICAL)
    latex2sympy: Any = _Latex2Sympy
    parse, create_parser, parse_number = latex2sympy.parse, latex2sympy.create_parser, latex2sympy.parse_number

    def create_fast_parser(self: Any, text: str) -> Any:
        parser = create_parser(self, text)
        parser._interp.predictionMode = PredictionMode.SLL
        return parser

    def parse_in_two_stages(self: Any, text: str) -> Any:
        self.config = replace(self.config, lowercase_symbols=False)  # an angle A, a side a
        try:
            self.create_parser = create_fast_parser.__get__(self)
            return parse(self, text)
        except Exception:
            del self.create_parser
            return parse(self, text)

    def parse_number_fast(self: Any, text: str) -> Any:
        return sympy.Integer(int(text)) if text.isascii() and text.isdigit() else parse_number(self, text)

    latex2sympy.parse = parse_in_two_stages
    latex2sympy.parse_number = parse_number_fast
