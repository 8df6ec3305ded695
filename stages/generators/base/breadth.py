"""The breadth of the pretraining text: story problems told in other words, by other people, with noise around them.

The web is broad, so a model of it meets a shifted problem with something to go by. Each document draws which of these
changes its question has: other people (with roles, with names never seen before), other things, another order, facts
that are not needed, sentence templates that no problem uses (as a story, and as terse notes), sentences in front, typing
errors. All words and templates are the pretraining text's own: none is used by a split of the problems (`wording.py`) or
by a variant of a problem (stages/problems/ood). A test compares the lists.

The changes are those of `lib/procedural/gradeschool/variation.py`, so the solution of a changed problem is derived as its
variants are.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any

from stages.lib.procedural.gradeschool import variation, wording
from stages.lib.procedural.states import NotApplicable, State, apply_edits

PLAIN_RATE = 0.3  # documents without any change
RATES = {"people": 0.35, "things": 0.3, "order": 0.3, "asides": 0.3, "templates": 0.3, "frame": 0.25, "typos": 0.2}

_ROLES = """teacher mother sister friend student class team school store family group town shop parents children people
other others first second third last baker farmer doctor uncle aunt club driver guest king neighbor girl boy twin"""
ROLES = tuple(f"the {word}" for word in _ROLES.split())
_TRAITS = [
    "tall",
    "kind",
    "short",
    "quiet",
    "happy",
    "busy",
    "clever",
    "brave",
    "loud",
    "rich",
    "little",
    "last",
    "first",
    "second",
    "small",
    "fast",
]
_THINGS = """games trees items pieces things plans miles years days hours minutes rooms rows pounds dollars cents weeks
flowers candles bottles buttons tickets stones ropes lamps keys hats plates cups fish bricks tiles wheels bells"""
THINGS = tuple(_THINGS.split())
_QUALITIES = [
    "round",
    "light",
    "dark",
    "clean",
    "warm",
    "wide",
    "plain",
    "heavy",
    "thin",
    "blue",
    "green",
    "red",
    "wooden",
    "shiny",
    "soft",
    "long",
]

_OPENERS = tuple(
    " ".join(sentence.split())
    for sentence in re.findall(
        r"[^.!?]+[.!?]",
        """Hello, can you help me with this? I need some help. Here is a small puzzle for you. This is my homework.
        Hi there! Thanks for helping me. I hope you are well. Could you look at this? My son cannot do this one.
        We had this at school. Let me tell you a story. I like these. This one is short. Read this with me.
        It was raining all day. The shop was closed. We were all tired. It is late and I want to sleep. The sun was up.
        Everyone was happy. Nobody was at home. Good morning! Good evening to you all. You are very good at this.
        Be kind and explain it. Question 7. Exercise 12. Part one. A puzzle for today. A question about things.
        What do you make of it? Tell me what you get.""",
    )
)
_SENDERS = """my brother|my sister|my teacher|a friend|our neighbor|the boss|my mother|the new student|an old man|my boss
""".strip().split("|")
_WAYS = """asked me this|sent me this|told me this|gave us this|wanted to know this|wrote this for me|showed me this
""".strip().split("|")
_TIMES = """yesterday|this morning|last week|at school|on the way home|before dinner|again|in a letter|on Monday|at work
""".strip().split("|")
CLOSERS = ("Thanks!", "Please explain.", "Thank you very much.", "Tell me soon.", "Show your work.", "Be quick.")

_COMPARISONS = {
    "more": (
        "{t} has all that {s} has and {n} {unit} on top",
        "add {n} to the {unit} of {s} and you get those of {t}",
        "{t} : {s} plus {n}",
        "if {s} found {n} more {unit} , {s} would have what {t} has",
    ),
    "fewer": (
        "{t} lacks {n} of the {unit} that {s} has",
        "take {n} from the {unit} of {s} and you get those of {t}",
        "{t} : {s} minus {n}",
        "if {t} found {n} more {unit} , {t} would have what {s} has",
    ),
    "times": (
        "the {unit} of {s} , {n} times over , are what {t} has",
        "multiply the {unit} of {s} by {n} and you get those of {t}",
        "{t} : {s} times {n}",
        "each time {s} gets one of the {unit} , {t} gets {n}",
    ),
    "part": (
        "a {n} of the {unit} {s} has would be enough to match {t}",
        "cut the {unit} of {s} to a {n} and you get those of {t}",
        "{t} : a {n} of {s}",
        "only a {n} of what {s} holds in {unit} is with {t}",
    ),
}
TEMPLATES: dict[str, tuple[str, ...]] = {
    "given": (
        "{t} starts out with {n} {unit}",
        "you can count {n} {unit} at the place of {t}",
        "{t} : {n} {unit}",
        "{n} is how many {unit} {t} has",
    ),
    **wording.add_inverses(_COMPARISONS),
    "percent": (
        "{n} percent of the {unit} {s} has would match {t}",
        "take {n} percent of the {unit} of {s} and you get those of {t}",
        "{t} : {n} percent of {s}",
        "only {n} percent of what {s} holds in {unit} is with {t}",
    ),
    "gain": (
        "{t} and {s} had the same number of {unit} until {t} got {n}",
        "first {t} was equal with {s} , later {t} got {n} {unit}",
        "{t} : like {s} , then {n} more",
        "somebody gave {n} {unit} to {t} , who before had the same as {s}",
    ),
    "loss": (
        "{t} and {s} had the same number of {unit} until {t} lost {n}",
        "first {t} was equal with {s} , later {t} lost {n} {unit}",
        "{t} : like {s} , then {n} less",
        "somebody took {n} {unit} from {t} , who before had the same as {s}",
    ),
    "groups": (
        "{t} has {n} rows of {unit} , every row as long as all {unit} of {s}",
        "{n} bags of {t} each take as many {unit} as {s} has",
        "{t} : {n} bags , each like {s}",
        "{t} built {n} piles of {unit} , in every pile what {s} has",
    ),
    "share": (
        "{s} deals out the {unit} equally to {n} people and {t} is among them",
        "split in {n} equal parts , the {unit} of {s} give {t} one part",
        "{t} : one of {n} equal parts of {s}",
        "{n} children get equal parts of the {unit} of {s} and one is {t}",
    ),
    "sum": (
        "put the {unit} of {s} and {r} in one pile and {t} has as many",
        "{t} has just what {s} and {r} have in {unit} if you add them",
        "{t} : {s} plus {r}",
        "add the {unit} of {s} to those of {r} and you get those of {t}",
    ),
    "question": (
        "tell me how many {unit} {t} has.",
        "{t} ends up with how many {unit}?",
        "{t} : how many {unit}?",
        "can you work out the number of {unit} {t} has?",
        "give the number of {unit} that {t} has.",
    ),
}
NOTE = 2  # the template of each relation that reads like a note


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
            text = f"{text} {rng.choice(CLOSERS)}"
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
            role = rng.choice(ROLES)
            person = role if kind == "role" else role.replace("the ", f"the {rng.choice(_TRAITS)} ")
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
    thing = rng.choice(THINGS)
    return f"{rng.choice(_QUALITIES)} {thing}" if rng.random() < 0.4 else thing


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
    """Some or all sentences in templates of `TEMPLATES`."""
    share, is_note = rng.choice((0.3, 0.6, 1.0)), rng.random() < 0.2
    for entry in [*state["quantities"], *(aside["entry"] for aside in state.get("asides", ()))]:
        forms = TEMPLATES[entry["relation"]]
        if is_note or rng.random() < share:
            entry["fresh"] = forms[NOTE] if is_note else rng.choice(forms)
    if is_note or rng.random() < share:
        state["asking"] = {"fresh": rng.choice(TEMPLATES["question"])}


def draw_opener(rng: Random) -> str:
    """A sentence to stand in front of a problem."""
    if rng.random() < 0.5:
        return rng.choice(_OPENERS)
    sender, way, when = (rng.choice(words) for words in (_SENDERS, _WAYS, _TIMES))
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
