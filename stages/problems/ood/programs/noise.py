"""Typographical noise: letters swapped or doubled, as fast typists do; never in what carries the meaning.

Numbers, number words, units, denials, names and mathematics are protected, the first and last letters of a word stay (a
reader then hardly stumbles, Rawlinson 1976), and no typo may make another word of the same text or a common English one.
No letter is dropped: that makes other words too often (friend, fiend; country, county) to list them all.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from stages.lib.procedural.gradeschool import wording
from stages.problems.ood.programs.base import Change, NotApplicable, State

_COUNTED_NOUN = re.compile(r"(?:\b\d+|\b(?:many|number of|more|fewer)) ([a-z]+)", re.I)
Edit = Sequence[Any]  # [position in the text, "swap" | "double"]
TYPO_RATE = 0.15  # of the words that may carry a typo; at least two where there are two

_PROTECTED = frozenset(
    re.findall(
        r"\w+",
        """
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion
    first second third fourth fifth sixth seventh eighth ninth tenth half halves thirds quarter quarters
    fourths fifths twice thrice double triple quadruple dozen dozens pair pairs couple percent percentage not
    never none nothing neither except without cannot unless second seconds minute minutes hour hours week weeks month months
    year years century inch inches foot feet yard yards mile miles meter meters metre metres kilometer
    kilometers centimeter centimeters gram grams kilogram kilograms pound pounds ounce ounces gallon gallons
    liter liters litre litres cents dollar dollars penny pennies nickel nickels dime dimes euros degrees
    square cubic
    """,
    )
)
_REAL_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
    form from diary dairy trail trial quiet quite being begin there three their thee where were when then than
    thank later latter dinner diner hoping hopping loose lose bred bread bead beads beds price pride pries
    prices match march stole stole tried tired untied united scared sacred casual causal angel angle salve
    slave bars bras bard brad grid gird slat salt calm clam silt slit tarp trap crab carb lair liar part prat carp
    crap blot bolt clod cold parts party prats pasta stakes steaks trips strips boards broads crates carets certain
    curtain plants pants clothes cloths shorts shots chairs hairs sports spots shares hares breads places
    meet choose comma good been seen spring brake bore angles deign sing singe diver causes clauses unites
    caste cost coast filed field files flies lived devil evil vile live silver sliver split spilt goal gaol weird wired
    warp wrap marital martial lion loin coal cola tool toll step steep stop stoop stoops shot shoot supper dessert filled
    tilled pinned scarred starred starring holly commas mopped stripped gripped tapping planned planning fussed written
    """,
    )
)
_WORD = re.compile(r"(?<![\w\\$^{'’-])[a-z]{4,}(?![\w'’}-])")


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """The text with its edits made; positions are those of the text before."""
    for at, kind in sorted(edits, reverse=True):
        if kind == "swap":
            text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        else:
            text = text[: at + 1] + text[at] + text[at + 1 :]
    return text


def draw_edits(text: str, rng: random.Random, split: str, keep: Set[str] = frozenset()) -> list[list[Any]]:
    """Typos of the split's own for a text, leaving the words of `keep` alone. Raises Unfit where fewer than two words can
    take one."""
    present = {word.lower() for word in re.findall(r"[A-Za-z]+", text)}
    math = [match.span() for match in re.finditer(r"\$[^$]*\$|\\\(.*?\\\)|\\\[.*?\\\]|\[asy\].*?\[/asy\]", text, re.S)]
    words = [
        match
        for match in _WORD.finditer(text)
        if match[0] not in _PROTECTED | keep and not any(a <= match.start() < b for a, b in math)
    ]
    rng.shuffle(words)
    wanted, made = max(2, round(TYPO_RATE * len(words))), []
    for match in words:
        able = [[at, kind] for at in range(1, len(match[0]) - 2) for kind in ("swap", "double")]
        for at, kind in rng.sample(able, len(able)):
            word = apply_edits(match[0], [[at, kind]])
            if word != match[0] and word not in present | _REAL_WORDS | _PROTECTED and wording.is_owned_by(split, word):
                made.append([match.start() + at, kind])
                break
        if len(made) == wanted:
            return sorted(made)
    raise NotApplicable(f"only {len(made)} words of the question can take a typo")


def make_change(
    question: Callable[[State], str], keep: Callable[[State], Set[str]] = lambda state: frozenset()
) -> Change:
    """Noise on what `question(state)` says, but for the words of `keep(state)`. Names are protected by their capital,
    things by standing where something is counted."""

    def draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
        text = question(state)
        counted = {*_COUNTED_NOUN.findall(text), *re.findall(r"\bthe ([a-z]+) of\b", text, re.I)}
        return {"edits": draw_edits(text, rng, knobs["split"], counted | keep(state))}

    def apply(state: State, parameters: Mapping[str, Any]) -> State:
        return {**state, "edits": [list(edit) for edit in parameters["edits"]]}

    return Change(draw, apply)
