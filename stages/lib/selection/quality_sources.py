"""A model of quality by the words of a user: `length`, `iqs:PAIRS.csv`, `planted:FILE`, or the folder of a verifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.lib.core import files
from stages.lib.core.errors import UserError
from stages.lib.selection import instruction_files, quality, revision_pairs
from stages.lib.selection.pair_accuracy import PairAccuracy
from stages.lib.selection.quality import RevisionQuality, RewardQuality
from stages.lib.selection.rows import Row

SOURCES = "length, iqs:PAIRS.csv, planted:FILE or the folder of a verifier"


class QualityModel(NamedTuple):
    """score: rows -> (rows,). key: what the scores depend on, beside the rows. accuracies: {scores: {kind of pairs:
    accuracy}} on held-out pairs, the length of the answer among them; {} where there are no pairs."""

    score: Callable[[Sequence[Row]], np.ndarray]
    key: list[str | int]
    accuracies: dict[str, dict[str, PairAccuracy]]


def check(source: str) -> None:
    """Raises UserError for what names no model of quality, before anything is computed."""
    kind, _, path = source.partition(":")
    if kind in ("iqs", "planted"):
        if not Path(path).is_file():
            raise UserError(f"--quality {source}: {path or 'no file'} not found; must be {SOURCES}")
    elif source != "length" and not Path(source).is_dir():
        raise UserError(f"--quality {source}: not a folder; must be {SOURCES}")


def load(source: str, seed: int, device: str = "auto") -> QualityModel:
    """iqs: pairs of raw and revised rows; planted: rows that are sound, beside themselves with planted faults. Either is
    divided 80/10/10 by question: to fit, to choose the regularisation, to measure. Raises UserError for a file or folder
    that cannot be read, and for too few pairs."""
    check(source)
    kind, _, path = source.partition(":")
    if source == "length":
        return QualityModel(quality.score_length, ["length"], {})
    if kind not in ("iqs", "planted"):
        from stages.lib.verifiers.registry import compute_fingerprint

        return QualityModel(RewardQuality(Path(source), device).score, [compute_fingerprint(Path(source))], {})
    if kind == "iqs":
        pairs = revision_pairs.read(Path(path))
    else:
        pairs = revision_pairs.plant_pairs(instruction_files.read(Path(path)).rows, seed)
    parts = revision_pairs.split(pairs, seed)
    if not parts["test"]:
        raise UserError(f"--quality {source}: {len(pairs)} pairs leave none to measure with; some thirty are needed")
    model = RevisionQuality()
    model.fit(parts, seed)
    accuracies = {
        name: quality.measure(score, parts["test"], seed)
        for name, score in ((kind, model.score), ("length", quality.score_length))
    }
    return QualityModel(model.score, [kind, quality.VERSION, seed, files.sha256(Path(path))], accuracies)
