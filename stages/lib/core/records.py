"""The records that flow between stages: Problem, Sample, StepLabel, Score.

People read problems, so problems are JSONL; pools are large, so pools are Parquet. Files are sorted by key and equal
records give equal bytes. A row that does not fit its record is an error that names file and line; it is never skipped.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.lib.core import files
from stages.lib.core.errors import UserError

AnswerType = Literal["number", "integer", "latex", "choice", "boolean", "code", "text"]
Contract = Literal["preserving", "changing", "unsolvable"]
ABSTAIN_INSTRUCTION = "If the question cannot be answered from what it says, answer N/A."


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Step(Record):
    """One line of a gold solution and, where it is known, the value that stands after it."""

    text: str
    value: str | None = None


class Source(Record):
    """Where a row came from: a path or address, its revision, and the sha256 of the file it stood in."""

    url: str
    revision: str | None = None
    sha256: str | None = None


class Program(Record):
    """Enough to derive question and answer again without a model."""

    generator: str
    version: int
    params: dict[str, Any]


class Problem(Record):
    """A question with its canonical answer. `id` reads `benchmark/split/number`; a variant appends `~operator`."""

    id: str = Field(min_length=1)
    benchmark: str
    split: str
    question: str = Field(min_length=1)
    choices: list[str] | None = None
    answer: str
    answer_type: AnswerType
    steps: list[Step] | None = None
    parent: str | None = None
    operator: str | None = None
    contract: Contract | None = None
    difficulty: float | None = None
    program: Program | None = None
    abstain: bool | None = None  # whether N/A is an allowed answer, which the prompt then says
    tests: dict[str, Any] | None = None  # code problems: entry point and test program, or input/output pairs
    licence: str
    source: Source

    def format_prompt(self) -> str:
        """The question as a model reads it: options, if any, one a line as `A: text`; whether N/A is allowed."""
        options = [f"{chr(ord('A') + i)}: {choice}" for i, choice in enumerate(self.choices or ())]
        return "\n".join([self.question, *options, *([ABSTAIN_INSTRUCTION] if self.abstain else [])])


class Sample(Record):
    """One solution drawn for a problem. Log-probabilities are natural, at temperature 1, summed over `tokens`."""

    problem_id: str
    index: int = Field(ge=0)
    text: str
    answer: str | None
    correct: bool | None
    finish: Literal["stop", "length"]
    logprob: float
    min_logprob: float
    tokens: int = Field(ge=0)

    @property
    def is_right(self) -> bool:
        """Graded correct and finished: a solution that was cut off is wrong, whatever its last number is."""
        return bool(self.correct) and self.finish == "stop"


class StepLabel(Record):
    """The value of one step of one sample: 1 right, 0 wrong, or a share of successful rollouts."""

    problem_id: str
    index: int = Field(ge=0)
    step: int = Field(ge=0)
    method: Literal["outcome", "mc_hard", "mc_soft", "binary_search", "exact", "human"]
    value: float = Field(ge=0, le=1)
    rollouts: int | None = None
    successes: int | None = None


class Score(Record):
    """What one verifier says of one sample; `score` is the probability that the solution is right.

    tokens: read and written after the problem to say it of this sample alone; what samples share is counted each time.
    """

    problem_id: str
    index: int = Field(ge=0)
    verifier: str
    score: float = Field(ge=0, le=1)
    step_scores: list[float] | None = None
    rationales: list[str] | None = None
    tokens: int = Field(default=0, ge=0)


R = TypeVar("R", bound=Record)


def explain_error(error: ValidationError) -> str:
    """The first fault of a validation error in a few words."""
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"]) or "row"
    return f"{where}: {fault['msg'][0].lower()}{fault['msg'][1:]}, got {repr(fault.get('input'))[:80]}"


def iter_jsonl(path: Path) -> Iterable[tuple[int, dict]]:
    """(line number, row) of a JSONL file. Raises UserError `file:line: reason` for what is not an object a line.

    A byte order mark, and blank lines at the end, are none of the content.
    """
    path, blank = Path(path), None
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if not line.strip():
                    blank = blank or number
                    continue
                if blank:
                    raise UserError(f"{path}:{blank}: empty line; every line must be one JSON object")
                try:
                    row = json.loads(line.decode("utf-8"))
                except UnicodeDecodeError as error:
                    raise UserError(
                        f"{path}:{number}: not UTF-8 (byte {error.start + 1}); save the file as UTF-8"
                    ) from None
                except (json.JSONDecodeError, RecursionError) as error:
                    raise UserError(f"{path}:{number}: not valid JSON ({error}); the file may be cut off") from None
                except ValueError:
                    raise UserError(
                        f"{path}:{number}: a number has thousands of digits; write it as a string"
                    ) from None
                if not isinstance(row, dict):
                    raise UserError(f"{path}:{number}: found {type(row).__name__}; every line must be one JSON object")
                yield number, row
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def read_problems(path: Path) -> list[Problem]:
    """Problems of a JSONL file, in file order. Raises UserError for a malformed row or an id met twice."""
    problems, lines = [], {}
    for number, row in iter_jsonl(path):
        try:
            problem = Problem.model_validate(row)
        except ValidationError as error:
            raise UserError(f"{path}:{number}: {explain_error(error)}") from None
        if problem.id in lines:
            raise UserError(
                f"{path}:{number}: id {problem.id!r} stands already in line {lines[problem.id]}; ids must be unique"
            )
        lines[problem.id] = number
        problems.append(problem)
    return problems


def write_problems(path: Path, problems: Iterable[Problem]) -> None:
    """One JSON object a line, sorted by id, absent fields left out."""
    rows = sorted(problems, key=lambda problem: problem.id)
    files.write_text(
        path, "".join(json.dumps(row.model_dump(exclude_none=True), ensure_ascii=False) + "\n" for row in rows)
    )


def _get_schema(kind: type[Record]):
    import pyarrow as pa

    text, integer, real = pa.string(), pa.int64(), pa.float64()
    columns = {
        Sample: {
            "problem_id": text,
            "index": integer,
            "text": text,
            "answer": text,
            "correct": pa.bool_(),
            "finish": text,
            "logprob": real,
            "min_logprob": real,
            "tokens": integer,
        },
        StepLabel: {
            "problem_id": text,
            "index": integer,
            "step": integer,
            "method": text,
            "value": real,
            "rollouts": integer,
            "successes": integer,
        },
        Score: {
            "problem_id": text,
            "index": integer,
            "verifier": text,
            "score": real,
            "step_scores": pa.list_(real),
            "rationales": pa.list_(text),
            "tokens": integer,
        },
    }
    return pa.schema(list(columns[kind].items()))


_SORT_KEYS = {
    Sample: ("problem_id", "index"),
    StepLabel: ("problem_id", "index", "step", "method"),
    Score: ("verifier", "problem_id", "index"),
}


def _write_parquet(path: Path, kind: type[R], rows: Iterable[R]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def sort_key(row: R) -> tuple:
        return tuple(getattr(row, name) for name in _SORT_KEYS[kind])

    ordered = sorted(rows, key=sort_key)
    for before, after in zip(ordered, ordered[1:], strict=False):
        if sort_key(before) == sort_key(after):
            raise ValueError(f"{path}: two rows with the key {sort_key(after)}")
    table = pa.Table.from_pylist([row.model_dump() for row in ordered], schema=_get_schema(kind))
    with files.atomic_write(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _read_parquet(path: Path, kind: type[R]) -> list[R]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]})") from None
    if table.schema.names != _get_schema(kind).names:
        raise UserError(f"{path}: columns {table.schema.names}, expected {_get_schema(kind).names}")
    rows = []
    for number, row in enumerate(table.to_pylist(), 1):
        try:
            rows.append(kind.model_validate(row))
        except ValidationError as error:
            raise UserError(f"{path}: row {number}: {explain_error(error)}") from None
    return rows


def read_samples(path: Path) -> list[Sample]:
    return _read_parquet(path, Sample)


def group_by_problem(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    """problem id -> its samples, problems and samples in the order in which they come."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.problem_id, []).append(sample)
    return groups


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Sorted by (problem_id, index). Raises ValueError when two rows share that key."""
    _write_parquet(path, Sample, samples)


def read_scores(path: Path) -> list[Score]:
    return _read_parquet(path, Score)


def write_scores(path: Path, scores: Iterable[Score]) -> None:
    """Sorted by (verifier, problem_id, index). Raises ValueError when two rows share that key."""
    _write_parquet(path, Score, scores)


def read_labels(path: Path) -> list[StepLabel]:
    return _read_parquet(path, StepLabel)


def write_labels(path: Path, labels: Iterable[StepLabel]) -> None:
    """Sorted by (problem_id, index, step, method). Raises ValueError when two rows share that key."""
    _write_parquet(path, StepLabel, labels)
