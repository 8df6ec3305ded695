"""Distractors for competition problems: a fact in their style that is not needed (NoOp, Mirzadeh et al. 2024, arXiv
2410.05229).

The fact is about a thing of the problem's story, with an unrelated quantity. It uses no symbol and no number of the
problem or of its solution. A problem without a story gets none.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from typing import Any

from stages.lib.operators.programs.base import NotApplicable
from stages.lib.procedural.gradeschool import wording

_SENTENCE_BOUNDARY = re.compile(r"(?<=[.?])\s+(?=[A-Z])")
_ANAPHORA = re.compile(r"(?:\S+ ){0,3}?(it|its|they|them|their|he|she|his|her|this|these|those|such)\b", re.I)
STORIES: tuple[tuple[str, str, range], ...] = (  # (cue, fact, what {n} may be)
    (r"band", "The band was founded {n} years ago.", range(5, 60)),
    (r"rolls into bags", "A roll weighs {n} grams.", range(31, 90)),
    (r"colony", "The colony is kept at a temperature of {n} degrees.", range(17, 39)),
    (r"tickets", "Each ticket is {n} millimeters long.", range(55, 160)),
    (r"rod of length", "The rod is {n} millimeters thick.", range(4, 30)),
    (r"coins worth|coins of", "Each of the coins was made {n} years ago.", range(3, 60)),
    (r"[Ss]tamps", "Each stamp is {n} millimeters wide.", range(17, 45)),
    (r"merchant", "The merchant has been in business for {n} years.", range(3, 50)),
    (r"robot", "The robot weighs {n} kilograms.", range(5, 80)),
    (r"taxi", "The taxi is {n} years old.", range(3, 15)),
    (r"grasshopper", "The grasshopper is {n} days old.", range(12, 90)),
    (r"\block\b", "The lock was made {n} years ago.", range(3, 90)),
    (r"tower", "The child is {n} years old.", range(3, 12)),
    (r"runners", "The stadium has {n} rows of seats.", range(21, 80)),
    (r"guests", "The hotel has been open for {n} years.", range(7, 90)),
    (r"friends", "The friends have known each other for {n} years.", range(3, 40)),
    (r"candies", "Each candy weighs {n} grams.", range(3, 25)),
    (r"players", "The team was founded {n} years ago.", range(5, 90)),
    (r"necklace", "Each bead weighs {n} milligrams.", range(120, 900)),
    (r"round table", "The table is {n} years old.", range(5, 90)),
    (r"spinning wheel", "The spinning wheel was built {n} years ago.", range(5, 90)),
    (r"display", "The machine weighs {n} kilograms.", range(3, 90)),
    (r"hiker", "The hiker is {n} years old.", range(21, 70)),
    (r"rectangular box", "The box weighs {n} grams when it is empty.", range(150, 900)),
    (r"triangular field", "The field has belonged to one family for {n} years.", range(12, 200)),
    (r"[Tt]wo wheels", "Each wheel has {n} spokes.", range(12, 40)),
    (r"fair die\b", "The die weighs {n} grams.", range(3, 40)),
    (r"fair dice", "The dice weigh {n} grams each.", range(3, 40)),
    (r"marbles", "Each marble weighs {n} grams.", range(3, 40)),
    (r"drawer", "The drawer is {n} centimeters wide.", range(31, 90)),
    (r"shirts", "The match is going to last {n} minutes.", range(31, 120)),
    (r"chips", "Each chip weighs {n} grams.", range(3, 40)),
    (r"frog", "The frog is {n} days old.", range(40, 400)),
    (r"deck", "The deck was printed {n} years ago.", range(3, 90)),
    (r"light bulbs", "Each bulb has a power of {n} watts.", range(15, 120)),
    (r"lottery", "The lottery has been held for {n} years.", range(3, 90)),
    (r"street", "The street is {n} feet wide.", range(21, 90)),
    (r"target", "The target is {n} meters away.", range(11, 90)),
    (r"hoop", "The hoop hangs {n} centimeters above the floor.", range(180, 360)),
)


def split_sentences(text: str) -> list[str]:
    """The sentences of a text; joined by spaces they are the text again."""
    return _SENTENCE_BOUNDARY.split(text)


def draw_distractor(text: str, taken: Collection[int], rng: random.Random, split: str) -> dict[str, Any]:
    """{"sentence", "before"}: a fact and the index of the sentence before which it is inserted. taken: numbers that it must
    not use. Its number is one that belongs to the split. Raises NotApplicable."""
    sentences = split_sentences(text)
    for cue, fact, sizes in STORIES:
        first = next((i for i, sentence in enumerate(sentences) if re.search(cue, sentence)), None)
        places = _find_positions(sentences, 1 if first is None else first + 1)
        free = [n for n in wording.select_owned(sizes, split) if n not in taken]
        if first is not None and places and free:
            return {"sentence": fact.format(n=rng.choice(free)), "before": rng.choice(places)}
    raise NotApplicable("the problem tells no story that a fact could belong to")


def _find_positions(sentences: Sequence[str], first: int) -> list[int]:
    """The sentences from `first` on that do not start with a pronoun, so that another one may be inserted before."""
    return [i for i in range(first, len(sentences)) if not _ANAPHORA.match(sentences[i])]
