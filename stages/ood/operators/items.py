"""Other things: what is counted is replaced by something of the same kind. The answer stays."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from stages.ood.operators import retold
from stages.ood.operators.operator import Change, Operator, State, Unfit

UNITS = ("games", "trees", "items", "pieces", "things", "plans")  # words of the vocabulary that no story counts
# Things that can stand for each other in any story: (one, many).
KINDS = (
    (("apple", "apples"), ("pear", "pears"), ("peach", "peaches"), ("plum", "plums"), ("mango", "mangoes")),
    (("marble", "marbles"), ("sticker", "stickers"), ("seashell", "seashells"), ("button", "buttons"), ("bead", "beads"),
     ("figurine", "figurines")),
    (("rose", "roses"), ("tulip", "tulips"), ("daisy", "daisies"), ("orchid", "orchids"), ("carnation", "carnations")),
    (("pencil", "pencils"), ("pen", "pens"), ("crayon", "crayons"), ("marker", "markers"), ("eraser", "erasers"),
     ("notebook", "notebooks")),
    (("cookie", "cookies"), ("muffin", "muffins"), ("cupcake", "cupcakes"), ("brownie", "brownies"),
     ("doughnut", "doughnuts"), ("pastry", "pastries")),
    (("shirt", "shirts"), ("skirt", "skirts"), ("jacket", "jackets"), ("sweater", "sweaters"), ("scarf", "scarves")),
    (("carrot", "carrots"), ("onion", "onions"), ("tomato", "tomatoes"), ("turnip", "turnips")),
    (("chair", "chairs"), ("table", "tables"), ("desk", "desks"), ("bench", "benches"), ("shelf", "shelves")),
    (("doll", "dolls"), ("puzzle", "puzzles"), ("kite", "kites"), ("ball", "balls"), ("robot", "robots")),
    (("sandwich", "sandwiches"), ("burger", "burgers"), ("taco", "tacos"), ("hotdog", "hotdogs"), ("wrap", "wraps")),
)  # fmt: skip
_COMPOUND = (
    r"(?:[- ](?:pies?|trees?|juice|sauce|cider|jam|seeds?|sharpeners?|caps?|cakes?|cases?|bush(?:es)?|legs?|dough|"
)
_KIND_OF = "dress|tank|polo|hash|mashed|baby|sweet|hot|ice|bowling|base|foot|basket"
_COMPOUND += r"salad|soup|tops?|cloth|court|games?|collection|stand|petals?|orchard|patch|peels?|slices?)\b|-)"


def _draw_unit(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    return {"unit": rng.choice(UNITS)}


def _apply_unit(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "unit": parameters["unit"]}


def _draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    text = retold.everything(state)
    question, swap = retold.text(state["question"]), {}
    for kind in KINDS:
        words = [thing for thing in kind if re.search(rf"\b({thing[0]}|{thing[1]})\b", text, re.I)]
        free = [thing for thing in kind if thing not in words]
        words = [thing for thing in words if re.search(rf"\b({thing[0]}|{thing[1]})\b", question, re.I)]
        if len(free) < len(words):
            continue
        for thing, new in zip(words, rng.sample(free, len(words)), strict=True):
            if not re.search(
                rf"\b({thing[0]}|{thing[1]}){_COMPOUND}|(-|{_KIND_OF}) ?({thing[0]}|{thing[1]})\b", text, re.I
            ):
                swap |= dict(zip(thing, new, strict=True))
    if not swap:
        raise Unfit("nothing is counted that something of the same kind can stand for")
    return {"swap": swap}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    swap = parameters["swap"]
    pattern = re.compile(rf"\b(?:(an?) )?({'|'.join(sorted(swap, key=len, reverse=True))})\b", re.I)

    def other(match: re.Match[str]) -> str:
        article, word = match[1], match[2]
        new = swap[word.lower()]
        if article:
            right = "an" if new[0] in "aeiou" else "a"
            article = (right.capitalize() if article[0].isupper() else right) + " "
        return (article or "") + (new.capitalize() if word[0].isupper() else new)

    return retold.rewritten(state, lambda part: pattern.sub(other, part))


OPERATOR = Operator(
    "items",
    "preserving",
    {"gradeschool": Change(_draw_unit, _apply_unit), "lifted": Change(_draw, _apply)},
    "other things",
)
