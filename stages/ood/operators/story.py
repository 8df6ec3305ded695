"""Code problems told otherwise: other words, people, things and context, typing errors; in the story alone.

Every change is a list of edits `[position, old, new]` of the statement, so a variant follows from its parent's text and
its edits. Input and output sections, examples, formulas, identifiers and quoted strings stay byte for byte, and so do
words that the tests use (`statement.py` finds them): the tests and the published solution hold as before.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from stages.ood.operators import names, noise, statement, story_words
from stages.ood.operators.operator import Change, State, Unfit

Edit = Sequence[Any]  # [position in the question, old text, new text]


def state(question: str, answer: str, tests: Mapping[str, Any]) -> State:
    """The program of a code problem: its text, the digest of its tests and which of its words they use."""
    made = {"question": question, "answer": answer, "tests": statement.digest(tests)}
    made["kept"] = statement.tested(tests, question)
    return made | ({"entry": tests["entry_point"]} if "entry_point" in tests else {})


def render(state: State) -> tuple[str, None, str]:
    """(question, no steps, answer)."""
    return state["question"], None, state["answer"]


def edited(text: str, edits: Sequence[Edit]) -> str:
    """The text with its edits made; positions are those of the text before. Raises ValueError where the old text does
    not stand at its position, or edits overlap."""
    end = len(text)
    for at, old, new in sorted(edits, key=lambda edit: edit[0], reverse=True):
        if text[at : at + len(old)] != old or at + len(old) > end:
            raise ValueError(f"edit at {at}: {old!r} does not stand there")
        text, end = text[:at] + new + text[at + len(old) :], at
    return text


def contract(parent: State, changes: Sequence[Mapping[str, Any]], tests: Mapping[str, Any] | None) -> list[str]:
    """What is wrong with a variant: other tests than the parent's, or a change of what must stay, on any way to it."""
    if tests is None or statement.digest(tests) != parent["tests"]:
        return ["tests: differ from the parent's"]
    found = (
        [] if parent["kept"] == statement.tested(tests, parent["question"]) else ["kept: not the words of the tests"]
    )
    question = parent["question"]
    for change in changes:
        after = edited(question, change["edits"])
        found += statement.faults(question, after, tests)
        found += _renamed(question, after, change["edits"]) if change["operator"] == "names" else []
        question = after
    return found


def _renamed(before: str, after: str, edits: Sequence[Edit]) -> list[str]:
    """What is wrong with new names: each old one has one, of its own, everywhere."""
    renamed, found = {}, []
    for _, old, new in edits:
        if renamed.setdefault(old, new) != new:
            found.append(f"{old!r} became both {renamed[old]!r} and {new!r}")
    for old, new in renamed.items():
        found += [f"{new!r} stood in the parent already"] if new in statement.words(before) else []
        found += [f"{old!r} is left over"] if old in statement.words(after) else []
    return found + ([] if len(set(renamed.values())) == len(renamed) else ["two names became one"])


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "question": edited(state["question"], parameters["edits"])}


def _open(state: State) -> str:
    """The question with spaces for all that must stay: what is left may be changed, at the same positions."""
    said = statement.read(state["question"], state.get("entry"))
    if not re.search(r"[a-z]{3,} [a-z]{2,} [a-z]{2,}", said.story):
        raise Unfit("there is no story before the formats")
    text = list(said.story)
    for mark in statement.marks(said.story, state["kept"]):
        text[mark.start : mark.end] = " " * (mark.end - mark.start)
    before, after = said.frozen
    return " " * len(before) + "".join(text) + " " * len(after)


# Other words.


def _phrasing(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    text, frozen = _open(state), "\n".join(statement.read(state["question"], state.get("entry")).frozen)
    pattern = re.compile(rf"(?<![\w'’-])(?:{'|'.join(map(re.escape, story_words.PHRASES))})(?![\w'’-])")
    chosen: dict[str, str] = {}  # one way of saying a thing in one text
    edits = []
    for match in pattern.finditer(text):
        new = chosen.setdefault(match[0], rng.choice(story_words.PHRASES[match[0]]))
        term = " " not in match[0] and re.search(rf"\b{match[0]}\b", frozen, re.I)  # a term of the formats stays a term
        if not term and not statement.marks(new, state["kept"]):
            edits.append([match.start(), match[0], new])
    if len(edits) < 2:
        raise Unfit("fewer than two safe changes of wording")
    return {"edits": edits}


# Context.


def _context(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    _open(state)
    said, function = statement.read(state["question"], state.get("entry")), "entry" in state
    lines = story_words.FUNCTION_CONTEXTS if function else story_words.CONTEST_CONTEXTS
    lines = [line for line in lines if not statement.marks(line, state["kept"])]
    prose = r".*[a-z] [a-z]" if function else r"\w.*[a-z]{2} [a-z]{2}.*[.:?!]\s*$"
    first = re.search(rf"^[ \t]*(?=[^ \t])(?={prose})", said.story, re.M)
    if not lines or not first:
        raise Unfit("every context says a word of the tests" if first else "there is no story before the formats")
    return {"edits": [[said.start + first.end(), "", rng.choice(lines) + (" " if function else "\n\n")]]}


# Other people, other things.


def people(text: str) -> list[str]:
    """First names in a text: known ones, and capitalised words that do what only people do. Not parts of longer names."""
    found, never = [], story_words.NOT_PEOPLE | {word.capitalize() for word in statement.words(text) if word.islower()}
    for match in re.finditer(r"(?<![\w.-])(?<![Tt]he )[A-Z][a-z]{2,}\b(?!-| (?!I\b)[A-Z])", text):
        known = match[0] in story_words.KNOWN | names.NAMES or text.endswith(("Help ", "help "), 0, match.start())
        if (known or story_words.ANIMATE.match(text, match.end())) and match[0] not in (*found, *never):
            found.append(match[0])
    return found


def _new_people(question: str, text: str, kept: Sequence[str], rng: random.Random) -> dict[str, str]:
    """Old name -> new, for the people that are named in the open text of the story alone, in this one form."""
    free = [name for name in rng.sample(story_words.NEW_PEOPLE, len(story_words.NEW_PEOPLE)) if name not in question]
    renamed = {}
    for name in people(text):
        inside = len(re.findall(rf"(?<![\w-]){name}(?!\w)", text))
        forms = re.search(rf"\b{name}(?=[a-z-])|(?i:\b{name[:-1]}\w{{0,2}}\b)(?<!\b{name})|\b[A-Z]\w+-{name}", question)
        if len(re.findall(rf"\b{name}", question)) == inside and not forms and name not in kept and free:
            renamed[name] = free.pop()
    return renamed


def _new_things(question: str, text: str, kept: Sequence[str], rng: random.Random) -> dict[str, str]:
    """The same for things, in the singular and the plural."""
    renamed: dict[str, str] = {}
    for old, new in rng.sample(story_words.THINGS, len(story_words.THINGS)):
        either = "|".join(old)
        everywhere = len(re.findall(rf"(?i:\b(?:{either}))", question))
        inside = len(re.findall(rf"(?<![\w-])(?:{either})(?![\w-])", text))
        taken = {*new} & {*renamed.values()} or re.search(rf"(?i:\b(?:{'|'.join(new)})\b)", question)
        if inside and inside == everywhere and not taken and not {*old} & {*kept}:
            renamed |= dict(zip(old, new, strict=True))
    return renamed


def _names(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    question, text, kept = state["question"], _open(state), state["kept"]
    renamed = _new_people(question, text, kept, rng) | _new_things(question, text, kept, rng)
    edits = [
        [match.start(), match[0], renamed[match[0]]]
        for match in re.finditer(r"(?<![\w-])[A-Za-z]+", text)
        if match[0] in renamed
    ]
    if edits:
        return {"edits": edits}
    if people(text):
        raise Unfit("the names stand outside the story, in a string or in other forms too")
    raise Unfit("nobody and nothing in the story has a name that is known here")


# Typing errors.


def _typos(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    text, edits = _open(state), []
    present = {word.lower() for word in statement.words(state["question"])} | story_words.REAL
    for at, kind in noise.edits(text, rng, statement.CRUCIAL | {*state["kept"]}):
        word = next(match for match in re.finditer(r"[A-Za-z]+", text) if match.start() <= at < match.end())
        kind = "double" if kind == "drop" else kind  # a letter less too often makes another word: string, sting
        wrong = noise.edited(word[0], [[at - word.start(), kind]])
        if wrong not in present:
            edits.append([word.start(), word[0], wrong])
    if len(edits) < 2:
        raise Unfit("fewer than two words of the story can take a typo")
    return {"edits": edits}


CHANGES = {
    "names": Change(_names, _apply),
    "phrasing": Change(_phrasing, _apply),
    "irrelevant": Change(_context, _apply),
    "typos": Change(_typos, _apply),
}
