"""Square roots in simplest form, m*sqrt(n) and m*sqrt(n)/p, each by two algorithms, and the last lines of a solution."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from stages.lib.procedural.competition.family import Line

# The published wording of these conditions is avoided on purpose: it would be a 13-word run shared with real problems.
SQUAREFREE_PHRASE = "with positive integers m and n, and no square of a prime divides n. Find m + n."
RATIO_PHRASE = (
    "m*sqrt(n)/p with positive integers m, n and p, where m/p is in lowest terms and no square of a prime divides n. "
    "Find m + n + p."
)


def simplify_root(square: int) -> tuple[int, int]:
    """(m, n) with square = m^2 n and n squarefree, by dividing squares of primes out."""
    m, n, d = 1, square, 2
    while d * d <= n:
        while n % (d * d) == 0:
            m, n = m * d, n // (d * d)
        d += 1
    return m, n


def simplify_root_by_search(square: int) -> tuple[int, int]:
    """The same: the largest m whose square divides."""
    m = next(m for m in range(math.isqrt(square), 0, -1) if square % (m * m) == 0)
    return m, square // (m * m)


def simplify_root_ratio(
    square: Fraction, split: Callable[[int], tuple[int, int]] = simplify_root
) -> tuple[int, int, int]:
    """(m, n, p) with the root of the square equal to m*sqrt(n)/p in simplest form."""
    m, n = split(square.numerator * square.denominator)
    ratio = Fraction(m, square.denominator)
    return ratio.numerator, n, ratio.denominator


def write_root_lines(square: int) -> list[Line]:
    """The last two lines of a solution whose answer is m + n."""
    m, n = simplify_root(square)
    return [
        f"{square} = {m}^2 * {n}, and {n} has no square factor, so m = {m} and n = {n}.",
        f"m + n = {m} + {n} = {m + n}.",
    ]


def write_ratio_root_lines(square: Fraction, name: str) -> list[Line]:
    """The last two lines of a solution whose answer is m + n + p: the root of a/b is sqrt(ab)/b."""
    a, b = square.numerator, square.denominator
    (inside, _), (m, n, p) = simplify_root(a * b), simplify_root_ratio(square)
    text = f"{m}*sqrt({n})/{p}"
    return [
        (f"{a} * {b} = {inside}^2 * {n}, so {name} is {inside}*sqrt({n}) over {b}, which is {text}.", text),
        f"m + n + p = {m} + {n} + {p} = {m + n + p}.",
    ]
