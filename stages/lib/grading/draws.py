"""From the tokens of a draw to text, answer and `correct`: in one place for evaluation, samples and rollouts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from stages.lib.core.records import Problem, Sample
from stages.lib.grading import grader


class GradedDraw(NamedTuple):
    """draw: an inference.sampling.Draw. text: the whole solution. One that was cut off has no answer and is not correct."""

    draw: Any
    text: str
    answer: str | None
    correct: bool


def grade_draws(
    stream: Iterable[tuple[int, Sequence[Any]]],
    encoder: Any,
    problems: Sequence[Problem],
    prefixes: Sequence[str] | None = None,
) -> Iterator[tuple[int, list[GradedDraw]]]:
    """The draws of each prompt, decoded and graded, in the order of the stream; programs run while the next are drawn.

    stream: (index of a prompt, its draws), as an inference engine yields them. encoder: a models.encoding.Encoder.
    problems, prefixes: the problem of each prompt, and the part of a solution that it already contains (none by default).
    """

    def decode(item: tuple[int, Sequence[Any]]) -> tuple[int, Sequence[Any], list[str]]:
        i, draws = item
        prefix = prefixes[i] if prefixes else ""
        return i, draws, [prefix + encoder.decode_solution(draw.ids) for draw in draws]

    def get_solutions(item: tuple[int, Sequence[Any], list[str]]) -> grader.ProblemTexts:
        i, draws, texts = item
        return problems[i], [text if draw.finish == "stop" else None for draw, text in zip(draws, texts, strict=True)]

    for (i, draws, texts), grades in grader.grade_each(map(decode, stream), get_solutions, encoder.prompt.marked):
        columns = zip(draws, texts, grades, strict=True)
        yield i, [GradedDraw(draw, text, grade.answer, grade.correct) for draw, text, grade in columns]


def make_samples(
    stream: Iterable[tuple[int, Sequence[Any]]], encoder: Any, problems: Sequence[Problem]
) -> Iterator[list[Sample]]:
    """The graded samples of each problem, in the order of an engine's stream of (index of a problem, draws)."""
    for i, graded in grade_draws(stream, encoder, problems):
        yield [
            Sample(
                problem_id=problems[i].id,
                index=index,
                text=text,
                answer=answer,
                finish=draw.finish,
                correct=correct,
                logprob=sum(draw.logprobs),
                min_logprob=min(draw.logprobs),
                tokens=len(draw.ids),
            )
            for index, (draw, text, answer, correct) in enumerate(graded)
        ]
