"""Probability and expectation, answers p + q for a fraction p/q in lowest terms."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import combinations
from math import comb, gcd

from stages.lib.competition.family import Draw, Family, Params, numbered
from stages.lib.records import Step

_LOWEST = "is p/q in lowest terms, with positive integers p and q. Find p + q."


def added(value: Fraction) -> int:
    return value.numerator + value.denominator


def _last(top: int, bottom: int) -> list[tuple[str, int | str]]:
    """The two closing lines: lowest terms, and their sum."""
    g = gcd(top, bottom)
    top, bottom = top // g, bottom // g
    return [
        (f"In lowest terms that is {top}/{bottom}.", f"{top}/{bottom}"),
        (f"p + q = {top} + {bottom} = {top + bottom}.", top + bottom),
    ]


# A sum of dice.


def _dice(draw: Draw, level: int) -> Params | None:
    s, k = draw("s").randint(4, (24, 30, 12)[level - 1]), 2 if level < 3 else 3
    if level == 2:
        return {"k": 2, "s": s, "t": draw("t").randint(s + 2, 2 * s - 1)}
    return {"k": k, "s": s, "t": draw("t").randint(*((k + 1, s + 1) if level == 1 else (s + 3, 3 * s - 2)))}


def _dice_terms(p: Params) -> list[tuple[int, int]]:
    k, s, t = p["k"], p["s"], p["t"]
    return [(i, comb(k, i) * comb(t - i * s - 1, k - 1)) for i in range(k + 1) if t - i * s >= k]


def _dice_closed(p: Params) -> int:
    return added(Fraction(sum((-1) ** i * n for i, n in _dice_terms(p)), p["s"] ** p["k"]))


def _dice_brute(p: Params) -> int:
    ways = {0: 1}
    for _ in range(p["k"]):
        after: dict[int, int] = {}
        for total, n in ways.items():
            for face in range(1, p["s"] + 1):
                after[total + face] = after.get(total + face, 0) + n
        ways = after
    return added(Fraction(ways[p["t"]], sum(ways.values())))


def _dice_steps(p: Params) -> list[Step]:
    k, s, t, lines, left = p["k"], p["s"], p["t"], [], 0
    for i, n in _dice_terms(p):
        after = left + (-1) ** i * n
        if not i:
            lines.append(
                (f"Without an upper bound, {t} is a sum of {k} positive integers in C({t - 1}, {k - 1}) = {n} ways.", n)
            )
        else:
            lines.append(
                (
                    f"With {i} of them above {s} there are {n}, which leaves {left} {'-' if i % 2 else '+'} {n} = {after}.",
                    after,
                )
            )
        left = after
    lines.append((f"There are {s}^{k} = {s**k} equally likely throws.", s**k))
    return numbered(lines + _last(left, s**k))


DICE = Family(
    "dice_sum", "probability", _dice, _dice_closed, _dice_brute,
    ("A fair die has {s} faces, numbered 1 to {s}. It is rolled {k} times. The probability that the results add up to {t} "
     + _LOWEST,
     "When {k} fair dice, each with faces numbered 1 to {s}, are thrown, the probability that their sum is {t} " + _LOWEST,
     "Independently, {k} people each pick an integer from 1 to {s} at random. The probability that the numbers they pick "
     "add up to {t} " + _LOWEST),
    _dice_steps, lambda p: p["s"] ** p["k"],
)  # fmt: skip


# Drawing without replacement.


def _urn(draw: Draw, level: int) -> Params | None:
    high = (10, 12, 14)[level - 1]
    k = draw("k").randint(2, 2 + level)
    return {"r": draw("r").randint(k, high), "b": draw("b").randint(k, high), "k": k, "j": draw("j").randint(1, k - 1)}


def _urn_counts(p: Params) -> tuple[int, int, int]:
    return comb(p["r"], p["j"]), comb(p["b"], p["k"] - p["j"]), comb(p["r"] + p["b"], p["k"])


def _urn_brute(p: Params) -> int:
    """Ball after ball: (red drawn so far) -> probability."""
    state = {0: Fraction(1)}
    for drawn in range(p["k"]):
        after: dict[int, Fraction] = {}
        for red, chance in state.items():
            left = p["r"] + p["b"] - drawn
            after[red + 1] = after.get(red + 1, Fraction(0)) + chance * (p["r"] - red) / left
            after[red] = after.get(red, Fraction(0)) + chance * (p["b"] - drawn + red) / left
        state = after
    return added(state[p["j"]])


def _urn_steps(p: Params) -> list[Step]:
    red, blue, every = _urn_counts(p)
    return numbered([
        (f"The red ones can be chosen in C({p['r']}, {p['j']}) = {red} ways.", red),
        (f"The blue ones can be chosen in C({p['b']}, {p['k'] - p['j']}) = {blue} ways.", blue),
        (f"That is {red} * {blue} = {red * blue} of C({p['r'] + p['b']}, {p['k']}) = {every} equally likely sets.", every),
        *_last(red * blue, every),
    ])  # fmt: skip


URN = Family(
    "drawing_without_replacement", "probability", _urn,
    lambda p: added(Fraction(_urn_counts(p)[0] * _urn_counts(p)[1], _urn_counts(p)[2])), _urn_brute,
    ("A bag holds {r} red and {b} blue marbles. From it {k} marbles are drawn at random without replacement. The "
     "probability that exactly {j} of them are red " + _LOWEST,
     "A drawer contains {r} red and {b} blue socks. If {k} socks are taken out at random, the probability that exactly {j} "
     "of them are red " + _LOWEST,
     "A class of {r} students in red shirts and {b} students in blue shirts sends {k} of its members, chosen at random, to "
     "a match. The probability that exactly {j} of them wear red " + _LOWEST),
    _urn_steps, lambda p: comb(p["r"] + p["b"], p["k"]),
)  # fmt: skip


# Gambler's ruin.


def _ruin(draw: Draw, level: int) -> Params | None:
    w, l_ = draw("w").randint(1, 9 - 2 * level), draw("l").randint(1, 9 - 2 * level)
    if gcd(w, l_) > 1 or w == l_:
        return None
    n = draw("n").randint(2 + level, 3 + level)
    return {"w": w, "l": l_, "i": draw("i").randint(1, n - 1), "n": n}


def _ruin_value(p: Params) -> Fraction:
    ratio = Fraction(p["l"], p["w"])
    return (1 - ratio ** p["i"]) / (1 - ratio ** p["n"])


def _ruin_brute(p: Params) -> int:
    """Solve the linear equations of all states by elimination from below: h(s) = c(s) h(s + 1), h(0) = 0."""
    win = Fraction(p["w"], p["w"] + p["l"])
    c = [Fraction(0)]
    for _ in range(1, p["n"]):
        c.append(win / (1 - (1 - win) * c[-1]))
    value = Fraction(1)
    for s in range(p["n"] - 1, p["i"] - 1, -1):
        value *= c[s]
    return added(value)


def _ruin_steps(p: Params) -> list[Step]:
    w, l_, i, n = p["w"], p["l"], p["i"], p["n"]
    value = _ruin_value(p)
    top, bottom = (w**i - l_**i) * w ** (n - i), w**n - l_**n
    sign = -1 if bottom < 0 else 1
    return numbered([
        (f"Losing is {l_}/{w} times as likely as winning, so the probability is "
         f"(1 - ({l_}/{w})^{i}) / (1 - ({l_}/{w})^{n}).",
         f"{l_}/{w}"),
        (f"Multiplied by {w}^{n} = {w**n}, the denominator is {w**n} - {l_**n} = {bottom}.", bottom),
        (f"The numerator is ({w**i} - {l_**i}) * {w ** (n - i)} = {top}.", top),
        *_last(sign * top, sign * bottom),
    ]) if value else []  # fmt: skip


RUIN = Family(
    "gamblers_ruin", "probability", _ruin, lambda p: added(_ruin_value(p)), _ruin_brute,
    ("A player with {i} chips bets one chip in every round, winning a chip with probability {w}/{t} and losing one "
     "otherwise, until she has {n} chips or none. The probability that she reaches {n} chips " + _LOWEST,
     "A frog sits on stone {i} of a row of stones 0 to {n}. Every second it jumps one stone up with probability "
     "{w}/{t}, else one stone down, until it reaches an end. The probability that it ends on stone {n} " + _LOWEST,
     "A particle starts at {i} on the number line. In each step it moves by +1 with probability {w}/{t} and by -1 "
     "otherwise. The probability that it arrives at {n} before it arrives at 0 " + _LOWEST),
    _ruin_steps, lambda p: 2 ** p["n"],
    lambda p: {name: str(p[name]) for name in "win"} | {"t": str(p["w"] + p["l"])},
    lambda f: {"w": int(f["w"]), "l": int(f["t"]) - int(f["w"]), "i": int(f["i"]), "n": int(f["n"])},
)  # fmt: skip


# Waiting for the first of a kind.


def _waiting(draw: Draw, level: int) -> Params | None:
    n = draw("n").randint(*((8, 60), (20, 200), (60, 600))[level - 1])
    return {"n": n, "g": draw("g").randint(2, min(n - 1, 3 + 5 * level)), "f": draw("f").randint(1, 1 + level)}


def _waiting_value(p: Params) -> Fraction:
    return Fraction(p["f"] * (p["n"] + 1), p["g"] + 1)


def _waiting_brute(p: Params) -> int:
    """Expected waits: e(f, g, n) from what the next card is; for one good card wanted it is a running sum."""
    return added(_expected_wait(p["n"], p["g"], p["f"]))


def _expected_wait(n: int, g: int, f: int) -> Fraction:
    """The place of good card f is k with probability C(k - 1, f - 1) C(n - k, g - f) / C(n, g)."""
    return sum(
        (Fraction(k * comb(k - 1, f - 1) * comb(n - k, g - f), comb(n, g)) for k in range(f, n - g + f + 1)),
        Fraction(0),
    )


def _waiting_steps(p: Params) -> list[Step]:
    n, g, f = p["n"], p["g"], p["f"]
    return numbered([
        (f"The {g} aces cut the row of the other {n - g} cards into {g + 1} gaps, on average equally long.", g + 1),
        (f"Each gap with the ace after it has on average ({n} + 1) / {g + 1} = {n + 1}/{g + 1} cards.", f"{n + 1}/{g + 1}"),
        (f"Up to ace number {f} that is {f} * {n + 1}/{g + 1} = {f * (n + 1)}/{g + 1}.", f"{f * (n + 1)}/{g + 1}"),
        *_last(f * (n + 1), g + 1),
    ])  # fmt: skip


WAITING = Family(
    "expected_wait", "probability", lambda draw, level: (lambda p: p if p["f"] <= p["g"] else None)(_waiting(draw, level)),
    lambda p: added(_waiting_value(p)), _waiting_brute,
    ("A shuffled deck has {n} cards, {g} of them aces. Cards are turned over one by one until ace number {f} appears. The "
     "expected number of cards turned over " + _LOWEST,
     "Of {n} light bulbs in a box {g} are broken. They are tested one after another in random order until {f} broken ones "
     "have been found. The expected number of tests " + _LOWEST,
     "A bag has {n} tickets and {g} of them win. Tickets are drawn at random without replacement until {f} winning tickets "
     "have been drawn. The expected number of draws " + _LOWEST),
    _waiting_steps, lambda p: p["n"],
)  # fmt: skip


# The largest of some random numbers.


def _largest(draw: Draw, level: int) -> Params | None:
    n = draw("n").randint(*((10, 150), (20, 300), (100, 900))[level - 1])
    return {"n": n, "k": draw("k").randint(2, (4, 6, 12)[level - 1])}


def _largest_brute(p: Params) -> int:
    n, k = p["n"], p["k"]
    if comb(n, k) <= 400:
        sets = list(combinations(range(1, n + 1), k))
        return added(Fraction(sum(max(some) for some in sets), len(sets)))
    total = sum(largest * comb(largest - 1, k - 1) for largest in range(k, n + 1))
    return added(Fraction(total, comb(n, k)))


def _largest_steps(p: Params) -> list[Step]:
    n, k = p["n"], p["k"]
    return numbered([
        (f"The {k} numbers cut 1 to {n} into {k + 1} gaps, on average equally long.", k + 1),
        (f"The largest is therefore on average {k} * ({n} + 1) / ({k} + 1) = {k * (n + 1)}/{k + 1}.",
         f"{k * (n + 1)}/{k + 1}"),
        *_last(k * (n + 1), k + 1),
    ])  # fmt: skip


LARGEST = Family(
    "expected_largest", "probability", _largest, lambda p: added(Fraction(p["k"] * (p["n"] + 1), p["k"] + 1)),
    _largest_brute,
    ("From the integers 1 to {n}, a set of {k} different numbers is chosen at random. The expected value of the largest of "
     "them " + _LOWEST,
     "A lottery draws {k} different numbers from 1 to {n}. The expected value of the largest number drawn " + _LOWEST,
     "On a street with houses 1 to {n}, a letter carrier visits {k} different houses chosen at random. The expected value "
     "of the highest house number visited " + _LOWEST),
    _largest_steps, lambda p: comb(p["n"], p["k"]),
)  # fmt: skip


# Taking turns.


def _turns(draw: Draw, level: int) -> Params | None:
    high = (12, 16, 20)[level - 1]
    b, d = draw("b").randint(2, high), draw("d").randint(2, high)
    return {"a": draw("a").randint(1, b - 1), "b": b, "c": draw("c").randint(1, d - 1), "d": d}


def _turns_value(p: Params) -> Fraction:
    first, second = Fraction(p["a"], p["b"]), Fraction(p["c"], p["d"])
    return first / (1 - (1 - first) * (1 - second))


@cache
def _series(first: Fraction, second: Fraction) -> Fraction:
    """The sum over rounds, in floating point, as the simplest fraction near it."""
    total, chance = 0.0, float(first)
    both = float((1 - first) * (1 - second))
    while chance > 1e-18:
        total, chance = total + chance, chance * both
    return Fraction(total).limit_denominator(2000)


def _turns_steps(p: Params) -> list[Step]:
    a, b, c, d = (p[name] for name in "abcd")
    miss, every = (b - a) * (d - c), b * d
    return numbered([
        (f"Both miss with probability {b - a}/{b} * {d - c}/{d} = {miss}/{every}.", f"{miss}/{every}"),
        (f"The probability P satisfies P = {a}/{b} + {miss}/{every} * P.", f"{a}/{b}"),
        (f"So P = {a}/{b} * {every}/({every} - {miss}) = {a * d}/{every - miss}.", f"{a * d}/{every - miss}"),
        *_last(a * d, every - miss),
    ])  # fmt: skip


TURNS = Family(
    "taking_turns", "probability", _turns, lambda p: added(_turns_value(p)),
    lambda p: added(_series(Fraction(p["a"], p["b"]), Fraction(p["c"], p["d"]))),
    ("Ann and Bob take turns to shoot at a target, Ann first, until one of them hits. Ann hits with probability {a}/{b} "
     "in each of her turns, Bob with probability {c}/{d} in each of his. The probability that Ann hits first " + _LOWEST,
     "Two players throw alternately at a hoop. The one who begins scores with probability {a}/{b} per throw, the other "
     "with probability {c}/{d}. Whoever scores first wins. The probability that the player who begins wins " + _LOWEST,
     "A and B play in turns, A first. A's turn ends the game with probability {a}/{b}, B's turn with probability "
     "{c}/{d}; all turns are independent. The probability that the game ends in a turn of A " + _LOWEST),
    _turns_steps, lambda p: p["b"] * p["d"],
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (DICE, URN, RUIN, WAITING, LARGEST, TURNS)
