"""Words and tilings: what may follow what, and rows built of coloured pieces."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product
from math import factorial, prod

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, join_list


def _count_by_last_letter(p: Params) -> list[list[int]]:
    """Words of length 1, 2, ... by their last letter."""
    letters = "ABCD"[: p["letters"]]
    rows = [[int(letter != p["first"]) for letter in letters]]
    while len(rows) < p["length"]:
        before = dict(zip(letters, rows[-1], strict=True))
        rows.append([sum(n for a, n in before.items() if a + b not in p["forbidden"]) for b in letters])
    return rows


class Codes(Family):
    """Words without forbidden pairs. Closed form: recursion by the last letter. Brute force: every word."""

    name, area = "codes", "combinatorics"
    phrasings = (
        "How many words of {length} letters, chosen from {letters} with repetition allowed, follow all these rules: "
        "{rules}?",
        "A lock is opened by a sequence of {length} letters. The letters are chosen from {letters} and may be "
        "repeated. It is known that {rules}. How many sequences are possible?",
        "Find the number of strings of length {length} over the letters {letters} in which {rules}. A string need not "
        "use every letter.",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        letters = "ABC" if level < 3 else "ABCD"
        low, high = ((4, 6), (6, 7), (6, 6))[level - 1]
        pairs = [a + b for a in letters for b in letters]
        few, many = ((1, 3), (2, 4), (3, 7))[level - 1]
        forbidden = sorted(draw("forbidden").sample(pairs, draw("rules").randint(few, many)))
        first = draw("first").choice(["", *letters])
        params = {
            "letters": len(letters),
            "length": draw("length").randint(low, high),
            "forbidden": forbidden,
            "first": first,
        }
        rows = _count_by_last_letter(params)
        return params if all(min(row) > 0 for row in rows[1:]) and sum(rows[-1]) > 20 * level else None

    def solve_closed(self, p: Params) -> int:
        return sum(_count_by_last_letter(p)[-1])

    def solve_brute(self, p: Params) -> int:
        words = map("".join, product("ABCD"[: p["letters"]], repeat=p["length"]))
        return sum(
            not any(pair in word for pair in p["forbidden"]) and (not p["first"] or word[0] != p["first"])
            for word in words
        )

    def write_lines(self, p: Params) -> Iterable[Line]:
        letters = "ABCD"[: p["letters"]]
        for length, row in enumerate(_count_by_last_letter(p), 1):
            ends = join_list([f"{n} in {letter}" for n, letter in zip(row, letters, strict=True)])
            total = f"{' + '.join(map(str, row))} = {sum(row)}"
            yield f"Of length {length}, {ends.replace(' in ', ' end in ', 1)}: {total}.", sum(row)

    def count_work(self, p: Params) -> int:
        return p["letters"] ** p["length"]

    def format_fields(self, p: Params) -> dict[str, str]:
        rules = [f"{b} never comes right after {a}" for a, b in p["forbidden"]]
        if p["first"]:
            rules.append(f"{p['first']} is not the first letter")
        return {
            "length": str(p["length"]),
            "letters": join_list(list("ABCD"[: p["letters"]])),
            "rules": join_list(rules, ", and "),
        }

    def parse_fields(self, fields: dict[str, str]) -> Params:
        pairs = re.findall(r"([A-D]) never comes right after ([A-D])", fields["rules"])
        first = re.search(r"([A-D]) is not the first letter", fields["rules"])
        return {
            "letters": len(re.findall("[A-D]", fields["letters"])),
            "length": int(fields["length"]),
            "forbidden": [a + b for b, a in pairs],
            "first": first[1] if first else "",
        }


def _count_tilings(p: Params) -> list[int]:
    """Tilings of rows of length 0, 1, ..., n."""
    rows = [1]
    for n in range(1, p["n"] + 1):
        rows.append(sum(c * rows[n - k] for k, c in zip(p["lengths"], p["colors"], strict=True) if k <= n))
    return rows


class Tilings(Family):
    """Colored tilings. Closed form: recursion by the last tile. Brute force: multinomials over counts of tiles."""

    name, area = "tilings", "combinatorics"
    phrasings = (
        "A strip of length {n} is filled from left to right, without gaps, by {pieces}. Any number of pieces of each "
        "sort may be used, and the order matters. In how many ways can the strip be filled?",
        "A grasshopper sits at 0 on the number line and wants to be at {n}. It can make {moves}, all of them to the "
        "right. Find the number of different sequences of jumps that end exactly at {n}.",
        "A child builds a tower of height {n} by stacking {pieces}, with as many pieces of each sort as are needed. "
        "Towers are different if their pieces differ in order, length or color. How many towers can the child build?",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        count = 3 if level == 3 else 2
        lengths = sorted(draw("lengths").sample(range(1, 5 + level), count))
        top = (9, 7, 6)[level - 1]
        colors = [draw(f"colors {length}").randint(1, top) for length in lengths]
        low, high = ((5, 8), (8, 12), (10, 15))[level - 1]
        params = {"n": draw("n").randint(low, high), "lengths": lengths, "colors": colors}
        return params if self.solve_closed(params) > 40 * level and sum(colors) > count else None

    def solve_closed(self, p: Params) -> int:
        return _count_tilings(p)[-1]

    def solve_brute(self, p: Params) -> int:
        total = 0
        for counts in product(*(range(p["n"] // k + 1) for k in p["lengths"])):
            if sum(k * count for k, count in zip(p["lengths"], counts, strict=True)) == p["n"]:
                orders = factorial(sum(counts)) // prod(map(factorial, counts))
                total += orders * prod(c**count for c, count in zip(p["colors"], counts, strict=True))
        return total

    def write_lines(self, p: Params) -> Iterable[Line]:
        rows = _count_tilings(p)
        for n in range(1, p["n"] + 1):
            terms = [f"{c} * {rows[n - k]}" for k, c in zip(p["lengths"], p["colors"], strict=True) if k <= n]
            if terms:
                yield f"Length {n}, by the last piece: {' + '.join(terms)} = {rows[n]}."
            else:
                yield f"Length {n}: no piece fits, so 0.", 0

    def count_work(self, p: Params) -> int:
        return sum(p["colors"]) ** (p["n"] // p["lengths"][0])

    def format_fields(self, p: Params) -> dict[str, str]:
        pairs = list(zip(p["lengths"], p["colors"], strict=True))
        return {
            "n": str(p["n"]),
            "pieces": join_list([f"pieces of length {k} in {c} color{'s' * (c > 1)}" for k, c in pairs]),
            "moves": join_list([f"{c} kind{'s' * (c > 1)} of jump of length {k}" for k, c in pairs]),
        }

    def parse_fields(self, fields: dict[str, str]) -> Params:
        if "moves" in fields:
            pairs = [(k, c) for c, k in re.findall(r"(\d+) kinds? of jump of length (\d+)", fields["moves"])]
        else:
            pairs = re.findall(r"length (\d+) in (\d+) color", fields["pieces"])
        return {"n": int(fields["n"]), "lengths": [int(k) for k, _ in pairs], "colors": [int(c) for _, c in pairs]}
