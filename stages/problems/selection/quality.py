"""The quality of rows, for methods that rank by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.run.execution import StageRun
from stages.lib.selection import quality, revision_pairs
from stages.lib.selection.pair_accuracy import PairAccuracy
from stages.lib.selection.rows import Row
from stages.problems.selection.pool import Member, make_row

if TYPE_CHECKING:
    from stages.problems.selection.section import Params


class Quality(NamedTuple):
    """score: rows -> (rows,), higher is better. accuracies: {kind of planted fault: accuracy on held-out pairs}, where
    quality was learned from them."""

    score: Callable[[Sequence[Row]], np.ndarray]
    accuracies: Mapping[str, PairAccuracy] = {}


def load(run: StageRun[Params]) -> Quality:
    """Raises UserError where nothing says what quality is."""
    section = run.params
    if section.quality == "length":
        return Quality(quality.score_length)
    if section.quality == "model":
        return Quality(quality.RewardQuality(run.root / section.model).score)
    if section.quality == "faults":
        return fit_on_faults(run)
    raise UserError(
        f"selection.quality: none, but method {section.method} ranks by quality; choose length, faults or model"
    )


def fit_on_faults(run: StageRun[Params]) -> Quality:
    """A model that tells sound solutions from the same with a planted fault. It learns from the verifier split, no problem
    of which is in the pool, and is measured on a tenth of its problems."""
    problems = records.read_problems(run.input_path("benchmarks", "verifier.jsonl"))
    rows = [make_row(Member(problem, "benchmarks", 0)) for problem in problems]
    parts = revision_pairs.split(revision_pairs.plant_pairs(rows, run.seed), run.seed)
    model = quality.RevisionQuality()
    model.fit(parts, run.seed)
    return Quality(model.score, quality.measure(model.score, parts["test"], run.seed) if parts["test"] else {})
