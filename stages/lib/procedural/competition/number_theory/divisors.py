"""Divisors of large numbers: perfect powers among them, the zeros at the end of a factorial."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import factorial, prod

from stages.lib.procedural.competition.family import Draw, Family, Line, Params
from stages.lib.procedural.competition.number_theory.congruences import PRIMES, format_division


def factorize(n: int) -> dict[int, int]:
    """prime -> exponent, for n whose primes are below 1000."""
    exponents = {}
    for p in PRIMES:
        while n % p == 0:
            exponents[p] = exponents.get(p, 0) + 1
            n //= p
    return exponents


_DIVISOR_KINDS = ("divisors", "perfect squares", "perfect squares or perfect cubes (or both)")


def _prime_exponents(p: Params) -> dict[int, int]:
    total: dict[int, int] = {}
    for base, power in zip(p["bases"], p["powers"], strict=True):
        for prime, e in factorize(base).items():
            total[prime] = total.get(prime, 0) + e * power
    return dict(sorted(total.items()))


def _count_power_divisors(p: Params, root: int) -> int:
    """How many divisors are perfect powers with this exponent."""
    return prod(e // root + 1 for e in _prime_exponents(p).values())


class Divisors(Family):
    """Divisors of a product of powers. Closed form: choices of exponents. Brute force: every divisor."""

    name, area = "divisors", "number theory"
    phrasings = (
        "How many positive divisors{which} does the number {number} have?",
        "Let N = {number}. Find the number of {integers}that divide N, 1 and N included where they qualify.",
        "How many {integers}are divisors of {number}?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        bases = (
            (6, 12, 18, 10, 20, 14, 15, 21, 28, 45, 50),
            (6, 10, 12, 15, 18, 20, 30),
            (6, 10, 12, 15, 18, 20, 30, 60),
        )
        first, second = draw("bases").sample(bases[level - 1], 2)
        top = (9, 14, 18)[level - 1]
        powers = [draw("first").randint(2, top), draw("second").randint(2, top)]
        params = {"bases": sorted((first, second)), "powers": powers, "kind": _DIVISOR_KINDS[level - 1]}
        return params if prod(e + 1 for e in _prime_exponents(params).values()) <= 6000 else None

    def sample_easiest(self, draw: Draw) -> Params | None:
        powers = [draw("first").randint(1, 6), draw("second").randint(1, 6)]
        return {"bases": sorted(draw("bases").sample((2, 3, 5, 7), 2)), "powers": powers, "kind": _DIVISOR_KINDS[0]}

    def solve_closed(self, p: Params) -> int:
        if p["kind"] == "divisors":
            return _count_power_divisors(p, 1)
        return (
            _count_power_divisors(p, 2)
            if p["kind"] == "perfect squares"
            else _count_power_divisors(p, 2) + _count_power_divisors(p, 3) - _count_power_divisors(p, 6)
        )

    def solve_brute(self, p: Params) -> int:
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

    def write_lines(self, p: Params) -> Iterable[Line]:
        for prime, e in _prime_exponents(p).items():
            parts = [
                f"{factorize(base)[prime]} * {power}"
                for base, power in zip(p["bases"], p["powers"], strict=True)
                if base % prime == 0
            ]
            yield f"The exponent of {prime} is {' + '.join(parts)} = {e}."

        def count(root: int, name: str) -> str:
            factors = [f"({e // root} + 1)" for e in _prime_exponents(p).values()]
            why = "" if root == 1 else f" need exponents divisible by {root}"
            return f"{name}{why}: {' * '.join(factors)} = {_count_power_divisors(p, root)}."

        if p["kind"] == "divisors":
            yield count(1, "Divisors take any exponent up to these")
            return
        yield count(2, "Squares")
        if p["kind"] != "perfect squares":
            both, answer = _count_power_divisors(p, 2) + _count_power_divisors(p, 3), self.solve_closed(p)
            yield count(3, "Cubes")
            yield count(6, "Numbers that are both")
            yield (
                f"{_count_power_divisors(p, 2)} + {_count_power_divisors(p, 3)} - {_count_power_divisors(p, 6)} = "
                f"{both - _count_power_divisors(p, 6)}.",
                answer,
            )

    def count_work(self, p: Params) -> int:
        return _count_power_divisors(p, 1)

    def format_fields(self, p: Params) -> dict[str, str]:
        number = " * ".join(f"{base}^{power}" for base, power in zip(p["bases"], p["powers"], strict=True))
        some = p["kind"] != "divisors"
        return {
            "number": number,
            "which": f" that are {p['kind']}" if some else " in all",
            "integers": f"{p['kind']} " if some else "positive integers ",
        }

    def parse_fields(self, fields: dict[str, str]) -> Params:
        pairs = re.findall(r"(\d+)\^(\d+)", fields["number"])
        text = fields.get("which", fields.get("integers", "")).removeprefix(" that are ").strip()
        kind = text if text in _DIVISOR_KINDS else {"in all": "divisors", "positive integers": "divisors"}[text]
        return {"bases": [int(b) for b, _ in pairs], "powers": [int(e) for _, e in pairs], "kind": kind}


_BASES = (
    (6, 10, 14, 15, 21, 22, 26, 33, 35),
    (12, 18, 20, 28, 44, 45, 50, 63, 75),
    (24, 40, 48, 54, 56, 72, 80, 96, 144),
)


def _list_multiples_of_powers(n: int, p: int) -> list[int]:
    counts = []
    while n >= p:
        counts.append(n := n // p)
    return counts


class FactorialZeros(Family):
    """Zeros at the end of a factorial. Closed form: Legendre. Brute force: the factorial, divided again and again."""

    name, area = "factorial_zeros", "number theory"
    phrasings = (
        "In how many zeros does {n}! end when it is written in base {base}?",
        "Let k be the largest integer for which {base}^k divides {n}!. Find k.",
        "The product of all positive integers from 1 to {n} is divided by {base}, the quotient again by {base}, and "
        "so on, as long as the quotient is an integer. How many times is this possible?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        return {
            "n": draw("n").randint(*((30, 500), (60, 1000), (100, 1500))[level - 1]),
            "base": draw("base").choice(_BASES[level - 1]),
        }

    def solve_closed(self, p: Params) -> int:
        return min(sum(_list_multiples_of_powers(p["n"], prime)) // e for prime, e in factorize(p["base"]).items())

    def solve_brute(self, p: Params) -> int:
        rest, zeros = factorial(p["n"]), 0
        while True:
            rest, digit = divmod(rest, p["base"])
            if digit:
                return zeros
            zeros += 1

    def write_lines(self, p: Params) -> Iterable[Line]:
        n, base, enough = p["n"], p["base"], []
        for prime, e in factorize(base).items():
            counts = _list_multiples_of_powers(n, prime)
            total, powers = sum(counts), ", ".join(str(prime**i) for i in range(1, len(counts) + 1))
            summed = " + ".join(map(str, counts)) + f" = {total}" if len(counts) > 1 else str(total)
            yield f"{n}! has the factor {prime} as often as there are multiples of {powers}: {summed}.", total
            enough.append(total // e)
            if e > 1:
                yield f"Each zero takes {e} of them, enough for {format_division(total, e)} zeros.", total // e
        yield f"The smaller of {enough[0]} and {enough[1]} is {min(enough)}.", min(enough)

    def count_work(self, p: Params) -> int:
        return p["n"]
