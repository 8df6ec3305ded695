"""Operator `preamble`: one to three sentences before the problem. A cosmetic change: nothing is reworded, the answer stays.

A preamble holds no number, quantity, negation, question or name, and nobody whom a problem might count (students, a
teacher), so it can precede any problem in words. Code problems take none: their statement is a program.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from stages.lib.operators.programs.base import Change, Knobs, Operator, State, count_share
from stages.lib.procedural.gradeschool import wording

SETTINGS = (
    "The following came up in a conversation after dinner.",
    "The following was found on a sheet of paper between the pages of a library book.",
    "During a long train ride, a traveler came across the following in a magazine.",
    "A quiet evening can be spent on things such as this.",
    "The following is taken from a collection of exercises.",
    "The following arrived by letter, with a request for help.",
    "The following was read out on the radio during a rainy afternoon.",
    "The following can be read on a wall of an exhibition.",
    "The following was printed on the back of a calendar.",
    "It is good to begin a lesson with something such as this.",
    "The following was handed in for a contest by a reader of a newspaper.",
    "The following was copied from a notebook that turned up in an attic.",
    "The following was talked about over lunch.",
    "The following hangs in the window of a bookshop.",
    "A long wait passes sooner with things such as this.",
    "The following stood in the margin of an old atlas.",
)
REQUESTS = (
    "Please read it carefully.",
    "Please think it through before answering.",
    "Take your time with it.",
    "Here it is, word for word.",
    "Please look at it closely.",
    "It is given here as it was found.",
    "Please work through it calmly.",
    "Please give it some thought.",
    "Please go through it slowly.",
    "It deserves a careful reading.",
    "Please consider it with care.",
    "It reads as follows.",
)


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    setting = rng.choice(wording.select_owned(SETTINGS, knobs["split"]))
    sentences = [setting, *rng.sample(wording.select_owned(REQUESTS, knobs["split"]), 2)]
    return {"preamble": " ".join(sentences[: count_share(len(sentences), knobs["dose"])])}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "preamble": parameters["preamble"]}


OPERATOR = Operator(
    "preamble",
    "preserving",
    dict.fromkeys(
        ("gradeschool", "lifted", "competition", "text"), Change(_draw, _apply, dose="three sentences in front")
    ),
)
