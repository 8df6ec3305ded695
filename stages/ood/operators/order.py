"""Another order of telling. The answer stays, because what is told is a set of facts and the question stays last.

In the bundled benchmark every sentence is such a fact. Of a real problem only neighboring sentences are reordered that
commute: each says how things are (or what different people did), refers to nothing said before, and no thing that one of
them means by `the` or `each` is first brought up by another; and only where the sentence after them has no pronoun that
would then mean somebody else.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping
from typing import Any

from stages.ood.operators import names, retold, tale
from stages.ood.operators.operator import Change, Operator, State, Unfit

_IS = (
    "is|are|was|were|has|have|had|costs?|weighs?|weighed|owns?|owned|contains?|contained|holds?|held|earns?|charges?|"
    "sells? for|"
    "measures?|lives?|lived|needs?|produces?|lays?|likes?|can|requires?|drinks?|eats?|reads?|works?|runs?|sleeps?|"
    "makes?|takes?|"
    "pays?|uses?"
)
_FACT = re.compile(  # a subject of few words, and how it is
    rf"(?:[A-Z][a-z]+(?:['’]s)?|The|Each|Every|An?|One|There)(?: (?!that|who|which|what|to)[\w'’-]+){{0,5}}? (?:{_IS})\b"
)
_RATE = re.compile(r"\b(costs?|weighs?|prices?|charges?|sells? for|per|\$\S+ each|\$\S+ an?)\b|\$\d+ each")
_DONE = re.compile(  # what different people did may be told in any order
    r"[A-Z][a-z]+ (?:buys|bought|sells|sold|made|ate|read|collected|collects|picked|picks|baked|bakes|earned|ran|walked|"
    r"scored|scores|found|finds|caught|catches|received|receives|gets|got|saved|saves|paid|pays|spent|spends|drove|drank|"
    r"wrote|writes|planted|plants|wants|needed|worked|brought|brings|used|uses|slept|took)\b"
)
_REFERS = re.compile(
    r"\b(he|she|it|they|them|him|his|her|hers|its|their|theirs|this|that|these|those|then|after|before|now|next|later|also|"
    r"another|additional|extra|other|others|rest|remaining|remainder|remains?|left|same|such|so|but|however|if|when|while|"
    r"last|finally|instead|again|still|already|both|all|total|together|which|too|only|ones|(?:the|each|every|this) one|"
    r"first|until|once|because|average|combined|yesterday|today|tomorrow|tonight|than average|we|you|your|I|my|our|us)\b"
    r"|\b(?:many|much|more|less|fewer|old|tall|long) (?:as|than) [A-Z]"
    r"|\b(?:second|third|fourth|fifth)\b(?! [a-z]+ (?:is|has|was|had|costs?)\b)"
    r"|\b(?:some|most|one|two|three|four|half|\d+%|\d/\d|third|quarter|fourth)s? (?:is|are|was|were|has|have|had|like)\b",
    re.I,
)
_PRONOUN = re.compile(r"\b(he|she|it|him|his|her|hers|its|this|that|these|those|then|latter|former)\b", re.I)
_THING = re.compile(r"\b(it|its|this|that|these|those|then|latter|former|they|them|their)\b", re.I)
_EACH = re.compile(r"\b(each|every)\b", re.I)
_DEFINITE = re.compile(r"\b(?:the|each|every)((?: [a-z][a-z'’-]*){1,3})", re.I)
_SMALL = frozenset(
    re.findall(r"\w+", "of in on at for to and or is are was were has have had costs cost weighs that with by from per")
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
    able = [run for run in runs if not _taken_over(said, *run)]
    if not able:
        reasons = [_leaning(fact) for fact in said[:-1]]
        apart = "no two sentences that stand together commute"
        raise Unfit("the sentence after them leans on the last one" if runs else next(filter(None, reasons), apart))
    low, high = max(able, key=lambda run: run[1] - run[0])
    middle = _shuffled(high - low, rng)
    return {"order": [*range(low), *(low + i for i in middle), *range(high, len(said) - 1)]}


def _runs(said: list[str]) -> list[tuple[int, int]]:
    """[low, high) of every run of two or more sentences that can change places, as long as they can be."""
    runs, low = [], 0
    for at in range(len(said) + 1):
        if at < len(said) and not _leaning(said[at]) and _commute(said, low, at):
            continue
        runs += [(low, at)] if at - low > 1 else []
        low = at if at < len(said) and not _leaning(said[at]) else at + 1
    return runs


def _commute(said: list[str], low: int, at: int) -> bool:
    """Whether sentence `at` can change places with all of those from `low` on."""
    known = _words(" ".join(said[:low]))
    for one in said[low:at]:
        both = (one, said[at])
        if any(_DONE.match(each) for each in both) and not _apart(*both):
            return False
        if not low and (any(_EACH.search(each) for each in both) or len([x for x in both if names.found(x)]) == 1):
            return False  # the story has to begin with what brings up the rest
        if any((_meant(x) & _brought_up(y)) - known for x, y in (both, both[::-1])):
            return False
        if one.split(" ")[0] == said[at].split(" ")[0] and names.found(one):
            return False  # of one person, things may be told in the order in which they came to be
    return True


def _apart(one: str, other: str) -> bool:
    """Whether what is done in one sentence has nothing to do with the other: different people do the same, or what is said
    beside it is a price, a weight or a rate."""
    if _DONE.match(one) and _DONE.match(other):
        (who, does), (whom, did) = one.split(" ")[:2], other.split(" ")[:2]
        return who != whom and does == did
    return any(_RATE.search(each) for each in (one, other) if not _DONE.match(each))


def _words(text: str) -> set[str]:
    """Lower-case words in the singular, as far as an ending tells."""
    found = re.findall(r"[a-z]{3,}", text.lower().replace("children", "child").replace("people", "person"))
    return {re.sub(r"(?<=[sxz])es$|(?<=[cs]h)es$|s$", "", re.sub(r"ies$", "y", word)) for word in found}


def _meant(fact: str) -> set[str]:
    """What a sentence means by `the` or `each`."""
    return {word for match in _DEFINITE.finditer(fact) for word in _words(match[1]) if word not in _SMALL}


def _brought_up(fact: str) -> set[str]:
    """What a sentence speaks of without `the`."""
    return _words(_DEFINITE.sub("", fact))


def _taken_over(said: list[str], low: int, high: int) -> bool:
    """Whether a pronoun after the run could mean something else once its sentences change places."""
    people = any(names.found(fact) or _DONE.match(fact) for fact in said[low:high])
    return bool((_PRONOUN if people else _THING).search(said[high]))


def _leaning(fact: str) -> str | None:
    """Why a sentence cannot stand elsewhere; None where it can."""
    if not (_FACT.match(fact) or _DONE.match(fact)) or not fact.endswith("."):
        return "a sentence does not state what is"
    if leans := _REFERS.search(fact):
        return f"a sentence leans on what was said before ({leans[0].lower()})"
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
