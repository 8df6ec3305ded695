"""What a family of competition problems is.

A family knows how to draw parameters, to solve them in two independent ways, to say them in several phrasings and to
read every phrasing back, and to write the solution a step a line. `items.item` keeps a draw only if both solvers agree on
an integer in 0..999 and the text reads back to the very parameters; nothing else ever becomes a problem.

Phrasings are templates: `{name}` stands for `words(params)[name]`. Reading back turns the same template into a pattern
and hands what stood in the fields to `parse`, so that a number which the text omits or spoils is found out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from stages.lib.core.records import Step

Params = dict[str, Any]  # plain data: integers, strings and lists of them; it goes into Problem.program
Draw = Callable[[str], random.Random]  # draw("modulus"): a generator of its own for every field
AREAS = ("number theory", "combinatorics", "algebra", "geometry", "probability")


def format_integers(params: Params) -> dict[str, str]:
    """For families whose parameters are all integers that stand in the text as digits."""
    return {name: str(value) for name, value in params.items()}


def parse_integers(fields: dict[str, str]) -> Params:
    return {name: int(text) for name, text in fields.items()}


@dataclass(frozen=True)
class Family:
    """sample(draw, level): parameters at level 1, 2 or 3, or None when the draw is degenerate (it is drawn again).
    solve_closed, solve_brute: the answer by two independent code paths. work(params): how many candidates, states or
    terms a search without insight goes through. steps(params): at least three steps; the last value is the answer."""

    name: str
    area: str
    sample: Callable[[Draw, int], Params | None]
    solve_closed: Callable[[Params], int]
    solve_brute: Callable[[Params], int]
    phrasings: tuple[str, ...]
    write_steps: Callable[[Params], list[Step]]
    count_work: Callable[[Params], int]
    format_fields: Callable[[Params], dict[str, str]] = format_integers
    parse_fields: Callable[[dict[str, str]], Params] = parse_integers
    version: int = 1


def number_steps(lines: Sequence[tuple[str, int | str]]) -> list[Step]:
    """Steps `1. text` with the value after each."""
    return [Step(text=f"{i}. {text}", value=str(value)) for i, (text, value) in enumerate(lines, 1)]


def format_signed(number: int) -> str:
    """`+ 5` or `- 5`, as a term of a polynomial."""
    return f"- {-number}" if number < 0 else f"+ {number}"


def join_list(items: list[str], last: str = " and ") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return last.join(filter(None, (", ".join(items[:-1]), items[-1])))


def parenthesize(number: int) -> str:
    """`5` or `(-5)`, as a factor or a summand."""
    return f"({number})" if number < 0 else str(number)


def format_ratio(top: int, bottom: int) -> str:
    """`26/8 = 13/4`, or `7/15` where nothing can be reduced."""
    reduced = str(Fraction(top, bottom))
    return reduced if reduced == f"{top}/{bottom}" else f"{top}/{bottom} = {reduced}"


def parse_signed(text: str) -> int:
    """Back from `format_signed`."""
    return int(text.replace(" ", ""))
