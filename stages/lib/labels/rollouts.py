"""Monte-Carlo completions from the step prefixes of solutions: does the completer still reach the right answer?

A rollout is a pure function of (seed, problem, text of the prefix, number): ask for the first n of a prefix now and for
more later, in any company, and the first n stay what they were. So solutions that begin alike share their rollouts, all
label kinds look at the same ones, and what an adaptive search finds is what looking at all of them would have found.
The n completions of a prefix share it as one prompt (lib/inference/shared_prefix.py).

Searches (lib/labels/step_labels.py) are generators: they yield lists of `Query(step, n)` and receive, for each query,
the outcomes of the first n rollouts after that step. `run_searches` runs many of them together, with one round of
completions for all at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from stages.lib.core import seeds
from stages.lib.core.records import Problem
from stages.lib.grading.draws import grade_draws
from stages.lib.models.encoding import check_context_length

if TYPE_CHECKING:
    from stages.lib.inference.sampling import Engine
    from stages.lib.models.encoding import Encoder

VERSION = 1  # part of every key: raise it when the way of drawing changes


class Query(NamedTuple):
    """The outcomes of the first `n` rollouts from the prefix that ends with step `step`."""

    step: int
    n: int


T = TypeVar("T")
Search = Generator[list[Query], list[tuple[bool, ...]], T]
PrefixKey = tuple[str, str]  # problem id, and the steps so far, one a line


class Request(NamedTuple):
    """Rollouts number first, first + 1, ..., last - 1 of a prefix."""

    problem: Problem
    steps: tuple[str, ...]
    start: int
    stop: int


class Reply(NamedTuple):
    """Whether each of a request's rollouts ended in the right answer, and the tokens they took together."""

    correct: list[bool]
    tokens: int


Completer = Callable[[Sequence[Request]], list[Reply]]


class Cost(NamedTuple):
    completions: int
    tokens: int


def make_prefix_key(problem: Problem, steps: Sequence[str]) -> PrefixKey:
    return problem.id, "".join(step.replace("\n", "\v") + "\n" for step in steps)  # a step may have several lines


def make_completer(engine: Engine, encoder: Encoder, seed: int, temperature: float, max_new_tokens: int) -> Completer:
    """Requests to replies, by an engine. Raises UserError when a prefix leaves too little of the model's context."""

    def complete(requests: Sequence[Request]) -> list[Reply]:
        prompts, keys = [], []
        for request in requests:
            ids = encoder.encode(request.problem, request.steps, finished=False, shots=True).ids
            check_context_length(request.problem.id, ids, max_new_tokens, engine.context_length)
            name, text = make_prefix_key(request.problem, request.steps)
            prompts.append(ids)
            keys.append([seeds.key(seed, "labels", VERSION, name, text, i) for i in range(request.start, request.stop)])
        stream = engine.stream(prompts, keys, temperature, max_new_tokens, encoder.stops)
        problems = [request.problem for request in requests]
        prefixes = [encoder.prompt.join_steps(list(request.steps)) for request in requests]
        replies = {
            i: Reply([draw.correct for draw in draws], sum(len(draw.draw.ids) for draw in draws))
            for i, draws in grade_draws(stream, encoder, problems, prefixes)
        }
        return [replies[i] for i in range(len(requests))]

    return complete


def make_cached_completer(outcomes: Mapping[PrefixKey, Sequence[bool]]) -> Completer:
    """Requests to replies from rollouts that are known. Raises KeyError for a prefix, ValueError for more, than these."""

    def complete(requests: Sequence[Request]) -> list[Reply]:
        replies = []
        for request in requests:
            known = outcomes[make_prefix_key(request.problem, request.steps)]
            if len(known) < request.stop:
                raise ValueError(
                    f"{request.problem.id}: {len(known)} rollouts of a prefix where {request.stop} are asked"
                )
            replies.append(Reply(list(known[request.start : request.stop]), 0))
        return replies

    return complete


def run_searches(
    searches: Sequence[tuple[Problem, Sequence[str], Search[T]]],
    complete: Completer,
    outcomes: dict[PrefixKey, list[bool]] | None = None,
) -> tuple[list[T], Cost]:
    """What each search returns, and what all of them cost together.

    searches: (problem, steps of the solution, search). outcomes: rollouts that are known already; new ones are added.
    Only what is not known yet is completed, and counted.
    """
    outcomes = {} if outcomes is None else outcomes
    results: list[Any] = [None] * len(searches)
    asking: dict[int, list[Query]] = {}

    def advance(i: int, replies: Any) -> None:
        try:
            asking[i] = searches[i][2].send(replies)
        except StopIteration as end:
            asking.pop(i, None)
            results[i] = end.value

    for i in range(len(searches)):
        advance(i, None)
    completions = tokens = 0
    while asking:
        wanted: dict[PrefixKey, Request] = {}
        for i, asks in asking.items():
            problem, steps, _ = searches[i]
            for ask in asks:
                before = tuple(steps[: ask.step + 1])
                at = make_prefix_key(problem, before)
                first = len(outcomes.setdefault(at, []))
                last = max(ask.n, wanted[at].stop) if at in wanted else ask.n
                if last > first:
                    wanted[at] = Request(problem, before, first, last)
        replies = complete(list(wanted.values())) if wanted else []
        for at, reply in zip(wanted, replies, strict=True):
            outcomes[at] += reply.correct
            completions += len(reply.correct)
            tokens += reply.tokens
        for i, asks in list(asking.items()):
            problem, steps, _ = searches[i]
            advance(i, [tuple(outcomes[make_prefix_key(problem, steps[: ask.step + 1])][: ask.n]) for ask in asks])
    return results, Cost(completions, tokens)
