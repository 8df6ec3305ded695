"""Where options stand: which may move, and where a new one and the key go.

Published keys are uneven, and a new option that left the others where they are would hand that on. So the key's place is
drawn anew, every place as likely, and the ring of options is turned until the key stands there: each keeps its
neighbours, so that rising numbers rise on (around the ring) and no option is marked by having moved alone. The draw has
a key of its own; from seed, id and attempt `check` finds the same place again.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from stages.lib.core import seeds
from stages.lib.core.records import Problem
from stages.lib.grading import numerals
from stages.problems.ood.mpa.principles import (
    LETTERS,
    VERSION,
    Draft,
    NotApplicable,
    refers_by_count,
    refers_by_letter,
    refers_to_above,
)

NEW_OPTION_FIELD = "newchoice place"  # the field whose draw is the key's place


def make_rng(seed: int, problem: Problem, field: str, attempt: int) -> Random:
    """The generator of one draw for one problem."""
    return seeds.rng(seed, "ood", VERSION, problem.id, f"mpa {field}", attempt)


def list_movable(choices: Sequence[str]) -> list[int]:
    """The places of the options that speak of no other; they stand before those that do. Raises NotApplicable."""
    if any(map(refers_by_letter, choices)):
        raise NotApplicable("the options name each other by letter")
    free = [i for i, choice in enumerate(choices) if not refers_to_above(choice)]
    if free != list(range(len(free))):
        raise NotApplicable("an option speaks of those above it and does not stand last")
    return free


def check_applicable(principles: Sequence[str], original: Problem) -> None:
    """Raises NotApplicable where these options take no new one, or no other order, whoever writes it; before it is asked for."""
    if not {"newchoice", "permute"} & set(principles):
        return
    free = list_movable(original.choices)
    if "newchoice" in principles and LETTERS.index(original.answer) not in free:
        raise NotApplicable("the key speaks of all options, so another one would change it")
    if "newchoice" in principles and any(map(refers_by_count, original.choices)):
        raise NotApplicable("an option counts the others, so another one would change it")


def insert_option(original: Problem, made: Draft, new: str, draw: Random) -> Draft:
    """The draft, whose options are in their old order, with a new one and with the key at a place drawn anew. Raises
    NotApplicable where the key speaks of the other options or they of each other."""
    free, key = list_movable(original.choices), LETTERS.index(made.answer)
    if key not in free:
        raise NotApplicable("the key speaks of all options, so another one would change it")
    place, gap = draw.randrange(len(free) + 1), draw.randrange(len(free))
    gap = _find_insertion_point([made.choices[i] for i in free], new, gap)
    ring = [*free[: gap + 1], None, *free[gap + 1 :]]
    turn = ring.index(key) - place
    order = [ring[(i + turn) % len(ring)] for i in range(len(ring))] + list(range(len(free), len(made.choices)))
    return made._replace(
        choices=tuple(new if i is None else made.choices[i] for i in order),
        origin=tuple(None if i is None else made.origin[i] for i in order),
        answer=LETTERS[order.index(key)],
    )


def _find_insertion_point(choices: Sequence[str], new: str, gap: int) -> int:
    """The option after which a number comes in a row of rising or falling ones; elsewhere any (`gap`)."""
    read = [numerals.parse(choice.strip()) for choice in (*choices, new)]
    if not all(read):
        return gap
    *values, own = [numeral.value for numeral in read]
    if values == sorted(values):
        return (sum(value < own for value in values) - 1) % len(values)
    if values == sorted(values, reverse=True):
        return (sum(value > own for value in values) - 1) % len(values)
    return gap


def recompute_order(original: Problem, made: Draft, principles: Sequence[str], seed: int, attempt: int) -> Draft:
    """A finished draft's options put again where its draws put them, from their texts and origins alone."""
    texts = dict(zip(made.origin, made.choices, strict=True))
    old = [index for index in sorted(texts, key=lambda index: (index is None, index)) if index is not None]
    again = made._replace(choices=tuple(texts[i] for i in old), origin=tuple(old), answer=original.answer)
    if None in texts:
        again = insert_option(original, again, texts[None], make_rng(seed, original, NEW_OPTION_FIELD, attempt))
    if "permute" in principles:
        again = permute_options(again, make_rng(seed, original, "permute", attempt))
    return again


def is_ring_order_kept(original: Problem, made: Draft) -> bool:
    """Whether the old options stand around the ring as they stood, and those that speak of others still last."""
    free = len(list_movable(original.choices))
    kept = [index for index in made.origin if index is not None]
    ring, rest = kept[:free], kept[free:]
    start = ring.index(0) if 0 in ring else 0
    around = ring[start:] + ring[:start] == list(range(free))
    return around and list(made.origin[len(made.origin) - len(rest) :]) == sorted(rest)


def permute_options(made: Draft, draw: Random) -> Draft:
    """A new place for the key, uniform over the places, then an order of the rest that is not the old one.

    Raises NotApplicable where options name each other by letter, or where every order reads like the old one.
    """
    free = list_movable(made.choices)
    key = LETTERS.index(made.answer)
    texts = [made.choices[i] for i in free]
    if len(dict.fromkeys(texts)) < 2:
        raise NotApplicable("every order of these options reads the same")
    for place in draw.sample(free, len(free)) if key in free else [key]:
        rest = [i for i in free if i != key]
        for _ in range(20):
            order = draw.sample(rest, len(rest))
            if key in free:
                order.insert(free.index(place), key)
            if [made.choices[i] for i in order] != texts and order != free:
                full = list(range(len(made.choices)))
                for slot, i in zip(free, order, strict=True):
                    full[slot] = i
                return made._replace(
                    choices=tuple(made.choices[i] for i in full),
                    origin=tuple(made.origin[i] for i in full),
                    answer=LETTERS[full.index(key)],
                )
    raise NotApplicable("every order of these options reads the same")
