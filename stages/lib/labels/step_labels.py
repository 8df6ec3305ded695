"""Step labels by Monte Carlo: what the rollouts of a step say of it, and how few of them are enough.

every               the share of n completions that reach the right answer: the soft estimate of Math-Shepherd (Wang et
                    al. 2023, arXiv 2312.08935)
until_success       1 if any does: its hard estimate, with no more completions than that takes
relative_progress   1 if a step keeps at least `threshold` of the success rate before it, 0 from the first step without
                    success on (GenPRM, Zhao et al. 2025, arXiv 2504.00891: 0.8)
agreed              the hard estimate, of solutions in which it and relative progress place the first error alike
bisect              the first step from which nothing succeeds, found in log2(steps) probes (OmegaPRM, Luo et al. 2024,
                    arXiv 2406.06592); the steps before it are 1, the others 0

Each is a search for `rollouts.resolve`. A solution's last step ends it: there is nothing to complete, so its value is the
outcome.

A sample drawn for a problem is a rollout from each of its own prefixes, and other samples share them. So a pool of samples
labels steps before anything is completed (`find_last_shared_steps`), and `binary_search` starts where the pool's right samples leave off; for a
right solution it ends there, too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from stages.lib.core.records import Problem, Sample
from stages.lib.labels.rollouts import Query, Search
from stages.lib.models.encoding import split_steps


class Solution(NamedTuple):
    """A sample as its labels see it.

    reached: its last step up to which a right sample of the problem goes the same way; -1: none does.
    start: the share of right samples of the problem, the success rate before the first step.
    """

    problem: Problem
    index: int
    steps: list[str]
    correct: bool
    last_shared_step: int
    success_rate: float


class Estimate(NamedTuple):
    """The value of a step, and the rollouts that were looked at to find it."""

    value: float
    rollouts: int = 0
    successes: int = 0


def build_solutions(
    problem: Problem, pool: Sequence[Sample], use_pool: bool = True, split: Callable[[str], list[str]] = split_steps
) -> list[Solution]:
    """The samples of a problem. known: each starts from what the others show; else only a right one is known to succeed."""
    steps, right = [split(sample.text) for sample in pool], [bool(sample.correct) for sample in pool]
    reached = [len(lines) - 1 if so else -1 for lines, so in zip(steps, right, strict=True)]
    if use_pool:
        reached = find_last_shared_steps(steps, right)
    start = sum(right) / max(1, len(right))
    return [
        Solution(problem, sample.index, *each, start) for sample, *each in zip(pool, steps, right, reached, strict=True)
    ]


def find_last_shared_steps(steps: Sequence[Sequence[str]], right: Sequence[bool]) -> list[int]:
    """For each solution of a problem, its last step up to which some right solution goes the same way; -1: none does."""
    alive = {
        tuple(lines[:end]) for lines, so in zip(steps, right, strict=True) if so for end in range(1, len(lines) + 1)
    }
    return [
        len(lines) - 1 if so else max((end for end in range(len(lines)) if tuple(lines[:end]) in alive), default=0) - 1
        for lines, so in zip(steps, right, strict=True)
    ]


def mc_soft(solution: Solution, n: int) -> Search[list[Estimate]]:
    replies = yield [Query(step, n) for step in range(len(solution.steps) - 1)]
    return [Estimate(sum(reply) / n, n, sum(reply)) for reply in replies] + _label_last_step(solution)


def mc_hard(solution: Solution, n: int) -> Search[list[Estimate]]:
    """1, 2, 4, ..., n rollouts after each step until one succeeds: the same values as from all n."""
    found = yield from _probe(range(len(solution.steps) - 1), n)
    return [found[step] for step in range(len(solution.steps) - 1)] + _label_last_step(solution)


def binary_search(solution: Solution, n: int) -> Search[list[Estimate]]:
    """Takes it that a step with a success has only right steps before it."""
    probed: dict[int, Estimate] = {}
    low, high = (
        solution.last_shared_step,
        len(solution.steps) - (not solution.correct),
    )  # the end of a wrong solution is known to be wrong
    while high - low > 1:
        middle = (low + high) // 2
        probed |= yield from _probe([middle], n)
        low, high = (middle, high) if probed[middle].value else (low, middle)
    return [probed.get(step, Estimate(0.0))._replace(value=float(step < high)) for step in range(len(solution.steps))]


def relative_progress(solution: Solution, n: int, threshold: float = 0.8) -> Search[list[Estimate]]:
    soft = yield from mc_soft(solution, n)
    return apply_relative_progress(soft, solution.success_rate, threshold)


def consensus(solution: Solution, n: int, threshold: float = 0.8) -> Search[list[Estimate] | None]:
    """None where hard estimates and relative progress differ. Zhang et al. 2025 (arXiv 2501.07301) keep the solutions on
    which rollouts and a judge agree; this needs no judge."""
    soft = yield from mc_soft(solution, n)
    return (
        harden(soft)
        if find_first_error(harden(soft))
        == find_first_error(apply_relative_progress(soft, solution.success_rate, threshold))
        else None
    )


def mc_monotone(solution: Solution, n: int) -> Search[list[Estimate]]:
    """What `binary_search` assumes, without its thrift: 1 up to the last step with a success."""
    soft = yield from mc_soft(solution, n)
    last = max((step for step, each in enumerate(soft) if each.value > 0), default=-1)
    return [each._replace(value=float(step <= last)) for step, each in enumerate(soft)]


def outcome_labels(solution: Solution, n: int) -> Search[list[Estimate]]:
    """No rollouts: every step is right but the end of a wrong solution."""
    yield []
    return [Estimate(1.0)] * (len(solution.steps) - 1) + _label_last_step(solution)


def pool_labels(solution: Solution, n: int) -> Search[list[Estimate]]:
    """No rollouts: a step is right as far as a right sample of the problem goes the same way."""
    yield []
    return [Estimate(float(step <= solution.last_shared_step)) for step in range(len(solution.steps))]


def _probe(steps: Iterable[int], n: int) -> Generator[list[Query], list[tuple[bool, ...]], dict[int, Estimate]]:
    found: dict[int, Estimate] = {}
    waiting, size = list(steps), 1
    while waiting:
        replies = yield [Query(step, size) for step in waiting]
        for step, reply in zip(waiting, replies, strict=True):
            if any(reply) or size == n:
                looked = reply.index(True) + 1 if any(reply) else n
                found[step] = Estimate(float(any(reply)), looked, int(any(reply)))
        waiting, size = [step for step in waiting if step not in found], min(2 * size, n)
    return found


def _label_last_step(solution: Solution) -> list[Estimate]:
    return [Estimate(float(solution.correct))] if solution.steps else []


def harden(estimates: Sequence[Estimate]) -> list[Estimate]:
    return [each._replace(value=float(each.value > 0)) for each in estimates]


def apply_relative_progress(estimates: Sequence[Estimate], start: float, threshold: float) -> list[Estimate]:
    """Relative progress, from soft estimates and the success rate before the first step."""
    labels, dead = [], False
    for before, now in pairwise([start, *(each.value for each in estimates)]):
        dead = dead or now == 0
        labels.append(float(not dead and now >= threshold * before))
    return [each._replace(value=label) for each, label in zip(estimates, labels, strict=True)]


def find_first_error(estimates: Iterable[Estimate], threshold: float = 0.5) -> int | None:
    """The first step with a value below the threshold; None if there is none."""
    return next((step for step, each in enumerate(estimates) if each.value < threshold), None)


def is_mixed(right: Sequence[bool]) -> bool:
    """Filter: whether a problem has right samples and wrong ones. Where all agree, rollouts tell little; OmegaPRM drops
    such problems."""
    return 0 < sum(right) < len(right)
