"""The equations that a written step states, and whether they hold.

A step such as `2. The product is 7 * 11 = 77.` claims that both sides are equal; exact arithmetic decides. Sides with
an unknown in them (`x + 4 = 10`, `f(3) = 7`) claim nothing that can be computed here and are passed over. The notation:
+ - * / ^ ! and brackets, `a mod m` for the remainder (it binds like *), C(n, k), sqrt of a square.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction

_TOKEN = re.compile(r"\d+(?:\.\d+)?|mod\b|C(?=\()|sqrt(?=\()|[-+*/^!(),=]")
_EXPRESSION = re.compile(r"(?:(?:\d+(?:\.\d+)?|\bmod\b|\bC(?=\()|\bsqrt(?=\()|[-+*/^!(),=])\s*)+")
_MAX_EXPONENT_BITS = 20_000  # bits of a power or factorial that is still computed


def find_equations(text: str) -> Iterator[tuple[str, str, bool]]:
    """(left, right, whether it holds) for every pair of neighbouring sides that can be computed."""
    for run in _EXPRESSION.finditer(re.sub(r"^\d+\. ", "", text)):
        whole = run.string
        sides = run.group().split("=")
        values = [evaluate(side) for side in sides]
        before, after = whole[: run.start()], whole[run.end() :]
        if re.search(r"[\w)\]}|]$", before) or re.match(r"[-+*/^](?:\s|$)", run.group()):
            values[0] = None  # `f(3) = ...`, `x + 4 = ...`
        if re.match(r"\w", after) and not run.group().endswith(" "):
            values[-1] = None  # `... = 2x`
        for (left, a), (right, b) in zip(
            zip(sides, values, strict=True), list(zip(sides, values, strict=True))[1:], strict=False
        ):
            if a is not None and b is not None:
                yield left.strip(), right.strip(" ,"), a == b


def evaluate(text: str) -> Fraction | None:
    """What an expression in digits comes to; None for anything else. Trailing commas are punctuation."""
    text = text.strip().rstrip(", ")
    tokens = _TOKEN.findall(text)
    if not tokens or "".join(tokens) != re.sub(r"\s", "", text):
        return None
    try:
        found, rest = _parse_sum(tokens)
    except (IndexError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return None if rest else found


def _parse_sum(tokens: list[str]) -> tuple[Fraction, list[str]]:
    found, tokens = _parse_product(tokens)
    while tokens and tokens[0] in "+-":
        more, rest = _parse_product(tokens[1:])
        found, tokens = (found + more if tokens[0] == "+" else found - more), rest
    return found, tokens


def _parse_product(tokens: list[str]) -> tuple[Fraction, list[str]]:
    if tokens[0] == "-":
        found, tokens = _parse_product(tokens[1:])
        return -found, tokens
    found, tokens = _parse_power(tokens)
    while tokens and tokens[0] in ("*", "/", "mod"):
        sign, (more, tokens) = tokens[0], _parse_power(tokens[1:])
        found = found * more if sign == "*" else found / more if sign == "/" else found % more
    return found, tokens


def _parse_power(tokens: list[str]) -> tuple[Fraction, list[str]]:
    found, tokens = _parse_atom(tokens)
    while tokens and tokens[0] == "!":
        found, tokens = Fraction(math.factorial(_to_natural(found, 999))), tokens[1:]
    if tokens and tokens[0] == "^":
        negative = tokens[1] == "-"
        exponent, tokens = _parse_power(tokens[2 if negative else 1 :])
        count = _to_natural(exponent, _MAX_EXPONENT_BITS)
        if count * max(found.numerator.bit_length(), found.denominator.bit_length()) > _MAX_EXPONENT_BITS:
            raise ValueError("too large")
        found = found**-count if negative else found**count
    return found, tokens


def _parse_atom(tokens: list[str]) -> tuple[Fraction, list[str]]:
    head, rest = tokens[0], tokens[1:]
    if head in ("C", "sqrt"):
        first, rest = _parse_sum(rest[1:])
        if head == "C":
            second, rest = _parse_sum(_expect_token(",", rest))
            found = Fraction(math.comb(_to_natural(first, 9999), _to_natural(second, 9999)))
        else:
            found = Fraction(_exact_sqrt(first.numerator), _exact_sqrt(first.denominator))
        return found, _expect_token(")", rest)
    if head == "(":
        found, rest = _parse_sum(rest)
        return found, _expect_token(")", rest)
    return Fraction(head), rest


def _expect_token(mark: str, tokens: list[str]) -> list[str]:
    if tokens[0] != mark:
        raise ValueError(f"expected {mark}")
    return tokens[1:]


def _to_natural(number: Fraction, limit: int) -> int:
    if number.denominator != 1 or not 0 <= number <= limit:
        raise ValueError(f"{number} is no number from 0 to {limit}")
    return int(number)


def _exact_sqrt(number: int) -> int:
    root = math.isqrt(number)
    if root * root != number:
        raise ValueError("no square")
    return root
