"""How verdicts are written: the question, its answer, and the mark after a line.

The pretraining text of the tiny base, the training rationales of GenRM and GenRM itself share these texts, so that the
verifier reads them as the base learned them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

VERDICT_QUESTION = "Verification: Is the answer correct (Yes/No)?"
COT_PROMPT = "Verification: Let's verify step by step.\n"
DIRECT_VERDICT_WEIGHT = 8  # loss weight of a verdict without a derivation
DERIVED_VERDICT_WEIGHT = 4  # loss weight of a verdict after its derivation

SAME, DIFFERS = " Same", " Differs"  # words of their own: a line can be true and yet differ
_COMPARISON = re.compile(rf"^(.+?) Solution: (.+)\.({SAME}|{DIFFERS})\.$", re.MULTILINE)
_CONCLUSION = re.compile(r"(?:We know |.*, so )(.+)\.")

Segment = tuple[str, int]  # a text, and the loss weight of its tokens


def format_verdict(right: bool) -> str:
    return " Yes" if right else " No"


def mark_step(right: bool, weight: int, space: str = "") -> list[Segment]:
    """The mark after a line: is it true?"""
    return [(space + ("Right" if right else "Wrong"), weight), (".\n", 1)]


def conclude(line: str) -> str:
    """What a line comes to: `Bob has 26` of `Then Bob has Cal + 7: ..., so Bob has 26.` Other lines are whole."""
    match = _CONCLUSION.fullmatch(line)
    return match[1] if match else line


def compare_step(line: str, same: bool, weight: int) -> list[Segment]:
    """What follows a line that was derived again: the conclusion of the solution's `line`, and whether it is the same.

    A small model does not learn to compare with a line far above, but to copy its conclusion and to compare neighbours.
    """
    return [(f" Solution: {conclude(line)}.", 1), (SAME if same else DIFFERS, weight), (".\n", 1)]


class Comparison(NamedTuple):
    """A line derived again, the conclusion that is quoted from the solution, and whether it was marked `Same.`"""

    derived: str
    quoted: str
    is_same: bool


def read_comparisons(rationale: str) -> list[Comparison]:
    return [Comparison(line, quoted, mark == SAME) for line, quoted, mark in _COMPARISON.findall(rationale)]
