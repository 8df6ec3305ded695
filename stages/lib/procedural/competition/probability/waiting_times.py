"""How long it takes on average: until a card of a kind comes, until a collection is large enough."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import comb

from stages.lib.procedural.competition.family import Draw, Family, Line, Params, end_with, format_ratio
from stages.lib.procedural.competition.fractions import (
    LOWEST_TERMS_PHRASE,
    add_fraction_parts,
    write_closing_lines,
    write_sum_line,
)

_ORDINALS = ("first", "second", "third", "fourth")


def _compute_expected_place(p: Params) -> Fraction:
    return Fraction(p["f"] * (p["n"] + 1), p["g"] + 1)


class ExpectedWait(Family):
    """The place of the f-th card of a kind. Closed form: equal gaps. Brute force: every place."""

    name, area = "expected_wait", "probability"
    phrasings = end_with(
        LOWEST_TERMS_PHRASE,
        "A shuffled deck of {n} cards has {g} jokers in it. Cards are turned over one by one until the {nth} joker "
        "appears. The expected number of cards turned over",
        "Of the {n} light bulbs in a box {g} are broken. They are tested one after another in random order until the "
        "{nth} broken bulb has been found. The expected number of tests",
        "The numbers 1 to {n} are written in a row in random order, and the numbers 1 to {g} among them are painted "
        "red. The place of the {nth} red number, counted from the left end of the row, has an expected value that",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        n = draw("n").randint(*((8, 60), (20, 200), (60, 600))[level - 1])
        p = {"n": n, "g": draw("g").randint(2, min(n - 1, 3 + 5 * level)), "f": draw("f").randint(1, 1 + level)}
        return p if p["f"] <= p["g"] and p["f"] * (n + 1) % (p["g"] + 1) else None

    def sample_easiest(self, draw: Draw) -> Params | None:
        p = {"n": draw("n").randint(5, 20), "g": draw("g").randint(2, 4), "f": 1}
        return p if (p["n"] + 1) % (p["g"] + 1) else None

    def solve_closed(self, p: Params) -> int:
        return add_fraction_parts(_compute_expected_place(p))

    def solve_brute(self, p: Params) -> int:
        """The place is k with probability C(k - 1, f - 1) C(n - k, g - f) / C(n, g)."""
        n, g, f = p["n"], p["g"], p["f"]
        places = sum(k * comb(k - 1, f - 1) * comb(n - k, g - f) for k in range(f, n - g + f + 1))
        return add_fraction_parts(Fraction(places, comb(n, g)))

    def write_lines(self, p: Params) -> Iterable[Line]:
        n, g, f = p["n"], p["g"], p["f"]
        yield f"The {g} that are waited for cut the row of the other {n - g} into {g + 1} gaps.", g + 1
        yield (
            f"By symmetry the gaps are equally long on average, {format_ratio(n - g, g + 1)}.",
            Fraction(n - g, g + 1),
        )
        yield (
            f"Each gap with the one that ends it has {Fraction(n - g, g + 1)} + 1 = {Fraction(n + 1, g + 1)} on "
            "average."
        )
        yield f"Up to number {f} of them that makes {f} * {Fraction(n + 1, g + 1)} = {Fraction(f * (n + 1), g + 1)}."
        yield from write_closing_lines(f * (n + 1), g + 1)

    def count_work(self, p: Params) -> int:
        return p["n"]

    def format_fields(self, p: Params) -> dict[str, str]:
        return {"n": str(p["n"]), "g": str(p["g"]), "nth": _ORDINALS[p["f"] - 1]}

    def parse_fields(self, fields: dict[str, str]) -> Params:
        return {"n": int(fields["n"]), "g": int(fields["g"]), "f": _ORDINALS.index(fields["nth"]) + 1}


def _compute_expected_boxes(p: Params) -> Fraction:
    return sum((Fraction(p["kinds"], p["kinds"] - i) for i in range(p["have"], p["want"])), Fraction(0))


class Collecting(Family):
    """Collecting coupons. Closed form: the wait for each new one. Brute force: maxima by minima."""

    name, area = "collecting", "probability"
    phrasings = end_with(
        LOWEST_TERMS_PHRASE,
        "Each box of cereal contains one of {kinds} different toys, all equally likely. Mia has {have} different toys "
        "so far. The expected number of boxes that she must still buy until she has {want} different toys",
        "A fair die has {kinds} faces. So far {have} different faces have come up. The expected number of further "
        "rolls until {want} different faces have come up in all",
        "Stickers come in {kinds} designs, and every pack holds one sticker with a uniformly random design. Leo owns "
        "{have} different designs and opens packs until he owns {want}. The expected number of packs that he opens",
    )

    def sample(self, draw: Draw, level: int) -> Params | None:
        kinds = draw("kinds").randint(*((6, 80), (6, 80), (6, 60))[level - 1])
        have = draw("have").randint(2, kinds - level - 1)
        params = {"kinds": kinds, "have": have, "want": have + level + 1}
        return params if _compute_expected_boxes(params).denominator > 1 else None

    def solve_closed(self, p: Params) -> int:
        return add_fraction_parts(_compute_expected_boxes(p))

    def solve_brute(self, p: Params) -> int:
        """The identity of maxima and minima: sets of j missing kinds wait kinds/j for the first of them."""
        missing, without = p["kinds"] - p["have"], p["kinds"] - p["want"]
        waits = (
            Fraction((-1) ** (j - without - 1) * comb(j - 1, without) * comb(missing, j) * p["kinds"], j)
            for j in range(without + 1, missing + 1)
        )
        return add_fraction_parts(sum(waits, Fraction(0)))

    def write_lines(self, p: Params) -> Iterable[Line]:
        kinds, total = p["kinds"], _compute_expected_boxes(p)
        for i in range(p["have"], p["want"]):
            wait = Fraction(kinds, kinds - i)
            yield (
                f"After {i} different ones the next is new with probability {kinds - i}/{kinds}, so the wait is "
                f"{format_ratio(kinds, kinds - i)}.",
                str(wait),
            )
        waits = " + ".join(str(Fraction(kinds, kinds - i)) for i in range(p["have"], p["want"]))
        yield f"Together {waits} = {total}."
        yield write_sum_line(total)

    def count_work(self, p: Params) -> int:
        return p["kinds"] * (p["want"] - p["have"])
