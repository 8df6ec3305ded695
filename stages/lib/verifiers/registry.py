"""Load any verifier that was trained here: verifier.json says which kind it is."""

from __future__ import annotations

from pathlib import Path

from stages.lib.core.errors import UserError
from stages.lib.verifiers import saving
from stages.lib.verifiers.generative import GenerativeVerifier, RationaleSampling
from stages.lib.verifiers.outcome import OutcomeVerifier
from stages.lib.verifiers.process import ProcessVerifier

TrainedVerifier = OutcomeVerifier | ProcessVerifier | GenerativeVerifier


def load(path: Path, dtype: str = "float32", sampling: RationaleSampling | None = None) -> TrainedVerifier:
    """The verifier saved in a folder. sampling: how a generative one draws its rationales.

    Raises UserError for a folder without verifier.json, or with one of an unknown kind.
    """
    kind = saving.read_config(path).get("kind")
    if kind == "outcome":
        return OutcomeVerifier.load(path, dtype)
    if kind == "process":
        return ProcessVerifier.load(path, dtype)
    if kind == "generative":
        return GenerativeVerifier.load(path, sampling or RationaleSampling(), dtype)
    raise UserError(f"{path / saving.CONFIG_FILE}: kind {kind!r}; must be outcome, process or generative")
