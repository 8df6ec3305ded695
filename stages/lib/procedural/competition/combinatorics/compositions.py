"""Sums made up of parts: shares within bounds, change for an amount."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, combinations
from math import comb, prod

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, join_list

NAMES, _PLACES = ("Ann", "Ben", "Cal", "Dee"), ("first", "second", "third", "fourth")


def _list_exclusion_terms(p: Params) -> list[tuple[tuple[int, ...], int, int]]:
    """(people above their bounds, what is left to share, ways), for every set of people that leaves something."""
    rooms = [high - low + 1 for low, high in zip(p["low"], p["high"], strict=True)]
    spare, people = p["total"] - sum(p["low"]), len(rooms)
    groups = chain.from_iterable(combinations(range(people), size) for size in range(people + 1))
    remainders = ((group, spare - sum(rooms[i] for i in group)) for group in groups)
    return [(group, left, comb(left + people - 1, people - 1)) for group, left in remainders if left >= 0]


class BoundedShares(Family):
    """Bounded shares of a total. Closed form: inclusion and exclusion over upper bounds. Brute force: all shares."""

    name, area = "bounded_shares", "combinatorics"
    phrasings = (
        "In how many ways can {total} identical candies be given to {names} if {bounds} of them (limits included)?",
        "Find the number of integer solutions of {sum} = {total} with {letters} (limits included).",
        "A team of {count} players, {names}, scores exactly {total} points in a game. Scores are whole numbers, and "
        "it is known that {bounds} of the points (limits included). How many lists of the {count} scores are possible?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        people = 4 if level == 3 else 3
        low = [0 if level == 1 else draw(f"low {i}").randint(0, 4) for i in range(people)]
        room = draw("room").randint(*((8, 22), (8, 18), (8, 14))[level - 1])
        high = [a + draw(f"high {i}").randint(3, room + 2) for i, a in enumerate(low)]
        total = draw("total").randint(sum(low) + min(b - a for a, b in zip(low, high, strict=True)) + 1, sum(high) - 3)
        params = {"total": total, "low": low, "high": high}
        if max(high) >= total or sum(high) - sum(low) < 8:
            return None
        few, many = ((2, 4), (3, 6), (5, 9))[level - 1]
        return params if few <= len(_list_exclusion_terms(params)) <= many and self.solve_closed(params) > 20 else None

    def solve_closed(self, p: Params) -> int:
        return sum((-1) ** len(some) * count for some, _, count in _list_exclusion_terms(p))

    def solve_brute(self, p: Params) -> int:
        def count(person: int, left: int) -> int:
            if person == len(p["low"]) - 1:
                return int(p["low"][person] <= left <= p["high"][person])
            return sum(count(person + 1, left - x) for x in range(p["low"][person], min(p["high"][person], left) + 1))

        return count(0, p["total"])

    def write_lines(self, p: Params) -> Iterable[Line]:
        people, total = len(p["low"]), 0
        spare = p["total"] - sum(p["low"])
        if sum(p["low"]):
            yield f"When the lower bounds are met, {p['total']} - {sum(p['low'])} = {spare} remain."
        for some, left, count in _list_exclusion_terms(p):
            choose = f"C({left + people - 1}, {people - 1}) = {count}"
            if not some:
                yield f"Without upper bounds, {spare} can be shared in {choose} ways.", count
                total = count
                continue
            who = join_list([_PLACES[i] for i in some])
            yield f"With too much for the {who}, the rest is {left}: {choose}.", count
            after = total + (-1) ** len(some) * count
            sign = "-" if len(some) % 2 else "+"
            yield f"{'Taken off' if sign == '-' else 'Put back'}: {total} {sign} {count} = {after}."
            total = after

    def count_work(self, p: Params) -> int:
        return prod(high - low + 1 for low, high in zip(p["low"], p["high"], strict=True))

    def format_fields(self, p: Params) -> dict[str, str]:
        names = NAMES[: len(p["low"])]
        bounds = list(zip(names, p["low"], p["high"], strict=True))
        return {
            "total": str(p["total"]),
            "names": join_list(list(names)),
            "count": ("three", "four")[len(names) - 3],
            "bounds": join_list([f"{who} gets {a} to {b}" for who, a, b in bounds]),
            "letters": join_list(
                [f"{x} from {a} to {b}" for x, (_, a, b) in zip("wxyz"[-len(names) :], bounds, strict=True)]
            ),
            "sum": " + ".join("wxyz"[-len(names) :]),
        }

    def parse_fields(self, fields: dict[str, str]) -> Params:
        pairs = re.findall(r"(\d+) to (\d+)", fields.get("bounds") or fields["letters"])
        return {"total": int(fields["total"]), "low": [int(a) for a, _ in pairs], "high": [int(b) for _, b in pairs]}


class Change(Family):
    """Ways to give change. Closed form: by the number of largest coins. Brute force: dynamic programming over amounts."""

    name, area = "change", "combinatorics"
    phrasings = (
        "In how many ways can {total} cents be paid with coins of 1, {middle} and {large} cents? The order of the "
        "coins does not matter, and not every kind of coin has to be used.",
        "Find the number of triples (x, y, z) of nonnegative integers for which x + {middle}y + {large}z = {total}.",
        "A merchant has weights of 1, {middle} and {large} grams, as many of each as she likes, and puts some on a "
        "scale until it shows {total} grams. How many different collections of weights can be on the scale?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        middle = draw("middle").randint(2, 6 + 2 * level)
        large = draw("large").randint(middle + 1, 25 + 10 * level)
        times = draw("times").randint(*((2, 4), (5, 7), (8, 11))[level - 1])
        return {"coins": [1, middle, large], "total": large * times + draw("rest").randrange(large)}

    def solve_closed(self, p: Params) -> int:
        _, middle, large = p["coins"]
        return sum((p["total"] - many * large) // middle + 1 for many in range(p["total"] // large + 1))

    def solve_brute(self, p: Params) -> int:
        ways = [1] + [0] * p["total"]
        for coin in p["coins"]:
            for amount in range(coin, p["total"] + 1):
                ways[amount] += ways[amount - coin]
        return ways[-1]

    def write_lines(self, p: Params) -> Iterable[Line]:
        _, middle, large = p["coins"]
        total = 0
        for many in range(p["total"] // large + 1):
            left = p["total"] - many * large
            count = left // middle + 1
            so_far = f", so far {total} + {count} = {total + count}" if many else ""
            yield (
                f"With {many} of {large}, {p['total']} - {many} * {large} = {left} is left, with 0 to {count - 1} of "
                f"{middle}: {count} {('ways' if count > 1 else 'way')}{so_far}.",
                total + count,
            )
            total += count

    def count_work(self, p: Params) -> int:
        return (p["total"] // p["coins"][1] + 1) * (p["total"] // p["coins"][2] + 1)

    def format_fields(self, p: Params) -> dict[str, str]:
        return {"total": str(p["total"]), "middle": str(p["coins"][1]), "large": str(p["coins"][2])}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        return {"coins": [1, int(fields["middle"]), int(fields["large"])], "total": int(fields["total"])}
