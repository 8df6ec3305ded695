"""Near-duplicates of test rows among the others: two published forms of one problem, in other words or typesetting.

A row nearly repeats a test row when their sets of 5-word runs are alike (MinHash, `stages/lib/overlap.py`), or when they
have a 13-word run and the answer in common. Either sign alone misleads somewhere: AIME problems end in set phrases of
that length, so a run counts only where few test rows have it and a quarter of all runs is shared; MMLU asks several
questions about one passage, so two questions with options must have the right one in common.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from stages.benchmarks.options import LETTERS
from stages.lib import overlap
from stages.lib.records import Problem

ALIKE = 0.25  # two typesettings of one AIME problem share 0.29 of their 5-word runs or more, two problems 0.24 or less
SET_PHRASE = 4  # a 13-word run in more test rows than this is a phrase of the contest


def near(problems: Sequence[Problem], tests: Sequence[Problem]) -> dict[str, str]:
    """id -> reason of every problem that nearly repeats a test problem."""
    texts, references = [p.prompt() for p in problems], [p.prompt() for p in tests]
    found = {}
    for i, j in overlap.similar(texts, references):
        if not problems[i].choices or _right(problems[i]) == _right(tests[j]):
            found.setdefault(problems[i].id, tests[j].id)
    for i, j in _sharing(texts, references):
        if not problems[i].choices and problems[i].answer == tests[j].answer:
            one, other = (overlap.runs(text, overlap.SHINGLE) for text in (texts[i], references[j]))
            if len(one & other) >= ALIKE * len(one | other):
                found.setdefault(problems[i].id, tests[j].id)
    return {item: f"nearly the same question is {test} of the test rows" for item, test in found.items()}


def _right(problem: Problem) -> str:
    """The text of the right option."""
    return problem.choices[LETTERS.index(problem.answer)] if problem.choices else problem.answer


def _sharing(texts: Sequence[str], references: Sequence[str]) -> list[tuple[int, int]]:
    """(text, reference) that have a 13-word run in common which is no set phrase of the references."""
    known = defaultdict(set)
    for j, reference in enumerate(references):
        for run in overlap.runs(reference, overlap.RUN):
            known[run].add(j)
    return sorted(
        {
            (i, j)
            for i, text in enumerate(texts)
            for run in overlap.runs(text, overlap.RUN)
            if len(known.get(run, ())) <= SET_PHRASE
            for j in known.get(run, ())
        }
    )
