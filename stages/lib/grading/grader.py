"""Grading: which answer does a solution give, and is it right? The one place for samples, rollouts, training and pools.

Numbers, formulas, letters and truth values are extracted and compared (`answers`). Programs run against the tests of their
problem in the sandbox (`code_tests`), on all cores. Programs that differ only in comments and white space share a verdict,
and verdicts are cached in `.assay/judge/`, so that a run that was killed continues where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import tee
from typing import Any, NamedTuple, TypeVar

from stages.lib.core import json_cache
from stages.lib.core.errors import UserError
from stages.lib.core.expressions import strip_annotations
from stages.lib.core.records import Problem
from stages.lib.grading import answers, code_tests, programs, sandbox
from stages.lib.grading.code_tests import Verdict
from stages.lib.grading.prefetch import MAX_AHEAD, run_ahead
from stages.lib.grading.replies import strip_thinking


class Grade(NamedTuple):
    """answer: as the solution gives it, None where it gives none. abstained: the answer is that there is none."""

    answer: str | None
    correct: bool
    abstained: bool = False


ProblemTexts = tuple[Problem, Sequence[str | None]]
T = TypeVar("T")


class _Extracted(NamedTuple):
    """The answers of a problem's solutions, and for each distinct one whether it is right, or the key of its verdict."""

    answers: list[str | None]
    is_right: dict[str, bool]
    keys: dict[str, str]


def grade(problem: Problem, texts: Sequence[str | None], marked: bool = False) -> list[Grade]:
    """A Grade for each solution; None: it was cut off and has no answer. marked: see `extract`."""
    (grades,) = grade_ahead([(problem, texts)], marked)
    return grades


def grade_ahead(
    solutions: Iterable[ProblemTexts], marked: bool = False, ahead: int = MAX_AHEAD
) -> Iterator[list[Grade]]:
    """`grade` for each problem and its texts, in order.

    Programs run while the next solutions are being made: up to `ahead` problems are taken before the first is done. Raises
    UserError for a code problem without tests, and where this machine has no sandbox.
    """
    for extracted, verdicts in run_ahead(map(partial(_prepare_jobs, marked), solutions), ahead):
        is_right = extracted.is_right | {code: verdicts[key].passed for code, key in extracted.keys.items()}
        yield [
            Grade(answer, answer is not None and is_right[answer], answer == answers.NO_ANSWER)
            for answer in extracted.answers
        ]


def grade_each(
    items: Iterable[T], solutions: Callable[[T], ProblemTexts], marked: bool
) -> Iterator[tuple[T, list[Grade]]]:
    """Each item with the grades of `solutions(item)`, in order; items are taken ahead, as by `grade_ahead`."""
    returned, graded = tee(items)
    return zip(returned, grade_ahead(map(solutions, graded), marked), strict=True)


def extract(problem: Problem, text: str | None, marked: bool = False) -> str | None:
    """The answer that a solution gives after any thinking: of a code problem, a program that can be run.

    marked: only an answer that the solution marks as one (after `####`, in a box, after "the answer is"), or that is all of
    it. Without, it may be the last number of a solution that broke off.
    """
    if text is None or (text := strip_thinking(text)) is None:
        return None
    if problem.answer_type == "code":
        return programs.extract(text, problem.question, (problem.tests or {}).get("entry_point"))
    text = strip_annotations(text)  # a `<<48/2=24>>` is working, and must not change what is read as the answer
    if marked and not answers.has_marked_answer(text, problem.answer_type):
        return None
    return answers.extract(text, problem.answer_type)


def _prepare_jobs(marked: bool, solutions: ProblemTexts) -> tuple[_Extracted, dict[str, Callable[[], Verdict]]]:
    problem, texts = solutions
    extracted = [extract(problem, text, marked) for text in texts]
    distinct = sorted({answer for answer in extracted if answer is not None})
    if problem.answer_type != "code":
        verdicts = answers.equal_many([(problem.answer, answer) for answer in distinct], problem.answer_type)
        return _Extracted(extracted, dict(zip(distinct, verdicts, strict=True)), {}), {}
    if not problem.tests:
        raise UserError(f"{problem.id}: no tests, so no program can be graded; give the benchmark with its tests")
    rules = [
        code_tests.VERSION,
        json_cache.hash_value(problem.tests),
        code_tests.read_comparison(problem.question, problem.tests),
        sandbox.DEFAULT_LIMITS,
    ]
    keys = {code: json_cache.hash_value([*rules, programs.normalise(code)]) for code in distinct}
    jobs = {key: partial(_run_tests, key, problem.question, code, problem.tests) for code, key in keys.items()}
    return _Extracted(extracted, {}, keys), jobs


def _run_tests(key: str, question: str, code: str, tests: dict[str, Any]) -> Verdict:
    """The verdict on a program, from the cache if it is there. Inconclusive ones are not cached."""
    cache = json_cache.open_cache(code_tests.CACHE_FOLDER)
    cached: Any = cache.get(key)
    if cached:
        return Verdict(*cached)
    verdict = code_tests.run_tests(question, code, tests)
    if not verdict.reason.endswith(code_tests.INCONCLUSIVE):
        cache.set(key, verdict)
    return verdict
