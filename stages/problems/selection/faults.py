"""Faults that are planted in the pool, to measure how many of them a method keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stages.lib.core import seeds
from stages.lib.core.records import Problem, Step
from stages.lib.selection import corruption
from stages.lib.selection.corruption import Kind
from stages.lib.training import sft
from stages.problems.selection.pool import DUPLICATE, VERSION, Member, copy_problem, rank_at_random

if TYPE_CHECKING:
    from stages.problems.selection.section import PlantedParams

NOISE: tuple[Kind, ...] = (
    "wrong_step",
    "wrong_answer",
    "cut_end",
)  # what makes a solution bad; a duplicate is no noise


def plant(members: Sequence[Member], planted: PlantedParams, seed: int) -> list[Member]:
    """The pool with faults in their places, and copies at its end. A problem that a fault does not fit is passed over."""
    placed = {member.problem.id: member for member in members}
    for name in NOISE:
        wanted = round(getattr(planted, name) * len(members))
        for member in _rank([member for member in placed.values() if not member.fault], seed, name):
            if not wanted:
                break
            if bad := corrupt(member.problem, name, seed):
                placed[bad.id] = member._replace(problem=bad, fault=name)
                wanted -= 1
    whole = [member for member in placed.values() if not member.fault]
    repeated = _rank(whole, seed, DUPLICATE)[: round(planted.duplicates * len(members))]
    copies = [m._replace(problem=copy_problem(m.problem, DUPLICATE), fault=DUPLICATE) for m in repeated]
    return [*placed.values(), *sorted(copies, key=lambda copy: copy.problem.id)]


def corrupt(problem: Problem, kind: Kind, seed: int) -> Problem | None:
    """The problem with a fault in its solution, None where it does not fit; `answer` stays the right one."""
    steps = problem.steps or [Step(text=text) for text in sft.get_steps(problem)]
    rng = seeds.rng(seed, "selection", VERSION, problem.id, kind)
    changed = corruption.corrupt_lines([step.text for step in steps], kind, rng)
    if not changed:
        return None
    kept = {step.text: step.value for step in steps}
    return problem.model_copy(update={"steps": [Step(text=text, value=kept.get(text)) for text in changed[0]]})


def _rank(members: Sequence[Member], seed: int, field: str) -> list[Member]:
    by_id = {member.problem.id: member for member in members}
    return [by_id[problem.id] for problem in rank_at_random([m.problem for m in members], seed, field)]
