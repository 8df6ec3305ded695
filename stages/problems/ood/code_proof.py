"""Variants of code problems, proven: the published solution still passes every test, in the sandbox.

A variant whose parent's solution passes and whose own does not is a reject: its statement was spoilt. Where the parent's
solution fails already, the variant proves nothing by this road and is counted with the reason; where no solution was
published, as `no solution`. A program that reads and prints never sees its statement: where the statement compares
answers as the parent's does, the two are the same to the tests, and nothing is run.
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
from stages.problems.ood.programs import code_statement
from stages.problems.ood.rejects import Reject

UNCHANGED = "the same to the tests"
PROOF_LIMITS = Limits(
    cpu_seconds=60, wall_seconds=600.0
)  # what is proven is that a solution is right, on any machine, not fast


def verify_solutions(
    variants: Sequence[Problem], parents: Mapping[str, Problem]
) -> tuple[list[Problem], list[Reject], dict[str, dict[str, int]]]:
    """(what is kept, rejects, how the solutions fared: set -> verdict -> number). Problems without tests are kept as
    they are and counted nowhere. `parents`: id -> problem. Raises UserError where this machine has no sandbox."""
    sources = {problem.id: parents[problem.parent] for problem in variants if problem.tests is not None}
    moved = [
        problem
        for problem in variants
        if problem.id in sources and _make_key(problem) != _make_key(sources[problem.id])
    ]
    verdicts = _judge_solutions([*moved, *(sources[problem.id] for problem in moved)])
    kept, rejects, counts = [], [], {}
    for problem in variants:
        if problem.id not in sources:
            kept.append(problem)
            continue
        after = verdicts.get(problem.id)
        if after and verdicts[problem.parent].passed and not after.passed:
            rejects.append(Reject(problem.id, problem.operator, f"the published solution fails now: {after.reason}"))
            continue
        kept.append(problem)
        counts.setdefault(eval_sets.get_group_name(problem), Counter())[
            _summarize_verdict(after) if after else UNCHANGED
        ] += 1
    return kept, rejects, {name: dict(sorted(counter.items())) for name, counter in sorted(counts.items())}


def _summarize_verdict(verdict: Verdict) -> str:
    return "passed" if verdict.passed else verdict.reason.partition(":")[0]


def _judge_solutions(problems: Sequence[Problem]) -> dict[str, Verdict]:
    """id -> verdict. A program is run once for all statements that compare its answers alike."""
    keys = {problem.id: _make_key(problem) for problem in problems}
    distinct = {keys[problem.id]: problem for problem in problems}
    ((_, verdicts),) = run_ahead([(None, {key: partial(_judge_solution, each) for key, each in distinct.items()})])
    return {name: verdicts[key] for name, key in keys.items()}


def _make_key(problem: Problem) -> tuple[Any, ...]:
    asked = problem.question if "entry_point" in problem.tests else code_tests.read_comparison(problem.question)
    return asked, problem.answer, code_statement.digest_tests(problem.tests)


def _judge_solution(problem: Problem) -> Verdict:
    if not problem.answer.strip():
        return Verdict(False, "no solution")
    return code_tests.run_tests(problem.question, problem.answer, problem.tests, PROOF_LIMITS)
