"""The breadth of the pretraining text: story problems told in other words, by other people, with noise around them.

The web is broad, so a model of it meets a shifted problem with something to go by. Each document draws which of these
changes its question has: other people (with roles, with names never seen before), other things, another order, facts
that are not needed, sentence templates that no problem uses (as a story, and as terse notes), sentences in front, typing
errors. All words and templates are the pretraining text's own (`words.py`).

The changes are those of `lib/procedural/gradeschool/variation.py`, so the solution of a changed problem is derived as its
variants are.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any

from stages.generators.base import words
from stages.lib.procedural.gradeschool import variation, wording
from stages.lib.procedural.states import NotApplicable, State, apply_edits

PLAIN_RATE = 0.3  # documents without any change
RATES = {"people": 0.35, "things": 0.3, "order": 0.3, "asides": 0.3, "templates": 0.3, "frame": 0.25, "typos": 0.2}


def vary_program(program: dict[str, Any], rng: Random, changes: set[str]) -> State:
    """The program as a state with these changes (keys of `RATES`) but those of the finished text."""
    state: State = {**program, "quantities": [dict(entry) for entry in program["quantities"]]}
    if "people" in changes:
        state["people"] = replace_people(state["people"], rng)
    if "things" in changes:
        state["unit"] = draw_thing(rng)
    if "asides" in changes:
        state["asides"] = draw_asides(state, rng)
    if "order" in changes:
        state["told"] = shuffle(list(range(len(state["quantities"]))), rng)
    if "templates" in changes:
        retell(state, rng)
    return state


def draw_changes(rng: Random) -> set[str]:
    if rng.random() < PLAIN_RATE:
        return set()
    return {name for name, rate in RATES.items() if rng.random() < rate}


def render_question(state: State, rng: Random, changes: set[str]) -> str:
    """The question of a state, in a frame and with typing errors if these are among the changes."""
    text = " ".join(variation.render_sentences(state)).replace(" ,", ",").replace(" :", ":")
    if "typos" in changes:
        text = make_typos(text, rng)
    if "frame" in changes:
        text = " ".join([*(draw_opener(rng) for _ in range(rng.choice((1, 1, 2, 3)))), text])
        if rng.random() < 0.25:
            text = f"{text} {rng.choice(words.CLOSERS)}"
    return text


def replace_people(people: list[str], rng: Random) -> list[str]:
    """Some or all of the people with a role, a trait and a role, or a name made up."""
    share = rng.choice((0.3, 0.6, 1.0, 1.0))
    kind = rng.choice(("role", "trait", "name", "name"))
    new: list[str] = []
    while len(new) < len(people):
        if kind == "name":
            person = draw_name(rng)
        else:
            role = rng.choice(words.ROLES)
            person = role if kind == "role" else role.replace("the ", f"the {rng.choice(words.TRAITS)} ")
        if person not in new and person not in people:
            new.append(person)
    return [b if rng.random() < share else a for a, b in zip(people, new, strict=True)]


def draw_name(rng: Random) -> str:
    """A name made up of syllables. No first name in use ends so."""
    onsets, vowels, middles = (
        ["B", "Br", "D", "Dr", "F", "G", "Gr", "K", "L", "M", "N", "P", "R", "S", "T", "Tr", "V", "W", "Z"],
        "aeiou",
        ["b", "d", "g", "l", "m", "n", "p", "r", "s", "t", "v", "z"],
    )
    if rng.random() < 0.6:
        return rng.choice(onsets) + rng.choice(vowels) + rng.choice(["lk", "rv", "mp", "sk", "rg", "lp", "lv", "zk"])
    return rng.choice(onsets) + "".join(rng.choice(x) for x in (vowels, middles, vowels, "kpvxzg"))


def draw_thing(rng: Random) -> str:
    thing = rng.choice(words.THINGS)
    return f"{rng.choice(words.QUALITIES)} {thing}" if rng.random() < 0.4 else thing


def draw_asides(state: State, rng: Random) -> list[dict[str, Any]]:
    """One to three facts about people who are not asked for, or about a given number of theirs."""
    values, templates = variation.compute_values(state), variation.list_templates(state["split"])
    largest, count = max(60, variation.compute_bound(state)), len(values)
    free = [name for name in wording.NAMES if name not in state["people"]]
    asides: list[dict[str, Any]] = []
    for person in rng.sample(free, rng.choice((1, 1, 2, 3))):
        place = rng.randint(1, count)
        source = rng.randrange(place)
        if rng.random() < 0.3:
            entry = {
                "relation": "given",
                "number": rng.randint(2, largest),
                "template": list(rng.choice(templates["given"])),
            }
        else:
            entry = variation.draw_relation(source, values[source], largest, templates, rng)
        asides.append({"person": person, "entry": entry, "before": place})
    return asides


def shuffle(order: list[int], rng: Random) -> list[int]:
    """Another order: of all, or with one element moved."""
    if rng.random() < 0.6:
        rng.shuffle(order)
    else:
        order.insert(rng.randrange(len(order)), order.pop(rng.randrange(len(order))))
    return order


def retell(state: State, rng: Random) -> None:
    """Some or all sentences in templates of `words.py`."""
    share, is_note = rng.choice((0.3, 0.6, 1.0)), rng.random() < 0.2
    for entry in [*state["quantities"], *(aside["entry"] for aside in state.get("asides", ()))]:
        forms = words.TEMPLATES[entry["relation"]]
        if is_note or rng.random() < share:
            entry["fresh"] = forms[words.NOTE] if is_note else rng.choice(forms)
    if is_note or rng.random() < share:
        state["asking"] = {"fresh": rng.choice(words.TEMPLATES["question"])}


def draw_opener(rng: Random) -> str:
    """A sentence to stand in front of a problem."""
    if rng.random() < 0.5:
        return rng.choice(words.OPENERS)
    sender, way, when = (rng.choice(part) for part in (words.SENDERS, words.WAYS, words.TIMES))
    return f"{sender[0].upper()}{sender[1:]} {way} {when}."


def make_typos(text: str, rng: Random) -> str:
    """Letters swapped or doubled inside words, in the typing errors that belong to the pretraining text."""
    rate, edits = rng.choice((0.08, 0.15, 0.3, 0.6)), []
    for match in re.finditer(r"(?<![\w'])[a-z]{4,}(?![\w'])", text):
        if rng.random() < rate:
            at, kind = rng.randrange(1, len(match[0]) - 2), rng.choice(("swap", "double"))
            word = apply_edits(match[0], [[at, kind]])
            if word != match[0] and wording.is_owned_by("pretraining", word):
                edits.append([match.start() + at, kind])
    return apply_edits(text, edits)


def reverse(state: State, rng: Random) -> State:
    """The last value given and a first number asked for. Raises NotApplicable where it cannot be derived."""
    givens = [i for i, entry in enumerate(state["quantities"]) if entry["relation"] == "given"]
    target, order = rng.choice(givens), variation.get_sentence_order(state)
    template = list(rng.choice(variation.list_templates(state["split"])["given"]))
    state = {**state, "told": [i for i in order if i != target], "asked": target, "final": {"template": template}}
    if variation.solve(state)[1] != str(state["quantities"][target]["number"]):
        raise NotApplicable("no way back")
    return state


def remove_premise(state: State, rng: Random) -> State:
    """A sentence that is needed is left out, or tells of somebody else, so that the answer is open. Raises NotApplicable
    where it is not."""
    removed = rng.randrange(len(state["quantities"]) - 1) if len(state["quantities"]) > 1 else 0
    if rng.random() < 0.4:
        state = {**state, "told": [i for i in variation.get_sentence_order(state) if i != removed]}
    else:
        free = [name for name in wording.NAMES if name not in variation.list_people(state)]
        state = {**state, "strays": [[removed, rng.choice(free)]]}
    if variation.solve(state)[1] != "N/A":
        raise NotApplicable("the answer is still determined")
    return state
