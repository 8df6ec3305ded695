"""Verification of code variants: the published solution must still pass every test, in the sandbox.

A variant is rejected if the solution passes with the parent's statement and fails with its own: the change damaged the
statement. If the solution fails with the parent too, nothing is proven, and the variant is counted under that reason;
without a published solution under `no solution`. A program that reads and prints never sees its statement, so if both
statements ask for the same comparison of answers, the tests cannot differ and nothing is run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from stages.lib.core.records import Problem
from stages.lib.datasets import eval_sets
from stages.lib.grading import code_tests
from stages.lib.grading.code_tests import Verdict
from stages.lib.grading.prefetch import run_ahead
from stages.lib.grading.sandbox import Limits
from stages.lib.operators.programs import code_statement
from stages.lib.operators.rejects import Reject

UNCHANGED = "the same to the tests"
PROOF_LIMITS = Limits(cpu_seconds=60, wall_seconds=600.0)  # generous: the solution must be right, not fast


def verify_solutions(
    variants: Sequence[Problem], parents: Mapping[str, Problem]
) -> tuple[list[Problem], list[Reject], dict[str, dict[str, int]]]:
    """(kept problems, rejects, set -> verdict -> number). Problems without tests are kept and not counted. parents: id ->
    problem. Raises UserError where this machine has no sandbox."""
    sources = {p.id: parents[p.parent] for p in variants if p.parent and p.tests is not None}
    changed = [p for p in variants if p.id in sources and _make_key(p) != _make_key(sources[p.id])]
    verdicts = _judge_solutions([*changed, *(sources[problem.id] for problem in changed)])
    kept, rejects, counts = [], [], {}
    for problem in variants:
        if problem.id not in sources:
            kept.append(problem)
            continue
        after = verdicts.get(problem.id)
        if after and verdicts[sources[problem.id].id].passed and not after.passed:
            rejects.append(
                Reject(problem.id, str(problem.operator), f"the published solution fails now: {after.reason}")
            )
            continue
        kept.append(problem)
        verdict = _summarize_verdict(after) if after else UNCHANGED
        counts.setdefault(eval_sets.get_group_name(problem), Counter())[verdict] += 1
    return kept, rejects, {name: dict(sorted(counter.items())) for name, counter in sorted(counts.items())}


def _summarize_verdict(verdict: Verdict) -> str:
    return "passed" if verdict.passed else verdict.reason.partition(":")[0]


def _judge_solutions(problems: Sequence[Problem]) -> dict[str, Verdict]:
    """id -> verdict. A program runs once for all statements that ask for the same comparison of its output."""
    keys = {problem.id: _make_key(problem) for problem in problems}
    distinct = {keys[problem.id]: problem for problem in problems}
    ((_, verdicts),) = run_ahead(
        [(None, {key: partial(_judge_solution, problem) for key, problem in distinct.items()})]
    )
    return {name: verdicts[key] for name, key in keys.items()}


def _make_key(problem: Problem) -> tuple[Any, ...]:
    """Equal for problems to which the tests give the same verdict."""
    tests = problem.tests or {}
    statement = problem.question if "entry_point" in tests else code_tests.read_comparison(problem.question)
    return statement, problem.answer, code_statement.digest_tests(tests)


def _judge_solution(problem: Problem) -> Verdict:
    if not problem.answer.strip():
        return Verdict(False, "no solution")
    return code_tests.run_tests(problem.question, problem.answer, problem.tests or {}, PROOF_LIMITS)
