"""Predictions for published solutions (`python -m stages processbench` and its siblings), read from JSONL or cached.

{"id": "gsm8k-7", "scores": [0.98, 0.12]}      the score of every step
{"id": "gsm8k-8", "first_error": 1}            or the first wrong step from 0, -1 for none, null for no answer
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem

# The scores of the steps; or the first wrong step, -1 for none, None for no prediction; or TOO_LONG.
Prediction = list[float] | int | str | None
TOO_LONG = "the solution is longer than the model reads"


class Scored(Protocol):
    """What predictions are about, such as a LabelledSolution: each of its steps has a score."""

    @property
    def problem(self) -> Problem: ...

    @property
    def steps(self) -> list[str]: ...

    @property
    def row_id(self) -> str: ...


S = TypeVar("S", bound=Scored)


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)
    id: str
    scores: list[float] | None = None
    first_error: int | None = Field(default=None, ge=-1)


class Predictions:
    """A file of predictions. unit: what has a score. Raises UserError for a row of another form, and for an id that occurs
    twice."""

    def __init__(self, path: Path, unit: str = "steps"):
        self.path, self.unit = path, unit
        self.by_id: dict[str, Prediction] = {}
        self.used_ids: set[str] = set()
        for number, row in records.iter_jsonl(path):
            try:
                prediction = _Row.model_validate(row)
            except ValidationError as error:
                raise UserError(f"{path}:{number}: {records.explain_error(error)}") from None
            if prediction.id in self.by_id:
                raise UserError(f"{path}:{number}: {prediction.id} has two predictions")
            if (prediction.scores is None) == ("first_error" not in prediction.model_fields_set):
                raise UserError(
                    f"{path}:{number}: needs `scores`, or else `first_error` (null where there is no answer)"
                )
            self.by_id[prediction.id] = prediction.first_error if prediction.scores is None else prediction.scores

    def lookup(self, rows: Sequence[Scored]) -> list[Prediction]:
        """The prediction of each solution. Raises UserError where one is missing or does not match the steps."""
        for row in rows:
            name, steps = row.row_id, len(row.steps)
            if name not in self.by_id:
                raise UserError(f"{self.path}: no line for {name}; where there is no answer give first_error null")
            prediction = self.by_id[name]
            if isinstance(prediction, list) and len(prediction) != steps:
                raise UserError(f"{self.path}: {name} has {len(prediction)} scores for {steps} {self.unit}")
            if isinstance(prediction, int) and prediction >= steps:
                raise UserError(
                    f"{self.path}: {name} has {steps} steps, counted from 0; first_error {prediction} is none of them"
                )
        self.used_ids.update(row.row_id for row in rows)
        return [self.by_id[row.row_id] for row in rows]

    def list_unused(self) -> list[str]:
        """The ids that were never looked up."""
        return [name for name in self.by_id if name not in self.used_ids]


class ScoreCache:
    """Step scores, saved a line a solution as they are computed, so that a killed run continues.

    A key of settings, question and steps identifies a line, so scores of other models, settings or texts are not used.
    path: the file; None names one by `settings` and the `scored` files, which `discard` removes."""

    def __init__(self, path: Path | None, settings: list[str | None], scored: Sequence[Path] = ()):
        run_key = _hash([settings, [str(file.resolve()) for file in scored]])[:12]
        self.path, self.settings = path or Path(f".checkpoints/published-scores-{run_key}.jsonl"), settings
        self.is_kept = path is not None
        self.scores: dict[str, Prediction] = {}
        if self.path.is_file():
            *lines, cut = self.path.read_bytes().split(b"\n")
            try:
                self.scores = {row["key"]: row["scores"] for row in map(json.loads, lines)}
                if not b'{"id": "'.startswith(cut[:8]):  # neither a line that a kill cut off, nor empty
                    raise ValueError
            except (ValueError, KeyError, TypeError):
                raise UserError(f"{self.path}: not a file of step scores kept by --save; name another") from None
            os.truncate(self.path, sum(len(line) + 1 for line in lines))
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def get_or_score(self, score: Callable[[Sequence[S]], list[Prediction]], rows: Sequence[S]) -> list[Prediction]:
        """The scores of all rows; `score` computes those that are not in the cache."""
        keys = [self._make_key(row) for row in rows]
        missing = [(key, row) for key, row in zip(keys, rows, strict=True) if key not in self.scores]
        with open(self.path, "ab") as file:
            for (key, row), scores in zip(missing, score([row for _, row in missing]), strict=True):
                self.scores[key] = scores
                if scores != TOO_LONG:
                    file.write(json.dumps({"id": row.row_id, "scores": scores, "key": key}).encode() + b"\n")
        return [self.scores[key] for key in keys]

    def discard(self) -> None:
        """Remove the file after a complete run, unless the user named it."""
        if not self.is_kept:
            self.path.unlink(missing_ok=True)

    def _make_key(self, row: Scored) -> str:
        return _hash([self.settings, row.problem.question, row.steps])[:20]


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
