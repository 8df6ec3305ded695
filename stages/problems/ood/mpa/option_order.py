"""The order of options: which may move, and the positions of a new option and of the key.

Published keys are unevenly distributed, and a new option that left the others in place would inherit that. So the position
of the key is drawn again, uniformly, and the options are rotated until the key is there. Each keeps its neighbours, so
rising numbers keep rising (cyclically) and no option is marked by being the only one that moved. The draw depends on seed,
id and attempt alone, so `check` can recompute it.
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

NEW_OPTION_FIELD = "newchoice place"  # the field of the draw of the key's position


def make_rng(seed: int, problem: Problem, field: str, attempt: int) -> Random:
    """The generator of one draw for one problem."""
    return seeds.rng(seed, "ood", VERSION, problem.id, f"mpa {field}", attempt)


def list_movable(choices: Sequence[str]) -> list[int]:
    """The indices of the options that mention no other option; they come first. Raises NotApplicable."""
    if any(map(refers_by_letter, choices)):
        raise NotApplicable("the options name each other by letter")
    free = [i for i, choice in enumerate(choices) if not refers_to_above(choice)]
    if free != list(range(len(free))):
        raise NotApplicable("an option speaks of those above it and does not stand last")
    return free


def check_applicable(principles: Sequence[str], original: Problem) -> None:
    """Raises NotApplicable where these options allow no new option or no other order, before a model is asked."""
    if not {"newchoice", "permute"} & set(principles):
        return
    free = list_movable(original.choices or ())
    if "newchoice" in principles and LETTERS.index(original.answer) not in free:
        raise NotApplicable("the key speaks of all options, so another one would change it")
    if "newchoice" in principles and any(map(refers_by_count, original.choices or ())):
        raise NotApplicable("an option counts the others, so another one would change it")


def insert_option(original: Problem, draft: Draft, new: str, rng: Random) -> Draft:
    """The draft with a new option, rotated to a new position of the key. Its options must be in their old order. Raises
    NotApplicable where the key mentions the other options, or they each other."""
    free, key = list_movable(original.choices or ()), LETTERS.index(draft.answer)
    if key not in free:
        raise NotApplicable("the key speaks of all options, so another one would change it")
    place, gap = rng.randrange(len(free) + 1), rng.randrange(len(free))
    gap = _find_insertion_point([draft.choices[i] for i in free], new, gap)
    ring = [*free[: gap + 1], None, *free[gap + 1 :]]
    shift = ring.index(key) - place
    order = [ring[(i + shift) % len(ring)] for i in range(len(ring))] + list(range(len(free), len(draft.choices)))
    return draft._replace(
        choices=tuple(new if i is None else draft.choices[i] for i in order),
        origin=tuple(None if i is None else draft.origin[i] for i in order),
        answer=LETTERS[order.index(key)],
    )


def _find_insertion_point(choices: Sequence[str], new: str, gap: int) -> int:
    """The option after which a new number keeps a rising or falling order; without such an order `gap`."""
    parsed = [numeral.value for choice in (*choices, new) if (numeral := numerals.parse(choice.strip()))]
    if len(parsed) <= len(choices):
        return gap
    *values, new_value = parsed
    if values == sorted(values):
        return (sum(value < new_value for value in values) - 1) % len(values)
    if values == sorted(values, reverse=True):
        return (sum(value > new_value for value in values) - 1) % len(values)
    return gap


def recompute_order(original: Problem, draft: Draft, principles: Sequence[str], seed: int, attempt: int) -> Draft:
    """The draft with its options in the order that the draws give, from their texts and origins alone."""
    texts = dict(zip(draft.origin, draft.choices, strict=True))
    old = [index for index in sorted(texts, key=lambda index: (index is None, index)) if index is not None]
    again = draft._replace(choices=tuple(texts[i] for i in old), origin=tuple(old), answer=original.answer)
    if None in texts:
        again = insert_option(original, again, texts[None], make_rng(seed, original, NEW_OPTION_FIELD, attempt))
    if "permute" in principles:
        again = permute_options(again, make_rng(seed, original, "permute", attempt))
    return again


def is_ring_order_kept(original: Problem, draft: Draft) -> bool:
    """Whether the old options are a rotation of their old order, and those that mention others are still last."""
    free = len(list_movable(original.choices or ()))
    old_indices = [index for index in draft.origin if index is not None]
    ring, rest = old_indices[:free], old_indices[free:]
    start = ring.index(0) if 0 in ring else 0
    is_rotation = ring[start:] + ring[:start] == list(range(free))
    return is_rotation and list(draft.origin[len(draft.origin) - len(rest) :]) == sorted(rest)


def permute_options(draft: Draft, rng: Random) -> Draft:
    """The draft with the key at a uniformly drawn position and the rest in an order that is not the old one.

    Raises NotApplicable where options name each other by letter, or where every order reads like the old one.
    """
    free = list_movable(draft.choices)
    key = LETTERS.index(draft.answer)
    texts = [draft.choices[i] for i in free]
    if len(dict.fromkeys(texts)) < 2:
        raise NotApplicable("every order of these options reads the same")
    for place in rng.sample(free, len(free)) if key in free else [key]:
        rest = [i for i in free if i != key]
        for _ in range(20):
            order = rng.sample(rest, len(rest))
            if key in free:
                order.insert(free.index(place), key)
            if [draft.choices[i] for i in order] != texts and order != free:
                full = list(range(len(draft.choices)))
                for slot, i in zip(free, order, strict=True):
                    full[slot] = i
                return draft._replace(
                    choices=tuple(draft.choices[i] for i in full),
                    origin=tuple(draft.origin[i] for i in full),
                    answer=LETTERS[full.index(key)],
                )
    raise NotApplicable("every order of these options reads the same")
