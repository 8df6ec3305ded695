"""Answers p + q for a fraction p/q in lowest terms: the request, the answer, and the last lines of a solution."""

from __future__ import annotations

from fractions import Fraction

from stages.lib.procedural.competition.family import Line

# The published wording, "where p and q are relatively prime positive integers", would be a 13-word run shared with it.
LOWEST_TERMS_PHRASE = "is p/q in lowest terms, with positive integers p and q. Find p + q."


def add_fraction_parts(value: Fraction) -> int:
    return value.numerator + value.denominator


def write_sum_line(value: Fraction) -> str:
    """The line that ends in the answer."""
    return f"p + q = {value.numerator} + {value.denominator} = {add_fraction_parts(value)}."


def write_closing_lines(top: int, bottom: int) -> list[Line]:
    """The last two lines of a solution: the fraction in lowest terms, and the answer."""
    value = Fraction(top, bottom)
    text = f"{value.numerator}/{value.denominator}"
    return [(f"In lowest terms that is {text}.", text), write_sum_line(value)]
