"""Another phrasing: the same facts and the same question in words that no split of the benchmark uses.

The bundled benchmark gets fresh sentence templates (none of `gradeschool/wording.py`, so no split's leak into another),
made of words a tiny model knows. Real problems get synonyms that are safe in any sentence, and their question turned
into a request.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping
from typing import Any

from stages.ood.operators import retold, tale
from stages.ood.operators.operator import Change, Operator, State, Unfit

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
FRESH: dict[str, tuple[str, ...]] = {
    "given": ("{t} has {n} of the {unit}", "in all, {n} {unit} are for {t}"),
    **_COMPARISONS,
    **{
        f"inverse {name}": tuple(w.replace("{t}", "{x}").replace("{s}", "{t}").replace("{x}", "{s}") for w in wordings)
        for name, wordings in _COMPARISONS.items()
    },
    "percent": ("{n} percent of what {s} has in {unit} is what {t} has",
                "{t} has just {n} percent of what {s} has in {unit}"),
    "gain": ("{t} began with as many {unit} as {s} has and was given {n} more",
             "{n} {unit} came to {t}, who had what {s} has"),
    "loss": ("{t} began with as many {unit} as {s} has and gave away {n}",
             "{n} {unit} went from {t}, who had what {s} has"),
    "groups": ("in every one of {n} boxes {t} has as many {unit} as {s}",
               "{t} has {n} full boxes and each has as many {unit} as {s}"),
    "share": ("the {unit} of {s} go equally to {n} friends and {t} is one of them",
              "{t} is one of {n} friends who split the {unit} of {s} equally"),
    "sum": ("{s} and {r} put together would have as many {unit} as {t}", "all {unit} of {s} and {r} would be what {t} has"),
    "question": ("can you find how many {unit} {t} has?", "{t} has how many {unit}?"),
}  # fmt: skip


def _draw_fresh(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    fresh = {str(i): rng.randrange(2) for i in tale.told(state)}
    return {"sentences": fresh, "question": rng.randrange(2)}


def _apply_fresh(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    for i, form in parameters["sentences"].items():
        entry = state["quantities"][int(i)]
        entry["fresh"] = FRESH[entry["relation"]][form]
    state["asking"] = {"fresh": FRESH["question"][parameters["question"]]}
    return state


# Safe anywhere: neither number, time, order nor quantity changes, and both sides take the same place in a sentence.
SYNONYMS = (
    ("in total", "altogether"), ("altogether", "in total"), ("in all", "in total"), ("each day", "every day"),
    ("every day", "each day"), ("each week", "every week"), ("every week", "each week"), ("each month", "every month"),
    ("every month", "each month"), ("buys", "purchases"), ("bought", "purchased"), ("begins", "starts"),
    ("started", "began"), ("began", "started"), ("starts", "begins"), ("big", "large"),
    ("kids", "children"), ("children", "kids"), ("needs to", "has to"), ("has to", "needs to"), ("need to", "have to"),
    ("finished", "completed"), ("decides to", "chooses to"), ("wants to", "would like to"),
    ("receives", "gets"), ("received", "got"), ("made up of", "composed of"), ("a lot of", "plenty of"), ("mom", "mother"),
    ("dad", "father"), ("mother", "mom"), ("father", "dad"), ("store", "shop"), ("shop", "store"), ("whole", "entire"),
    ("currently", "at present"), ("assuming", "supposing"), ("calculate", "compute"), ("if each", "when each"),
    ("has a total of", "has altogether"),
)  # fmt: skip
# A word as SYNONYMS means it: not "started out", not "bought him", not "extra-large".
_ALONE = r"(?<![\w-]){}\b(?!-| (?:out|off|up|him|them)\b| her[.,?;])"
_VERBS = re.findall(
    r"\w+",
    """
    have need make spend earn sell eat pay get use save buy take run read drink cost weigh own want collect
    receive give work walk drive bake pick plant produce charge score sleep lose contain hold carry bring owe
    expect
    """,
)
_THIRD = {verb: verb + "s" for verb in _VERBS} | {"have": "has"}
_SUBJECT = r"(?P<who>he|she|it|they|[A-Z][a-z]+(?: and [A-Z][a-z]+)?|(?:the|each|his|her|their) [a-z]+)"
_MOVED = (  # of more words than one only where a verb follows: will the potting | soil cost
    r"(?P<who>he|she|it|they|[A-Z][a-z]+(?: and [A-Z][a-z]+)?|"
    rf"(?:the|each|his|her|their) [a-z]+(?= (?:be|{'|'.join(_VERBS)})\b))\b"
)
_HOW = r"How (?P<much>many|much)(?P<what>[a-z $'-]*?)"
_VERB, _MODAL = "|".join(_VERBS), "will|can|could|would|should|must"
_ASKS = (  # (pattern, request); {verb} is the verb with its ending
    (re.compile(rf"^{_HOW} does {_SUBJECT} (?P<verb>{_VERB})\b(?P<rest>[^?]*)\?$"),
     "{lead} how {much}{what} {who} {third}{rest}."),
    (re.compile(rf"^{_HOW} do {_SUBJECT} (?P<verb>{_VERB})\b(?P<rest>[^?]*)\?$"),
     "{lead} how {much}{what} {who} {verb}{rest}."),
    (re.compile(rf"^{_HOW} (?P<verb>{_MODAL}) {_MOVED}(?P<rest>[^?]*)\?$"),
     "{lead} how {much}{what} {who} {verb}{rest}."),
    (re.compile(rf"^{_HOW} (?P<verb>are|is|were|was) there\b(?P<rest>[^?]*)\?$"),
     "{lead} how {much}{what} there {verb}{rest}."),
    (re.compile(r"^What (?:is|was|are|will be) (?P<rest>(?:the|her|his|their) [^?]*)\?$"), "{lead} {rest}."),
)  # fmt: skip
_LEADS = ("Find", "Work out", "Determine")


def request(ask: str, lead: str) -> str | None:
    """A question as a request, None where its grammar is not one of those known here."""
    for pattern, form in _ASKS:
        if match := pattern.match(ask):
            words = match.groupdict()
            return form.format(lead=lead, third=_THIRD.get(words.get("verb", ""), ""), **words)
    return None


def _draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    question = retold.text(state["question"])
    swaps: dict[str, str] = {}
    for old, new in SYNONYMS:
        if re.search(_ALONE.format(old), question) and not {old, new} & {*swaps, *swaps.values()}:
            swaps[old] = new
    lead = rng.choice(_LEADS)
    ask = retold.sentences(state["question"])[-1]
    asked = all(isinstance(part, str) for part in ask) and request(retold.text(ask), lead) is not None
    if len(swaps) + asked < 2:
        raise Unfit("fewer than two safe changes of wording")
    return {"swaps": swaps} | ({"lead": lead} if asked else {})


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    if "lead" in parameters:
        *facts, ask = retold.sentences(state["question"])
        asked = request(retold.text(ask), parameters["lead"])
        state = {**state, "question": retold.joined([*facts, [asked]])}
    if not parameters["swaps"]:
        return state
    pattern = re.compile(_ALONE.format(f"({'|'.join(sorted(parameters['swaps'], key=len, reverse=True))})"))
    return retold.rewritten(state, lambda part: pattern.sub(lambda m: parameters["swaps"][m[0]], part), lines=False)


OPERATOR = Operator(
    "phrasing",
    "preserving",
    {"gradeschool": Change(_draw_fresh, _apply_fresh), "lifted": Change(_draw, _apply)},
    "fresh words",
)
