"""Necklaces: colourings of a circle up to rotation."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from math import gcd

from stages.lib.procedural.competition.family import Draw, Family, Line, Params


def _list_fixed_colorings(p: Params) -> list[tuple[int, int]]:
    """(colourings that a rotation leaves alone, how many rotations do so), by the cycles of the rotation."""
    cycles = [gcd(p["n"], turn) for turn in range(1, p["n"] + 1)]
    return [(p["k"] ** c, cycles.count(c)) for c in sorted(set(cycles), reverse=True)]


def _count_fixed_colorings(p: Params) -> int:
    return sum(fixed * rotations for fixed, rotations in _list_fixed_colorings(p))


class Necklaces(Family):
    """Colorings of a ring up to rotation. Closed form: Burnside. Brute force: every coloring."""

    name, area = "necklaces", "combinatorics"
    phrasings = (
        "Each of the {n} beads of a ring is painted in one of {k} colors, and not all colors have to be used. Two "
        "rings count as equal if one can be rotated into the other, but not if it has to be turned over for that. "
        "Find the remainder when the number of different rings is divided by {m}.",
        "A round table has {n} seats, and on each seat lies a cushion of one of {k} colors. Arrangements that differ "
        "only by a rotation of the table count as one, and N is the number of arrangements. What is the remainder "
        "when N is divided by {m}?",
        "The {n} equal sectors of a wheel of fortune are painted on its front, each in one of {k} colors. Two "
        "paintings are the same if the wheel can be spun so that they coincide. If there are N different paintings, "
        "what is N modulo {m}?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        n = draw("n").randint(*((3, 3), (4, 5), (6, 8))[level - 1])
        k = draw("k").randint(*((8, 18), (5, 9), (2, 4))[level - 1])
        m = draw("m").randint(*((101, 600), (101, 900), (31, 900))[level - 1])
        return {"n": n, "k": k, "m": m} if k**n <= 6000 and _count_fixed_colorings({"n": n, "k": k}) // n > m else None

    def solve_closed(self, p: Params) -> int:
        return _count_fixed_colorings(p) // p["n"] % p["m"]

    def solve_brute(self, p: Params) -> int:
        """Count the colourings that are the least of their rotations."""
        rows = product(range(p["k"]), repeat=p["n"])
        return sum(all(row <= row[turn:] + row[:turn] for turn in range(1, p["n"])) for row in rows) % p["m"]

    def write_lines(self, p: Params) -> Iterable[Line]:
        n, m, total = p["n"], p["m"], 0
        for fixed, rotations in _list_fixed_colorings(p):
            more = f"{rotations} * {fixed} = {rotations * fixed}"
            so_far = f", so far {total} + {rotations * fixed} = {total + rotations * fixed}" if total else ""
            total += fixed * rotations
            turns = "1 rotation leaves" if rotations == 1 else f"each of {rotations} rotations leaves"
            yield f"{turns[0].upper()}{turns[1:]} {fixed} colorings alone: {more}{so_far}.", total
        yield f"By Burnside there are {total} / {n} = {total // n} necklaces."
        yield f"The remainder is {total // n} mod {m} = {total // n % m}."

    def count_work(self, p: Params) -> int:
        return p["k"] ** p["n"]
