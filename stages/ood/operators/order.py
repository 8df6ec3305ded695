"""Another order of telling. The answer stays, because what is told is a set of facts and the question stays last.

In the bundled benchmark every sentence is such a fact. Of a real problem only neighboring sentences are reordered that
all state what is, in the present tense and about somebody named, and refer to nothing said before; and only where the
sentence after them has no pronoun that would then mean somebody else.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping
from typing import Any

from stages.ood.operators import names, retold, tale
from stages.ood.operators.operator import Change, Operator, State, Unfit

_FACT = re.compile(
    r"(?:[A-Z][a-z]+(?:'s)?(?: [a-z]+)?|An?(?: [a-z]+){1,3}|There|Each [a-z]+|Every [a-z]+) "
    r"(?:has|is|are|have|costs?|weighs?|"
    r"owns?|earns?|contains?|holds?|can|likes?|sells?|lives?|makes?|charges?|takes?|eats?|reads?|works?|runs?|needs?|"
    r"produces?|drinks?|lays?|sleeps?|weigh|had|was|were|owned|weighed|lived|held|contained)\b"
)
_DONE = re.compile(  # what different people did may be told in any order
    r"[A-Z][a-z]+ (?:buys|bought|sells|sold|made|ate|read|collected|collects|picked|picks|baked|bakes|earned|ran|walked|"
    r"scored|scores|found|finds|caught|catches|received|receives|gets|got|saved|saves|paid|pays|spent|spends|drove|drank|"
    r"wrote|writes|planted|plants|wants|needed|worked|brought|brings|used|uses|slept|took)\b"
)
_REFERS = re.compile(
    r"\b(he|she|it|they|them|him|his|her|hers|its|their|theirs|this|that|these|those|then|after|before|now|next|later|also|"
    r"another|additional|extra|other|others|rest|remaining|remainder|remains?|left|same|such|so|but|however|if|when|while|first|second|"
    r"third|last|finally|instead|again|more|still|already|both|all|total|together|which|half|the)\b",
    re.I,
)
_PRONOUN = re.compile(r"\b(he|she|it|him|his|her|hers|its|this|that|these|those|then|latter|former)\b", re.I)
_COMPARED = re.compile(
    r"\b(more|fewer|less|times as|older|younger|taller|shorter|heavier)\b[^.]*\bthan\b|\bas (many|much|old|tall)\b"
)


def _shuffled(n: int, rng: random.Random) -> list[int]:
    order = list(range(n))
    while order == list(range(n)):
        rng.shuffle(order)
    return order


def _draw_told(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    told = tale.told(state)
    if len(told) < 2:
        raise Unfit("one sentence has no other order")
    return {"order": _shuffled(len(told), rng)}


def _apply_told(state: State, parameters: Mapping[str, Any]) -> State:
    state, told = copy.deepcopy(state), tale.told(state)
    state["told"] = [told[i] for i in parameters["order"]]
    return state


def _draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    said = [retold.text(sentence) for sentence in retold.sentences(state["question"])]
    if len(said) < 3:
        raise Unfit("one sentence has no other order")
    runs = _runs(said[:-1])
    able = [(low, high) for low, high in runs if not _PRONOUN.search(said[high]) or high - low == len(said) - 1]
    if not able:
        reasons = [_leaning(fact) for fact in said[:-1]]
        raise Unfit(next(filter(None, reasons), None) if not runs else "the sentence after them leans on the last one")
    low, high = max(able, key=lambda run: run[1] - run[0])
    middle = _shuffled(high - low, rng)
    return {"order": [*range(low), *(low + i for i in middle), *range(high, len(said) - 1)]}


def _runs(said: list[str]) -> list[tuple[int, int]]:
    """[low, high) of every run of two or more sentences that can change places: none leans, and nobody does two things."""
    runs, low, people = [], 0, set()
    for at, fact in enumerate([*said, ""]):
        who = fact.split(" ")[0] if _DONE.match(fact) else f"{at}"
        if not fact or _leaning(fact) or who in people:
            runs += [(low, at)] if at - low > 1 else []
            low, people = (at if fact and not _leaning(fact) else at + 1), set()
        people.add(who)
    return runs


def _leaning(fact: str) -> str | None:
    """Why a sentence cannot stand elsewhere; None where it can."""
    if not (_FACT.match(fact) or _DONE.match(fact)) or not fact.endswith("."):
        return "a sentence does not state what is"
    if leans := _REFERS.search(_COMPARED.sub("", fact)):
        return f"a sentence leans on what was said before ({leans[0].lower()})"
    if re.match(r"Each |Every |There ", fact):
        return "a sentence is about all of what was told before"
    if not names.found(fact) and not re.match(r"An? ", fact):
        return "a sentence is about nobody named"
    return None


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    *facts, ask = retold.sentences(state["question"])
    state["question"] = retold.joined([*(facts[i] for i in parameters["order"]), ask])
    return state


OPERATOR = Operator(
    "order",
    "preserving",
    {"gradeschool": Change(_draw_told, _apply_told), "lifted": Change(_draw, _apply)},
    "another order",
)
