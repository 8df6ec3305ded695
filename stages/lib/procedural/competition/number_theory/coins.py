"""Amounts that coins of two or three kinds cannot pay."""

from __future__ import annotations

import re
from itertools import product
from math import gcd

from stages.lib.core.records import Step
from stages.lib.procedural.competition.family import Draw, Family, Params, join_list, number_steps

# Closed: the least amount with each remainder modulo the smallest coin. Search: amount after amount.


def _sample_coins(draw: Draw, level: int) -> Params | None:
    if level < 3:
        low, high = ((5, 36), (14, 50))[level - 1]
        coins = sorted((draw("a").randint(low, high), draw("b").randint(low, high)))
        ask = draw("ask").choice(("largest", "count")) if level == 1 else "count"
        return {"coins": coins, "ask": ask} if gcd(*coins) == 1 else None
    a = draw("a").randint(5, 10)
    coins = [a, *sorted(draw("more").sample(range(a + 1, 90), 2))]
    p = {"coins": coins, "ask": draw("ask").choice(("largest", "count"))}
    return p if gcd(*coins) == 1 and all(y + z for _, y, z in _least_payable(p)[1:]) and _needs_all_coins(p) else None


def _least_payable(p: Params) -> list[tuple[int, int, int]]:
    """For every remainder modulo the smallest coin the least amount that can be paid, and the other coins it takes."""
    a, b, *rest = p["coins"]
    c, most = (rest[0], a) if rest else (0, 1)
    ways = sorted((b * y + c * z, y, z) for y, z in product(range(a), range(most)))
    return [next(way for way in ways if way[0] % a == r) for r in range(a)]


def _needs_all_coins(p: Params) -> bool:
    """Whether each of three coins matters."""
    return any(z for _, _, z in _least_payable(p)) and any(y for _, y, _ in _least_payable(p))


def _solve_coins(p: Params) -> int:
    a, least = p["coins"][0], [amount for amount, *_ in _least_payable(p)]
    return max(least) - a if p["ask"] == "largest" else sum(amount // a for amount in least)


def _brute_force_coins(p: Params) -> int:
    """Once as many amounts in a row as the smallest coin is worth can be paid, all larger ones can."""
    able, missing, amount = {0}, [], 0
    while amount - max(missing, default=0) <= p["coins"][0]:
        amount += 1
        able.add(amount) if any(amount - coin in able for coin in p["coins"]) else missing.append(amount)
    return max(missing) if p["ask"] == "largest" else len(missing)


def _write_two_coin_steps(p: Params) -> list[Step]:
    (a, b), lines = p["coins"], []
    last = a * b - a - b
    lines = [
        (f"Of the amounts with one remainder modulo {a}, the least that can be paid is a multiple of {b}.", b),
        (f"The largest of these {a} multiples is {a - 1} * {b} = {(a - 1) * b}.", (a - 1) * b),
        (f"The amount {a} below it is the largest that cannot be paid: {(a - 1) * b} - {a} = {last}.", last),
    ]
    if p["ask"] == "count":
        lines.append(
            (
                f"Of two amounts from 0 to {last} with sum {last} exactly one can be paid, so half of all "
                f"{last + 1} cannot: {last + 1} / 2 = {(last + 1) // 2}.",
                (last + 1) // 2,
            )
        )
    return number_steps(lines)


def _write_three_coin_steps(p: Params) -> list[Step]:
    (a, b, c), least, lines = p["coins"], _least_payable(p), []
    for r, (amount, y, z) in enumerate(least[1:], 1):
        terms = [f"{count} * {coin}" if count > 1 else str(coin) for count, coin in ((y, b), (z, c)) if count]
        made = " + ".join(terms)
        said = f"{made} = {amount}" if made != str(amount) else made
        lines.append((f"The least amount that can be paid and leaves {r} modulo {a} is {said}.", amount))
    if p["ask"] == "largest":
        most, _, _ = max(least)
        lines.append(
            (
                f"The largest of these is {most}, and the amount {a} below it cannot be paid: {most} - {a} = "
                f"{most - a}.",
                most - a,
            )
        )
    else:
        fewer = [amount // a for amount, *_ in least[1:]]
        lines.append(
            (
                f"Below these, in the order of the remainders, {join_list(list(map(str, fewer)))} amounts "
                f"cannot be paid, in "
                f"all {' + '.join(map(str, fewer))} = {sum(fewer)}.",
                sum(fewer),
            )
        )
    return number_steps(lines)


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


def _format_coins(p: Params) -> dict[str, str]:
    coins, count = list(map(str, p["coins"])), p["ask"] == "count"
    unknowns = "xyz"[: len(coins)]
    form = " + ".join(map("".join, zip(coins, unknowns, strict=True)))
    return {
        "coins": join_list(coins),
        "or": join_list(coins, " or "),
        "form": form,
        "unknowns": join_list(list(unknowns)),
    } | {name: asks[count] for name, asks in _QUESTION_FORMS.items()}


def _parse_coins(fields: dict[str, str]) -> Params:
    coins = [
        int(coin)
        for coin in re.findall(r"\d+", " ".join(fields[name] for name in ("coins", "or", "form") if name in fields))
    ]
    (ask,) = (asks.index(fields[name]) for name, asks in _QUESTION_FORMS.items() if name in fields)
    return {"coins": coins, "ask": ("largest", "count")[ask]}


COINS = Family(
    "two_coins",
    "number theory",
    _sample_coins,
    _solve_coins,
    _brute_force_coins,
    (
        "In a certain country the only coins are worth {coins} dollars, and no change is given. Find {pay}.",
        "Let S be the set of all integers that can be written as {form} with nonnegative integers {unknowns}. Find {set}.",
        "Every throw that hits the target in a game scores {or} points, depending on the ring it hits, and a player may "
        "throw as often as she likes. {make} of her points?",
    ),
    lambda p: _write_two_coin_steps(p) if len(p["coins"]) == 2 else _write_three_coin_steps(p),
    lambda p: p["coins"][0] * p["coins"][-1],
    _format_coins,
    _parse_coins,
)

FAMILIES: tuple[Family, ...] = (COINS,)
