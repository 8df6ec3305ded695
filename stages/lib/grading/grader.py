"""Grading: what answer does a solution give, and is it right? One place for samples, rollouts, training and pools.

Numbers, formulas, letters and truth values are extracted and compared (`answers`). Programs are run against the tests of
their problem in the sandbox (`judge`), on all cores, and each once: programs that differ only in looks share a
verdict, and verdicts are kept in `.assay/judge/`, so that a run that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import tee
from typing import NamedTuple, TypeVar

from stages.lib.core import json_cache
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem
from stages.lib.grading import answers, code_tests, programs, sandbox
from stages.lib.grading.code_tests import Verdict
from stages.lib.grading.prefetch import MAX_AHEAD, run_ahead
from stages.lib.grading.replies import strip_thinking


class Grade(NamedTuple):
    """answer: as the solution gives it, None where it gives none. abstained: it says that there is no answer."""

    answer: str | None
    correct: bool
    abstained: bool = False


ProblemTexts = tuple[Problem, Sequence[str | None]]
T = TypeVar("T")


def grade(problem: Problem, texts: Sequence[str | None], marked: bool = False) -> list[Grade]:
    """A Grade for each solution; None stands for one that was cut off, which has no answer. marked: see `extract`."""
    (grades,) = grade_ahead([(problem, texts)], marked)
    return grades


def grade_ahead(
    solutions: Iterable[ProblemTexts], marked: bool = False, ahead: int = MAX_AHEAD
) -> Iterator[list[Grade]]:
    """`grade` for each problem and its texts, in order. Programs run while the next solutions are being made: up to
    `ahead` problems are taken before the first is done. Raises UserError for a code problem without tests, and where
    this machine has no sandbox."""
    for (problem, found, right), verdicts in run_ahead(map(partial(_prepare_jobs, marked), solutions), ahead):
        if problem.answer_type == "code":
            right = {answer: verdicts[name].passed for answer, name in right.items()}
        yield [Grade(answer, right.get(answer, False), answer == answers.NO_ANSWER) for answer in found]


def grade_each(
    items: Iterable[T], solutions: Callable[[T], ProblemTexts], marked: bool
) -> Iterator[tuple[T, list[Grade]]]:
    """Each item with the grades of what `solutions` makes of it, in order; ahead, as `grade_ahead` does."""
    kept, graded = tee(items)
    return zip(kept, grade_ahead(map(solutions, graded), marked), strict=True)


def extract(problem: Problem, text: str | None, marked: bool = False) -> str | None:
    """The answer that a solution gives, past any thinking: of a code problem, a program that can be run.

    marked: an answer counts only where the solution says that it is one (after `####`, in a box, after "the answer is"),
    or is nothing else. Without, it may be the last number of a solution that broke off.
    """
    if text is None or (text := strip_thinking(text)) is None:
        return None
    if problem.answer_type == "code":
        return programs.extract(text, problem.question, (problem.tests or {}).get("entry_point"))
    if marked and not answers.has_marked_answer(text, problem.answer_type):
        return None
    return answers.extract(text, problem.answer_type)


def _prepare_jobs(
    marked: bool, solutions: ProblemTexts
) -> tuple[tuple[Problem, list[str | None], dict], dict[str, Callable[[], Verdict]]]:
    """The answers of a problem's solutions; which are right, or the names of the jobs that tell."""
    problem, texts = solutions
    found = [extract(problem, text, marked) for text in texts]
    distinct = sorted({answer for answer in found if answer is not None})
    if problem.answer_type != "code":
        pairs = [(problem.answer, answer) for answer in distinct]
        return (problem, found, dict(zip(distinct, answers.equal_many(pairs, problem.answer_type), strict=True))), {}
    if not problem.tests:
        raise UserError(f"{problem.id}: no tests, so no program can be graded; give the benchmark with its tests")
    rules = [
        code_tests.VERSION,
        json_cache.hash_value(problem.tests),
        code_tests.read_comparison(problem.question, problem.tests),
        sandbox.DEFAULT_LIMITS,
    ]
    names = {code: json_cache.hash_value([*rules, programs.normalise(code)]) for code in distinct}
    return (problem, found, names), {name: partial(_run_tests, name, problem, code) for code, name in names.items()}


def _run_tests(name: str, problem: Problem, code: str) -> Verdict:
    kept = json_cache.open_cache(code_tests.CACHE_FOLDER)
    if known := kept.get(name):
        return Verdict(*known)
    verdict = code_tests.run_tests(problem.question, code, problem.tests)
    if not verdict.reason.endswith(code_tests.INCONCLUSIVE):
        kept.set(name, verdict)
    return verdict
