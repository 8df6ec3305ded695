"""Divisors of large numbers: perfect powers among them, the zeros at the end of a factorial."""

from __future__ import annotations

import re
from math import factorial, prod

from stages.lib.core.records import Step
from stages.lib.procedural.competition.family import Draw, Family, Params, number_steps
from stages.lib.procedural.competition.number_theory.congruences import PRIMES, format_division


def factorize(n: int) -> dict[int, int]:
    """prime -> exponent, for n whose primes are below 1000."""
    found = {}
    for p in PRIMES:
        while n % p == 0:
            found[p] = found.get(p, 0) + 1
            n //= p
    return found


# Divisors of a product of powers. Closed: choices of exponents. Search: all divisors, each tested.

_DIVISOR_KINDS = ("divisors", "perfect squares", "perfect squares or perfect cubes (or both)")


def _sample_divisors(draw: Draw, level: int) -> Params | None:
    bases = ((6, 12, 18, 10, 20, 14, 15, 21, 28, 45, 50), (6, 10, 12, 15, 18, 20, 30), (6, 10, 12, 15, 18, 20, 30, 60))
    first, second = draw("bases").sample(bases[level - 1], 2)
    top = (9, 14, 18)[level - 1]
    powers = [draw("first").randint(2, top), draw("second").randint(2, top)]
    params = {"bases": sorted((first, second)), "powers": powers, "kind": _DIVISOR_KINDS[level - 1]}
    return params if prod(e + 1 for e in _prime_exponents(params).values()) <= 6000 else None


def _prime_exponents(p: Params) -> dict[int, int]:
    total: dict[int, int] = {}
    for base, power in zip(p["bases"], p["powers"], strict=True):
        for prime, e in factorize(base).items():
            total[prime] = total.get(prime, 0) + e * power
    return dict(sorted(total.items()))


def _count_power_divisors(p: Params, root: int) -> int:
    """How many divisors are perfect powers with this exponent."""
    return prod(e // root + 1 for e in _prime_exponents(p).values())


def _solve_divisors(p: Params) -> int:
    if p["kind"] == "divisors":
        return _count_power_divisors(p, 1)
    return (
        _count_power_divisors(p, 2)
        if p["kind"] == "perfect squares"
        else _count_power_divisors(p, 2) + _count_power_divisors(p, 3) - _count_power_divisors(p, 6)
    )


def _brute_force_divisors(p: Params) -> int:
    divisors = [1]
    for prime in (2, 3, 5, 7):
        whole = prod(base**power for base, power in zip(p["bases"], p["powers"], strict=True))
        powers = [1]
        while whole % (powers[-1] * prime) == 0:
            powers.append(powers[-1] * prime)
        divisors = [d * power for d in divisors for power in powers]
    if p["kind"] == "divisors":
        return len(divisors)
    squares, cubes = ({d**power for d in divisors} & set(divisors) for power in (2, 3))
    return len(squares if p["kind"] == "perfect squares" else squares | cubes)


def _write_divisors_steps(p: Params) -> list[Step]:
    lines: list[tuple[str, int]] = []
    for prime, e in _prime_exponents(p).items():
        parts = [
            f"{factorize(base)[prime]} * {power}"
            for base, power in zip(p["bases"], p["powers"], strict=True)
            if base % prime == 0
        ]
        lines.append((f"The exponent of {prime} is {' + '.join(parts)} = {e}.", e))

    def count(root: int, name: str) -> tuple[str, int]:
        factors = [f"({e // root} + 1)" for e in _prime_exponents(p).values()]
        why = "" if root == 1 else f" need exponents divisible by {root}"
        return f"{name}{why}: {' * '.join(factors)} = {_count_power_divisors(p, root)}.", _count_power_divisors(p, root)

    if p["kind"] == "divisors":
        return number_steps([*lines, count(1, "Divisors take any exponent up to these")])
    lines.append(count(2, "Squares"))
    if p["kind"] != "perfect squares":
        both, answer = _count_power_divisors(p, 2) + _count_power_divisors(p, 3), _solve_divisors(p)
        lines += [
            count(3, "Cubes"),
            count(6, "Numbers that are both"),
            (
                f"{_count_power_divisors(p, 2)} + {_count_power_divisors(p, 3)} - {_count_power_divisors(p, 6)} = {both - _count_power_divisors(p, 6)}.",
                answer,
            ),
        ]
    return number_steps(lines)


def _format_divisors(p: Params) -> dict[str, str]:
    number = " * ".join(f"{base}^{power}" for base, power in zip(p["bases"], p["powers"], strict=True))
    some = p["kind"] != "divisors"
    return {
        "number": number,
        "which": f" that are {p['kind']}" if some else " in all",
        "integers": f"{p['kind']} " if some else "positive integers ",
    }


def _parse_divisors(fields: dict[str, str]) -> Params:
    pairs = re.findall(r"(\d+)\^(\d+)", fields["number"])
    text = fields.get("which", fields.get("integers", "")).removeprefix(" that are ").strip()
    kind = text if text in _DIVISOR_KINDS else {"in all": "divisors", "positive integers": "divisors"}[text]
    return {"bases": [int(b) for b, _ in pairs], "powers": [int(e) for _, e in pairs], "kind": kind}


DIVISORS = Family(
    "divisors",
    "number theory",
    _sample_divisors,
    _solve_divisors,
    _brute_force_divisors,
    (
        "How many positive divisors{which} does the number {number} have?",
        "Let N = {number}. Find the number of {integers}that divide N, 1 and N included where they qualify.",
        "How many {integers}are divisors of {number}?",
    ),
    _write_divisors_steps,
    lambda p: _count_power_divisors(p, 1),
    _format_divisors,
    _parse_divisors,
)


# Zeros at the end of a factorial. Closed: Legendre. Search: the factorial itself, divided again and again.

_BASES = (
    (6, 10, 14, 15, 21, 22, 26, 33, 35),
    (12, 18, 20, 28, 44, 45, 50, 63, 75),
    (24, 40, 48, 54, 56, 72, 80, 96, 144),
)


def _sample_zeros(draw: Draw, level: int) -> Params | None:
    return {
        "n": draw("n").randint(*((30, 500), (60, 1000), (100, 1500))[level - 1]),
        "base": draw("base").choice(_BASES[level - 1]),
    }


def _legendre(n: int, p: int) -> list[int]:
    counts = []
    while n >= p:
        counts.append(n := n // p)
    return counts


def _solve_zeros(p: Params) -> int:
    return min(sum(_legendre(p["n"], prime)) // e for prime, e in factorize(p["base"]).items())


def _brute_force_zeros(p: Params) -> int:
    rest, zeros = factorial(p["n"]), 0
    while True:
        rest, digit = divmod(rest, p["base"])
        if digit:
            return zeros
        zeros += 1


def _write_zeros_steps(p: Params) -> list[Step]:
    n, base, lines, enough = p["n"], p["base"], [], []
    for prime, e in factorize(base).items():
        counts = _legendre(n, prime)
        total, powers = sum(counts), ", ".join(str(prime**i) for i in range(1, len(counts) + 1))
        summed = " + ".join(map(str, counts)) + f" = {total}" if len(counts) > 1 else str(total)
        lines.append((f"{n}! has the factor {prime} as often as there are multiples of {powers}: {summed}.", total))
        enough.append(total // e)
        if e > 1:
            lines.append((f"Each zero takes {e} of them, enough for {format_division(total, e)} zeros.", total // e))
    return number_steps([*lines, (f"The smaller of {enough[0]} and {enough[1]} is {min(enough)}.", min(enough))])


ZEROS = Family(
    "factorial_zeros",
    "number theory",
    _sample_zeros,
    _solve_zeros,
    _brute_force_zeros,
    (
        "In how many zeros does {n}! end when it is written in base {base}?",
        "Let k be the largest integer for which {base}^k divides {n}!. Find k.",
        "The product of all positive integers from 1 to {n} is divided by {base}, the quotient again by {base}, and so on, as "
        "long as the quotient is an integer. How many times is this possible?",
    ),
    _write_zeros_steps,
    lambda p: p["n"],
)


FAMILIES: tuple[Family, ...] = (DIVISORS, ZEROS)
