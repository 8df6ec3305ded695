"""The five principles of meta probing and how they compose.

A paraphraser applies one principle after another to a `Draft`, which stores where each of its options came from. The
finished draft is checked and judged as a whole. Multiple choice takes all five principles, a free answer only those
that change the question alone (Zhu et al. 2024, arXiv 2402.14865, section 3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem

VERSION = 1
PRINCIPLES = ("question", "context", "choices", "newchoice", "permute")  # in the order they are applied
DESCRIPTIONS = {
    "question": "the question in other words",
    "context": "a sentence of context before the question",
    "choices": "every option in other words",
    "newchoice": "one wrong option more",
    "permute": "the options in another order",
}
FREE_FORM_PRINCIPLES = ("question", "context")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Draft(NamedTuple):
    """An unfinished variant. origin: for each option its index in the original, None for a new one."""

    question: str
    choices: tuple[str, ...] = ()
    origin: tuple[int | None, ...] = ()
    answer: str = ""


class NotApplicable(Exception):
    """A principle cannot be applied to this item, however often it is tried; the message is the reason."""


_ABOVE = re.compile(
    r"\b(?:the|all|of|none|any|listed|mentioned|stated|given|as) above\b|^(?:\(?[a-d]\)?\.? (?:and )?)+above\b"
    r"|\babove (?:options|choices|answers|statements|factors|conditions|are|is)\b"
    r"|^(?:all|none|both|neither|any|each|some|either|two|more than one|one) of (?:these|them|those)\b"
    r"|^(?:all|none|both|neither|any|each|some|either|two|more than one) of the (?:other |given |listed )?"
    r"(?:options|choices|answers|statements|following|others)\b|^(?:both|neither|all|none) of the \w+\.?$"
    r"|^(?:all|none|both|neither|no answer|no correct answer)(?: (?:are|is) (?:true|correct|right))?\.?$",
    re.I,
)
_BY_COUNT = re.compile(r"^(?:both|neither|either)(?: of (?:these|them|those|the \w+))?\.?$", re.I)
_ONE = r"\(?[A-Ea-e]\)?"
_BY_LETTER = re.compile(
    rf"\b(?:both|neither|either|only|options?|choices?|answers?)\s+\(?[a-eA-E]\)?(?:\s|$|[.,])"
    rf"|^(?:both )?{_ONE}(?:,? {_ONE})*,? (?:and|or|nor|&|but not) {_ONE}(?: only| both| above)?\.?$"
)


def refers_to_above(choice: str) -> bool:
    """Whether an option mentions those above it (`all of the above`), so that it must stay below them."""
    return bool(_ABOVE.search(choice.strip()))


def refers_by_count(choice: str) -> bool:
    """Whether an option mentions the number of the others (`both`), so that a new option would spoil it."""
    return bool(_BY_COUNT.search(choice.strip()))


def refers_by_letter(choice: str) -> bool:
    """Whether an option mentions the letters of others (`both A and C`)."""
    return bool(_BY_LETTER.search(choice.strip()))


def start_draft(problem: Problem) -> Draft:
    choices = tuple(problem.choices or ())
    return Draft(problem.question, choices, tuple(range(len(choices))), problem.answer)


def parse_principles(names: str | Sequence[str]) -> tuple[str, ...]:
    """`all`, or principles joined by `+` or in a list, in the order of application. Raises UserError for others."""
    selected = names.split("+") if isinstance(names, str) else list(names)
    if selected == ["all"]:
        return PRINCIPLES
    unknown = [name for name in selected if name not in PRINCIPLES]
    if unknown or not selected or len(selected) > len(frozenset(selected)):
        raise UserError(
            f"principles {'+'.join(selected)!r}: allowed are all, or some of {'+'.join(PRINCIPLES)}, each once"
        )
    return tuple(name for name in PRINCIPLES if name in selected)


def format_operator(principles: Sequence[str]) -> str:
    return "mpa-all" if tuple(principles) == PRINCIPLES else "mpa-" + "-".join(principles)


def fits(principles: Sequence[str], problem: Problem) -> bool:
    """Whether all these principles apply to this kind of question. `all` always does, except to code."""
    if problem.answer_type == "code":
        return False
    return bool(problem.choices) or tuple(principles) == PRINCIPLES or set(principles) <= set(FREE_FORM_PRINCIPLES)


def select_applicable(principles: Sequence[str], problem: Problem) -> tuple[str, ...]:
    """The principles that apply to this kind of question; of `all` those that do. Raises NotApplicable."""
    if problem.choices:
        if problem.answer_type != "choice" or problem.answer not in LETTERS[: len(problem.choices)]:
            raise NotApplicable(f"the answer {problem.answer!r} is not the letter of an option")
        if len(problem.choices) < 2:
            raise NotApplicable("a single option is no choice")
        return tuple(principles)
    if not fits(principles, problem):
        raise NotApplicable(f"{'+'.join(principles)} changes no problem of this kind")
    return tuple(name for name in principles if name in FREE_FORM_PRINCIPLES)
