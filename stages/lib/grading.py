"""Grading: what answer does a solution give, and is it right? One place for samples, rollouts, training and pools.

Numbers, formulas, letters and truth values are extracted and compared (`answers`); programs are run against the tests of
their problem in the sandbox (`judge`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stages.lib import answers, judge
from stages.lib.records import Problem


class Grade(NamedTuple):
    """answer: as the solution gives it, None where it gives none. abstained: it says that there is no answer."""

    answer: str | None
    correct: bool
    abstained: bool = False


def grade(problem: Problem, texts: Sequence[str | None]) -> list[Grade]:
    """A Grade for each solution; None stands for one that was cut off, which has no answer."""
    found = [None if text is None else answers.extract(text, problem.answer_type) for text in texts]
    distinct = sorted({answer for answer in found if answer is not None})
    if problem.answer_type == "code":
        right = {code: judge.passes(problem.question, code, problem.tests or {}).passed for code in distinct}
    else:
        pairs = [(problem.answer, answer) for answer in distinct]
        right = dict(zip(distinct, answers.equal_many(pairs, problem.answer_type), strict=True))
    return [Grade(answer, right.get(answer, False), answer == answers.NONE) for answer in found]
