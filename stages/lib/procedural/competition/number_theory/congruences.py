"""Remainders: systems of congruences, powers modulo m, how often a power leaves a remainder, linear equations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import gcd, prod

from stages.lib.procedural.competition.family import Draw, Family, Line, Params

PRIMES = tuple(n for n in range(2, 1000) if all(n % d for d in range(2, int(n**0.5) + 1)))


def format_division(n: int, d: int) -> str:
    """n / d rounded down, as an equation: `(500 - 2) / 6 = 83`."""
    return f"{n} / {d} = {n // d}" if n % d == 0 else f"({n} - {n % d}) / {d} = {n // d}"


def _merge_congruences(p: Params) -> list[tuple[int, int, int, int, int, int]]:
    """(n so far, product so far, modulus, remainder, inverse of the product, how often it is added) for each modulus."""
    n, m, chain = p["remainders"][0], p["moduli"][0], []
    for modulus, remainder in zip(p["moduli"][1:], p["remainders"][1:], strict=True):
        inverse = pow(m, -1, modulus)
        times = (remainder - n) * inverse % modulus
        chain.append((n, m, modulus, remainder, inverse, times))
        n, m = n + m * times, m * modulus
    return chain


class RemainderSystem(Family):
    """Chinese remainders. Closed form: one congruence after the other. Brute force: every integer."""

    name, area = "remainder_system", "number theory"
    phrasings = (
        "Find the least positive integer that leaves the remainder {divided}.",
        "The members of a band try to march in rows of equal length. The number of members left over is {rows}. What "
        "is the smallest possible number of members?",
        "A baker packs rolls into bags of equal size and counts the rolls that are left over: {bags}. Find the least "
        "number of rolls that the baker can have.",
        "Let N be the smallest positive integer whose remainder is {divided}. Find N.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        pool, count = ((range(4, 16), 2), (range(11, 32), 2), (range(3, 19), 3))[level - 1]
        moduli = sorted(draw("moduli").sample(pool, count))
        remainders = [draw(f"remainder {place}").randrange(1, m) for place, m in enumerate(moduli)]
        if any(gcd(a, b) > 1 for i, a in enumerate(moduli) for b in moduli[:i]) or len(set(remainders)) == 1:
            return None
        return {"moduli": moduli, "remainders": remainders}

    def sample_easiest(self, draw: Draw) -> Params | None:
        moduli = sorted(draw("moduli").sample(range(2, 10), 2))
        remainders = [draw(f"remainder {place}").randrange(1, m) for place, m in enumerate(moduli)]
        return {"moduli": moduli, "remainders": remainders} if gcd(*moduli) == 1 and len({*remainders}) > 1 else None

    def solve_closed(self, p: Params) -> int:
        n, m, *_, times = _merge_congruences(p)[-1]
        return n + m * times

    def solve_brute(self, p: Params) -> int:
        rules = list(zip(p["moduli"], p["remainders"], strict=True))
        return next(n for n in range(1, prod(p["moduli"]) + 1) if all(n % m == r for m, r in rules))

    def write_lines(self, p: Params) -> Iterable[Line]:
        for n, m, modulus, remainder, inverse, times in _merge_congruences(p):
            end = n + m * times
            yield (
                f"Write N = {n} + {m}k. As {m} * {inverse} mod {modulus} = 1, the inverse of {m} is {inverse}.",
                inverse,
            )
            yield f"Modulo {modulus}, k is ({remainder} - {n}) * {inverse} mod {modulus} = {times}."
            yield f"So N is {n} + {m} * {times} = {end}, unique modulo {m} * {modulus} = {m * modulus}.", end

    def count_work(self, p: Params) -> int:
        return prod(p["moduli"])

    def format_fields(self, p: Params) -> dict[str, str]:
        pairs = list(zip(p["remainders"], p["moduli"], strict=True))

        def joined(form: str) -> str:
            parts = [form.format(r=r, m=m) for r, m in pairs]
            return ", ".join(parts[:-1]) + " and " + parts[-1]

        return {
            "divided": joined("{r} when divided by {m}"),
            "rows": joined("{r} in rows of {m}"),
            "bags": joined("{r} with bags of {m}"),
        }

    def parse_fields(self, fields: dict[str, str]) -> Params:
        (text,) = fields.values()
        pairs = re.findall(r"(\d+) [a-z ]+ (\d+)", text)
        return {"moduli": [int(m) for _, m in pairs], "remainders": [int(r) for r, _ in pairs]}


def _reduce_exponent(p: Params) -> int:
    """The exponent modulo p - 1 where the modulus is a prime below the exponent."""
    fermat = p["modulus"] in PRIMES and p["exponent"] >= p["modulus"] - 1 and p["base"] % p["modulus"]
    return p["exponent"] % (p["modulus"] - 1) if fermat else p["exponent"]


def _square_and_multiply(p: Params) -> list[tuple[int, int, int, int]]:
    """(exponent, factor, factor, remainder) along the binary digits of the exponent, from the left."""
    base, m = p["base"] % p["modulus"], p["modulus"]
    chain, exponent, power = [], 1, base
    for digit in f"{_reduce_exponent(p):b}"[1:]:
        chain.append((exponent := 2 * exponent, power, power, power := power * power % m))
        if digit == "1":
            chain.append((exponent := exponent + 1, power, base, power := power * base % m))
    return chain


class PowerRemainder(Family):
    """A power modulo m. Closed form: Fermat, then square and multiply. Brute force: the exact power."""

    name, area = "power_remainder", "number theory"
    phrasings = (
        "Find the remainder when {base}^{exponent} is divided by {modulus}.",
        "The integer N is the product of {exponent} factors, each equal to {base}. What remainder does N leave when "
        "it is divided by {modulus}?",
        "A colony begins with one cell, and every hour each cell turns into {base} cells. After {exponent} hours the "
        "cells are put into dishes of {modulus} until fewer than {modulus} are left. How many cells are left?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        low, high = ((4, 9), (10, 40), (300, 2500))[level - 1]
        base, exponent = draw("base").randint(2, 19), draw("exponent").randint(low, high)
        modulus = draw("modulus").choice(PRIMES[25:]) if level == 3 else draw("modulus").randint(60, 999)
        p = {"base": base, "exponent": exponent, "modulus": modulus}
        return p if base**exponent > modulus and len(self.write_steps(p)) >= 3 else None

    def sample_easiest(self, draw: Draw) -> Params | None:
        p = {"base": draw("base").randint(2, 9), "exponent": draw("exponent").randint(5, 7)}
        p["modulus"] = draw("modulus").randint(max(7, p["base"] + 1), 25)
        return p if gcd(p["base"], p["modulus"]) == 1 and len(self.write_steps(p)) >= 3 else None

    def solve_closed(self, p: Params) -> int:
        chain = _square_and_multiply(p)
        return chain[-1][3] if chain else p["base"] ** _reduce_exponent(p) % p["modulus"]

    def solve_brute(self, p: Params) -> int:
        return p["base"] ** p["exponent"] % p["modulus"]

    def write_lines(self, p: Params) -> Iterable[Line]:
        base, m = p["base"], p["modulus"]
        if (rest := _reduce_exponent(p)) != p["exponent"]:
            yield (
                f"{m} is prime, so by Fermat {base}^{m - 1} leaves 1. The exponent can be taken as {p['exponent']} "
                f"mod {m - 1} = {rest}."
            )
        for e, a, b, r in _square_and_multiply(p):
            yield f"{base}^{e} leaves {a} * {b} mod {m} = {r}."

    def count_work(self, p: Params) -> int:
        return p["exponent"]


def _find_order(base: int, modulus: int) -> int:
    phi = sum(gcd(k, modulus) == 1 for k in range(modulus))
    return next(d for d in range(1, phi + 1) if phi % d == 0 and pow(base, d, modulus) == 1)


def _find_first_exponent(p: Params) -> int:
    order = _find_order(p["base"], p["modulus"])
    return next(e for e in range(1, order + 1) if pow(p["base"], e, p["modulus"]) == p["remainder"])


class PowerCounts(Family):
    """How often a power leaves a remainder. Closed form: the multiplicative order. Brute force: every exponent."""

    name, area = "power_counts", "number theory"
    phrasings = (
        "For how many positive integers n not exceeding {limit} does {base}^n leave the remainder {remainder} when it "
        "is divided by {modulus}?",
        "How many of the numbers {base}^1, {base}^2, ..., {base}^{limit} leave the remainder {remainder} when divided "
        "by {modulus}?",
        "Find the number of integers n from 1 to {limit} for which {base}^n - {remainder} is divisible by {modulus}.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        low, high = ((3, 5), (6, 8), (9, 12))[level - 1]
        modulus = draw("modulus").randint(7, 25 * level + 10)
        base = draw("base").randint(2, min(modulus - 2, 20))
        if gcd(base, modulus) > 1 or not low <= (order := _find_order(base, modulus)) <= high:
            return None
        first = draw("first").randint(1, order - 1)
        limit = draw("limit").randint(100, 990 * order // 10 * 10)
        return {"base": base, "modulus": modulus, "remainder": pow(base, first, modulus), "limit": limit}

    def solve_closed(self, p: Params) -> int:
        return (p["limit"] - _find_first_exponent(p)) // _find_order(p["base"], p["modulus"]) + 1

    def solve_brute(self, p: Params) -> int:
        count, power = 0, 1
        for _ in range(p["limit"]):
            power = power * p["base"] % p["modulus"]
            count += power == p["remainder"]
        return count

    def write_lines(self, p: Params) -> Iterable[Line]:
        base, m, order, first, limit = (
            p["base"],
            p["modulus"],
            _find_order(p["base"], p["modulus"]),
            _find_first_exponent(p),
            p["limit"],
        )
        powers = [pow(base, e, m) for e in range(1, order + 1)]
        for e, (before, power) in enumerate(zip(powers, powers[1:], strict=False), 2):
            yield f"{base}^{e} leaves {before} * {base} mod {m} = {power}."
        more = (limit - first) // order
        yield f"So the remainders repeat every {order} powers, and {p['remainder']} comes first for n = {first}."
        yield (
            f"After it come {format_division(limit - first, order)} more, as {limit} - {first} = {limit - first}.",
            more,
        )
        yield f"In all there are {more} + 1 = {more + 1}."

    def count_work(self, p: Params) -> int:
        return p["limit"]


class Purchases(Family):
    """ax + by = n in positive integers. Closed form: the least y by an inverse. Brute force: every y."""

    name, area = "purchases", "number theory"
    phrasings = (
        "Positive integers x and y satisfy {cheap}x + {dear}y = {total}. Find the largest possible value of x + y.",
        "Tickets for children cost {cheap} dollars and tickets for adults cost {dear} dollars. A group with at least "
        "one child and at least one adult pays exactly {total} dollars. What is the largest possible number of people "
        "in it?",
        "A rod of length {total} is cut, with nothing left over, into pieces of length {cheap} and pieces of length "
        "{dear}, at least one of each. Find the greatest possible number of pieces.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        low, high = ((3, 9), (7, 19), (13, 40))[level - 1]
        cheap, dear = sorted((draw("cheap").randint(low, high), draw("dear").randint(low, high)))
        total = draw("total").randint(
            *((8 * dear, 40 * dear), (25 * dear, 90 * dear), (60 * dear, 200 * dear))[level - 1]
        )
        if gcd(cheap, dear) > 1:
            return None
        least = total * pow(dear, -1, cheap) % cheap
        return {"cheap": cheap, "dear": dear, "total": total} if least and dear * least < total else None

    def solve_closed(self, p: Params) -> int:
        few = p["total"] * pow(p["dear"], -1, p["cheap"]) % p["cheap"]
        return few + (p["total"] - p["dear"] * few) // p["cheap"]

    def solve_brute(self, p: Params) -> int:
        return max(
            y + (p["total"] - p["dear"] * y) // p["cheap"]
            for y in range(1, p["total"] // p["dear"] + 1)
            if (p["total"] - p["dear"] * y) % p["cheap"] == 0 and p["total"] > p["dear"] * y
        )

    def write_lines(self, p: Params) -> Iterable[Line]:
        a, b, n = p["cheap"], p["dear"], p["total"]
        inverse = pow(b, -1, a)
        y = n * inverse % a
        x = (n - b * y) // a
        yield (
            f"Write {a}x + {b}y = {n} and take y small, as {b} > {a}. As {b} * {inverse} mod {a} = 1, the inverse of "
            f"{b} is {inverse}.",
            inverse,
        )
        yield f"So the smallest y is {n} * {inverse} mod {a} = {y}."
        yield f"This leaves {n} - {b} * {y} = {n - b * y} for x."
        yield f"Then x = {n - b * y} / {a} = {x}."
        yield f"The largest sum is {x} + {y} = {x + y}."

    def count_work(self, p: Params) -> int:
        return p["total"] // p["dear"]
