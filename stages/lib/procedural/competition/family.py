"""The base class of families of competition problems, and helpers to write and read numbers in a text.

A family draws parameters at a level of difficulty, solves them by two independent solvers, states them in several
phrasings, reads every phrasing back, and writes a worked solution. `items.generate_item` keeps a draw only if both
solvers agree on an integer from 0 to 999 and the text reads back to the same parameters. Nothing else becomes a problem.

Phrasings are templates: `{name}` becomes `format_fields(p)[name]`. To read a text back, the template is turned into a
pattern and the contents of its fields go to `parse_fields`, so a number that the text omits or changes is detected.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from types import ModuleType
from typing import Any, ClassVar

from stages.lib.core.records import Step

Params = dict[str, Any]  # plain data: integers, strings and lists of them; stored in Problem.program
Draw = Callable[[str], random.Random]  # draw("modulus"): an independent generator for every field
Line = str | tuple[str, object]  # a sentence of a solution, with its value where that is not what follows the last `=`
AREAS = ("number theory", "combinatorics", "algebra", "geometry", "probability")


class Family:
    """A kind of problem. Subclasses define all of the following; fields need methods only if they are not integers."""

    name: ClassVar[str]
    area: ClassVar[str]
    phrasings: ClassVar[tuple[str, ...]]
    version: ClassVar[int] = 1

    def sample(self, draw: Draw, level: int) -> Params | None:
        """Parameters at level 1, 2 or 3; None when the draw is degenerate (it is then repeated)."""
        raise NotImplementedError

    def sample_easiest(self, draw: Draw) -> Params | None:
        """Parameters at level 0: numbers so small that every step is mental arithmetic. Not every family has this level."""
        raise NotImplementedError

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels at which the family has problems, rising in difficulty."""
        return (0, 1, 2, 3)[type(self).sample_easiest is Family.sample_easiest :]

    def sample_at(self, draw: Draw, level: int) -> Params | None:
        """Parameters at any of `levels`; None when the draw is degenerate."""
        return self.sample(draw, level) if level else self.sample_easiest(draw)

    def solve_closed(self, p: Params) -> int:
        """The answer by insight."""
        raise NotImplementedError

    def solve_brute(self, p: Params) -> int:
        """The answer by search or simulation; shares no code with `solve_closed`."""
        raise NotImplementedError

    def write_lines(self, p: Params) -> Iterable[Line]:
        """The worked solution: at least three sentences; the value of the last one is the answer."""
        raise NotImplementedError

    def count_work(self, p: Params) -> int:
        """How many candidates, states or terms a search without insight goes through."""
        raise NotImplementedError

    def format_fields(self, p: Params) -> dict[str, str]:
        """The text of every field of the phrasings."""
        return {name: str(value) for name, value in p.items()}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        """The parameters, from the fields of any one phrasing."""
        return {name: int(text) for name, text in fields.items()}

    def write_steps(self, p: Params) -> list[Step]:
        """The lines as numbered steps, `1. text`, with the value after each."""
        lines = (line if isinstance(line, tuple) else (line, _get_result(line)) for line in self.write_lines(p))
        return [Step(text=f"{i}. {text}", value=str(value)) for i, (text, value) in enumerate(lines, 1)]


def collect_families(*modules: ModuleType) -> tuple[Family, ...]:
    """An instance of every family that the modules define, in order of definition."""
    return tuple(
        item()
        for module in modules
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Family) and item.__module__ == module.__name__
    )


def _get_result(line: str) -> str:
    """`33` of `The sum is 3 * 11 = 33.` and of `The sum is 3 * 11 = 33, unique modulo 5.`"""
    return line.rpartition("= ")[2].split()[0].rstrip(".,;")


def end_with(ending: str, *texts: str) -> tuple[str, ...]:
    """Phrasings that all end in the same request."""
    return tuple(f"{text} {ending}" for text in texts)


def format_signed(number: int) -> str:
    """`+ 5` or `- 5`, as a term of a polynomial."""
    return f"- {-number}" if number < 0 else f"+ {number}"


def parse_signed(text: str) -> int:
    """The inverse of `format_signed`."""
    return int(text.replace(" ", ""))


def match_text(pattern: str, text: str) -> re.Match[str]:
    """The match of a pattern with a whole text. Raises ValueError where it does not match."""
    if match := re.fullmatch(pattern, text):
        return match
    raise ValueError(f"{text!r} does not match {pattern!r}")


def join_list(items: list[str], last: str = " and ") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return last.join(filter(None, (", ".join(items[:-1]), items[-1])))


def parenthesize(number: int) -> str:
    """`5` or `(-5)`, as a factor or a summand."""
    return f"({number})" if number < 0 else str(number)


def format_ratio(top: int, bottom: int) -> str:
    """`26/8 = 13/4`, or `7/15` for a fraction in lowest terms."""
    reduced = str(Fraction(top, bottom))
    return reduced if reduced == f"{top}/{bottom}" else f"{top}/{bottom} = {reduced}"
