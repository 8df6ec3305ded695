"""Another order of telling. The answer stays, because what is told is a set of facts and the question stays last.

In the bundled benchmark every sentence is such a fact. Of a real problem only those are reordered whose sentences all
state what is, in the present tense and about somebody named, and refer to nothing said before.
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
    r"produces?|drinks?|lays?|sleeps?|weigh)\b"
)
_REFERS = re.compile(
    r"\b(he|she|it|they|them|him|his|her|hers|its|their|theirs|this|that|these|those|then|after|before|now|next|later|also|"
    r"another|additional|extra|other|others|rest|remaining|remainder|remains?|left|same|such|so|but|however|if|when|while|first|second|"
    r"third|last|finally|instead|again|more|still|already|both|all|total|together|which|half|the)\b",
    re.I,
)
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
    facts = [retold.text(sentence) for sentence in retold.sentences(state["question"])[:-1]]
    if len(facts) < 2:
        raise Unfit("one sentence has no other order")
    for fact in facts:
        rest = _COMPARED.sub("", fact)
        if not _FACT.match(fact) or _REFERS.search(rest) or not fact.endswith("."):
            raise Unfit("a sentence leans on what was said before")
        if not names.found(fact) and not re.match(r"An? |Each |Every |There ", fact):
            raise Unfit("a sentence is about nobody named")
    return {"order": _shuffled(len(facts), rng)}


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
