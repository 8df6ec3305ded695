"""The pool that training problems are chosen from: those of the benchmark, those that join them, and planted faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from stages.lib.core import records, seeds
from stages.lib.core.problem_ids import get_root
from stages.lib.core.records import Problem
from stages.lib.models.prompts import format_options
from stages.lib.run.execution import StageRun
from stages.lib.selection.rows import Row
from stages.lib.training import sft

if TYPE_CHECKING:
    from stages.problems.selection.section import Params

VERSION = 1  # part of every key
REPLAY, DUPLICATE = "replay", "duplicate"  # operators of copies

Origin = Literal["benchmarks", "aime", "ood", "augmentation", "replay"]


class Member(NamedTuple):
    """A problem of the pool: where it comes from, the tokens of its solution, and the fault that was planted in it."""

    problem: Problem
    origin: Origin
    tokens: int
    fault: str | None = None


def rank_at_random(problems: Sequence[Problem], seed: int, field: str) -> list[Problem]:
    return sorted(problems, key=lambda problem: (seeds.key(seed, "selection", VERSION, problem.id, field), problem.id))


def select_problems(problems: Sequence[Problem], n: int, seed: int) -> list[Problem]:
    """n problems of all kinds, sorted by id; a larger n adds to them."""
    # By the key with which stage generator drew them before there was a stage selection, so that they are the same ones.
    ranked = sorted(problems, key=lambda problem: seeds.key(seed, "generator", 1, problem.id, "join"))
    return sorted(ranked[:n], key=lambda problem: problem.id)


def read_pool(run: StageRun[Params], count_tokens: Callable[[Problem], int]) -> list[Member]:
    """The benchmark's train problems in the order of their file, then those that join, by origin and id."""
    joined = run.params
    train = records.read_problems(run.input_path("benchmarks", "train.jsonl"))
    new = records.read_problems(run.input_path("augmentation", "train.jsonl"))
    if joined.augmentation_problems != "all":
        new = select_problems(new, joined.augmentation_problems, run.seed)
    parts: dict[Origin, list[Problem]] = {"benchmarks": train}
    counts: dict[Origin, int] = {"aime": joined.competition_problems, "ood": joined.dyval_problems}
    for origin, count in counts.items():
        parts[origin] = select_problems(records.read_problems(run.input_path(origin, "train.jsonl")), count, run.seed)
    if joined.replay == "none":
        parts["augmentation"] = new
    elif new and train:
        budget = {"n": len(new)} if joined.replay == "items" else {"tokens": sum(map(count_tokens, new))}
        parts["replay"] = repeat_problems(train, run.seed, count_tokens, **budget)
    return [Member(problem, origin, count_tokens(problem)) for origin, part in parts.items() for problem in part]


def repeat_problems(
    problems: Sequence[Problem],
    seed: int,
    count_tokens: Callable[[Problem], int],
    n: int | None = None,
    tokens: int | None = None,
) -> list[Problem]:
    """Copies of problems at random, n of them or as many tokens; no problem is copied twice more often than another.

    The control for new problems: training on it takes as long, and it adds nothing that is new."""
    copies: list[Problem] = []
    total, number = 0, 0
    while total < (n or tokens or 0):
        number += 1
        for problem in rank_at_random(problems, seed, f"{REPLAY} {number}"):
            size = 1 if n is not None else count_tokens(problem)
            if is_nearer_without(total, size, n or tokens or 0):
                return copies
            copies.append(copy_problem(problem, REPLAY, number))
            total += size
        if not total:
            break  # solutions without a token would never fill it
    return copies


def is_nearer_without(total: int, size: int, target: int) -> bool:
    """Whether a total is nearer to the target than the total with one more of this size."""
    return abs(total - target) <= abs(total + size - target)


def copy_problem(problem: Problem, operator: str, number: int | None = None) -> Problem:
    """The same problem under a name of its own."""
    name = operator if number is None else f"{operator}{number}"
    return problem.model_copy(
        update={"id": f"{problem.id}~{name}", "parent": problem.id, "operator": operator, "contract": "preserving"}
    )


def make_row(member: Member) -> Row:
    """What a method of selection reads. Its group is the root of all variants of a problem."""
    problem = member.problem
    is_new = member.origin == "augmentation" and problem.operator
    return Row(
        problem.id,
        problem.format_prompt(),
        "\n".join(sft.get_steps(problem)),
        get_root(problem.id),
        f"augmentation/{problem.operator}" if is_new else member.origin,
        get_family(member),
        member.tokens,
        tuple(format_options(problem)),
    )


def get_family(member: Member) -> str:
    """The kind of problem: the family or task of its program, else its benchmark; each method of augmentation is one."""
    problem = member.problem
    if member.origin == "augmentation":
        return f"{problem.benchmark}~{problem.operator}"
    given = problem.program.params if problem.program else {}
    return str(given.get("family") or given.get("task") or problem.benchmark)
