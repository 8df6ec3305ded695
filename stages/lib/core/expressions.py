"""Expressions of calculator annotations (`<<48/2=24>>`): tokenized, parsed, and evaluated exactly, without eval."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

ANNOTATION = re.compile(r"<<([^<>]*)>>")
OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: Fraction(a // b),
}
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d*)?|\.\d+)|(//|[-+*/()]))")
_THOUSANDS_COMMA = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_WRITTEN_ANNOTATION = re.compile(r"(?<!<)<<[^<>\n]*=[^<>\n]*>>(?!>)")  # not the `<<<answer>>>` of DyVal
_MAX_DEPTH = 50
MAX_DECIMALS = 6  # of a computed value; GSM8K's have three at most

Tree = Any  # an operand (a token that is a number, or a slot), or (operation, left, right)


def tokenize(expression: str) -> list[str]:
    """Numbers and `+ - * / // ( )`. Raises ValueError for anything else."""
    tokens, position = [], 0
    expression = expression.rstrip()
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if not match:
            raise ValueError(f"cannot read {expression[position:]!r}")
        tokens.append(match[1] or match[2])
        position = match.end()
    return tokens


def parse_tree(pieces: Sequence[Any]) -> Tree:
    """The tree of a token list whose operands are numbers or slots (dicts). Raises ValueError for a malformed list."""
    tree, rest = _parse_sum(list(pieces), 0)
    if rest:
        raise ValueError(f"unexpected {rest[0]!r}")
    return tree


def _parse_sum(pieces: list[Any], depth: int) -> tuple[Tree, list[Any]]:
    left, pieces = _parse_product(pieces, depth)
    while pieces and pieces[0] in ("+", "-"):
        right, rest = _parse_product(pieces[1:], depth)
        left, pieces = (pieces[0], left, right), rest
    return left, pieces


def _parse_product(pieces: list[Any], depth: int) -> tuple[Tree, list[Any]]:
    left, pieces = _parse_factor(pieces, depth)
    while pieces and pieces[0] in ("*", "/", "//"):
        right, rest = _parse_factor(pieces[1:], depth)
        left, pieces = (pieces[0], left, right), rest
    return left, pieces


def _parse_factor(pieces: list[Any], depth: int) -> tuple[Tree, list[Any]]:
    if not pieces:
        raise ValueError("ends too early")
    if depth > _MAX_DEPTH:
        raise ValueError(f"more than {_MAX_DEPTH} brackets or signs deep")
    first, rest = pieces[0], pieces[1:]
    if first in ("+", "-"):
        operand, rest = _parse_factor(rest, depth + 1)
        return (operand if first == "+" else ("-", "0", operand)), rest
    if first == "(":
        inside, rest = _parse_sum(rest, depth + 1)
        if not rest or rest[0] != ")":
            raise ValueError("a bracket is not closed")
        return inside, rest[1:]
    if isinstance(first, str) and first[0] not in "0123456789.":
        raise ValueError(f"unexpected {first!r}")
    return first, rest


def evaluate_tree(
    node: Tree, value_of: Callable[[Any], Fraction] = Fraction, seen: Callable[[Fraction], None] = lambda value: None
) -> Fraction:
    """The value of a tree. `value_of` evaluates operands that are not text; `seen` is called with every intermediate
    value. Raises ValueError for a division by zero."""
    if not isinstance(node, tuple):
        return Fraction(node) if isinstance(node, str) else value_of(node)
    operation, left, right = node[0], evaluate_tree(node[1], value_of, seen), evaluate_tree(node[2], value_of, seen)
    if "/" in operation and not right:
        raise ValueError("division by zero")
    result = OPERATIONS[operation](left, right)
    seen(result)
    return result


def evaluate_tokens(
    pieces: Sequence[Any],
    value_of: Callable[[Any], Fraction] = Fraction,
    seen: Callable[[Fraction], None] = lambda value: None,
) -> Fraction:
    """`evaluate_tree` for a token list."""
    return evaluate_tree(parse_tree(pieces), value_of, seen)


def format_decimal(value: Fraction) -> str:
    """A decimal number without trailing zeros. Raises ValueError for a fraction without a finite decimal form."""
    rest, factors = value.denominator, {2: 0, 5: 0}
    for prime in factors:
        while rest % prime == 0:
            rest, factors[prime] = rest // prime, factors[prime] + 1
    if rest != 1:
        raise ValueError(f"{value} has no end as a decimal number")
    digits = max(factors.values())
    if not digits:
        return str(value.numerator)
    scaled = abs(value.numerator) * 10**digits // value.denominator
    text = str(scaled).rjust(digits + 1, "0")
    return ("-" if value < 0 else "") + f"{text[:-digits]}.{text[-digits:]}"


def compute_text(expression: str) -> str | None:
    """The value of an expression as GSM8K writes values, `24` or `0.25`; None where it has none.

    A value without end as a decimal number is rounded to MAX_DECIMALS. Powers are no operation, so the work is bounded by
    the length of the expression.
    """
    try:
        value = evaluate_tokens(tokenize(_THOUSANDS_COMMA.sub("", expression)))
    except ValueError:
        return None
    return format_decimal(round(value, MAX_DECIMALS))


def strip_annotations(text: str) -> str:
    """A solution without its calculator annotations."""
    return _WRITTEN_ANNOTATION.sub("", text)
