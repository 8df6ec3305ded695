"""What may be learned from: no problem of an evaluation set, no variant of one, and no question of one."""

from __future__ import annotations

from collections.abc import Iterable

from stages.lib.core.errors import UserError
from stages.lib.core.problem_ids import get_root
from stages.lib.core.records import Problem


def check_firewall(problems: Iterable[Problem], evaluation: Iterable[Problem]) -> None:
    """Raises UserError for a problem to learn from that is in an evaluation set, or shares its root or its question."""
    held = list(evaluation)
    roots = {get_root(name) for problem in held for name in (problem.id, problem.parent) if name}
    questions = {" ".join(problem.question.split()): problem.id for problem in held}
    for problem in problems:
        same = questions.get(" ".join(problem.question.split()))
        for name in (problem.id, problem.parent):
            if name and get_root(name) in roots:
                same = get_root(name)
        if same:
            raise UserError(
                f"problem {problem.id}: cannot be learned from, for the evaluation sets hold {same}; "
                "`dvc repro benchmarks` makes splits that share nothing"
            )
