"""A solution with labels of its steps, made from a row of a published file; a row that does not fit is rejected.

`LabelledSolution.steps` are the steps as published. The sample's text joins the same steps in the form of the prompt, so
that step k of a label is step k of the text: line breaks inside a step become spaces where a step is a line, and blank
lines are dropped where it is a paragraph. A row whose labels do not match its steps is rejected with the reason, never
repaired. What was not published is empty: the gold answer "", log-probabilities and tokens 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from stages.lib.core import files, records, row_files
from stages.lib.core.records import AnswerType, Problem, Sample, Source, StepLabel
from stages.lib.grading import grader
from stages.lib.models.prompts import Prompt


class LabelledSolution(NamedTuple):
    """One solution and the labels of its steps; a step without a rating has no label.

    row_id: the id of its row, or of the problem where rows have no id."""

    problem: Problem
    sample: Sample
    labels: list[StepLabel]
    steps: list[str]
    row_id: str


class RejectedRow(NamedTuple):
    """A rejected row. row: its line in a JSONL file, else its place from 1."""

    row: int
    reason: str


class Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class MisalignedError(Exception):
    """Why the labels of a row do not match its steps."""


class Form(NamedTuple):
    """A published form: the fields of a row, and what makes solutions of a valid one."""

    row: type[Row]
    convert: Callable[[Any, int, Source, Prompt], Iterator[Any]]


def read_rows(path: Path, form: Form, prompt: Prompt | None) -> Iterator[Any]:
    """What the form makes of each row, or RejectedRow. Raises UserError for a file that breaks off."""
    rows = row_files.iter_rows(path)
    first = next(rows, None)  # says whether the file can be read
    source = Source(url=path.name, sha256=files.sha256(path))
    for number, row in chain([first] if first else [], rows):
        try:
            # The list converts a row whole before any of it is yielded.
            yield from list(form.convert(form.row.model_validate(row), number, source, prompt or Prompt()))
        except ValidationError as error:
            yield RejectedRow(number, records.explain_error(error))
        except MisalignedError as error:
            yield RejectedRow(number, str(error))


def make_problem(name: str, question: str, answer: str, kind: AnswerType, licence: str, source: Source) -> Problem:
    """name: `benchmark/split/number`. Raises MisalignedError for an empty question."""
    if not question.strip():
        raise MisalignedError("its question is empty")
    benchmark, split, _ = name.split("/", 2)
    return Problem(
        id=name,
        benchmark=benchmark,
        split=split,
        question=question,
        answer=answer,
        answer_type=kind,
        licence=licence,
        source=source,
    )


def make_labelled(
    prompt: Prompt,
    problem: Problem,
    index: int,
    steps: list[str],
    values: Sequence[float | None],
    method: Literal["human", "mc_hard", "imported"],
    finished: bool,
    correct: bool | None = None,
) -> LabelledSolution:
    """values: of each step, None for no label. finished: the solution ends where its last step ends; `correct` is its
    outcome, by default the grade of its answer, if the problem has one. Raises MisalignedError for a blank step."""
    lines = [_join_step_lines(step, prompt) for step in steps]
    if "" in lines:
        raise MisalignedError(f"step {lines.index('')} is blank")
    text = prompt.join_steps(lines)
    gradable = restore_heading(text)
    answer = grader.extract(problem, gradable) if finished else None
    if correct is None and finished and problem.answer:
        correct = grader.grade(problem, [gradable])[0].correct
    sample = Sample(
        problem_id=problem.id,
        index=index,
        text=text,
        answer=answer,
        correct=correct,
        finish="stop" if finished else "length",
        logprob=0.0,
        min_logprob=0.0,
        tokens=0,
    )
    labels = [
        StepLabel(problem_id=problem.id, index=index, step=step, method=method, value=float(value))
        for step, value in enumerate(values)
        if value is not None
    ]
    return LabelledSolution(problem, sample, labels, steps, problem.id)


def restore_heading(text: str) -> str:
    """A text with PRM800K's heading `# Answer`, which has lost its line break, in a form that marks an answer."""
    return re.sub(r"#+ *Answer\b:?\s*", "Answer: ", text)


def _join_step_lines(step: str, prompt: Prompt) -> str:
    """A step without the separator of steps inside."""
    lines = step.splitlines()
    if prompt.steps == "lines":
        return " ".join(lines).strip()
    return "\n".join(line for line in lines if line.strip()).strip()
