"""Near-duplicates of test rows among the others: two published forms of one problem, in other words or typesetting.

A row nearly repeats a test row when it has the same letters and signs once TeX's layout is gone, whatever the answers; or
when both have the same answer, by value, and besides sets of 5-word runs that are alike (MinHash,
`lib/datasets/contamination.py`), or a 13-word run in common. One sign alone misleads: AIME problems end in set
phrases of that length, so a run counts only where few test rows have it and a quarter of all 5-word runs is shared;
MMLU asks several questions about one passage, so of questions with options the whole must be alike; drills change a
number only. Programs have no one answer, and some sets publish none: there the questions decide.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from stages.lib.core.records import Problem
from stages.lib.datasets import contamination
from stages.lib.grading import answers

MIN_JACCARD = (
    0.25  # two typesettings of one AIME problem share 0.29 of their 5-word runs or more, two problems 0.24 or less
)
MAX_NGRAM_FREQUENCY = 4  # a 13-word run in more test rows than this is a phrase of the contest
_TEX_LAYOUT = re.compile(
    r"\\(?:left|right|big+l?|big+r?|displaystyle|textstyle|text|mathrm|mathbf|mbox|limits|q?quad)(?![a-z])"
    r"|(?<=\\)[dt](?=frac|binom)|\\[\[\]()!,;: ]|[\s{}$;!?~]|[.,:](?!\d)|(?<!\d)[.,:]|(?<=\d),(?=\d{3}(?!\d))",
    re.IGNORECASE,
)


def find(problems: Sequence[Problem], tests: Sequence[Problem]) -> dict[str, str]:
    """id -> reason of every problem that nearly repeats a test problem."""
    found: dict[str, str] = {}
    alike = list(_match_similar(problems, tests))
    given = [(_get_answer(test), _get_answer(one)) for one, test in alike]
    agree = [
        not own or so or _TEX_LAYOUT.sub("", own) == _TEX_LAYOUT.sub("", right)
        for so, (right, own) in zip(answers.equal_many(given), given, strict=True)
    ]
    for one, test in [*_match_without_layout(problems, tests), *itertools.compress(alike, agree)]:
        found.setdefault(one.id, f"nearly the same question is {test.id} of the {test.split} rows")
    return found


def _get_answer(problem: Problem) -> str:
    if problem.answer_type == "code":
        return ""
    return problem.choices[ord(problem.answer) - ord("A")] if problem.choices else problem.answer


def _match_without_layout(problems: Sequence[Problem], tests: Sequence[Problem]) -> Iterator[tuple[Problem, Problem]]:
    known = {_TEX_LAYOUT.sub("", test.format_prompt()): test for test in tests}
    for problem in problems:
        if test := known.get(_TEX_LAYOUT.sub("", problem.format_prompt())):
            yield problem, test


def _match_similar(problems: Sequence[Problem], tests: Sequence[Problem]) -> Iterator[tuple[Problem, Problem]]:
    """A question of fewer words than a run has says too little to be like another."""
    problems, tests = (
        [p for p in group if len(contamination.split_words(p.format_prompt())) >= contamination.NGRAM_SIZE]
        for group in (problems, tests)
    )
    texts, references = [p.format_prompt() for p in problems], [p.format_prompt() for p in tests]
    for i, j in contamination.find_similar(texts, references):
        yield problems[i], tests[j]
    for i, j in _find_shared_ngrams(texts, references):
        if not problems[i].choices and _compute_jaccard(texts[i], references[j]) >= MIN_JACCARD:
            yield problems[i], tests[j]


def _find_shared_ngrams(texts: Sequence[str], references: Sequence[str]) -> list[tuple[int, int]]:
    """(text, reference) that have a 13-word run in common which is no set phrase of the references."""
    known = defaultdict(set)
    for j, reference in enumerate(references):
        for run in contamination.extract_ngrams(reference, contamination.NGRAM_SIZE):
            known[run].add(j)
    return sorted(
        {
            (i, j)
            for i, text in enumerate(texts)
            for run in contamination.extract_ngrams(text, contamination.NGRAM_SIZE)
            if 0 < len(known.get(run, ())) <= MAX_NGRAM_FREQUENCY
            for j in known[run]
        }
    )


def _compute_jaccard(one: str, other: str) -> float:
    """Jaccard similarity of the sets of 5-word runs."""
    a, b = (
        contamination.extract_ngrams(one, contamination.SHINGLE_SIZE),
        contamination.extract_ngrams(other, contamination.SHINGLE_SIZE),
    )
    return len(a & b) / len(a | b)
