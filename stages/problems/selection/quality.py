"""The quality of rows, for methods that rank by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.run.execution import StageRun
from stages.lib.selection import quality, revision_pairs
from stages.lib.selection.rows import Row
from stages.problems.selection.pool import Member, make_row

if TYPE_CHECKING:
    from stages.problems.selection.section import Params


def score(run: StageRun[Params], rows: Sequence[Row]) -> np.ndarray:
    """(rows,), higher is better. Raises UserError where nothing says how to compute it."""
    section = run.params
    if section.quality == "length":
        return quality.score_length(rows)
    if section.quality == "model":
        return quality.RewardQuality(run.root / section.model).score(rows)
    if section.quality == "faults":
        return fit_on_faults(run).score(rows)
    raise UserError(
        f"selection.quality: none, but method {section.method} ranks by quality; choose length, faults or model"
    )


def fit_on_faults(run: StageRun[Params]) -> quality.RevisionQuality:
    """A model that tells sound solutions from the same with a planted fault. It learns from the verifier split, no problem
    of which is in the pool."""
    problems = records.read_problems(run.input_path("benchmarks", "verifier.jsonl"))
    rows = [make_row(Member(problem, "benchmarks", 0)) for problem in problems]
    model = quality.RevisionQuality()
    model.fit(revision_pairs.split(revision_pairs.plant_pairs(rows, run.seed), run.seed), run.seed)
    return model
