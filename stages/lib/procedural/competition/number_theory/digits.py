"""Digit sums of long numbers, sums of rounded fractions."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, match_text


def sum_digits(n: int) -> int:
    total = 0
    while n:
        n, digit = divmod(n, 10)
        total += digit
    return total


def _format_power(factor: int, exponent: int) -> str:
    return f"10^{exponent}" if factor == 1 else f"{factor} * 10^{exponent}"


def _format_digit_sum(n: int) -> str:
    return f"{' + '.join(str(n))} = {sum_digits(n)}" if n > 9 else str(n)


class DigitSum(Family):
    """The digit sum of a long number. Closed form: nines, from which nothing is borrowed. Brute force: all digits."""

    name, area = "digit_sum", "number theory"
    phrasings = (
        "Find the sum of the digits of the number {number}.",
        "The number N = {number} is written out in base ten. What is the sum of its digits?",
        "When {number} is written as an integer in decimal notation, what do its digits add up to?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        length = draw("length").randint(*((6, 60), (20, 90), (30, 100))[level - 1])
        lead = 1 if level == 1 else draw("lead").randint(2, 99)
        middle = draw("middle").randint(2, 99) if level == 3 else 0
        place = draw("place").randint(6, length - 4) if level == 3 else 0
        return {
            "lead": lead,
            "length": length,
            "middle": middle,
            "place": place,
            "less": draw("less").randint(11, 99999),
        }

    def sample_easiest(self, draw: Draw) -> Params | None:
        length = draw("length").randint(3, 9)
        return {"lead": 1, "length": length, "middle": 0, "place": 0, "less": draw("less").randint(11, 99)}

    def solve_closed(self, p: Params) -> int:
        return sum_digits(p["lead"] - 1) + 9 * p["length"] - sum_digits(p["middle"]) - sum_digits(p["less"] - 1)

    def solve_brute(self, p: Params) -> int:
        number = p["lead"] * 10 ** p["length"] - p["middle"] * 10 ** p["place"] - p["less"]
        return sum(int(digit) for digit in str(number))

    def write_lines(self, p: Params) -> Iterable[Line]:
        head, length, less, middle = p["lead"] - 1, p["length"], p["less"] - 1, p["middle"]
        whole = sum_digits(head) + 9 * length
        front = f"the digits of {head} and then " if head else ""
        plus = f"{sum_digits(head)} + " if head else ""
        yield (
            f"{_format_power(p['lead'], length)} - 1 has {front}{length} nines: digit sum {plus}9 * {length} = {whole}."
        )
        yield f"What is still to be taken away ends in {p['less']} - 1 = {less}."
        yield (
            f"From nines nothing is borrowed. The digits of {less} add up to {_format_digit_sum(less)}.",
            sum_digits(less),
        )
        if middle:
            yield f"The digits of {middle} add up to {_format_digit_sum(middle)}.", sum_digits(middle)
        taken = f" - {sum_digits(middle)}" if middle else ""
        yield f"The digit sum is {whole} - {sum_digits(less)}{taken} = {self.solve_closed(p)}."

    def count_work(self, p: Params) -> int:
        return p["length"]

    def format_fields(self, p: Params) -> dict[str, str]:
        middle = f" - {_format_power(p['middle'], p['place'])}" if p["middle"] else ""
        return {"number": f"{_format_power(p['lead'], p['length'])}{middle} - {p['less']}"}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        *terms, less = fields["number"].split(" - ")
        pairs = [match_text(r"(?:(\d+) \* )?10\^(\d+)", term).groups() for term in terms] + [("0", "0")]
        (lead, length), (middle, place) = [(int(factor or 1), int(exponent)) for factor, exponent in pairs[:2]]
        return {"lead": lead, "length": length, "middle": middle, "place": place, "less": int(less)}


class FloorSum(Family):
    """A sum of floors. Closed form: the remainders run through full periods. Brute force: term by term."""

    name, area = "floor_sum", "number theory"
    phrasings = (
        "Let [x] be the greatest integer that does not exceed x. Find the sum of [{a}k/{b}] for k = 1, 2, ..., {n}.",
        "For each integer k from 1 to {n}, the number {a}k/{b} is rounded down to an integer. Find the sum of the {n} "
        "integers obtained.",
        "On day k of a journey, for k = 1, 2, ..., {n}, a merchant earns {a}k/{b} silver coins, rounded down to a "
        "whole number. How many silver coins does the merchant earn in all?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        b = draw("b").randint(*((3, 8), (5, 13), (8, 19))[level - 1])
        a = draw("a").randint(2, 2 * b)
        periods = draw("periods").randint(1 + level // 3, 7)
        rest = 0 if level == 1 else draw("rest").randint(1, min(b - 1, 3 * level))
        if gcd(a, b) > 1:
            return None
        return {"a": a, "b": b, "n": periods * b + rest}

    def solve_closed(self, p: Params) -> int:
        a, b, n = p["a"], p["b"], p["n"]
        remainders = n // b * (b * (b - 1) // 2) + sum(a * k % b for k in range(1, n % b + 1))
        return (a * n * (n + 1) // 2 - remainders) // b

    def solve_brute(self, p: Params) -> int:
        return sum(p["a"] * k // p["b"] for k in range(1, p["n"] + 1))

    def write_lines(self, p: Params) -> Iterable[Line]:
        a, b, n = p["a"], p["b"], p["n"]
        whole, period = a * n * (n + 1) // 2, b * (b - 1) // 2
        yield f"Before rounding, the numerators add up to {a} * {n} * {n + 1} / 2 = {whole}."
        yield (
            f"Rounding takes off the remainders modulo {b}. In each {b} terms they are 0 to {b - 1} in some order, "
            f"with sum {b} * {b - 1} / 2 = {period}."
        )
        yield f"Over all {n // b * b} terms of full periods: {n // b} * {period} = {n // b * period}."
        lost, minus = n // b * period, f" - {n // b * period}"
        if n % b:
            rest = [a * k % b for k in range(1, n % b + 1)]
            total_text = " + ".join(map(str, rest)) + f" = {sum(rest)}" if len(rest) > 1 else str(rest[0])
            yield f"The remainders of the last terms add up to {total_text}.", sum(rest)
            lost, minus = lost + sum(rest), f"{minus} - {sum(rest)}"
        yield f"The sum is ({whole}{minus}) / {b} = {(whole - lost) // b}."

    def count_work(self, p: Params) -> int:
        return p["n"]
