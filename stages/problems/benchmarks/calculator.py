"""GSM8K's calculator annotations, `<<48/2=24>>`: read and checked with exact fractions, without eval.

In the published files all 27,998 hold exactly; one (row 319 of the test file) was left unevaluated, `<<3/4=3/4>>`.
Source: Cobbe et al. 2021, arXiv 2110.14168, and the published files.
"""

from __future__ import annotations

import re
from fractions import Fraction

from stages.lib.core import expressions
from stages.lib.core.expressions import ANNOTATION

_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)")


def evaluate(expression: str) -> Fraction:
    """The exact value of `+ - * / //` and brackets over decimal numbers. Raises ValueError for anything else."""
    return expressions.evaluate_tokens(expressions.tokenize(expression))


def find_fault(annotation: str) -> str | None:
    """The fault of an annotation (without its brackets); None if it is `expression=number` and holds exactly."""
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


def extract_value(step: str) -> str | None:
    """The number after the last annotation of a step, `72`, `0.2` or `3/4`; None if there is no annotation."""
    annotations = ANNOTATION.findall(step)
    if not annotations:
        return None
    result = annotations[-1].rpartition("=")[2].strip()
    return normalize_number(result) if _NUMBER.fullmatch(result) else result or None


def normalize_number(number: str) -> str:
    """A decimal number without commas, leading or trailing zeros: `073` -> `73`, `.50` -> `0.5`. Raises ValueError."""
    number = number.strip().replace(",", "")
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"{number!r} is not a decimal number")
    sign, digits = ("-", number[1:]) if number.startswith("-") else ("", number)
    whole, _, decimals = digits.partition(".")
    whole, decimals = whole.lstrip("0") or "0", decimals.rstrip("0")
    text = f"{whole}.{decimals}" if decimals else whole
    return text if text == "0" else sign + text
