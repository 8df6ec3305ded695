"""The records that pass between stages, and their files: Problem (JSONL), Sample, StepLabel and Score (Parquet).

People read problems, so problems are JSONL; pools of samples are large, so they are Parquet. Files are sorted by key, and
equal records give equal bytes. A row that does not fit its record is an error that names file and line; no row is skipped.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.lib.core import files
from stages.lib.core.errors import UserError

AnswerType = Literal["number", "integer", "latex", "choice", "boolean", "code", "text"]
Contract = Literal["preserving", "changing", "unsolvable"]
ABSTAIN_INSTRUCTION = "If the question cannot be answered from what it says, answer N/A."


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Step(Record):
    """One line of a gold solution and, where it is known, the value that it computes."""

    text: str
    value: str | None = None


class Source(Record):
    """Where a row came from: a path or address, its revision, and the sha256 of its file."""

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
        """The question as a model reads it: with options, if any, as lines `A: text`, and whether N/A is an answer."""
        options = [f"{chr(ord('A') + i)}: {choice}" for i, choice in enumerate(self.choices or ())]
        return "\n".join([self.question, *options, *([ABSTAIN_INSTRUCTION] if self.abstain else [])])


class Sample(Record):
    """One solution drawn for a problem. Log-probabilities are natural, at temperature 1, summed over `tokens`; tokens that
    the calculator wrote add 0."""

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
        """Graded correct and finished: a solution that was cut off is wrong."""
        return bool(self.correct) and self.finish == "stop"


LabelMethod = Literal["exact", "pool", "mc_hard", "mc_soft", "binary_search"]  # of stage labels


class StepLabel(Record):
    """The value of one step of one sample: 1 right, 0 wrong, or a share of successful rollouts."""

    problem_id: str
    index: int = Field(ge=0)
    step: int = Field(ge=0)
    method: LabelMethod | Literal["human", "imported"]  # imported: published, whoever judged
    value: float = Field(ge=0, le=1)
    rollouts: int | None = None
    successes: int | None = None


class Score(Record):
    """A verifier's judgement of a sample; `score` is the probability that the solution is right.

    `tokens` counts what the verifier reads and writes after the problem to score this sample alone; prefixes that samples
    share are counted for each of them.
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


def explain_unreadable(error: ValueError | RecursionError) -> str:
    """Why a text could not be decoded or is not JSON, and what to do."""
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 (byte {error.start + 1}); save the file as UTF-8"
    if isinstance(error, json.JSONDecodeError):
        is_cut = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated")
        end = "; the file may be cut off" if is_cut else f" at column {error.colno}"
        return f"not valid JSON ({error.msg}){end}"
    if isinstance(error, RecursionError):
        return "not valid JSON (lists or objects are nested too deep)"
    return "a number has thousands of digits; write it as a string" if "digits" in str(error) else str(error)


def decode(data: bytes, path: Path) -> str:
    """The text of a file, without a byte order mark. Raises UserError `file:line: reason` where it is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None


def read_text(path: Path) -> str:
    """As `decode`. Raises UserError for a file that cannot be read, too."""
    try:
        return decode(Path(path).read_bytes(), path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def iter_jsonl(path: Path) -> Iterable[tuple[int, dict]]:
    """(line number, row) of a JSONL file. Raises UserError `file:line: reason` for a line that is not a JSON object.

    A byte order mark and blank lines at the end are ignored.
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
                except (ValueError, RecursionError) as error:
                    reason = explain_unreadable(error)
                else:
                    reason = f"found {type(row).__name__}; every line must be one JSON object"
                    if isinstance(row, dict):
                        yield number, row
                        continue
                raise UserError(f"{path}:{number}: {reason}")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def read_problems(path: Path) -> list[Problem]:
    """Problems of a JSONL file, in its order. Raises UserError for a malformed row or a repeated id."""
    problems, lines = [], {}
    for number, row in iter_jsonl(path):
        try:
            problem = Problem.model_validate(row)
        except ValidationError as error:
            raise UserError(f"{path}:{number}: {explain_error(error)}") from None
        if problem.id in lines:
            first = lines[problem.id]
            raise UserError(f"{path}:{number}: id {problem.id!r} is already used in line {first}; ids must be unique")
        lines[problem.id] = number
        problems.append(problem)
    return problems


def write_problems(path: Path, problems: Iterable[Problem], keep_order: bool = False) -> None:
    """One JSON object a line, sorted by id unless their order is kept, absent fields left out."""
    ordered = problems if keep_order else sorted(problems, key=lambda problem: problem.id)
    rows = [row.model_dump(exclude_none=True) for row in ordered]
    files.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _get_schema(kind: type[Record]) -> Any:
    """The columns of a Parquet file: the fields of the record, in their order."""
    import pyarrow as pa

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}

    def convert(annotation: Any) -> Any:
        if annotation in types:
            return types[annotation]
        if get_origin(annotation) is list:
            return pa.list_(convert(get_args(annotation)[0]))
        if get_origin(annotation) is Literal:
            return types[type(get_args(annotation)[0])]
        return convert(get_args(annotation)[0])  # X | None: any column may hold nulls

    return pa.schema([(name, convert(field.annotation)) for name, field in kind.model_fields.items()])


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
    for before, after in pairwise(ordered):
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
    except (OSError, pa.ArrowException) as error:
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
    """problem id -> its samples, both in the order of the input."""
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
