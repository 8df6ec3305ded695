"""The equations in the text of a step, and whether they hold by exact arithmetic.

`2. The product is 7 * 11 = 77.` states that both sides are equal. Sides that contain an unknown (`x + 4 = 10`, `f(3) = 7`)
cannot be computed and are skipped. Notation: + - * / ^ ! and brackets, `a mod m` for the remainder (binds like *),
C(n, k), sqrt of a square.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

_TOKEN = re.compile(r"\d+(?:\.\d+)?|mod\b|C(?=\()|sqrt(?=\()|[-+*/^!(),=]")
_EXPRESSION = re.compile(r"(?:(?:\d+(?:\.\d+)?|\bmod\b|\bC(?=\()|\bsqrt(?=\()|[-+*/^!(),=])\s*)+")
_MAX_EXPONENT_BITS = 20_000  # size limit of a power or factorial


def find_equations(text: str) -> Iterator[tuple[str, str, bool]]:
    """(left, right, whether it holds) for every pair of adjacent sides that can both be computed."""
    for run in _EXPRESSION.finditer(re.sub(r"^\d+\. ", "", text)):
        sides = run.group().split("=")
        values = [evaluate(side) for side in sides]
        before, after = run.string[: run.start()], run.string[run.end() :]
        if re.search(r"[\w)\]}|]$", before) or re.match(r"[-+*/^](?:\s|$)", run.group()):
            values[0] = None  # `f(3) = ...`, `x + 4 = ...`
        if re.match(r"\w", after) and not run.group().endswith(" "):
            values[-1] = None  # `... = 2x`
        for (left, a), (right, b) in pairwise(zip(sides, values, strict=True)):
            if a is not None and b is not None:
                yield left.strip(), right.strip(" ,"), a == b


def evaluate(text: str) -> Fraction | None:
    """The value of a numeric expression; None for anything else. Trailing commas are ignored."""
    text = text.strip().rstrip(", ")
    tokens = _TOKEN.findall(text)
    if not tokens or "".join(tokens) != re.sub(r"\s", "", text):
        return None
    try:
        value, rest = _parse_sum(tokens)
    except (IndexError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return None if rest else value


def _parse_sum(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, tokens = _parse_product(tokens)
    while tokens and tokens[0] in "+-":
        term, rest = _parse_product(tokens[1:])
        value, tokens = (value + term if tokens[0] == "+" else value - term), rest
    return value, tokens


def _parse_product(tokens: list[str]) -> tuple[Fraction, list[str]]:
    if tokens[0] == "-":
        value, tokens = _parse_product(tokens[1:])
        return -value, tokens
    value, tokens = _parse_power(tokens)
    while tokens and tokens[0] in ("*", "/", "mod"):
        sign, (factor, tokens) = tokens[0], _parse_power(tokens[1:])
        value = value * factor if sign == "*" else value / factor if sign == "/" else value % factor
    return value, tokens


def _parse_power(tokens: list[str]) -> tuple[Fraction, list[str]]:
    base, tokens = _parse_atom(tokens)
    while tokens and tokens[0] == "!":
        base, tokens = Fraction(math.factorial(_to_natural(base, 999))), tokens[1:]
    if tokens and tokens[0] == "^":
        is_negative = tokens[1] == "-"
        power, tokens = _parse_power(tokens[2 if is_negative else 1 :])
        exponent = _to_natural(power, _MAX_EXPONENT_BITS)
        if exponent * max(base.numerator.bit_length(), base.denominator.bit_length()) > _MAX_EXPONENT_BITS:
            raise ValueError("too large")
        base = base**-exponent if is_negative else base**exponent
    return base, tokens


def _parse_atom(tokens: list[str]) -> tuple[Fraction, list[str]]:
    head, rest = tokens[0], tokens[1:]
    if head not in ("C", "sqrt", "("):
        return Fraction(head), rest
    value, rest = _parse_sum(rest if head == "(" else rest[1:])
    if head == "C":
        k, rest = _parse_sum(_expect_token(",", rest))
        value = Fraction(math.comb(_to_natural(value, 9999), _to_natural(k, 9999)))
    elif head == "sqrt":
        value = Fraction(_exact_sqrt(value.numerator), _exact_sqrt(value.denominator))
    return value, _expect_token(")", rest)


def _expect_token(mark: str, tokens: list[str]) -> list[str]:
    if tokens[0] != mark:
        raise ValueError(f"expected {mark}")
    return tokens[1:]


def _to_natural(number: Fraction, limit: int) -> int:
    if number.denominator != 1 or not 0 <= number <= limit:
        raise ValueError(f"{number} is not an integer from 0 to {limit}")
    return int(number)


def _exact_sqrt(number: int) -> int:
    root = math.isqrt(number)
    if root * root != number:
        raise ValueError("not a square")
    return root
