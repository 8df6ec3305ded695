"""GSM8K's calculator annotations, `<<48/2=24>>`: read and checked with exact fractions, never with eval.

In the published files all 27,998 hold exactly; one (row 319 of the test file) was left unevaluated, `<<3/4=3/4>>`.
Source: Cobbe et al. 2021, arXiv 2110.14168, and the published files.
"""

from __future__ import annotations

import re
from fractions import Fraction

ANNOTATION = re.compile(r"<<([^<>]*)>>")
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d*)?|\.\d+)|(//|[-+*/()]))")
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)")
_DEEPEST = 50


def evaluate(expression: str) -> Fraction:
    """The exact value of `+ - * / //` and brackets over decimal numbers. Raises ValueError for anything else."""
    tokens, position = [], 0
    expression = expression.rstrip()
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if not match:
            raise ValueError(f"cannot read {expression[position:]!r}")
        tokens.append(match[1] or match[2])
        position = match.end()
    value, rest = _sum(tokens, 0)
    if rest:
        raise ValueError(f"unexpected {rest[0]!r}")
    return value


def _sum(tokens: list[str], depth: int) -> tuple[Fraction, list[str]]:
    value, tokens = _product(tokens, depth)
    while tokens and tokens[0] in "+-":
        term, rest = _product(tokens[1:], depth)
        value, tokens = (value + term if tokens[0] == "+" else value - term), rest
    return value, tokens


def _product(tokens: list[str], depth: int) -> tuple[Fraction, list[str]]:
    value, tokens = _factor(tokens, depth)
    while tokens and tokens[0] in ("*", "/", "//"):
        factor, rest = _factor(tokens[1:], depth)
        if tokens[0] != "*" and not factor:
            raise ValueError("division by zero")
        if tokens[0] == "*":
            value *= factor
        else:
            value = value / factor if tokens[0] == "/" else Fraction(value // factor)
        tokens = rest
    return value, tokens


def _factor(tokens: list[str], depth: int) -> tuple[Fraction, list[str]]:
    if not tokens:
        raise ValueError("ends too early")
    if depth > _DEEPEST:
        raise ValueError(f"more than {_DEEPEST} brackets or signs deep")
    first, rest = tokens[0], tokens[1:]
    if first in "+-":
        value, rest = _factor(rest, depth + 1)
        return (value if first == "+" else -value), rest
    if first == "(":
        value, rest = _sum(rest, depth + 1)
        if not rest or rest[0] != ")":
            raise ValueError("a bracket is not closed")
        return value, rest[1:]
    if first[0] not in "0123456789.":
        raise ValueError(f"unexpected {first!r}")
    return Fraction(first), rest


def check(annotation: str) -> str | None:
    """None when the inside of an annotation is `expression=number` and holds exactly, else what is wrong with it."""
    expression, equals, result = annotation.rpartition("=")
    if not equals:
        return "no result"
    try:
        left, right = evaluate(expression), evaluate(result)
    except ValueError as error:
        return str(error)
    if left != right:
        return f"{expression} is {left}"
    return None if _NUMBER.fullmatch(result.strip()) else "left unevaluated"


def value(step: str) -> str | None:
    """The number after the last annotation of a step, `72`, `0.2` or `3/4`; None where there is no annotation."""
    found = ANNOTATION.findall(step)
    if not found:
        return None
    result = found[-1].rpartition("=")[2].strip()
    return canonical(result) if _NUMBER.fullmatch(result) else result or None


def canonical(number: str) -> str:
    """A decimal number without commas, leading or trailing zeros: `073` -> `73`, `.50` -> `0.5`. Raises ValueError."""
    number = number.strip().replace(",", "")
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"{number!r} is not a decimal number")
    sign, digits = ("-", number[1:]) if number.startswith("-") else ("", number)
    whole, _, decimals = digits.partition(".")
    whole, decimals = whole.lstrip("0") or "0", decimals.rstrip("0")
    text = f"{whole}.{decimals}" if decimals else whole
    return text if text == "0" else sign + text
