"""How well the generative verifier ranks and is calibrated on dev, by mode and by number of rationales."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from stages.lib.metrics.ranking import problem_aucs
from stages.lib.verifiers.base import Pool
from stages.lib.verifiers.data import compute_calibration, get_outcomes
from stages.lib.verifiers.generative import RationaleVerdicts

Verdicts = Sequence[Sequence[RationaleVerdicts]]  # by pool and sample


def compute_metrics(pools: Sequence[Pool], verdicts: Verdicts, votes: int) -> dict[str, Any]:
    """AUC within a problem with its standard error, and calibration. For rationales also the AUC by their number, the
    share that parse, and the number of solutions all of whose rationales are missing."""
    outcomes, scores = get_outcomes(pools), [[sample.score() for sample in pool] for pool in verdicts]
    metrics = {**summarize_aucs(compute_aucs([scores], outcomes)), **compute_calibration(scores, outcomes)}
    distinct = [sample for pool in verdicts for sample in pool if not sample.is_duplicate]
    p_yes = [p for sample in distinct for p in sample.p_yes]
    if p_yes:
        metrics["by_votes"] = {}
        for k in sorted({k for k in (1, 2, 4, 8, 16, votes) if k <= votes}):
            turns = [[[sample.score(k, turn) for sample in pool] for pool in verdicts] for turn in range(votes // k)]
            metrics["by_votes"][str(k)] = summarize_aucs(compute_aucs(turns, outcomes))
        metrics["parsed"] = sum(p is not None for p in p_yes) / len(p_yes)
        metrics["all_missing"] = sum(sample.direct_p_yes is not None for sample in distinct)
    return metrics | {"solutions": len(distinct), "tokens": sum(sample.tokens for sample in distinct)}


def compare_modes(pools: Sequence[Pool], cot: Verdicts, direct: Verdicts) -> dict[str, float | None]:
    """The gain in AUC of rationales over bare verdicts, paired by problem."""
    by_cot, by_direct = (
        compute_aucs([[[sample.score() for sample in pool] for pool in verdicts]], get_outcomes(pools))
        for verdicts in (cot, direct)
    )
    return summarize_aucs([a - b for a, b in zip(by_cot, by_direct, strict=True)])


def compute_aucs(turns: Sequence[list[list[float]]], outcomes: list[list[bool]]) -> list[float]:
    """(problems,): AUC within each problem, averaged over turns, each scored by other rationales. turns: scores of shape
    (turns, problems, samples)."""
    by_turn = [problem_aucs(scores, outcomes).tolist() for scores in turns]
    return [sum(aucs) / len(turns) for aucs in zip(*by_turn, strict=True)]


def summarize_aucs(aucs: Sequence[float]) -> dict[str, float | None]:
    """The mean over problems and its standard error."""
    error = stdev(aucs) / len(aucs) ** 0.5 if len(aucs) > 1 else None
    return {"auc": fmean(aucs) if aucs else None, "auc_se": error}
