"""Random draws: sums of dice, colours drawn without replacement, times of arrival."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from math import comb

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, end_with
from stages.lib.procedural.competition.fractions import (
    LOWEST_TERMS_PHRASE,
    add_fraction_parts,
    write_closing_lines,
    write_sum_line,
)


def _list_exclusion_terms(p: Params) -> list[tuple[int, int]]:
    """(dice made larger than s, lists of positive results that add up to t, or to t at most) for each number of them."""
    k, s, t = p["k"], p["s"], p["t"]

    def lists(total: int) -> int:
        return comb(total, k) if p["most"] else comb(total - 1, k - 1)

    return [(i, comb(k, i) * lists(t - i * s)) for i in range(k + 1) if t - i * s >= k]


class DiceSum(Family):
    """A sum of dice, t or at most t. Closed form: inclusion and exclusion over faces above s. Brute force: die by die."""

    name, area = "dice_sum", "probability"
    phrasings = end_with(
        LOWEST_TERMS_PHRASE,
        "A fair die has {s} faces, numbered 1 to {s}. It is rolled {k} times. The probability that the results add up "
        "to {total}",
        "Each of {k} wheels of fortune is divided into {s} equal sectors with the numbers 1 to {s}. All of them are "
        "spun. The probability that the sum of the numbers shown is {total}",
        "Independently, {k} people each pick an integer from 1 to {s} at random. The probability that the numbers "
        "they pick have a sum of {total}",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        k, s = 2 + level // 3, draw("s").randint(5, (30, 30, 13)[level - 1])
        low, high = ((k + 1, s), (s + 3, 2 * s - 1), (s + 4, 3 * s - 2))[level - 1]
        return {"k": k, "s": s, "t": draw("t").randint(low, high), "most": draw("most").random() < 0.5}

    def solve_closed(self, p: Params) -> int:
        return add_fraction_parts(Fraction(sum((-1) ** i * n for i, n in _list_exclusion_terms(p)), p["s"] ** p["k"]))

    def solve_brute(self, p: Params) -> int:
        ways = {0: 1}
        for _ in range(p["k"]):
            after: dict[int, int] = {}
            for total, n in ways.items():
                for face in range(1, p["s"] + 1):
                    after[total + face] = after.get(total + face, 0) + n
            ways = after
        good = sum(n for total, n in ways.items() if total == p["t"] or (p["most"] and total < p["t"]))
        return add_fraction_parts(Fraction(good, sum(ways.values())))

    def write_lines(self, p: Params) -> Iterable[Line]:
        k, s, t, left = p["k"], p["s"], p["t"], 0
        for i, n in _list_exclusion_terms(p):
            after = left + (-1) ** i * n
            if not i:
                how = f"add up to at most {t} in C({t}, {k})" if p["most"] else f"add up to {t} in C({t - 1}, {k - 1})"
                yield f"Without an upper bound, {k} positive integers {how} = {n} ways."
            else:
                yield (
                    f"With {i} of them above {s} there are {n}, counted for each choice of which; this leaves {left} "
                    f"{('-' if i % 2 else '+')} {n} = {after}."
                )
            left = after
        yield f"There are {s}^{k} = {s**k} equally likely results."
        yield from write_closing_lines(left, s**k)

    def count_work(self, p: Params) -> int:
        return p["s"] ** p["k"]

    def format_fields(self, p: Params) -> dict[str, str]:
        return {"k": str(p["k"]), "s": str(p["s"]), "total": f"{'at most' if p['most'] else 'exactly'} {p['t']}"}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        return {
            "k": int(fields["k"]),
            "s": int(fields["s"]),
            "t": int(fields["total"].split()[-1]),
            "most": fields["total"][0] == "a",
        }


def _list_draws(p: Params) -> list[tuple[int, int, int]]:
    """(red drawn, ways to choose the red, ways to choose the blue)."""
    most = p["k"] if p["least"] else p["j"]
    return [(i, comb(p["r"], i), comb(p["b"], p["k"] - i)) for i in range(p["j"], most + 1)]


class DrawingWithoutReplacement(Family):
    """Exactly or at least j red, without replacement. Closed form: combinations. Brute force: draw after draw."""

    name, area = "drawing_without_replacement", "probability"
    phrasings = end_with(
        LOWEST_TERMS_PHRASE,
        "A bag holds {r} red and {b} blue marbles. From it {k} marbles are drawn at random without replacement. The "
        "probability of drawing {marbles}",
        "There are {r} red socks and {b} blue socks in a drawer, and {k} of these socks are taken out at random in "
        "the dark. The probability that these include {socks}",
        "A committee of {k} members is chosen at random from {r} girls and {b} boys. The probability that the "
        "committee contains {girls}",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        low, high = ((3, 20), (4, 14), (5, 12))[level - 1]
        k = level + 1
        p = {"r": draw("r").randint(low, high), "b": draw("b").randint(low, high), "k": k}
        return p | {"j": draw("j").randint(1, k - 1), "least": draw("least").random() < 0.5}

    def solve_closed(self, p: Params) -> int:
        return add_fraction_parts(
            Fraction(sum(red * blue for _, red, blue in _list_draws(p)), comb(p["r"] + p["b"], p["k"]))
        )

    def solve_brute(self, p: Params) -> int:
        state = {0: Fraction(1)}  # red drawn so far -> probability
        for drawn in range(p["k"]):
            after: dict[int, Fraction] = {}
            for red, chance in state.items():
                left = p["r"] + p["b"] - drawn
                after[red + 1] = after.get(red + 1, Fraction(0)) + chance * (p["r"] - red) / left
                after[red] = after.get(red, Fraction(0)) + chance * (p["b"] - drawn + red) / left
            state = after
        chances = (chance for red, chance in state.items() if red == p["j"] or (p["least"] and red > p["j"]))
        return add_fraction_parts(sum(chances, Fraction(0)))

    def write_lines(self, p: Params) -> Iterable[Line]:
        k, ways, every = p["k"], _list_draws(p), comb(p["r"] + p["b"], p["k"])
        for i, red, blue in ways:
            yield (
                f"With {i} red and {k - i} blue: C({p['r']}, {i}) * C({p['b']}, {k - i}) = {red} * {blue} = "
                f"{red * blue}."
            )
        total = sum(red * blue for _, red, blue in ways)
        if len(ways) > 1:
            yield f"Together {' + '.join(str(red * blue) for _, red, blue in ways)} = {total}."
        yield f"All C({p['r'] + p['b']}, {k}) = {every} choices are equally likely."
        yield from write_closing_lines(total, every)

    def count_work(self, p: Params) -> int:
        return comb(p["r"] + p["b"], p["k"])

    def format_fields(self, p: Params) -> dict[str, str]:
        def count(noun: str) -> str:
            return f"{'at least' if p['least'] else 'exactly'} {p['j']} {noun}{'s' * (p['j'] != 1)}"

        nouns = {"marbles": "red marble", "socks": "red sock", "girls": "girl"}
        return {name: str(p[name]) for name in "rbk"} | {name: count(noun) for name, noun in nouns.items()}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        text = next(fields[name] for name in ("marbles", "socks", "girls") if name in fields)
        return {name: int(fields[name]) for name in "rbk"} | {
            "j": int(re.sub(r"\D", "", text)),
            "least": text[0] == "a",
        }


def _compute_missed_areas(p: Params) -> tuple[int, int]:
    """Twice the area where Ann is gone before Ben comes, and where Ben is gone before Ann comes."""
    t, u, a, b = (p[name] for name in "tuab")
    late = (t - b) ** 2 - max(0, t - b - u) ** 2
    return (u - a) ** 2, late


def _compute_meeting_probability(p: Params) -> Fraction:
    return 1 - Fraction(sum(_compute_missed_areas(p)), 2 * p["t"] * p["u"])


class Meeting(Family):
    """Two people who wait for each other. Closed form: areas of triangles. Brute force: an integral, piece by piece."""

    name, area = "meeting", "probability"
    phrasings = end_with(
        LOWEST_TERMS_PHRASE,
        "Ann arrives at a uniformly random time in the first {t} minutes after noon and waits {a} minutes. Ben, "
        "independently, arrives at a uniformly random time in the first {u} minutes after noon and waits {b} minutes. "
        "The probability that they meet",
        "Two trains stop at a station. The first arrives at a random time between 0 and {t} minutes after noon and "
        "stays for {a} minutes; the second arrives at a random time between 0 and {u} minutes after noon and stays "
        "for {b} minutes. The times of arrival are independent and uniform. The probability that both are in the "
        "station at the same moment",
        "The numbers x and y are chosen independently and uniformly at random, x from the interval [0, {t}] and y "
        "from [0, {u}]. The probability that both y - x <= {a} and x - y <= {b}",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        t = draw("t").randint(*((15, 90), (12, 60), (14, 60))[level - 1])
        a = draw("a").randint(2, t // 2)
        b = a if level == 1 else draw("b").randint(2, t // 2)
        u = draw("u").randint(t // 3, t) if level == 3 else t
        if (level > 1 and a == b) or (level == 3 and t - b <= u) or a >= u:
            return None
        return {"t": t, "u": u, "a": a, "b": b}

    def solve_closed(self, p: Params) -> int:
        return add_fraction_parts(_compute_meeting_probability(p))

    def solve_brute(self, p: Params) -> int:
        """Integrates, over Ben's time y, the length of Ann's times that meet him: it is linear between corners."""
        t, u, a, b = (p[name] for name in "tuab")

        def length(y: int) -> int:
            return min(t, y + b) - max(0, y - a)

        corners = sorted({y for y in (0, a, t - b, u) if 0 <= y <= u})
        twice = sum(
            (high - low) * (length(low) + length(high)) for low, high in zip(corners, corners[1:], strict=False)
        )
        return add_fraction_parts(Fraction(twice, 2 * t * u))

    def write_lines(self, p: Params) -> Iterable[Line]:
        t, u, a, b = (p[name] for name in "tuab")
        (early, late), chance, gap = _compute_missed_areas(p), _compute_meeting_probability(p), t - b - u
        yield f"The pairs of times form a rectangle of area {t} * {u} = {t * u}."
        yield (
            f"The first is gone before the second comes on a triangle with legs {u} - {a} = {u - a}; twice its area "
            f"is {u - a}^2 = {early}."
        )
        if a != b:
            yield (
                f"The second is gone before the first comes on a triangle with legs {t} - {b} = {t - b}; twice its "
                f"area is {t - b}^2 = {(t - b) ** 2}."
            )
        if gap > 0:
            yield (
                f"Its tip with legs {t - b} - {u} = {gap} lies outside the rectangle, which leaves {(t - b) ** 2} - "
                f"{gap}^2 = {late}."
            )
        other = "Their waiting times being equal, the other triangle is as large; they" if a == b else "They"
        yield f"{other} meet with probability 1 - ({early} + {late}) / (2 * {t * u}) = {chance}."
        yield write_sum_line(chance)

    def count_work(self, p: Params) -> int:
        return p["t"] * p["u"]
