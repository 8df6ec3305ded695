"""Games: a player's ruin, and two players who take turns."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import gcd

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, end_with
from stages.lib.procedural.competition.fractions import (
    LOWEST_TERMS_PHRASE,
    add_fraction_parts,
    write_closing_lines,
    write_sum_line,
)


def _compute_ruin_probability(p: Params) -> Fraction:
    ratio = Fraction(p["l"], p["w"])
    return (1 - ratio ** p["i"]) / (1 - ratio ** p["n"])


class GamblersRuin(Family):
    """Gambler's ruin. Brute force: elimination in the linear equations of all states."""

    name, area = "gamblers_ruin", "probability"
    phrasings = end_with(
        LOWEST_TERMS_PHRASE,
        "A player with {chips} bets one chip in every round, winning another with probability {w}/{t} and losing it "
        "otherwise, until she has {n} chips or none. The probability that she ends with {n} chips",
        "A frog sits on stone {i} of a row of stones 0 to {n}. Every second it jumps one stone up with probability "
        "{w}/{t}, else one stone down, until it reaches an end. The probability that it ends on stone {n}",
        "A particle starts at {i} on the number line. In each step it moves by +1 with probability {w}/{t} and by -1 "
        "otherwise. The probability that it arrives at {n} before it arrives at 0",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        high = (24, 9, 6)[level - 1]
        w, l_ = draw("w").randint(1, high), draw("l").randint(1, high)
        if gcd(w, l_) > 1 or w == l_:
            return None
        n = (3, 4, draw("n").randint(5, 8))[level - 1]
        return {"w": w, "l": l_, "i": draw("i").randint(1, n - 1), "n": n}

    def solve_closed(self, p: Params) -> int:
        return add_fraction_parts(_compute_ruin_probability(p))

    def solve_brute(self, p: Params) -> int:
        """Solve the linear equations of all states by elimination from below: h(s) = c(s) h(s + 1), h(0) = 0."""
        win = Fraction(p["w"], p["w"] + p["l"])
        c = [Fraction(0)]
        for _ in range(1, p["n"]):
            c.append(win / (1 - (1 - win) * c[-1]))
        value = Fraction(1)
        for s in range(p["n"] - 1, p["i"] - 1, -1):
            value *= c[s]
        return add_fraction_parts(value)

    def write_lines(self, p: Params) -> Iterable[Line]:
        w, l_, i, n = p["w"], p["l"], p["i"], p["n"]
        top, bottom = (w**i - l_**i) * w ** (n - i), w**n - l_**n
        sign = -1 if bottom < 0 else 1
        odds = str(Fraction(l_, w))
        base = f"({odds})" if w > 1 else odds
        yield (
            f"Losing is {odds} times as likely as winning, so the probability is (1 - {base}^{i}) / (1 - {base}^{n}).",
            odds,
        )
        yield f"Multiplied by {w}^{n} = {w**n}, the denominator is {w**n} - {l_**n} = {bottom}."
        yield f"The numerator is ({w**i} - {l_**i}) * {w ** (n - i)} = {top}."
        yield from write_closing_lines(sign * top, sign * bottom)

    def count_work(self, p: Params) -> int:
        return 2 ** p["n"]

    def format_fields(self, p: Params) -> dict[str, str]:
        return {name: str(p[name]) for name in "win"} | {
            "t": str(p["w"] + p["l"]),
            "chips": f"{p['i']} chip{'s' * (p['i'] > 1)}",
        }

    def parse_fields(self, fields: dict[str, str]) -> Params:
        return {
            "w": int(fields["w"]),
            "l": int(fields["t"]) - int(fields["w"]),
            "n": int(fields["n"]),
            "i": int((fields.get("i") or fields["chips"]).split()[0]),
        }


def _compute_first_player_probability(p: Params) -> Fraction:
    first, second = Fraction(p["a"], p["b"]), Fraction(p["c"], p["d"])
    return first / (1 - (1 - first) * (1 - second))


class TakingTurns(Family):
    """Two players who take turns. Closed form: a geometric series. Brute force: round after round."""

    name, area = "taking_turns", "probability"
    phrasings = end_with(
        LOWEST_TERMS_PHRASE,
        "Ann and Bob take turns to shoot at a target, Ann first, until one of them hits. Ann hits with probability "
        "{a}/{b} in each of her turns, Bob with probability {c}/{d} in each of his, independently of all other shots. "
        "The probability that Ann hits first",
        "Two players throw alternately at a hoop. The one who begins scores with probability {a}/{b} per throw, the "
        "other with probability {c}/{d}, and all throws are independent. Whoever scores first wins. The probability "
        "that the player who begins wins",
        "A and B play in turns, A first. A's turn ends the game with probability {a}/{b}, B's turn with probability "
        "{c}/{d}; all turns are independent. The probability that the game ends in a turn of A",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        low, high = ((3, 12), (6, 20), (10, 30))[level - 1]
        b, d = draw("b").randint(low, high), draw("d").randint(low, high)
        p = {"a": draw("a").randint(1, b - 1), "b": b, "c": draw("c").randint(1, d - 1), "d": d}
        return p if gcd(p["a"], b) == gcd(p["c"], d) == 1 and p["a"] / b < 0.7 else None

    def solve_closed(self, p: Params) -> int:
        return add_fraction_parts(_compute_first_player_probability(p))

    def solve_brute(self, p: Params) -> int:
        """Round after round, until less is left than lies between two fractions with denominators up to that of P."""
        chance, again = Fraction(p["a"], p["b"]), Fraction((p["b"] - p["a"]) * (p["d"] - p["c"]), p["b"] * p["d"])
        largest = p["b"] * p["d"]
        total, left = Fraction(0), Fraction(1)
        while left * 2 * largest * largest >= 1:
            total, left = total + left * chance, left * again
        return add_fraction_parts((total + left / 2).limit_denominator(largest))

    def write_lines(self, p: Params) -> Iterable[Line]:
        a, b, c, d = (p[name] for name in "abcd")
        miss, every = (b - a) * (d - c), b * d
        yield f"Both fail in a round with probability {b - a}/{b} * {d - c}/{d} = {Fraction(miss, every)}."
        yield (
            f"After that all is as at the start, so P = {a}/{b} + {Fraction(miss, every)} * P, and the factor of P is "
            f"1 - {Fraction(miss, every)} = {Fraction(every - miss, every)}."
        )
        yield f"P = ({a}/{b}) / ({Fraction(every - miss, every)}) = {Fraction(a * d, every - miss)}."
        yield write_sum_line(Fraction(a * d, every - miss))

    def count_work(self, p: Params) -> int:
        return p["b"] * p["d"]
