"""Step labels without people: what the samples of a problem and rollouts say about a step, and how few rollouts it takes.

mc_soft             the share of n completions that reach the right answer: the soft estimate of Math-Shepherd (Wang et
                    al. 2023, arXiv 2312.08935)
mc_hard             1 if any does: its hard estimate, with no more completions than needed to see one success
relative_progress   1 if a step keeps at least `threshold` of the success rate before it, 0 from the first step without
                    success on (GenPRM, Zhao et al. 2025, arXiv 2504.00891: 0.8)
consensus           the hard estimate, for solutions in which it and relative progress place the first error alike
binary_search       the first step from which nothing succeeds, located in log2(steps) probes (OmegaPRM, Luo et al. 2024,
                    arXiv 2406.06592); the steps before it are 1, the others 0

Each is a search for `rollouts.run_searches`. The last step ends a solution: there is nothing to complete, so its value is
the outcome.

Every sample of a problem is a rollout from each of its prefixes, and other samples share these prefixes. So the
samples label steps before anything is completed (`find_last_shared_steps`). `label_by_pool` leaves it at that: the steps
that a right sample shares are right, those after them wrong. `binary_search` starts there, and on a right solution it
needs no completion at all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from stages.lib.core.records import Problem, Sample
from stages.lib.labels import first_error
from stages.lib.labels.rollouts import Query, Search
from stages.lib.models.encoding import split_steps


class Solution(NamedTuple):
    """A sample to label.

    last_shared_step: the last step up to which a right sample of the problem has the same steps; -1: none.
    success_rate: the share of right samples of the problem, the success rate before the first step.
    """

    problem: Problem
    index: int
    steps: list[str]
    correct: bool
    last_shared_step: int
    success_rate: float


class Estimate(NamedTuple):
    """The value of a step, and the rollouts it was computed from."""

    value: float
    rollouts: int = 0
    successes: int = 0


def build_solutions(
    problem: Problem, pool: Sequence[Sample], use_pool: bool = True, split: Callable[[str], list[str]] = split_steps
) -> list[Solution]:
    """The samples of a problem. use_pool: let the other samples show which steps can succeed; else a right sample shows
    it for itself alone."""
    steps, correct = [split(sample.text) for sample in pool], [bool(sample.correct) for sample in pool]
    if use_pool:
        last_shared = find_last_shared_steps(steps, correct)
    else:
        last_shared = [len(lines) - 1 if is_right else -1 for lines, is_right in zip(steps, correct, strict=True)]
    success_rate = sum(correct) / max(1, len(correct))
    return [
        Solution(problem, sample.index, lines, is_right, last, success_rate)
        for sample, lines, is_right, last in zip(pool, steps, correct, last_shared, strict=True)
    ]


def find_last_shared_steps(steps: Sequence[Sequence[str]], correct: Sequence[bool]) -> list[int]:
    """For each solution of a problem, the last step up to which a right solution has the same steps; -1: none."""
    right_prefixes = {
        tuple(lines[:end])
        for lines, is_right in zip(steps, correct, strict=True)
        if is_right
        for end in range(1, len(lines) + 1)
    }
    return [
        len(lines) - 1
        if is_right
        else max((end for end in range(len(lines)) if tuple(lines[:end]) in right_prefixes), default=0) - 1
        for lines, is_right in zip(steps, correct, strict=True)
    ]


def mc_soft(solution: Solution, n: int) -> Search[list[Estimate]]:
    outcomes = yield [Query(step, n) for step in range(len(solution.steps) - 1)]
    return [Estimate(sum(correct) / n, n, sum(correct)) for correct in outcomes] + _label_last_step(solution)


def mc_hard(solution: Solution, n: int) -> Search[list[Estimate]]:
    """1, 2, 4, ..., n rollouts after each step until one succeeds: the same values as from all n."""
    estimates = yield from _probe(range(len(solution.steps) - 1), n)
    return [estimates[step] for step in range(len(solution.steps) - 1)] + _label_last_step(solution)


def binary_search(solution: Solution, n: int) -> Search[list[Estimate]]:
    """Assumes that a step from which a rollout succeeds has only right steps before it."""
    probes: dict[int, Estimate] = {}
    low, high = solution.last_shared_step, len(solution.steps) - (not solution.correct)  # a wrong solution ends wrong
    while high - low > 1:
        middle = (low + high) // 2
        probes |= yield from _probe([middle], n)
        low, high = (middle, high) if probes[middle].value else (low, middle)
    return [probes.get(step, Estimate(0.0))._replace(value=float(step < high)) for step in range(len(solution.steps))]


def relative_progress(solution: Solution, n: int, threshold: float = 0.8) -> Search[list[Estimate]]:
    soft = yield from mc_soft(solution, n)
    return apply_relative_progress(soft, solution.success_rate, threshold)


def consensus(solution: Solution, n: int, threshold: float = 0.8) -> Search[list[Estimate] | None]:
    """None where hard estimates and relative progress differ. Zhang et al. 2025 (arXiv 2501.07301) keep the solutions on
    which rollouts and a judge agree; this needs no judge."""
    soft = yield from mc_soft(solution, n)
    hard, progress = harden(soft), apply_relative_progress(soft, solution.success_rate, threshold)
    errors = [first_error.locate(estimate.value for estimate in labels) for labels in (hard, progress)]
    return hard if errors[0] == errors[1] else None


def mc_monotone(solution: Solution, n: int) -> Search[list[Estimate]]:
    """1 up to the last step with a success: the assumption of `binary_search`, with all n rollouts of every step."""
    soft = yield from mc_soft(solution, n)
    last = max((step for step, estimate in enumerate(soft) if estimate.value > 0), default=-1)
    return [estimate._replace(value=float(step <= last)) for step, estimate in enumerate(soft)]


def outcome_labels(solution: Solution, n: int) -> Search[list[Estimate]]:
    """No rollouts: every step is right but the end of a wrong solution."""
    yield []
    return [Estimate(1.0)] * (len(solution.steps) - 1) + _label_last_step(solution)


def label_by_pool(solution: Solution) -> dict[int, float]:
    """step -> value, without a rollout: 1 for the steps that a right sample of the problem shares, 0 for those after.

    A problem without a right sample says only that its solutions end wrong, so their last steps alone are labelled."""
    if not solution.success_rate:
        return {len(solution.steps) - 1: 0.0} if solution.steps else {}
    return {step: float(step <= solution.last_shared_step) for step in range(len(solution.steps))}


def pool_labels(solution: Solution, n: int) -> Search[list[Estimate] | None]:
    """No rollouts: `label_by_pool`; None where that leaves steps without a label."""
    yield []
    values = label_by_pool(solution)
    return [Estimate(value) for value in values.values()] if len(values) == len(solution.steps) else None


def _probe(steps: Iterable[int], n: int) -> Generator[list[Query], list[tuple[bool, ...]], dict[int, Estimate]]:
    """{step: estimate}, from 1, 2, 4, ..., n rollouts until one succeeds."""
    estimates: dict[int, Estimate] = {}
    remaining, size = list(steps), 1
    while remaining:
        outcomes = yield [Query(step, size) for step in remaining]
        for step, correct in zip(remaining, outcomes, strict=True):
            if any(correct):
                estimates[step] = Estimate(1.0, correct.index(True) + 1, 1)
            elif size == n:
                estimates[step] = Estimate(0.0, n, 0)
        remaining, size = [step for step in remaining if step not in estimates], min(2 * size, n)
    return estimates


def _label_last_step(solution: Solution) -> list[Estimate]:
    return [Estimate(float(solution.correct))] if solution.steps else []


def harden(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Hard labels from soft ones: 1 for any success."""
    return [estimate._replace(value=float(estimate.value > 0)) for estimate in estimates]


def apply_relative_progress(estimates: Sequence[Estimate], start: float, threshold: float) -> list[Estimate]:
    """Relative progress from soft estimates. start: the success rate before the first step."""
    labels, is_dead = [], False
    for before, now in pairwise([start, *(estimate.value for estimate in estimates)]):
        is_dead = is_dead or now == 0
        labels.append(float(not is_dead and now >= threshold * before))
    return [estimate._replace(value=label) for estimate, label in zip(estimates, labels, strict=True)]


def is_mixed(correct: Sequence[bool]) -> bool:
    """Whether a problem has right and wrong samples. Where all agree, rollouts say little; OmegaPRM drops such problems."""
    return 0 < sum(correct) < len(correct)
