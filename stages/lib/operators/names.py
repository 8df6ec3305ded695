"""Operators `names` and `roles`: other people. The answer stays.

names  new first names; in bundled problems names that no split of the benchmark uses
roles  in bundled problems: the teacher, the old team, and so on instead of names

A dose is the share of the people who are renamed.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from stages.lib.operators.programs import gsm8k_program
from stages.lib.operators.programs.base import (
    Change,
    Knobs,
    NotApplicable,
    Operator,
    State,
    select_share,
    word_set,
    words,
)
from stages.lib.procedural import competition
from stages.lib.procedural.gradeschool import wording

# Words that a tiny model knows and that no problem of the benchmark uses for a person.
_ACTORS = words("teacher mother sister friend student class team school store family group town")
ROLE_NAMES = tuple(f"the {actor}" for actor in wording.add_adjectives(_ACTORS, ("old", "young", "new", "other")))
# First names like those of the benchmark that no split of it uses.
UNSEEN_NAMES = words("""
    Abe Ari Bea Bev Ced Dee Dov Eda Elo Ewa Flo Gia Gil Ian Ike Ina Ira Isa Jed Joe Kit Lex Lou Lyn Mel Moe Nan Nat
    Ona Peg Rae Reg Rex Ria Sal Sid Tad Tia Uma Wim Xia Yan Yul Zak
""")
# First names of GSM8K, without those that are also words, months or places. By gender, since pronouns stay.
FEMALE_NAMES = word_set("""
    Mary Sarah Janet Jane Martha Sally Hannah Carla Maria Betty Lisa Nancy Amanda Susan Emily Anna Rachel
    Karen Annie Jenny Tina Alice Jessica Julia Linda Julie Carrie Lily Jenna Mandy Donna Sandra Emma Beth Sara
    Janice Susie Gina Megan Olivia Amy Lucy Angela Kendra Monica Leila Carly Marcy Laura Nina Cindy Joan Wendy
    Bella Elsa Jennifer Madeline Anne Tonya Melissa Brenda Michelle Ann Tara Kate Dorothy Lydia Diane
    Elizabeth Carol Cheryl Paula Stacy Tiffany Barbara Samantha Brittany Stella Haley Mabel Tanya Maggie Layla
    Claire Veronica Abigail Ruth Nora Ella Mara Katie Marcia Sophie Erica Allison Christine Marta Lara Diana
    Peggy Ellen Gretchen Patricia Milly Carolyn Liza Mia Irene Sheila Helen Katrina Lucille Kayla Tammy
    Pauline Isabel Theresa Shara Stephanie Andrea Tabitha Amelia Katy Ashley Zoe Eliza Jill Jen Marla Kelly
    Polly Miriam Ursula Molly Jan Dee Kimberly Rebecca Vicki Gloria Cynthia Deborah Nicole Heather Leah Clara
""") - {"Jan"}
MALE_NAMES = word_set("""
    John James Tom Jack Bob Mike Tim Matt Jerry Peter Jason Tony Michael Jim Ben Joe Billy Harry Jacob Jake
    Josh Carl Steve Paul Adam Jimmy Andy Max Ryan Randy George Andrew Jeff Bobby Fred Kevin Tommy Greg Marcus
    Gerald Henry Jose Johnny Leo Toby Kyle Justin William Oliver Dave Thomas Ken Barry Samuel Brian Martin Jon
    Danny Luke Daniel Simon David Gary Joey Jeremy Robert Joseph Eric Carlos Mason Nathan Aaron Alan Roger
    Manny Derek Caleb Sammy Phil Steven Diego Sean Albert Lou Ian Bryan Trevor Bert Patrick Jude Calvin Tyler
    Rob Charles Zach Noah Todd Jerome Ted Larry Chad Kenny Stan Micah Anthony Ivan Joel Olaf Lucas Arthur Nick
    Dan Pete Neil Connor Bruce Hank Philip Jorge Jared Hans Richard Mario Nate Phillip Timothy Bart Brad
    Antonio Matthew Troy Brandon Juan Pablo Malcolm Raymond Edward Kenneth Donald Walter Howard Gabriel Ethan
    Elijah Isaac Theo Cal
""")
NEW_FEMALE_NAMES = words("""
    Adaeze Beatriz Chiara Divya Elif Freya Giulia Hana Ingrid Jia Katya Linh Mireille Noor Oksana Priya Rosalind Saoirse
    Thandi Yuki
""")
NEW_MALE_NAMES = words("""
    Anders Bilal Chidi Dmitri Emeka Fabio Goran Hiroshi Idris Joaquin Kofi Lars Mateus Nikhil Omar Pavel Rafael Stefan
    Tariq Wei
""")


def find_names(text: str) -> list[str]:
    """First names in a text, in order of appearance; not surnames after a title, nor parts of a longer name."""
    names = []
    for match in re.finditer(
        r"(?<!Mr\. )(?<!Mrs\. )(?<!Ms\. )(?<!Dr\. )(?<!Miss )\b[A-Z][a-z]+\b(?![- ][A-Z]|-)", text
    ):
        if match[0] in FEMALE_NAMES | MALE_NAMES and match[0] not in names:
            names.append(match[0])
    return names


def _make_people_change(names: Sequence[str]) -> Change:
    """A change that gives the people of a bundled problem some of these names."""

    def draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
        available = wording.select_owned(names, knobs["split"])
        if len(available) < len(state["people"]):
            raise NotApplicable(f"more people than the {len(available)} names for this split")
        new = dict(zip(state["people"], rng.sample(available, len(state["people"])), strict=True))
        renamed = select_share(state["people"], knobs["dose"], rng)
        return {"people": [new[name] if name in renamed else name for name in state["people"]]}

    def apply(state: State, parameters: Mapping[str, Any]) -> State:
        return {**copy.deepcopy(state), "people": list(parameters["people"])}

    return Change(draw, apply, dose="the people")


def draw_new_names(names: list[str], text: str, rng: random.Random, split: str, dose: float = 1.0) -> dict[str, str]:
    """{name: new name} of a share of the names: of the same gender, not in the text, and one that belongs to the split.
    Raises NotApplicable."""
    rename: dict[str, str] = {}
    for group, new in ((FEMALE_NAMES, NEW_FEMALE_NAMES), (MALE_NAMES - FEMALE_NAMES, NEW_MALE_NAMES)):
        old = [name for name in names if name in group]
        free = [name for name in wording.select_owned(new, split) if name not in text]
        if len(free) < len(old):
            raise NotApplicable("more people than there are new names")
        rename |= zip(old, rng.sample(free, len(old)), strict=True)
    return {name: rename[name] for name in select_share(names, dose, rng)}


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    text, question = gsm8k_program.get_full_text(state), gsm8k_program.render_parts(state["question"])
    names = find_names(question)
    if not names:
        raise NotApplicable("no first name in the question that is known to be one")
    if _has_gender_mismatch(names, text):
        raise NotApplicable("the pronouns do not go with the names")
    if unknown := _find_unknown_name(names, question):
        raise NotApplicable(f"somebody else may be named whose name would stay ({unknown})")
    rename = draw_new_names(names, text, rng, knobs["split"], knobs["dose"])
    for name in names:
        if re.search(rf"\b{name}(?=[a-z])|\b{name.lower()}\b|\b{name} [A-Z][a-z]", text):
            raise NotApplicable(f"{name} stands in the text in another form too")
    return {"rename": rename}


_NOT_NAMES = word_set("""
    I A An The He She It They We You His Her Its Their My Our Your This That These Those There Here How What When Where
    Who Which Why If For From In On At By To With After Before During While Since Once Then Now Next Later Each Every All
    Both Some Most Many Another Other One Two Three Four Five Six Seven Eight Nine Ten Half Twice And But Or So Also
    However Given Assume Suppose Calculate Find Determine Because Although Yesterday Today Tomorrow Last First Second
    Third Finally Monday Tuesday Wednesday Thursday Friday Saturday Sunday Mondays Tuesdays Wednesdays Thursdays Fridays
    Saturdays Sundays January February March April May June July August September October November December Christmas
    Halloween Easter Thanksgiving Valentine Day Mr Mrs Ms Dr TV DVD DVDs CD CDs AM PM USA US MPH
""")


_ACTION_VERBS = (
    "has|had|wants|needs|likes|gets|got|eats|ate|buys|bought|sells|sold|makes|made|goes|went|works|earns|spends|gave"
)


def _find_unknown_name(names: list[str], question: str) -> str | None:
    """A word written as a name that is none of `names`: with a capital inside a sentence, before `and` and a name, with a
    genitive, or at the start of a sentence before a verb of action; None where there is none."""
    others = "|".join(map(re.escape, names))
    forms = (
        rf"(?<=[a-z0-9,;] )[A-Z][a-z]+\b|\b[A-Z][a-z]+\b(?=(?:,|,? and) (?:{others})\b|['’]s\b| (?:{_ACTION_VERBS})\b)"
    )
    capitalized = (match[0] for match in re.finditer(forms, question))
    return next((word for word in capitalized if word not in _NOT_NAMES and word not in names), None)


def _has_gender_mismatch(names: list[str], text: str) -> bool:
    """Whether all names are of one gender and all pronouns of the other."""
    she, he = (re.search(rf"\b({words})\b", text, re.I) is not None for words in ("she|her|hers", "he|his|him"))
    return (he and not she and set(names) <= FEMALE_NAMES) or (she and not he and set(names) <= MALE_NAMES)


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    rename = parameters["rename"]
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, rename))})\b")
    return gsm8k_program.rewrite_state(state, lambda part: pattern.sub(lambda match: rename[match[0]], part))


def _draw_competition(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    question = competition.rederive(state)[0]
    people = find_names(question)
    if not people:
        raise NotApplicable("nobody is named")
    return {"rename": draw_new_names(people, question, rng, knobs["split"], knobs["dose"])}


def _apply_competition(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "rename": dict(parameters["rename"])}


NAMES = Operator(
    "names",
    "preserving",
    {
        "gradeschool": _make_people_change(UNSEEN_NAMES),
        "lifted": Change(_draw, _apply, dose="the people"),
        "competition": Change(_draw_competition, _apply_competition, dose="the people"),
    },
)
ROLES = Operator("roles", "preserving", {"gradeschool": _make_people_change(ROLE_NAMES)})
