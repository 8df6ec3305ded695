"""Code tests: does a program pass the tests of its problem? Each test is one run in the sandbox.

There are two kinds of `Problem.tests`:
  {"public": {"input": [...], "output": [...]}, "private": {...}}   a program with standard input and output (Codeforces)
  {"entry_point": ..., "test": ...}                                 a function, whole or the rest of it (HumanEval)
The first kind may say how outputs are compared, `"compared": {"tolerance": 1e-6, "any_case": false}`; else the statement
does.

Outputs are compared word by word, as the usual checker of Codeforces does (`wcmp` of testlib); white space does not matter.
Numbers may be off by the error that the statement allows, and case is ignored where it allows either. A problem with *any*
of several right answers needs a checker, a program that reads the input, the published output and the printed one. The
published tests come without checkers, so a failed comparison proves nothing there, as `Verdict.reason` states;
`explain_ungradable` says it beforehand.

A function shares its process with its tests, so a solution that wants to cheat can. A random word that is printed after the
tests shows that they ran to their end.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stages.lib.core.records import Problem
from stages.lib.grading import programs, sandbox
from stages.lib.grading.sandbox import Limits, Outcome

VERSION = 2  # part of the key of every cached verdict: raise it when verdicts change
CACHE_FOLDER = Path(".assay/judge")
TEST_KINDS = ("public", "private")
WRONG_ANSWER = "another answer"
INCONCLUSIVE = "perhaps only on this machine"
_ERROR = re.compile(
    r"(?:relative|absolute)(?: or (?:relative|absolute))? error|error (?:of|is|does|should|must|between)"
)
_TOLERANCE = re.compile(r"10\s*\^?\s*\{?\s*[-−–]\s*(\d)|1e-(\d)|0\.(0*1)\b")
_ANY_CASE = re.compile(
    r"(?:letter|character|word|answer|\b(?:yes|no))\b[^.]{0,40}\b(?:any|either|arbitrary) (?:letter )?(?:case|register)"
    r"|case[- ]insensitive|upper or lower",
    re.I,
)
_SEVERAL_ANSWERS = (
    r"(?:several|multiple|more than one|many)\b[^.]{0,40}"
    r"\b(?:answer|solution|way|variant|option|optimal|possible|valid|such)"
)
_ANY_OF = r"(?:any|either|one of)\b"
_ANY_ANSWER = re.compile(
    rf"\b(?:if|in case|when) (?:there|you|it)?[^.]{{0,20}}{_SEVERAL_ANSWERS}[^.]*[.,]?[^.]*\b{_ANY_OF}"
    r"|(?:not|n't) (?:have|need) to (?:be minimal|minimi[sz]e the number)"
    r"|\b(?:print|output|report|display) (?:out )?(?:any|either)(?! case)\b"
    r"|\b(?:any|either) (?:of (?:them|these|those|the \w+) )?(?:is|are|will be|would be|can be|may be)? ?"
    r"(?:accepted|acceptable|considered correct|printed)"
    r"|\b(?:print|output|list|answers?|solutions?)\b[^.]{0,80}\bin (?:any|arbitrary) order",
    re.I,
)


class Verdict(NamedTuple):
    """Whether a program passed every test; if not, the first test that failed (`public 0`) and the reason."""

    passed: bool
    reason: str = ""
    test: str = ""


class Comparison(NamedTuple):
    """How outputs are compared: the error that numbers may have (None: none), and whether any case is right."""

    tolerance: float | None = None
    any_case: bool = False


EXACT = Comparison()


def explain_ungradable(problem: Problem) -> str | None:
    """Why no program can be graded on this problem; None if programs can."""
    tests = problem.tests or {}
    if "entry_point" in tests:
        return None if str(tests.get("test", "")).strip() else "tests: no test program, so no function can be graded"
    if unknown := set(tests) - {*TEST_KINDS, "compared"}:
        return f"tests: unknown kind {min(unknown)!r}; allowed: {', '.join(TEST_KINDS)}, or entry_point and test"
    if not any((tests.get(kind) or {}).get("input") for kind in TEST_KINDS):
        return "tests: there are none, so no program can be graded"
    if accepts_several_answers(problem.question):
        return "any of several answers is right, which takes a checker of its own; the tests hold one answer each"
    return None


def run_tests(
    question: str, solution: str, tests: Mapping[str, Any], limits: Limits = sandbox.DEFAULT_LIMITS
) -> Verdict:
    """The verdict on a solution. Raises UserError if this machine has no sandbox, ValueError for unknown kinds of tests."""
    if "entry_point" in tests:
        return run_function_tests(question, solution, tests, limits)
    if not set(tests) <= {*TEST_KINDS, "compared"}:
        raise ValueError(f"tests of an unknown kind: {', '.join(tests)}")
    verdict = run_program_tests(solution, tests, read_comparison(question, tests), limits)
    if verdict.reason == WRONG_ANSWER and accepts_several_answers(question):
        return verdict._replace(reason=f"{WRONG_ANSWER} where several are right")
    return verdict


def run_program_tests(
    solution: str, tests: Mapping[str, Any], rule: Comparison = EXACT, limits: Limits = sandbox.DEFAULT_LIMITS
) -> Verdict:
    """Run a program that reads standard input on the pairs of input and output, until the first that fails."""
    for kind in TEST_KINDS:
        pairs = tests.get(kind) or {"input": [], "output": []}
        for number, (stdin, expected) in enumerate(zip(pairs["input"], pairs["output"], strict=True)):
            outcome = sandbox.run(solution, ensure_trailing_newline(stdin), limits)
            if outcome.status != "ok":
                return Verdict(False, _explain(outcome), f"{kind} {number}")
            if not equal_outputs(outcome.stdout, expected, rule):
                return Verdict(False, WRONG_ANSWER, f"{kind} {number}")
    return Verdict(True)


def ensure_trailing_newline(text: str) -> str:
    """An input with a newline after its last line; some were published without."""
    return text if not text or text.endswith("\n") else f"{text}\n"


def run_function_tests(
    question: str, solution: str, tests: Mapping[str, Any], limits: Limits = sandbox.DEFAULT_LIMITS
) -> Verdict:
    """Run the published test program on a function, whole or as the rest of what the prompt begins."""
    end = secrets.token_hex(8)
    code = programs.extract(solution, question, tests["entry_point"]) or question
    last = f"__import__('builtins').print('{end}')"  # works even if the solution redefines print
    source = f"{code}\n\n{tests['test']}\n\ncheck({tests['entry_point']})\n{last}\n"
    outcome = sandbox.run(source, "", limits)
    if outcome.status != "ok":
        return Verdict(False, _explain(outcome), "check")
    return Verdict(True) if outcome.stdout.endswith(f"{end}\n") else Verdict(False, "ended before its tests", "check")


def _explain(outcome: Outcome) -> str:
    return outcome.reason if outcome.is_conclusive else f"{outcome.reason}, {INCONCLUSIVE}"


def accepts_several_answers(question: str) -> bool:
    """Whether the statement accepts any of several answers, which takes a checker."""
    return bool(_ANY_ANSWER.search(question))


def read_comparison(question: str, tests: Mapping[str, Any] | None = None) -> Comparison:
    """How outputs are compared: as the tests define, else as the statement does."""
    if tests and "compared" in tests:
        return Comparison(**tests["compared"])
    return Comparison(read_tolerance(question), bool(_ANY_CASE.search(question)))


def read_tolerance(question: str) -> float | None:
    """The absolute or relative error that the statement allows; None if it names none."""
    for sentence in re.split(r"(?<=[.!?])\s", question):
        if _ERROR.search(sentence) and (match := _TOLERANCE.search(sentence)):
            power, exponent, zeros = match.groups()
            return 10.0 ** -int(power or exponent or len(zeros))
    return None


def equal_outputs(printed: str, expected: str, rule: Comparison = EXACT) -> bool:
    """Whether two outputs have the same words by this rule."""
    left, right = ((text.lower() if rule.any_case else text).split() for text in (printed, expected))
    return len(left) == len(right) and all(
        word == other or (rule.tolerance is not None and _is_close(word, other, rule.tolerance))
        for word, other in zip(left, right, strict=True)
    )


def _is_close(word: str, other: str, tolerance: float) -> bool:
    try:
        value, expected = float(word), float(other)
    except ValueError:
        return False
    return abs(value - expected) <= tolerance * max(1.0, abs(expected))  # False for nan
