"""Published step labels, by people and by other systems, converted to the records of this pipeline.

prm800k         JSONL; every step of a path has rated completions, one of them chosen (Lightman et al. 2023,
                arXiv 2305.20050; github.com/openai/prm800k). Ratings -1, 0, 1; neutral counts as right, as in the paper.
math_shepherd   JSONL; `input` has the tag `ки` after every step, `label` is the same text with + or - instead of every
                tag (Wang et al. 2023, arXiv 2312.08935). Hard Monte-Carlo estimates, not people's.
processbench    one JSON list; `label` is the first wrong step or -1 (Zheng et al. 2024, arXiv 2412.06559). Steps after
                the first error were not judged and get no label.

Rows are read one at a time. `LabelledSolution.steps` are the steps as published. The sample's text joins the same steps
in the form of the prompt, so that step k of a label is step k of the text: line breaks inside a step become spaces where
a step is a line, and blank lines are dropped where it is a paragraph. A row whose labels do not match its steps is
rejected with the reason, never repaired. What was not published is empty: the gold answer "", log-probabilities and
tokens 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.lib.core import files, records
from stages.lib.core.errors import UserError
from stages.lib.core.records import AnswerType, Problem, Sample, Source, StepLabel
from stages.lib.grading import grader
from stages.lib.models.prompts import Prompt

STEP_TAG = "ки"
READ_CHARS = 1 << 16  # characters of a JSON list read at a time


class LabelledSolution(NamedTuple):
    """One solution and the labels of its steps; a step without a rating has no label.

    row_id: the id of its row, or of the problem where rows have no id."""

    problem: Problem
    sample: Sample
    labels: list[StepLabel]
    steps: list[str]
    row_id: str


class RejectedRow(NamedTuple):
    """A rejected row. row: its line in a JSONL file, or its place from 1 in a JSON list."""

    row: int
    reason: str


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Completion(_Row):
    text: str
    rating: Literal[-1, 0, 1] | None = None


class _Choice(_Row):
    completions: list[_Completion] | None
    human_completion: _Completion | None = None
    chosen_completion: int | None = Field(default=None, ge=0)


class _Question(_Row):
    problem: str = Field(min_length=1)
    ground_truth_answer: str | None = None


class _Path(_Row):
    steps: list[_Choice] = Field(min_length=1)
    finish_reason: str


class _Prm800kRow(_Row):
    question: _Question
    label: _Path


class _ShepherdRow(_Row):
    input: str
    label: str
    task: str


class _ProcessBenchRow(_Row):
    id: str = Field(min_length=1)
    problem: str = Field(min_length=1)
    steps: list[str] = Field(min_length=1)
    final_answer_correct: bool
    label: int = Field(ge=-1)


class _MisalignedError(Exception):
    """Why the labels of a row do not match its steps."""


def read_prm800k(path: Path, prompt: Prompt | None = None) -> Iterator[LabelledSolution | RejectedRow]:
    """Every path with the ratings of its steps, and every rated alternative to one of its steps as a separate sample.

    An alternative has the path's steps before it, but only its own label, so that shared steps count once.
    Raises UserError when the file is not JSONL.
    """
    return _read_rows(path, records.iter_jsonl(Path(path)), _Prm800kRow, _convert_prm800k, prompt)


def read_math_shepherd(path: Path, prompt: Prompt | None = None) -> Iterator[LabelledSolution | RejectedRow]:
    """One sample a row. Raises UserError when the file is not JSONL."""
    return _read_rows(path, records.iter_jsonl(Path(path)), _ShepherdRow, _convert_shepherd, prompt)


def read_processbench(path: Path, prompt: Prompt | None = None) -> Iterator[LabelledSolution | RejectedRow]:
    """One sample a row. Raises UserError when the file is not one JSON list."""
    return _read_rows(path, iter_json_list(Path(path)), _ProcessBenchRow, _convert_processbench, prompt)


READERS = {
    "prm800k": read_prm800k,
    "math_shepherd": read_math_shepherd,
}  # formats that a process verifier can be trained on


def iter_json_list(path: Path) -> Iterator[tuple[int, Any]]:
    """(place from 1, value) of a JSON list, read piece by piece."""
    decoder, text, ended, number = json.JSONDecoder(), "", False, 0
    try:
        with open(path, encoding="utf-8-sig") as file:

            def read_piece() -> None:
                nonlocal text, ended
                piece = file.read(READ_CHARS)
                text, ended = text + piece, not piece

            def pop_sign() -> str:
                nonlocal text
                while not (text := text.lstrip()) and not ended:
                    read_piece()
                sign, text = text[:1], text[1:]
                return sign

            if pop_sign() != "[":
                raise UserError(f"{path}: not a JSON list; ProcessBench files are one JSON list of rows")
            sign = ","
            while sign == ",":
                while True:
                    text = text.lstrip()
                    if text.startswith("]") and not number:
                        break
                    try:
                        row, end = decoder.raw_decode(text)
                        if end < len(text) or ended:
                            break
                    except ValueError:
                        if ended:
                            raise
                    read_piece()
                if not text.startswith("]"):
                    number, text = number + 1, text[end:]
                    yield number, row
                sign = pop_sign()
            if sign != "]" or pop_sign():
                raise ValueError("the list neither goes on nor ends the file")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: not valid JSON after row {number} ({error}); ProcessBench files are one JSON list"
        ) from None


def _read_rows(
    path: Path,
    rows: Iterable[tuple[int, Any]],
    form: type[_Row],
    convert: Callable[..., Iterator[LabelledSolution]],
    prompt: Prompt | None,
) -> Iterator[LabelledSolution | RejectedRow]:
    try:
        source = Source(url=Path(path).name, sha256=files.sha256(Path(path)))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    for number, row in rows:
        try:
            # The list converts a row whole before any of it is yielded.
            yield from list(convert(form.model_validate(row), number, source, prompt or Prompt()))
        except ValidationError as error:
            yield RejectedRow(number, records.explain_error(error))
        except _MisalignedError as error:
            yield RejectedRow(number, str(error))


def _convert_prm800k(row: Any, number: int, source: Source, prompt: Prompt) -> Iterator[LabelledSolution]:
    if row.label.finish_reason == "bad_problem":
        raise _MisalignedError("its labeller found the problem itself to be bad")
    path: list[_Completion] = []
    alternatives: list[list[_Completion]] = []  # each with the steps before it
    ended = False
    for place, step in enumerate(row.label.steps):
        completions, chosen = step.completions or [], step.chosen_completion
        if ended and (completions or step.human_completion):
            raise _MisalignedError(f"step {place - 1} chooses no completion, but the path goes on")
        if chosen is not None and chosen >= len(completions):
            raise _MisalignedError(f"step {place} chooses completion {chosen} of {len(completions)}")
        ended = chosen is None and not step.human_completion
        following = completions[chosen or 0] if completions and (ended or chosen is not None) else step.human_completion
        alternatives += [[*path, other] for other in completions if other is not following and other.rating is not None]
        if following:
            path.append(following)
    if not path:
        raise _MisalignedError("no step was proposed")
    problem = _make_problem(
        f"prm800k/train/{number:06d}",
        row.question.problem,
        row.question.ground_truth_answer or "",
        "latex",
        "MIT",
        source,
    )
    is_solved = row.label.finish_reason == "solution"
    for index, steps in enumerate([path, *alternatives]):
        labels = [None if step.rating is None else step.rating >= 0 for step in steps]
        if index:
            labels[:-1] = [None] * (len(steps) - 1)
        texts = [step.text for step in steps]
        yield _make_labelled(prompt, problem, index, texts, labels, "human", finished=is_solved and not index)


def _convert_shepherd(row: Any, number: int, source: Source, prompt: Prompt) -> Iterator[LabelledSolution]:
    parts = row.input.split(STEP_TAG)
    if len(parts) == 1:
        raise _MisalignedError(f"no tag {STEP_TAG!r} in its input")
    if parts[-1].strip():
        raise _MisalignedError(f"text after the last tag: {parts[-1].strip()[:40]!r}")
    labels, at = [], 0
    for part in parts[:-1]:
        sign = row.label[at + len(part) : at + len(part) + 1]
        if row.label[at : at + len(part)] != part or sign not in ("+", "-"):
            raise _MisalignedError(f"label {len(labels) + 1} is not the input with + or - in place of {STEP_TAG!r}")
        labels.append(sign == "+")
        at += len(part) + 1
    if row.label[at:] != parts[-1]:
        raise _MisalignedError("its label goes on after the last tag")
    question, mark, first = parts[0].partition("Step 1:")
    if not mark:
        raise _MisalignedError("a tag stands before `Step 1:`, or there is none")
    if "Step 1:" in first:
        raise _MisalignedError("`Step 1:` stands twice before its first tag: where its question ends cannot be told")
    steps = [mark + first, *(part.lstrip() for part in parts[1:-1])]
    for place, step in enumerate(steps, 1):
        if (marks := re.findall(r"(?:^|\n)Step (\d+):", step)) != [str(place)]:
            raise _MisalignedError(f"tag {place} closes the steps {marks}, not step {place} alone")
    kind: AnswerType = "number" if row.task == "GSM8K" else "latex"
    problem = _make_problem(f"math_shepherd/train/{number:06d}", question.strip(), "", kind, "MIT", source)
    yield _make_labelled(prompt, problem, 0, steps, labels, "mc_hard", finished=True, correct=labels[-1])


def _convert_processbench(row: Any, number: int, source: Source, prompt: Prompt) -> Iterator[LabelledSolution]:
    if row.label >= len(row.steps):
        raise _MisalignedError(f"its first wrong step is {row.label}, but it has {len(row.steps)} steps")
    if row.label == -1 and not row.final_answer_correct:
        raise _MisalignedError("its final answer is wrong, but no step")
    subset = row.id.rpartition("-")[0] or "all"
    kind: AnswerType = "number" if subset == "gsm8k" else "latex"
    problem = _make_problem(f"processbench/{subset}/{row.id}", row.problem, "", kind, "not stated", source)
    labels: list[bool | None] = [True] * len(row.steps)
    if row.label >= 0:
        labels[row.label :] = [False] + [None] * (len(row.steps) - row.label - 1)  # later steps were not judged
    correct = row.final_answer_correct
    solution = _make_labelled(prompt, problem, 0, row.steps, labels, "human", finished=True, correct=correct)
    yield solution._replace(row_id=row.id)


def _make_problem(name: str, question: str, answer: str, kind: AnswerType, licence: str, source: Source) -> Problem:
    if not question.strip():
        raise _MisalignedError("its question is empty")
    benchmark, split, _ = name.split("/")
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


def _make_labelled(
    prompt: Prompt,
    problem: Problem,
    index: int,
    steps: list[str],
    is_right: list[bool | None],
    method: Literal["human", "mc_hard"],
    finished: bool,
    correct: bool | None = None,
) -> LabelledSolution:
    lines = [_join_step_lines(step, prompt) for step in steps]
    if "" in lines:
        raise _MisalignedError(f"step {lines.index('')} is blank")
    text = prompt.join_steps(lines)
    gradable = re.sub(r"#+ *Answer\b:?\s*", "Answer: ", text)  # a heading that has lost its line break
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
        StepLabel(problem_id=problem.id, index=index, step=step, method=method, value=float(label))
        for step, label in enumerate(is_right)
        if label is not None
    ]
    return LabelledSolution(problem, sample, labels, steps, problem.id)


def _join_step_lines(step: str, prompt: Prompt) -> str:
    """A step without the separator of steps inside."""
    lines = step.splitlines()
    if prompt.steps == "lines":
        return " ".join(lines).strip()
    return "\n".join(line for line in lines if line.strip()).strip()
