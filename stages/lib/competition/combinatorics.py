"""Combinatorics: paths, exclusion, colourings up to symmetry, tilings, words, bounded sums, committees."""

from __future__ import annotations

from itertools import combinations, product
from math import comb, gcd, lcm

from stages.lib.competition.family import Draw, Family, Params, numbered
from stages.lib.records import Step

# Lattice paths round a closed point.


def _paths(draw: Draw, level: int) -> Params | None:
    low, high = ((3, 7), (4, 8), (5, 10))[level - 1]
    a, b = draw("a").randint(low, high), draw("b").randint(low, high)
    return {"a": a, "b": b, "c": draw("c").randint(1, a - 1), "d": draw("d").randint(1, b - 1)}


def _paths_parts(p: Params) -> tuple[int, int, int]:
    a, b, c, d = (p[name] for name in "abcd")
    return comb(a + b, a), comb(c + d, c), comb(a - c + b - d, a - c)


def _paths_brute(p: Params) -> int:
    ways = {(0, 0): 1}
    for x in range(p["a"] + 1):
        for y in range(p["b"] + 1):
            if (x, y) == (p["c"], p["d"]):
                ways[x, y] = 0
            elif x or y:
                ways[x, y] = ways.get((x - 1, y), 0) + ways.get((x, y - 1), 0)
    return ways[p["a"], p["b"]]


def _paths_steps(p: Params) -> list[Step]:
    a, b, c, d = (p[name] for name in "abcd")
    every, to, on = _paths_parts(p)
    return numbered([
        (f"Without the closed point there are C({a + b}, {a}) = {every} paths.", every),
        (f"To ({c}, {d}) there are C({c + d}, {c}) = {to} paths.", to),
        (f"From there on there are C({a + b - c - d}, {a - c}) = {on} paths.", on),
        (f"Through the closed point go {to} * {on} = {to * on} paths.", to * on),
        (f"So {every} - {to * on} = {every - to * on} paths avoid it.", every - to * on),
    ])  # fmt: skip


PATHS = Family(
    "paths_round_a_point", "combinatorics", _paths, lambda p: _paths_parts(p)[0] - _paths_parts(p)[1] * _paths_parts(p)[2],
    _paths_brute,
    ("A path from (0, 0) to ({a}, {b}) takes steps of length 1, each to the right or up. "
     "How many such paths do not pass through ({c}, {d})?",
     "An ant walks on grid lines from (0, 0) to ({a}, {b}), every step one unit right or one unit up. The point "
     "({c}, {d}) is closed. Find the number of ways the ant can walk.",
     "Find the number of sequences of unit steps right and up that lead from (0, 0) to ({a}, {b}) without visiting "
     "({c}, {d})."),
    _paths_steps, lambda p: comb(p["a"] + p["b"], p["a"]),
)  # fmt: skip


# Divisible by none.


def _none(draw: Draw, level: int) -> Params | None:
    names = "pqr"[: 2 if level < 3 else 3]
    values = sorted(draw(name).randint(2 + 2 * (level == 2), 9 + 6 * (level == 2)) for name in names)
    if any(b % a == 0 for i, b in enumerate(values) for a in values[:i]):
        return None
    return {"n": draw("n").randint(*((60, 900), (200, 1300), (150, 1500))[level - 1])} | dict(
        zip(names, values, strict=True)
    )


def _none_terms(p: Params) -> list[tuple[int, int, int]]:
    """(how many divisors, their least common multiple, multiples up to n) of every choice of divisors."""
    values = [p[name] for name in "pqr" if name in p]
    return [
        (size, lcm(*some), p["n"] // lcm(*some))
        for size in range(1, len(values) + 1)
        for some in combinations(values, size)
    ]


def _none_closed(p: Params) -> int:
    return p["n"] + sum((-1) ** size * count for size, _, count in _none_terms(p))


def _none_brute(p: Params) -> int:
    values = [p[name] for name in "pqr" if name in p]
    return sum(all(n % v for v in values) for n in range(1, p["n"] + 1))


def _none_steps(p: Params) -> list[Step]:
    lines, left = [], p["n"]
    for size, multiple, count in _none_terms(p):
        after = left + (-1) ** size * count
        word = "take away" if size % 2 else "put back"
        sign = "-" if size % 2 else "+"
        lines.append(
            (f"There are {count} multiples of {multiple}; {word} {count}: {left} {sign} {count} = {after}.", after)
        )
        left = after
    return numbered(lines)


def _none_words(p: Params) -> dict[str, str]:
    values = [str(p[name]) for name in "pqr" if name in p]
    return {"n": str(p["n"]), "none": ", ".join(values[:-1]) + " nor by " + values[-1]}


def _none_read(fields: dict[str, str]) -> Params:
    values = fields["none"].replace(" nor by ", ", ").split(", ")
    return {"n": int(fields["n"])} | {name: int(value) for name, value in zip("pqr", values, strict=False)}


NONE = Family(
    "divisible_by_none", "combinatorics", _none, _none_closed, _none_brute,
    ("How many positive integers not exceeding {n} are divisible neither by {none}?",
     "Find the number of integers from 1 to {n} that can be divided without remainder neither by {none}.",
     "Lamps numbered 1 to {n} are on, and all lamps whose number is divisible by a forbidden number go out. "
     "Those stay on whose number is divisible neither by {none}. How many are they?"),
    _none_steps, lambda p: p["n"], _none_words, _none_read,
)  # fmt: skip


# Necklaces.


def _beads(draw: Draw, level: int) -> Params | None:
    n = draw("n").randint(*((3, 3), (4, 5), (6, 8))[level - 1])
    k = draw("k").randint(*((8, 18), (5, 9), (2, 4))[level - 1])
    m = draw("m").randint(*((101, 600), (101, 900), (31, 900))[level - 1])
    return {"n": n, "k": k, "m": m} if k**n <= 6000 and _beads_total({"n": n, "k": k}) // n > m else None


def _beads_terms(p: Params) -> list[tuple[int, int]]:
    """(colourings that a rotation leaves alone, how many rotations do so), by the cycles of the rotation."""
    cycles = [gcd(p["n"], turn) for turn in range(1, p["n"] + 1)]
    return [(p["k"] ** c, cycles.count(c)) for c in sorted(set(cycles), reverse=True)]


def _beads_total(p: Params) -> int:
    return sum(fixed * rotations for fixed, rotations in _beads_terms(p))


def _beads_brute(p: Params) -> int:
    """Count the colourings that are the least of their rotations."""
    rows = product(range(p["k"]), repeat=p["n"])
    return sum(all(row <= row[turn:] + row[:turn] for turn in range(1, p["n"])) for row in rows) % p["m"]


def _beads_steps(p: Params) -> list[Step]:
    n, m, lines, total = p["n"], p["m"], [], 0
    for fixed, rotations in _beads_terms(p):
        total += fixed * rotations
        lines.append(
            (f"{rotations} rotations leave {fixed} colorings alone; with the ones before that makes {total}.", total)
        )
    lines.append((f"By Burnside there are {total} / {n} = {total // n} necklaces.", total // n))
    lines.append((f"Modulo {m} that is {total // n % m}.", total // n % m))
    return numbered(lines)


BEADS = Family(
    "necklaces", "combinatorics", _beads, lambda p: _beads_total(p) // p["n"] % p["m"], _beads_brute,
    ("Each of the {n} beads of a necklace gets one of {k} colors. Necklaces that a rotation takes into each other are the "
     "same; reflections are not allowed. Find the remainder when the number of different necklaces is divided by {m}.",
     "A round table has {n} seats, and on each seat lies a cushion of one of {k} colors. Arrangements that differ only by "
     "a rotation of the table count as one, and N is the number of arrangements. What is the remainder when N is divided "
     "by {m}?",
     "The {n} sectors of a spinning wheel are painted, each in one of {k} colors, and two paintings are equal if the wheel "
     "can be turned so that they coincide. Find the remainder of the number of paintings modulo {m}."),
    _beads_steps, lambda p: p["k"] ** p["n"],
)  # fmt: skip


# Coloured tilings.


def _tiles(draw: Draw, level: int) -> Params | None:
    low, high = ((3, 5), (4, 8), (6, 12))[level - 1]
    return {
        "n": draw("n").randint(low, high),
        "s": draw("s").randint(1, 10 - 2 * level),
        "d": draw("d").randint(1, 13 - 3 * level),
    }


def _tiles_chain(p: Params) -> list[int]:
    chain = [1, p["s"]]
    while len(chain) <= p["n"]:
        chain.append(p["s"] * chain[-1] + p["d"] * chain[-2])
    return chain


def _tiles_brute(p: Params) -> int:
    """Choose the places of the dominoes, then the colours."""
    n = p["n"]
    return sum(comb(n - pairs, pairs) * p["d"] ** pairs * p["s"] ** (n - 2 * pairs) for pairs in range(n // 2 + 1))


def _tiles_steps(p: Params) -> list[Step]:
    chain, s, d = _tiles_chain(p), p["s"], p["d"]
    lines: list[tuple[str, int | str]] = [(f"A row of 1 can be tiled in {s} ways, a row of 0 in 1 way.", s)]
    for n in range(2, p["n"] + 1):
        lines.append((f"Row of {n}: {s} * {chain[n - 1]} + {d} * {chain[n - 2]} = {chain[n]}.", chain[n]))
    return numbered(lines)


TILES = Family(
    "coloured_tilings", "combinatorics", _tiles, lambda p: _tiles_chain(p)[p["n"]], _tiles_brute,
    ("A row of {n} squares is tiled with single squares, available in {s} colors, and dominoes that cover two adjacent "
     "squares, available in {d} colors. How many different tilings are there?",
     "Steps 1 to {n} are climbed by single steps, of which there are {s} kinds, and double steps, of which there are {d} "
     "kinds. In how many ways can all {n} steps be climbed?",
     "A train {n} units long is built of cars of length 1, which come in {s} colors, and cars of length 2, which come in "
     "{d} colors. How many different trains can be built?"),
    _tiles_steps, lambda p: 2 ** p["n"],
)  # fmt: skip


# Words without two adjacent vowels.


def _wordy(draw: Draw, level: int) -> Params | None:
    low, high = ((3, 3), (3, 5), (4, 8))[level - 1]
    return {
        "n": draw("n").randint(low, high),
        "v": draw("v").randint(1, 16 - 3 * level),
        "c": draw("c").randint(1, 10 - 2 * level),
    }


def _wordy_chain(p: Params) -> list[tuple[int, int]]:
    """(words that end in a vowel, words that end in a consonant) of length 1, 2, ..."""
    chain = [(p["v"], p["c"])]
    while len(chain) < p["n"]:
        vowel, consonant = chain[-1]
        chain.append((p["v"] * consonant, p["c"] * (vowel + consonant)))
    return chain


def _wordy_brute(p: Params) -> int:
    letters = range(p["v"] + p["c"])  # the first v are the vowels
    if len(letters) ** p["n"] <= 4000:
        return sum(
            all(a >= p["v"] or b >= p["v"] for a, b in zip(word, word[1:], strict=False))
            for word in product(letters, repeat=p["n"])
        )
    patterns = product((0, 1), repeat=p["n"])  # where the vowels stand, then which they are
    return sum(
        p["v"] ** sum(places) * p["c"] ** (p["n"] - sum(places))
        for places in patterns
        if not any(a and b for a, b in zip(places, places[1:], strict=False))
    )


def _wordy_steps(p: Params) -> list[Step]:
    v, c, lines = p["v"], p["c"], []
    for n, (vowel, consonant) in enumerate(_wordy_chain(p), 1):
        if n == 1:
            lines.append((f"Length 1: {v} words end in a vowel and {c} in a consonant, {v + c} in all.", v + c))
        else:
            before = _wordy_chain(p)[n - 2]
            lines.append((f"Length {n}: {v} * {before[1]} = {vowel} end in a vowel, {c} * {sum(before)} = {consonant} in a "
                          f"consonant, {vowel + consonant} in all.", vowel + consonant))  # fmt: skip
    return numbered(lines)


WORDY = Family(
    "no_adjacent_vowels", "combinatorics", _wordy, lambda p: sum(_wordy_chain(p)[-1]), _wordy_brute,
    ("An alphabet has {v} vowels and {c} consonants. How many words of {n} letters have no two adjacent vowels?",
     "Find the number of {n}-letter strings over an alphabet of {v} vowels and {c} consonants in which no two vowels stand "
     "next to each other. Letters may be repeated.",
     "A code of {n} signs uses {v} kinds of bells and {c} kinds of drums, each as often as wanted. Two bells never follow "
     "one another directly. How many codes are there?"),
    _wordy_steps, lambda p: (p["v"] + p["c"]) ** p["n"],
)  # fmt: skip


# Sums with bounded parts.


def _parts(draw: Draw, level: int) -> Params | None:
    k = 3 if level < 3 else 4
    u = draw("u").randint(*((6, 24), (12, 34), (5, 16))[level - 1])
    return {"k": k, "u": u, "n": draw("n").randint(u + 1, k * u - 2)}


def _parts_terms(p: Params) -> list[tuple[int, int]]:
    n, k, u = p["n"], p["k"], p["u"]
    return [(i, comb(k, i) * comb(n - i * (u + 1) + k - 1, k - 1)) for i in range(k + 1) if n - i * (u + 1) >= 0]


def _parts_brute(p: Params) -> int:
    ways = [1] + [0] * p["n"]
    for _ in range(p["k"]):
        ways = [sum(ways[max(0, n - p["u"]) : n + 1]) for n in range(p["n"] + 1)]
    return ways[p["n"]]


def _parts_steps(p: Params) -> list[Step]:
    n, k, u, lines, left = p["n"], p["k"], p["u"], [], 0
    for i, count in _parts_terms(p):
        after = left + (-1) ** i * count
        if not i:
            lines.append((f"Without the upper bound there are C({n + k - 1}, {k - 1}) = {count} solutions.", count))
        else:
            some = "one variable" if i == 1 else f"{i} variables"
            lines.append(
                (f"Choosing {some} above {u}: C({k}, {i}) * C({n - i * (u + 1) + k - 1}, {k - 1}) = {count}.", count)
            )
            lines.append((f"{left} {'-' if i % 2 else '+'} {count} = {after}.", after))
        left = after
    return numbered(lines)


PARTS = Family(
    "bounded_sums", "combinatorics", _parts, lambda p: sum((-1) ** i * count for i, count in _parts_terms(p)), _parts_brute,
    ("In how many ways can {n} equal balls be put into {k} different boxes so that no box holds more than {u} balls?",
     "Find the number of ordered lists of {k} integers from 0 to {u} whose sum is {n}.",
     "A team of {k} players scores {n} points in all, and no player scores more than {u}. Points are nonnegative integers. "
     "In how many ways can the points be shared among the {k} players?"),
    _parts_steps, lambda p: (p["u"] + 1) ** p["k"],
)  # fmt: skip


# Committees.


def _committee(draw: Draw, level: int) -> Params | None:
    low, high = ((4, 9), (5, 10), (6, 11))[level - 1]
    k = draw("k").randint(2 + (level > 1), 3 + level)
    return {
        "a": draw("a").randint(low, high),
        "b": draw("b").randint(low, high),
        "k": k,
        "m": draw("m").randint(1, max(1, k - level)),
    }


def _committee_terms(p: Params) -> list[tuple[int, int]]:
    a, b, k = p["a"], p["b"], p["k"]
    return [(i, comb(b, i) * comb(a, k - i)) for i in range(p["m"], k + 1)]


def _committee_brute(p: Params) -> int:
    people = range(p["a"] + p["b"])  # the juniors first
    return sum(sum(one >= p["a"] for one in some) >= p["m"] for some in combinations(people, p["k"]))


def _committee_steps(p: Params) -> list[Step]:
    a, b, k, total = p["a"], p["b"], p["k"], 0
    lines = [(f"There are {a} + {b} = {a + b} people, and {p['m']} to {k} seniors can be in the committee.", a + b)]
    for i, count in _committee_terms(p):
        total += count
        lines.append((f"With {i} seniors: C({b}, {i}) * C({a}, {k - i}) = {comb(b, i)} * {comb(a, k - i)} = {count}, "
                      f"so far {total}.", total))  # fmt: skip
    return numbered(lines)


COMMITTEE = Family(
    "committees", "combinatorics", _committee, lambda p: sum(count for _, count in _committee_terms(p)), _committee_brute,
    ("A committee of {k} is chosen from {a} juniors and {b} seniors. How many committees have at least {m} seniors?",
     "From {a} juniors and {b} seniors, a team of {k} is to be formed with at least {m} seniors in it. "
     "In how many ways can this be done?",
     "A club has {a} juniors and {b} seniors. Find the number of sets of {k} members that contain {m} or more seniors."),
    _committee_steps, lambda p: comb(p["a"] + p["b"], p["k"]),
)  # fmt: skip

FAMILIES: tuple[Family, ...] = (PATHS, NONE, BEADS, TILES, WORDY, PARTS, COMMITTEE)
