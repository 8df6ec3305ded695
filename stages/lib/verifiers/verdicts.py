"""How a verdict is written: the question, the answer, and the mark behind a line.

The pretraining text of the tiny base, the rationales that teach GenRM and GenRM itself share these words, so that
one is read as the other was learnt.
"""

from __future__ import annotations

VERDICT_QUESTION = "Verification: Is the answer correct (Yes/No)?"
COT_PROMPT = "Verification: Let's verify step by step.\n"
DIRECT_VERDICT_WEIGHT, DERIVED_VERDICT_WEIGHT = (
    8,
    4,
)  # weights of a judgement alone and of one that follows its own derivation

Segment = tuple[str, int]  # a text and how much learning to write its tokens weighs


def format_verdict(right: bool) -> str:
    return " Yes" if right else " No"


def mark_step(right: bool, weight: int, space: str = "") -> list[Segment]:
    return [(space + ("Right" if right else "Wrong"), weight), (".\n", 1)]
