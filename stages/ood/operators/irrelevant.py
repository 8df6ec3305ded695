"""One more fact that nobody needs, as in GSM-IC (Shi et al. 2023, arXiv 2302.00093). The answer stays.

In the bundled benchmark the extra sentence is drawn by the benchmark's own law, in a template of the problem's own
split, about a further person who is compared with one of the story: neither its words nor its connections give it
away, only that the question does not rest on it. In a real problem it is about a further person who has some of the
things counted; it is told only where the question asks for somebody named, and never between a name and its pronoun.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from stages.lib.gradeschool import wording
from stages.ood.operators import names, numbers, retold, tale
from stages.ood.operators.operator import Change, Operator, State, Unfit


def _draw_aside(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    known, templates = tale.values(state), tale.templates(state["split"])
    free = [name for name in wording.NAMES if name not in tale.named(state)]
    told, largest = tale.told(state), max(knobs.get("largest") or 0, numbers.bound(state))
    place = rng.randint(1, len(told))
    source = rng.choice(told[:place])
    entry = tale.link(source, known[source], largest, templates, rng)
    return {"person": rng.choice(free), "entry": entry, "before": place}


def _apply_aside(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    state["asides"] = [*state.get("asides", []), dict(parameters)]
    return state


_FORMS = ("{name} has {n} {things}.", "{name} counted {n} {things} at home.", "A neighbor named {name} owns {n} {things}.",
          "Last year, {name} bought {n} {things}.", "{name}, who lives across the street, has {n} {things}.")  # fmt: skip
THINGS = frozenset(
    re.findall(
        r"\w+",
        """
    apples oranges pears peaches plums mangoes bananas lemons eggs cookies muffins cupcakes brownies doughnuts
    donuts pies cakes sandwiches burgers tacos pizzas candies chocolates lollipops marbles stickers seashells
    shells buttons beads coins stamps cards dolls puzzles kites balls balloons toys robots books notebooks
    magazines comics pencils pens crayons markers erasers backpacks bags baskets boxes bottles cups plates
    bowls spoons forks knives chairs tables desks lamps shirts skirts jackets sweaters scarves hats shoes
    socks dresses pants jeans gloves ties rings necklaces bracelets earrings roses tulips daisies flowers
    plants bulbs carrots potatoes onions tomatoes pumpkins watermelons melons chickens ducks cows goats sheep
    pigs horses dogs cats rabbits hamsters fish birds parrots turtles cars trucks bikes bicycles boats tickets
    photos pictures paintings pillows blankets towels candles bricks tires tomatoes videos tapes CDs DVDs
    """,
    )
)


def _draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    parts = state["question"]
    found = retold.sentences(parts)
    ask = retold.text(found[-1])
    asked = names.found(ask) or re.search(r"\b(he|she|his|her)\b", ask)
    if not asked or re.search(r"\b(everyone|everybody|all of them|they|their|people|anyone|each other)\b", ask, re.I):
        raise Unfit("the question does not ask for somebody named")
    things = []
    for at, part in enumerate(parts[:-1]):
        if isinstance(part, dict) and isinstance(parts[at + 1], str):
            noun = re.match(r" ([A-Za-z]{3,})\b(?!-)", parts[at + 1])
            if noun and noun[1] in THINGS and not str(retold.plain(parts[at - 1]) if at else "").endswith("$"):
                things.append((noun[1], Fraction(state["numbers"][part["is"]["number"]]["value"])))
    if not things:
        raise Unfit("no things are counted that somebody else could have")
    places = [
        i
        for i, sentence in enumerate(found)
        if (
            _about_a_name(sentence) or (i == 0 and names.found(retold.text(sentence)))
        )  # else a pronoun could mean them
        and not re.match(r"(He|She|It|They|His|Her|This|That)\b", retold.text(found[0]))
    ]
    noun, size = rng.choice(things)
    taken = {Fraction(number["value"]) for number in state["numbers"]}
    near = [n for n in range(2, max(10, int(size * 2))) if n not in taken]
    text = retold.everything(state)
    free = [name for name in (*names.NEW_SHE, *names.NEW_HE) if name not in text]
    if not near or not places:
        raise Unfit("no place where a further person would not take over a pronoun")
    sentence = rng.choice(_FORMS).format(name=rng.choice(free), n=rng.choice(near), things=noun)
    return {"sentence": sentence, "before": rng.choice(places)}


def _about_a_name(sentence: list[Any]) -> bool:
    """Whether a sentence starts with a name and so leaves no pronoun to whoever was named before."""
    said = retold.text(sentence)
    first = re.match(r"(?:How (?:many|much)[a-z ]*? (?:does|did|will|do|is|are|can|has|would) )?([A-Z][a-z]+)\b", said)
    return bool(first and first[1] in names.NAMES)


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    found = retold.sentences(state["question"])
    found.insert(parameters["before"], [parameters["sentence"]])
    return {**copy.deepcopy(state), "question": retold.joined(found)}


OPERATOR = Operator(
    "irrelevant", "preserving", {"gradeschool": Change(_draw_aside, _apply_aside), "lifted": Change(_draw, _apply)},
    "a fact nobody needs",
)  # fmt: skip
