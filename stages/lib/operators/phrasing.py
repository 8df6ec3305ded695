"""Operator `phrasing`: the same facts and question of a bundled problem in new sentence templates. The answer stays.

The templates are none of `gradeschool/wording.py`, so none was seen in training. Their words are those a tiny model knows.
A dose is the share of the sentences that are reworded, the question among them.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

from stages.lib.operators.programs.base import Change, Knobs, Operator, State, select_share
from stages.lib.procedural.gradeschool import variation, wording

_COMPARISONS = {
    "more": ("{s} needs {n} more {unit} to be equal with {t}", "it takes {n} more {unit} for {s} to be equal with {t}"),
    "fewer": (
        "{t} needs {n} more {unit} to be equal with {s}",
        "it takes {n} more {unit} for {t} to be equal with {s}",
    ),
    "times": (
        "for every one of the {unit} {s} has, {t} has {n}",
        "take the {unit} of {s} {n} times and it is what {t} has",
    ),
    "part": ("a {n} of what {s} has in {unit} is what {t} has", "{t} has just a {n} of what {s} has in {unit}"),
}
NEW_TEMPLATES: dict[str, tuple[str, ...]] = {
    "given": ("{t} has {n} of the {unit}", "in all, {n} {unit} are for {t}"),
    **wording.add_inverses(_COMPARISONS),
    "percent": (
        "{n} percent of what {s} has in {unit} is what {t} has",
        "{t} has just {n} percent of what {s} has in {unit}",
    ),
    "gain": (
        "{t} began with as many {unit} as {s} has and was given {n} more",
        "{n} {unit} came to {t}, who had what {s} has",
    ),
    "loss": (
        "{t} began with as many {unit} as {s} has and gave away {n}",
        "{n} {unit} went from {t}, who had what {s} has",
    ),
    "groups": (
        "in every one of {n} boxes {t} has as many {unit} as {s}",
        "{t} has {n} full boxes and each has as many {unit} as {s}",
    ),
    "share": (
        "the {unit} of {s} go equally to {n} friends and {t} is one of them",
        "{t} is one of {n} friends who split the {unit} of {s} equally",
    ),
    "sum": (
        "{s} and {r} put together would have as many {unit} as {t}",
        "all {unit} of {s} and {r} would be what {t} has",
    ),
    "question": ("can you find how many {unit} {t} has?", "{t} has how many {unit}?"),
}


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    templates = wording.list_owned_pairs(knobs["split"], 2, len(wording.FRAMES))
    drawn = {str(i): list(rng.choice(templates)) for i in variation.get_sentence_order(state)}
    drawn["question"] = list(rng.choice(templates))
    reworded = {name: drawn[name] for name in sorted(select_share(list(drawn), knobs["dose"], rng))}
    question = {"question": reworded.pop("question")} if "question" in reworded else {}
    return {"sentences": reworded, **question}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    for i, template in parameters["sentences"].items():
        entry = state["quantities"][int(i)]
        entry["fresh"] = _apply_frame(entry["relation"], *template)
    if "question" in parameters:
        state["asking"] = {"fresh": _apply_frame("question", *parameters["question"])}
    return state


def _apply_frame(relation: str, form: int, frame: int) -> str:
    """A form in a frame. Each such pair belongs to one split (`wording.find_owner`)."""
    frames = wording.QUESTION_FRAMES if relation == "question" else wording.FRAMES
    return frames[frame].replace("{}", NEW_TEMPLATES[relation][form])


OPERATOR = Operator("phrasing", "preserving", {"gradeschool": Change(_draw, _apply, dose="the sentences")})
