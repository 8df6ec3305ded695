"""The equations of a solution: what it computes, apart from how it says it.

Two solutions with the same sequence of equations teach the same way; another order is another way (rejection sampling
fine-tuning, RFT, Yuan et al. 2023, arXiv 2308.01825, 3.3, which also drops solutions that calculate wrongly).

Where a solution has calculator annotations (`<<48/2=24>>`), these are its equations; otherwise those in its text are
read: `$5/hour x 2 hours = $10`, `20% * 50 = 10`. What has a variable in it is no equation here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from stages.lib.core import expressions

_SYMBOLS = str.maketrans({"×": "*", "·": "*", "∗": "*", "÷": "/", "−": "-", "–": "-"})
_UNIT_WORD = r"(?![xX]\b)[A-Za-z]+"
_REWRITES = [
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
    (re.compile(r"\\(?:times|cdot)(?![a-z])"), "*"),
    (re.compile(r"\\div(?![a-z])"), "/"),
    (re.compile(r"\\[dt]?frac\{([\d.]+)\}\{([\d.]+)\}"), r"(\1/\2)"),
    (re.compile(r"\\?[$€£]|\\[()\[\]]|\*\*"), ""),  # currencies, borders of formulas, bold type
    (re.compile(r"^\s*[-*•]\s+"), ""),  # the mark of a list
    (re.compile(r"(\d+(?:\.\d+)?) ?\\?%"), r"(\1/100)"),
    (re.compile(r"(?<=\d) ?/ ?[A-Za-z]+"), ""),  # per hour
    (re.compile(rf"(?<=[\d)])[ -]{_UNIT_WORD}(?:[ /]{_UNIT_WORD}){{0,2}}(?= ?[-+*/=)]| [xX] ?[\d(])"), ""),
    (re.compile(r"(?<![\d./])(\d+) (\d+/\d+)"), r"(\1+\2)"),  # a mixed number
    (re.compile(r"(?<=[\d)%]) ?[xX] ?(?=[\d(])"), "*"),
]
_LAST_EXPRESSION = re.compile(r"[-+*/().\d\s]*[\d)]\s*$")
_FIRST_EXPRESSION = re.compile(r"\s*[-+*/().\d\s]*(?![\w(])")
_ITEM_MARK = re.compile(r"\d+[.)] (?=[\d(])")  # `2. 3 + 4`
_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+")


class Equation(NamedTuple):
    """left: its tokens, numbers in one form. value: of the right side, as written. holds: rounding to the digits
    written after a point is allowed."""

    left: tuple[str, ...]
    value: Fraction
    holds: bool

    @property
    def numbers(self) -> set[Fraction]:
        """The numbers of the left side."""
        return {Fraction(token) for token in self.left if token[0].isdigit()}


def find_equations(text: str) -> list[Equation]:
    """The equations of a solution, in its order."""
    annotations = [content for content in expressions.ANNOTATION.findall(text) if "=" in content]
    lines = annotations or [line.translate(_SYMBOLS) for line in text.splitlines()]
    return [equation for line in lines for equation in _read_line(line)]


def find_numbers(text: str) -> set[Fraction]:
    """The numbers that a text writes in digits."""
    for pattern, replacement in _REWRITES[:1]:
        text = pattern.sub(replacement, text)
    return {Fraction(number) for number in _NUMBER.findall(text)}


def explain_unsound(question: str, solution: str, answer: Fraction | None) -> str | None:
    """Why the calculations of a solution cannot be those of the question; None if nothing speaks against them.

    Equations must hold, one must start from a number of the question, and one must give the answer. It proves nothing: it
    refuses what a model writes that did not calculate. Of the gold solutions of GSM8K's test split, without annotations, it
    refuses 6 %; most of them solve for a variable. answer: None if it is no number.
    """
    equations = find_equations(solution)
    if answer is None:
        return None if all(equation.holds for equation in equations) else "an equation does not hold"
    if not equations:
        return "no equation leads to the answer"
    if not all(equation.holds for equation in equations):
        return "an equation does not hold"
    if not {answer, answer / 100} & {equation.value for equation in equations}:  # `= 60%` has the value 0.6
        return "no equation leads to the answer"
    if (known := find_numbers(question)) and not any(equation.numbers & known for equation in equations):
        return "no equation uses a number of the question"
    return None


def _read_line(line: str) -> Iterator[Equation]:
    for pattern, replacement in _REWRITES:
        line = pattern.sub(replacement, line)
    for before, after in pairwise(line.split("=")):
        left, right = _read_last(before), _FIRST_EXPRESSION.match(after)
        value = _evaluate(right[0].strip().rstrip(".")) if left and right else None
        if left and value is not None:
            tokens, computed = left
            yield Equation(tokens, value, _is_close(computed, value, right[0] if right else ""))


def _read_last(text: str) -> tuple[tuple[str, ...], Fraction] | None:
    """Tokens and value of the calculation at the end of a text."""
    match = _LAST_EXPRESSION.search(text)
    if not match:
        return None
    expression, before = match[0].strip(), text[: match.start()].rstrip()
    if expression[:1] in ("+", "-", "*", "/") and before[-1:].isalnum():
        return None  # what comes before the sign is no number
    expression = _ITEM_MARK.sub("", expression)
    value = _evaluate(expression)
    tokens = expressions.tokenize(expression) if value is not None else []
    return (tuple(map(_format_token, tokens)), value) if value is not None and len(tokens) > 2 else None


def _evaluate(expression: str) -> Fraction | None:
    try:
        return expressions.evaluate_tokens(expressions.tokenize(expression)) if expression else None
    except ValueError:
        return None


def _format_token(token: str) -> str:
    return str(Fraction(token)) if token[0] in ".0123456789" else token


def _is_close(computed: Fraction, value: Fraction, written: str) -> bool:
    decimals = len(written.strip().rstrip(".").partition(".")[2])
    tolerance = Fraction(1, 2 * 10**decimals) if decimals else Fraction(0)
    return any(
        abs(computed - reading) <= tolerance for reading in (value, *([value * 100] if "/100)" in written else []))
    )
