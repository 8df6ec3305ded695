"""How verdicts are written: the question, its answer, and the mark after a line.

The pretraining text of the tiny base, the training rationales of GenRM and GenRM itself share these texts, so that the
verifier reads them as the base learned them.
"""

from __future__ import annotations

import re

VERDICT_QUESTION = "Verification: Is the answer correct (Yes/No)?"
COT_PROMPT = "Verification: Let's verify step by step.\n"
DIRECT_VERDICT_WEIGHT = 8  # loss weight of a verdict without a derivation
DERIVED_VERDICT_WEIGHT = 4  # loss weight of a verdict after its derivation

SAME, DIFFERS = " Same", " Differs"  # words of their own: a line can be true and yet differ
_COMPARISON = re.compile(rf"^(.+)({SAME}|{DIFFERS})\.$", re.MULTILINE)

Segment = tuple[str, int]  # a text, and the loss weight of its tokens


def format_verdict(right: bool) -> str:
    return " Yes" if right else " No"


def mark_step(right: bool, weight: int, space: str = "") -> list[Segment]:
    """The mark after a line: is it true?"""
    return [(space + ("Right" if right else "Wrong"), weight), (".\n", 1)]


def compare_step(same: bool, weight: int) -> list[Segment]:
    """The mark after a line that was derived again: does it equal the solution's line?"""
    return [(SAME if same else DIFFERS, weight), (".\n", 1)]


def read_comparisons(rationale: str) -> list[tuple[str, bool]]:
    """The lines of a rationale that end with `Same.` or `Differs.`, without that mark, and whether it is `Same.`"""
    return [(line, mark == SAME) for line, mark in _COMPARISON.findall(rationale)]
