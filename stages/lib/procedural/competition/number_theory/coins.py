"""Amounts that coins of two or three kinds cannot pay."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product
from math import gcd

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, join_list


def _least_payable(p: Params) -> list[tuple[int, int, int]]:
    """For every remainder modulo the smallest coin the least amount that can be paid, and the other coins it takes."""
    a, b, *rest = p["coins"]
    c, most = (rest[0], a) if rest else (0, 1)
    ways = sorted((b * y + c * z, y, z) for y, z in product(range(a), range(most)))
    return [next(way for way in ways if way[0] % a == r) for r in range(a)]


def _needs_all_coins(p: Params) -> bool:
    """Whether each of three coins matters."""
    _, *others = _least_payable(p)
    return all(y + z for _, y, z in others) and any(z for *_, z in others) and any(y for _, y, _ in others)


def _write_two_coin_lines(p: Params) -> Iterable[Line]:
    a, b = p["coins"]
    last = a * b - a - b
    yield f"Of the amounts with one remainder modulo {a}, the least that can be paid is a multiple of {b}.", b
    yield f"The largest of these {a} multiples is {a - 1} * {b} = {(a - 1) * b}."
    yield f"The amount {a} below it is the largest that cannot be paid: {(a - 1) * b} - {a} = {last}."
    if p["ask"] == "count":
        yield (
            f"Of two amounts from 0 to {last} with sum {last} exactly one can be paid, so half of all {last + 1} "
            f"cannot: {last + 1} / 2 = {(last + 1) // 2}."
        )


def _write_three_coin_lines(p: Params) -> Iterable[Line]:
    (a, b, c), least = p["coins"], _least_payable(p)
    for r, (amount, y, z) in enumerate(least[1:], 1):
        terms = " + ".join(f"{n} * {coin}" if n > 1 else str(coin) for n, coin in ((y, b), (z, c)) if n)
        total = terms if terms == str(amount) else f"{terms} = {amount}"
        yield f"The least amount that can be paid and leaves {r} modulo {a} is {total}.", amount
    if p["ask"] == "largest":
        most, _, _ = max(least)
        yield f"The largest of these is {most}, and the amount {a} below it cannot be paid: {most} - {a} = {most - a}."
    else:
        counts = [str(amount // a) for amount, *_ in least[1:]]
        yield (
            f"Below these, in the order of the remainders, {join_list(counts)} amounts cannot be paid, in all "
            f"{' + '.join(counts)} = {sum(map(int, counts))}."
        )


_QUESTION_FORMS = {
    "pay": (
        "the largest whole number of dollars that cannot be paid exactly",
        "the number of positive whole numbers of dollars that cannot be paid exactly",
    ),
    "set": ("the largest integer that is not in S", "the number of positive integers that are not in S"),
    "make": (
        "What is the largest whole number of points that can never be the total",
        "How many positive whole numbers can never be the total",
    ),
}


class TwoCoins(Family):
    """Amounts that coins cannot pay. Closed form: the least payable amount per remainder. Brute force: every amount."""

    name, area = "two_coins", "number theory"
    phrasings = (
        "In a certain country the only coins are worth {coins} dollars, and no change is given. Find {pay}.",
        "Let S be the set of all integers that can be written as {form} with nonnegative integers {unknowns}. Find "
        "{set}.",
        "Every throw that hits the target in a game scores {or} points, depending on the ring it hits, and a player "
        "may throw as often as she likes. {make} of her points?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        if level < 3:
            low, high = ((5, 36), (14, 50))[level - 1]
            coins = sorted((draw("a").randint(low, high), draw("b").randint(low, high)))
            ask = draw("ask").choice(("largest", "count")) if level == 1 else "count"
            return {"coins": coins, "ask": ask} if gcd(*coins) == 1 else None
        a = draw("a").randint(5, 10)
        coins = [a, *sorted(draw("more").sample(range(a + 1, 90), 2))]
        p = {"coins": coins, "ask": draw("ask").choice(("largest", "count"))}
        return p if gcd(*coins) == 1 and _needs_all_coins(p) else None

    def sample_easiest(self, draw: Draw) -> Params | None:
        coins = sorted(draw("coins").sample(range(2, 13), 2))
        return {"coins": coins, "ask": draw("ask").choice(("largest", "count"))} if gcd(*coins) == 1 else None

    def solve_closed(self, p: Params) -> int:
        a, least = p["coins"][0], [amount for amount, *_ in _least_payable(p)]
        return max(least) - a if p["ask"] == "largest" else sum(amount // a for amount in least)

    def solve_brute(self, p: Params) -> int:
        """Once as many amounts in a row as the smallest coin is worth can be paid, all larger ones can."""
        able, missing, amount = {0}, [], 0
        while amount - max(missing, default=0) <= p["coins"][0]:
            amount += 1
            able.add(amount) if any(amount - coin in able for coin in p["coins"]) else missing.append(amount)
        return max(missing) if p["ask"] == "largest" else len(missing)

    def write_lines(self, p: Params) -> Iterable[Line]:
        return _write_two_coin_lines(p) if len(p["coins"]) == 2 else _write_three_coin_lines(p)

    def count_work(self, p: Params) -> int:
        return p["coins"][0] * p["coins"][-1]

    def format_fields(self, p: Params) -> dict[str, str]:
        coins, count = list(map(str, p["coins"])), p["ask"] == "count"
        unknowns = "xyz"[: len(coins)]
        form = " + ".join(map("".join, zip(coins, unknowns, strict=True)))
        return {
            "coins": join_list(coins),
            "or": join_list(coins, " or "),
            "form": form,
            "unknowns": join_list(list(unknowns)),
        } | {name: asks[count] for name, asks in _QUESTION_FORMS.items()}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        text = next(fields[name] for name in ("coins", "or", "form") if name in fields)
        coins = [int(coin) for coin in re.findall(r"\d+", text)]
        (ask,) = (asks.index(fields[name]) for name, asks in _QUESTION_FORMS.items() if name in fields)
        return {"coins": coins, "ask": ("largest", "count")[ask]}
