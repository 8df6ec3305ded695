"""Near-duplicates of test problems: one published problem in other words or in other typesetting.

A problem nearly repeats a test problem if both have the same letters and signs once the layout commands of TeX are
removed, with any answers; or if both have equal answers and either similar sets of 5-grams (MinHash, `contamination`)
or a shared 13-gram. A shared 13-gram alone misleads, because AIME problems end in set phrases of that length: it counts
only if few test problems contain it and a quarter of all 5-grams is shared. MMLU asks several questions about one
passage, so questions with options must be similar as a whole. Where there is no single answer (programs) or none is
published, the questions decide.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from stages.lib.core.records import Problem
from stages.lib.datasets import contamination
from stages.lib.grading import answers

MIN_JACCARD = 0.25  # of 5-grams: two typesettings of one AIME problem share 0.29 or more, two problems 0.24 or less
MAX_NGRAM_FREQUENCY = 4  # a 13-gram in more test problems than this is a set phrase
_TEX_LAYOUT = re.compile(
    r"\\(?:left|right|big+l?|big+r?|displaystyle|textstyle|text|mathrm|mathbf|mbox|limits|q?quad)(?![a-z])"
    r"|(?<=\\)[dt](?=frac|binom)|\\[\[\]()!,;: ]|[\s{}$;!?~]|[.,:](?!\d)|(?<!\d)[.,:]|(?<=\d),(?=\d{3}(?!\d))",
    re.IGNORECASE,
)


def find(problems: Sequence[Problem], tests: Sequence[Problem]) -> dict[str, str]:
    """id -> reason, for every problem that nearly repeats a test problem."""
    similar = list(_match_similar(problems, tests))
    pairs = [(_get_answer(test), _get_answer(problem)) for problem, test in similar]
    agree = [
        not answer or is_equal or _strip_layout(answer) == _strip_layout(test_answer)
        for is_equal, (test_answer, answer) in zip(answers.equal_many(pairs), pairs, strict=True)
    ]
    reasons: dict[str, str] = {}
    for problem, test in [*_match_without_layout(problems, tests), *itertools.compress(similar, agree)]:
        reasons.setdefault(problem.id, f"nearly the same question is {test.id} of the {test.split} rows")
    return reasons


def _get_answer(problem: Problem) -> str:
    if problem.answer_type == "code":
        return ""
    return problem.choices[ord(problem.answer) - ord("A")] if problem.choices else problem.answer


def _strip_layout(text: str) -> str:
    return _TEX_LAYOUT.sub("", text)


def _match_without_layout(problems: Sequence[Problem], tests: Sequence[Problem]) -> Iterator[tuple[Problem, Problem]]:
    tests_by_text = {_strip_layout(test.format_prompt()): test for test in tests}
    for problem in problems:
        if test := tests_by_text.get(_strip_layout(problem.format_prompt())):
            yield problem, test


def _match_similar(problems: Sequence[Problem], tests: Sequence[Problem]) -> Iterator[tuple[Problem, Problem]]:
    """(problem, test) with similar questions; questions of fewer than 13 words are too short to compare."""
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
    """Sorted index pairs (text, reference) that share a 13-gram which few references contain."""
    references_by_ngram = defaultdict(set)
    for j, reference in enumerate(references):
        for ngram in contamination.extract_ngrams(reference, contamination.NGRAM_SIZE):
            references_by_ngram[ngram].add(j)
    ngrams = (
        (i, n) for i, text in enumerate(texts) for n in contamination.extract_ngrams(text, contamination.NGRAM_SIZE)
    )
    matches = ((i, references_by_ngram.get(ngram, set())) for i, ngram in ngrams)
    return sorted({(i, j) for i, matched in matches if len(matched) <= MAX_NGRAM_FREQUENCY for j in matched})


def _compute_jaccard(first: str, second: str) -> float:
    """Jaccard similarity of the sets of 5-grams."""
    a, b = (contamination.extract_ngrams(text, contamination.SHINGLE_SIZE) for text in (first, second))
    return len(a & b) / len(a | b)
