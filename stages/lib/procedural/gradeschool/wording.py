"""The words of grade-school problems: names, stories, sentence templates, and which split may use which of them.

A template is a (wording, frame) pair of a relation; a story is a (verb, unit) pair. Both are assigned to the splits by a
residue, so no split shows a sentence template or a story of another one, although every single word occurs in the
pretraining text: a test asks for new combinations, not for new vocabulary. `find_owner` defines the rule. Words that
variants of problems add (names, roles, typing errors, extra sentences) are assigned by `select_owned` in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from stages.lib.core import seeds

T = TypeVar("T")

_NAMES = (
    "Ada Amy Ann Ben Bob Cal Dan Deb Eli Eve Fay Gus Hal Ida Ivy Jan Jim Jon Kay Ken Kim Lea Leo Liz "
    "Mae Max Meg Mia Ned Nia Oli Pam Pat Ray Rob Ron Roy Sam Sue Ted Tim Tom Una Val Vic Wes Zed Zoe"
)
NAMES = tuple(_NAMES.split())
# To do these things with apples is to have them, so that the question of how many one has is plain.
VERBS = ("has", "owns", "keeps", "holds", "carries", "stores", "saves", "guards")
UNITS = ("apples", "coins", "stamps", "cards", "shells", "books", "pens", "beads", "nuts", "eggs", "maps", "toys")
FRACTION_DIVISORS = {"half": 2, "third": 3, "quarter": 4, "fifth": 5}
PERCENT_DIVISORS = {50: 2, 25: 4, 20: 5, 10: 10}

# s: the source quantity, t: the new one, r: a second source, n: the number in the sentence.
_COMPARISONS = {
    "more": (
        "{t} {verb} {n} more {unit} than {s}",
        "{t} {verb} {n} {unit} more than {s}",
        "compared with {s}, {t} {verb} {n} more {unit}",
        "{t} is ahead of {s} by {n} {unit}",
    ),
    "fewer": (
        "{t} {verb} {n} fewer {unit} than {s}",
        "{t} {verb} {n} {unit} fewer than {s}",
        "compared with {s}, {t} {verb} {n} fewer {unit}",
        "{t} is behind {s} by {n} {unit}",
    ),
    "times": (
        "{t} {verb} {n} times as many {unit} as {s}",
        "{t} {verb} {n} times the {unit} of {s}",
        "compared with {s}, {t} {verb} {n} times as many {unit}",
        "the {unit} of {t} are {n} times those of {s}",
    ),
    "part": (
        "{t} {verb} a {n} as many {unit} as {s}",
        "{t} {verb} a {n} of the {unit} of {s}",
        "compared with {s}, {t} {verb} a {n} as many {unit}",
        "the {unit} of {t} are a {n} of those of {s}",
    ),
}


def add_inverses(comparisons: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The templates of the comparisons, and of each its inverse: the same words with source and new quantity swapped."""
    inverses = {
        f"inverse {name}": tuple(w.replace("{t}", "{x}").replace("{s}", "{t}").replace("{x}", "{s}") for w in wordings)
        for name, wordings in comparisons.items()
    }
    return {name: tuple(wordings) for name, wordings in comparisons.items()} | inverses


WORDINGS: dict[str, tuple[str, ...]] = {
    "given": (
        "{t} {verb} {n} {unit}",
        "{t} {verb} exactly {n} {unit}",
        "there are {n} {unit} with {t}",
        "the number of {unit} of {t} is {n}",
    ),
    **add_inverses(_COMPARISONS),
    "percent": (
        "{t} {verb} {n} percent as many {unit} as {s}",
        "{t} {verb} {n} percent of the {unit} of {s}",
        "compared with {s}, {t} {verb} {n} percent as many {unit}",
        "the {unit} of {t} are {n} percent of those of {s}",
    ),
    "gain": (
        "{t} had as many {unit} as {s} and then got {n} more",
        "{t} had as many {unit} as {s} before getting {n} more",
        "{t} starts with as many {unit} as {s} and gets {n} more",
        "{t} , once equal with {s} , got {n} more {unit}",
    ),
    "loss": (
        "{t} had as many {unit} as {s} and then lost {n}",
        "{t} had as many {unit} as {s} before losing {n}",
        "{t} starts with as many {unit} as {s} and loses {n}",
        "{t} , once equal with {s} , lost {n} {unit}",
    ),
    "groups": (
        "{t} {verb} {n} bags with as many {unit} in each as {s} has",
        "{t} fills {n} boxes , each with as many {unit} as {s} has",
        "each of {n} bags of {t} holds as many {unit} as {s} has",
        "{t} packs as many {unit} as {s} has in each of {n} boxes",
    ),
    "share": (
        "{t} gets one of {n} equal shares of the {unit} of {s}",
        "the {unit} of {s} are shared equally by {n} people and {t} is one",
        "{n} people share the {unit} of {s} equally and {t} is one",
        "{t} takes one share when the {unit} of {s} are split in {n}",
    ),
    "sum": (
        "{t} {verb} as many {unit} as {s} and {r} together",
        "{t} {verb} as many {unit} as {s} and {r} combined",
        "compared with {s} and {r} together, {t} {verb} as many {unit}",
        "the {unit} of {t} equal those of {s} and {r} together",
    ),
    "question": (
        "how many {unit} does {t} have?",
        "how many {unit} are with {t}?",
        "what is the number of {unit} of {t}?",
        "find the number of {unit} of {t}.",
    ),
}
FRAMES = ("{}.", "also, {}.", "we also know that {}.", "{} today.", "we know that {}.", "{}, it turns out.")
QUESTION_FRAMES = ("{}", "so {}", "so, {}", "in the end, {}", "today, {}", "then {}")

# "Bob has 7 fewer than Cal" with Bob known is inconsistent language: the reference is the unknown. People reverse such
# operations far more often (Lewis & Mayer, J. Educ. Psychol. 79, 1987).
_OPERATIONS_OF = {
    "+": ("more", "gain", "sum", "inverse fewer"),
    "-": ("fewer", "loss", "inverse more"),
    "*": ("times", "groups", "inverse part"),
    "/": ("part", "percent", "share", "inverse times"),
}
OPERATIONS = {relation: operation for operation, relations in _OPERATIONS_OF.items() for relation in relations}

_RESIDUES = {"pretraining": (0, 1), "train": (2,), "verifier": (3,), "dev": (4,), "test": (5,)}
SPLITS = tuple(_RESIDUES)
# Splits of problems that have variants; `unseen` families are tests, too.
_VARIANT_RESIDUES = {"train": 0, "verifier": 1, "dev": 2, "test": 3, "unseen": 3}


def find_owner(a: int, b: int) -> str:
    """The split that owns the template (wording a, frame b) or the story (verb a, unit b)."""
    residue = (a + b) % 6
    return next(split for split, residues in _RESIDUES.items() if residue in residues)


def list_owned_pairs(split: str, rows: int, columns: int) -> list[tuple[int, int]]:
    """All pairs (a, b) with a < rows and b < columns that `split` owns, in order."""
    return [(a, b) for a in range(rows) for b in range(columns) if find_owner(a, b) == split]


def select_owned(words: Sequence[T], split: str) -> list[T]:
    """The words of a list that variants of problems of `split` may use: every fourth, from the split's residue on.

    Variants of training problems thus share no word with those of test problems. A word must be in one list only. Raises
    ValueError for fewer than four different words.
    """
    unique = list(dict.fromkeys(words))
    if len(unique) < 4:
        raise ValueError(f"{len(unique)} different words cannot be divided among four splits: {unique}")
    return unique[_VARIANT_RESIDUES[split] :: 4]


def is_owned_by(split: str, word: str) -> bool:
    """Whether a word without a list (a typing error) belongs to a split: by a hash, in the shares of `find_owner`."""
    return seeds.key("owner", word) % 6 in _RESIDUES["test" if split == "unseen" else split]


def add_adjectives(nouns: Sequence[str], qualities: Sequence[str]) -> tuple[str, ...]:
    """Every noun with four qualities, so that `select_owned` gives each split every noun with another quality."""
    return tuple(f"{qualities[(i + j) % 4]} {noun}" for i, noun in enumerate(nouns) for j in range(4))


def render_sentence(relation: str, template: tuple[int, int], **words: object) -> str:
    """One sentence of a problem, beginning with a capital letter."""
    wording, frame = template
    frames = QUESTION_FRAMES if relation == "question" else FRAMES
    text = frames[frame].format(WORDINGS[relation][wording].format(**words)).replace(" ,", ",")
    return text[0].upper() + text[1:]
