"""Monte-Carlo rollouts: completions from the step prefixes of solutions, and whether they reach the right answer.

A rollout is a pure function of (seed, problem, text of the prefix, number), independent of what else is drawn. So
solutions with the same first steps share rollouts, all methods use prefixes of the same list, and an adaptive search
returns what it would return if all rollouts were drawn. The n completions of a prefix share it as one prompt
(lib/inference/shared_prefix.py).

Searches (lib/labels/label_methods.py) are generators: they yield lists of `Query(step, n)` and receive, for each query,
the outcomes of the first n rollouts after that step. `run_searches` runs many of them together, with one round of
completions for all at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from stages.lib.core import seeds
from stages.lib.core.records import Problem
from stages.lib.grading.draws import grade_draws
from stages.lib.models.encoding import check_context_length

if TYPE_CHECKING:
    from stages.lib.inference.sampling import Distribution, Engine
    from stages.lib.models.encoding import Encoder

VERSION = 1  # part of every key: raise it when rollouts are drawn differently


class Query(NamedTuple):
    """The outcomes of the first `n` rollouts from the prefix that ends with step `step`."""

    step: int
    n: int


T = TypeVar("T")
Search = Generator[list[Query], list[tuple[bool, ...]], T]
PrefixKey = tuple[str, str]  # problem id, and the steps of the prefix, one a line


class Request(NamedTuple):
    """The rollouts with the numbers start, start + 1, ..., stop - 1 of a prefix."""

    problem: Problem
    steps: tuple[str, ...]
    start: int
    stop: int


class Reply(NamedTuple):
    """Whether each rollout of a request reached the right answer, and their tokens together."""

    correct: list[bool]
    tokens: int


Completer = Callable[[Sequence[Request]], list[Reply]]


class Cost(NamedTuple):
    completions: int
    tokens: int


def make_prefix_key(problem: Problem, steps: Sequence[str]) -> PrefixKey:
    return problem.id, "".join(step.replace("\n", "\v") + "\n" for step in steps)  # a step may have several lines


def make_completer(
    engine: Engine,
    encoder: Encoder,
    seed: int,
    distribution: Distribution,
    max_new_tokens: int,
) -> Completer:
    """A completer that draws with an engine. It raises UserError when a prefix leaves too little of the model's
    context."""

    def complete(requests: Sequence[Request]) -> list[Reply]:
        prompts, keys = [], []
        for request in requests:
            ids = encoder.encode(request.problem, request.steps, finished=False, shots=True).ids
            check_context_length(request.problem.id, ids, max_new_tokens, engine.context_length)
            name, text = make_prefix_key(request.problem, request.steps)
            prompts.append(ids)
            keys.append([seeds.key(seed, "labels", VERSION, name, text, i) for i in range(request.start, request.stop)])
        stream = engine.stream(prompts, keys, distribution, max_new_tokens, encoder.stops, encoder.calculator)
        problems = [request.problem for request in requests]
        prefixes = [encoder.prompt.join_steps(list(request.steps)) for request in requests]
        replies = {
            i: Reply([draw.correct for draw in draws], sum(len(draw.draw.ids) for draw in draws))
            for i, draws in grade_draws(stream, encoder, problems, prefixes)
        }
        return [replies[i] for i in range(len(requests))]

    return complete


def make_cached_completer(outcomes: Mapping[PrefixKey, Sequence[bool]]) -> Completer:
    """A completer that looks rollouts up. It raises KeyError for an unknown prefix, ValueError for too few rollouts."""

    def complete(requests: Sequence[Request]) -> list[Reply]:
        replies = []
        for request in requests:
            correct = outcomes[make_prefix_key(request.problem, request.steps)]
            if len(correct) < request.stop:
                raise ValueError(
                    f"{request.problem.id}: {len(correct)} rollouts of a prefix where {request.stop} are asked"
                )
            replies.append(Reply(list(correct[request.start : request.stop]), 0))
        return replies

    return complete


def run_searches(
    searches: Sequence[tuple[Problem, Sequence[str], Search[T]]],
    complete: Completer,
    outcomes: dict[PrefixKey, list[bool]] | None = None,
) -> tuple[list[T], Cost]:
    """The result of each search, and the cost of all of them together.

    searches: (problem, steps of the solution, search). outcomes: rollouts that are known already; new ones are added.
    Only unknown rollouts are completed and counted.
    """
    outcomes = {} if outcomes is None else outcomes
    results: dict[int, T] = {}
    pending: dict[int, list[Query]] = {}
    completions = tokens = 0

    def advance(i: int, step: Callable[[], list[Query]]) -> None:
        try:
            pending[i] = step()
        except StopIteration as end:
            pending.pop(i, None)
            results[i] = end.value

    def key(i: int, query: Query) -> PrefixKey:
        problem, steps, _ = searches[i]
        return make_prefix_key(problem, steps[: query.step + 1])

    for i, (_, _, search) in enumerate(searches):
        advance(i, partial(next, search))
    while pending:
        requests: dict[PrefixKey, Request] = {}
        for i, query in ((i, query) for i, queries in pending.items() for query in queries):
            at = key(i, query)
            start = len(outcomes.setdefault(at, []))
            stop = max(query.n, requests[at].stop) if at in requests else query.n
            if stop > start:
                requests[at] = Request(searches[i][0], tuple(searches[i][1][: query.step + 1]), start, stop)
        for at, reply in zip(requests, complete(list(requests.values())) if requests else (), strict=True):
            outcomes[at] += reply.correct
            completions += len(reply.correct)
            tokens += reply.tokens
        for i, queries in list(pending.items()):
            replies = [tuple(outcomes[key(i, query)][: query.n]) for query in queries]
            advance(i, partial(searches[i][2].send, replies))
    return [results[i] for i in range(len(searches))], Cost(completions, tokens)
