"""What is said of published solutions: step scores or first wrong steps, JSONL of a line a solution.

{"id": "gsm8k-7", "scores": [0.98, 0.12]}      the score of every step
{"id": "gsm8k-8", "first_error": 1}            or the first wrong step from 0, -1 for none, null for no answer
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.labels.published_labels import LabelledSolution

# The scores of the steps; or the first wrong one, -1 for none and None for no answer; or TOO_LONG.
Prediction = list[float] | int | str | None
TOO_LONG = "the solution is longer than the model reads"


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)
    id: str
    scores: list[float] | None = None
    first_error: int | None = Field(default=None, ge=-1)


class Predictions:
    """A file of them. Raises UserError for a row of another form, or an id met twice."""

    def __init__(self, path: Path):
        self.path = path
        self.by_id: dict[str, Prediction] = {}
        self.used_ids: set[str] = set()
        for number, row in records.iter_jsonl(path):
            try:
                one = _Row.model_validate(row)
            except ValidationError as error:
                raise UserError(f"{path}:{number}: {records.explain_error(error)}") from None
            if one.id in self.by_id:
                raise UserError(f"{path}:{number}: {one.id} is predicted twice")
            if (one.scores is None) == ("first_error" not in one.model_fields_set):
                raise UserError(
                    f"{path}:{number}: needs `scores`, or else `first_error` (null where there is no answer)"
                )
            self.by_id[one.id] = one.first_error if one.scores is None else one.scores

    def lookup(self, rows: Sequence[LabelledSolution]) -> list[Prediction]:
        """Raises UserError where nothing is predicted, or something that does not fit the steps."""
        for row in rows:
            if row.row_id not in self.by_id:
                raise UserError(
                    f"{self.path}: no line for {row.row_id}; where there is no answer give first_error null"
                )
            own = self.by_id[row.row_id]
            if isinstance(own, list) and len(own) != len(row.steps):
                raise UserError(f"{self.path}: {row.row_id} has {len(own)} scores for {len(row.steps)} steps")
            if isinstance(own, int) and own >= len(row.steps):
                raise UserError(
                    f"{self.path}: {row.row_id} has {len(row.steps)} steps, counted from 0; first_error {own} is none of them"
                )
        self.used_ids.update(row.row_id for row in rows)
        return [self.by_id[row.row_id] for row in rows]

    def list_unused(self) -> list[str]:
        """The ids of no solution so far."""
        return [name for name in self.by_id if name not in self.used_ids]


class ScoreCache:
    """Step scores as they come, a line a solution: a run that was killed takes them up again. Lines of other models,
    settings or texts are passed over. Without a path each run has a file of its own: of its settings and what it scores."""

    def __init__(self, path: Path | None, settings: list[str | None], scored: Sequence[Path] = ()):
        own = hashlib.sha256(json.dumps([settings, [str(file.resolve()) for file in scored]]).encode()).hexdigest()[:12]
        self.path, self.settings = path or Path(f".checkpoints/processbench-{own}.jsonl"), settings
        self.is_kept = path is not None
        self.scores: dict[str, Prediction] = {}
        if self.path.is_file():
            *lines, cut = self.path.read_bytes().split(b"\n")
            try:
                self.scores = {row["key"]: row["scores"] for row in map(json.loads, lines)}
                if not b'{"id": "'.startswith(cut[:8]):  # a kill cuts a line of ours off, or it is another's file
                    raise ValueError
            except (ValueError, KeyError, TypeError):
                raise UserError(f"{self.path}: not a file of step scores kept by --save; name another") from None
            os.truncate(self.path, sum(len(line) + 1 for line in lines))
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def get_or_score(
        self, score: Callable[[Sequence[LabelledSolution]], list[Prediction]], rows: Sequence[LabelledSolution]
    ) -> list[Prediction]:
        """What is known of solutions, and of the others what `score` says."""
        keys = [self._make_key(row) for row in rows]
        todo = [(key, row) for key, row in zip(keys, rows, strict=True) if key not in self.scores]
        with open(self.path, "ab") as file:
            for (key, row), scores in zip(todo, score([row for _, row in todo]), strict=True):
                self.scores[key] = scores
                if scores != TOO_LONG:
                    file.write(json.dumps({"id": row.row_id, "scores": scores, "key": key}).encode() + b"\n")
        return [self.scores[key] for key in keys]

    def discard(self) -> None:
        """Nothing is left to take up again; what was asked for stays."""
        if not self.is_kept:
            self.path.unlink(missing_ok=True)

    def _make_key(self, row: LabelledSolution) -> str:
        return hashlib.sha256(json.dumps([self.settings, row.problem.question, row.steps]).encode()).hexdigest()[:20]
