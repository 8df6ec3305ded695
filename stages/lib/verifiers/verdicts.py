"""How verdicts are written: the question, its answer, and the mark after a line.

The pretraining text of the tiny base, the training rationales of GenRM and GenRM itself share these texts, so that the
verifier reads them as the base learned them.
"""

from __future__ import annotations

VERDICT_QUESTION = "Verification: Is the answer correct (Yes/No)?"
COT_PROMPT = "Verification: Let's verify step by step.\n"
DIRECT_VERDICT_WEIGHT = 8  # loss weight of a verdict without a derivation
DERIVED_VERDICT_WEIGHT = 4  # loss weight of a verdict after its derivation

Segment = tuple[str, int]  # a text, and the loss weight of its tokens


def format_verdict(right: bool) -> str:
    return " Yes" if right else " No"


def mark_step(right: bool, weight: int, space: str = "") -> list[Segment]:
    return [(space + ("Right" if right else "Wrong"), weight), (".\n", 1)]


def compare_step(same: bool, weight: int) -> list[Segment]:
    """The mark after a line that was derived again: does it equal the solution's line?"""
    return [(" Same" if same else " Differs", weight), (".\n", 1)]
