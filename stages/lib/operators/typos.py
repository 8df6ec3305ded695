"""Operator `typos`: letters swapped or doubled, as fast typists do; the answer stays.

Words that carry the meaning are protected: number words, units, negations, names (by their capital), counted nouns and
mathematics. The first and last letters of a word stay, since such words are still easy to read (Rawlinson 1976), and no
typo may make another word of the same text or a common English one. No letter is dropped: that gives other words too
often (friend, fiend; country, county) to list them all. A dose is the share of the words that may carry a typo.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Set
from typing import Any

from stages.lib.operators.programs import code_statement
from stages.lib.operators.programs.base import (
    Change,
    Knobs,
    NotApplicable,
    Operator,
    State,
    apply_edits,
    count_share,
    word_set,
)
from stages.lib.operators.programs.kinds import PROGRAM_KINDS
from stages.lib.procedural.gradeschool import wording

_COUNTED_NOUN = re.compile(r"(?:\b\d+|\b(?:many|number of|more|fewer)) ([a-z]+)", re.I)
_MATH = re.compile(r"\$[^$]*\$|\\\(.*?\\\)|\\\[.*?\\\]|\[asy\].*?\[/asy\]", re.S)
_WORD = re.compile(r"(?<![\w\\$^{'’-])[a-z]{4,}(?![\w'’}-])")
_PROTECTED = word_set("""
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion
    first second third fourth fifth sixth seventh eighth ninth tenth half halves thirds quarter quarters
    fourths fifths twice thrice double triple quadruple dozen dozens pair pairs couple percent percentage not
    never none nothing neither except without cannot unless second seconds minute minutes hour hours week weeks month months
    year years century inch inches foot feet yard yards mile miles meter meters metre metres kilometer
    kilometers centimeter centimeters gram grams kilogram kilograms pound pounds ounce ounces gallon gallons
    liter liters litre litres cents dollar dollars penny pennies nickel nickels dime dimes euros degrees
    square cubic
""")
_REAL_WORDS = word_set("""
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
""")


def draw_edits(
    text: str, rng: random.Random, split: str, keep: Set[str] = frozenset(), dose: float = 1.0
) -> list[list[Any]]:
    """Typos in a share of the words of a text that can take one that belongs to the split; words of `keep` have none. A
    larger dose adds to the typos of a smaller one. Raises NotApplicable where no word can take one."""
    words_present = {word.lower() for word in re.findall(r"[A-Za-z]+", text)}
    math = [match.span() for match in _MATH.finditer(text)]
    words = [
        match
        for match in _WORD.finditer(text)
        if match[0] not in _PROTECTED | keep and not any(a <= match.start() < b for a, b in math)
    ]
    rng.shuffle(words)
    edits = []
    for match in words:
        candidates = [[at, kind] for at in range(1, len(match[0]) - 2) for kind in ("swap", "double")]
        for at, kind in rng.sample(candidates, len(candidates)):
            word = apply_edits(match[0], [[at, kind]])
            if word not in words_present | _REAL_WORDS | _PROTECTED and wording.is_owned_by(split, word):
                edits.append([match.start() + at, kind])
                break
    if not edits:
        raise NotApplicable("no word of the question can take a typo")
    return sorted(edits[: count_share(len(edits), dose)])


def make_change(get_text: Callable[[State], str], get_protected: Callable[[State], Set[str]]) -> Change:
    """Typos in the text of a state, except in counted nouns and its protected words."""

    def draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
        text = get_text(state)
        nouns = {*_COUNTED_NOUN.findall(text), *re.findall(r"\bthe ([a-z]+) of\b", text, re.I)}
        return {"edits": draw_edits(text, rng, knobs["split"], nouns | get_protected(state), knobs["dose"])}

    return Change(draw, _apply, dose="the words that may carry a typo")


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "edits": [list(edit) for edit in parameters["edits"]]}


_CHANGES = {
    name: make_change(lambda state, kind=kind: kind.render(state)[0], lambda state: frozenset())
    for name, kind in PROGRAM_KINDS.items()
}
_CHANGES["code"] = make_change(
    code_statement.mask_protected, lambda state: code_statement.CRUCIAL_WORDS | {*state["kept"]}
)
OPERATOR = Operator("typos", "preserving", _CHANGES)
