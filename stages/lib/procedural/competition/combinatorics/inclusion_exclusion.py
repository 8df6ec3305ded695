"""Inclusion and exclusion: multiples of several numbers, seats that some people refuse."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import combinations, permutations, zip_longest
from math import factorial, lcm

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, join_list

_QUESTION_FORMS = ("at least one of {set}", "exactly one of {set}", "exactly two of {set}", "none of {set}")


def _compute_inclusion_sums(p: Params) -> list[int]:
    """Multiples of one divisor, of two at once, of three at once, each added up."""
    size = len(p["divisors"])
    return [sum(p["n"] // lcm(*some) for some in combinations(p["divisors"], k)) for k in range(1, size + 1)]


class Multiples(Family):
    """Multiples of several numbers. Closed form: inclusion and exclusion. Brute force: every integer."""

    name, area = "multiples", "combinatorics"
    phrasings = (
        "How many positive integers not exceeding {n} are divisible by {ask}?",
        "Tickets numbered from 1 to {n} are sold. A ticket wins if its number is divisible by {ask}. How many tickets "
        "win?",
        "Let S be the set of all integers from 1 to {n}. Find the number of elements of S that are divisible by {ask}.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        count = 2 if level == 1 else 3
        divisors = sorted(draw("divisors").sample(range(2, (16, 13, 16)[level - 1]), count))
        if any(b % a == 0 for i, b in enumerate(divisors) for a in divisors[:i]):
            return None
        ask = draw("ask").choice(((0, 3), (0,), (1, 2))[level - 1])
        return {
            "n": draw("n").randint(*((100, 1000), (200, 1200), (600, 2500))[level - 1]),
            "divisors": divisors,
            "ask": ask,
        }

    def sample_easiest(self, draw: Draw) -> Params | None:
        divisors = sorted(draw("divisors").sample(range(2, 8), 2))
        if divisors[1] % divisors[0] == 0:
            return None
        return {"n": draw("n").randint(12, 60), "divisors": divisors, "ask": draw("ask").choice((0, 3))}

    def solve_closed(self, p: Params) -> int:
        one, two, three = (*_compute_inclusion_sums(p), 0)[:3]
        some = one - two + three
        return (some, one - 2 * two + 3 * three, two - 3 * three, p["n"] - some)[p["ask"]]

    def solve_brute(self, p: Params) -> int:
        hits = [sum(n % d == 0 for d in p["divisors"]) for n in range(1, p["n"] + 1)]
        return (sum(h > 0 for h in hits), hits.count(1), hits.count(2), hits.count(0))[p["ask"]]

    def write_lines(self, p: Params) -> Iterable[Line]:
        n = p["n"]
        for size in range(1, len(p["divisors"]) + 1):
            counts = []
            for some in combinations(p["divisors"], size):
                m = lcm(*some)
                counts.append(n // m)
                what = (
                    f"Multiples of {m}"
                    if size == 1
                    else f"Multiples of {join_list(list(map(str, some)))} are those of {m}"
                )
                yield f"{what}: {n} / {m} rounded down is {n // m}.", n // m
            if len(counts) > 1:
                yield f"They add up to {' + '.join(map(str, counts))} = {sum(counts)}."
        one, two, three = (*_compute_inclusion_sums(p), 0)[:3]
        tail = f" + {three}" if len(p["divisors"]) == 3 else ""
        some = one - two + three
        if p["ask"] in (0, 3):
            yield f"Divisible by at least one: {one} - {two}{tail} = {some}."
        if p["ask"] == 1:
            end = self.solve_closed(p)
            yield f"Those with two count in it twice too often: {one} - 2 * {two} + 3 * {three} = {end}."
        if p["ask"] == 2:
            end = self.solve_closed(p)
            yield f"Multiples of all count thrice among the pairs: {two} - 3 * {three} = {end}."
        if p["ask"] == 3:
            yield f"The others: {n} - {some} = {n - some}."

    def count_work(self, p: Params) -> int:
        return p["n"]

    def format_fields(self, p: Params) -> dict[str, str]:
        numbers = list(map(str, p["divisors"]))
        return {"n": str(p["n"]), "ask": _QUESTION_FORMS[p["ask"]].format(set=f"the numbers {join_list(numbers)}")}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        head = fields["ask"].split(" the numbers ")[0]
        ask = [form.split(" {")[0] for form in _QUESTION_FORMS].index(head)
        return {"n": int(fields["n"]), "divisors": [int(d) for d in re.findall(r"\d+", fields["ask"])], "ask": ask}


def _compute_rook_numbers(p: Params) -> list[int]:
    """Ways to choose 0, 1, 2, ... of the refused cells, no two in one row or column."""

    @cache
    def count(cells: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
        if not cells:
            return (1,)
        (row, column), rest = cells[0], cells[1:]
        without = count(rest)
        within = count(tuple(cell for cell in rest if cell[0] != row and cell[1] != column))
        return tuple(a + b for a, b in zip_longest(without, (0, *within), fillvalue=0))

    return list(count(tuple((person, lane) for person, lane in p["refused"])))


class RefusedLanes(Family):
    """Permutations with forbidden positions. Closed form: rook numbers. Brute force: every permutation."""

    name, area = "refused_lanes", "combinatorics"
    phrasings = (
        "The {n} runners {people} are to be assigned to the lanes 1 to {n}, one runner to each lane. But {lane}. How "
        "many assignments respect all of these refusals?",
        "A hotel has {n} free rooms, numbered 1 to {n}, for the {n} guests {people}, each of whom gets a room alone. "
        "As it turns out, {room}. Find the number of ways to give out the rooms so that nobody gets a refused room.",
        "In how many ways can the {n} friends {people} sit down on {n} chairs numbered 1 to {n}, one on each chair, "
        "if {chair}?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        n = draw("n").randint(*((5, 6), (6, 6), (7, 7))[level - 1])
        cells = [[person, lane] for person in range(1, n + 1) for lane in range(1, n + 1)]
        few, many = ((3, 6), (5, 9), (9, 14))[level - 1]
        refused = sorted(draw("refused").sample(cells, draw("rules").randint(few, many)))
        params = {"n": n, "refused": refused}
        return params if len(_compute_rook_numbers(params)) > 2 else None

    def solve_closed(self, p: Params) -> int:
        return sum((-1) ** k * r * factorial(p["n"] - k) for k, r in enumerate(_compute_rook_numbers(p)))

    def solve_brute(self, p: Params) -> int:
        refused = [(person - 1, lane - 1) for person, lane in p["refused"]]
        return sum(all(order[person] != lane for person, lane in refused) for order in permutations(range(p["n"])))

    def write_lines(self, p: Params) -> Iterable[Line]:
        n = p["n"]
        total = factorial(n)
        yield f"Without rules there are {n}! = {total} ways."
        for k, rooks in enumerate(_compute_rook_numbers(p)[1:], 1):
            ways, sign = rooks * factorial(n - k), "-" if k % 2 else "+"
            before, total = total, total + (-1) ** k * ways
            rules = "1 rule can be broken" if k == 1 else f"{k} rules can be broken together"
            yield (
                f"{rules} in {rooks} case{'s' * (rooks > 1)}, each leaving {n - k}! orders: {rooks} * "
                f"{factorial(n - k)} = {ways}; {before} {sign} {ways} = {total}."
            )

    def count_work(self, p: Params) -> int:
        return factorial(p["n"])

    def format_fields(self, p: Params) -> dict[str, str]:
        by_person: dict[int, list[str]] = {}
        for person, lane in p["refused"]:
            by_person.setdefault(person, []).append(str(lane))

        def list_refusals(noun: str) -> str:
            rules = ((who, f"{noun}{'s' * (len(lanes) > 1)} {join_list(lanes)}") for who, lanes in by_person.items())
            return join_list([f"{chr(64 + who)} refuses {lanes}" for who, lanes in rules], ", and ")

        people = join_list([chr(64 + person) for person in range(1, p["n"] + 1)])
        return {"n": str(p["n"]), "people": people} | {noun: list_refusals(noun) for noun in ("lane", "room", "chair")}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        text = next(fields[noun] for noun in ("lane", "room", "chair") if noun in fields)
        clauses = re.findall(r"([A-G]) refuses [a-z]+ ([\d, and]+)", text)
        refused = [[ord(who) - 64, int(lane)] for who, lanes in clauses for lane in re.findall(r"\d+", lanes)]
        return {"n": int(fields["n"]), "refused": refused}
