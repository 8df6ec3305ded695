"""How well the generative verifier ranks and is calibrated on dev, by mode and by number of rationales, and where its
rationales fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Any

from stages.lib.labels import truth
from stages.lib.metrics.ranking import problem_aucs
from stages.lib.models.encoding import split_steps
from stages.lib.verifiers import verdicts
from stages.lib.verifiers.base import Pool
from stages.lib.verifiers.data import compute_calibration, get_outcomes
from stages.lib.verifiers.generative import RationaleVerdicts

Judged = Sequence[Sequence[RationaleVerdicts]]  # by pool and sample


def compute_metrics(pools: Sequence[Pool], judged: Judged, votes: int) -> dict[str, Any]:
    """AUC within a problem with its standard error, and calibration. For rationales also the AUC by their number, the
    share that parse, the number of solutions all of whose rationales are missing, and `analyze_derivations`."""
    outcomes, scores = get_outcomes(pools), [[sample.score() for sample in pool] for pool in judged]
    metrics = {**summarize_aucs(compute_aucs([scores], outcomes)), **compute_calibration(scores, outcomes)}
    distinct = [sample for pool in judged for sample in pool if not sample.is_duplicate]
    p_yes = [p for sample in distinct for p in sample.p_yes]
    if p_yes:
        metrics["by_votes"] = rank_by_votes(pools, judged, votes)
        metrics["parsed"] = sum(p is not None for p in p_yes) / len(p_yes)
        metrics["all_missing"] = sum(sample.direct_p_yes is not None for sample in distinct)
        metrics["derivations"] = analyze_derivations(pools, judged, votes)
    return metrics | {"solutions": len(distinct), "tokens": sum(sample.tokens for sample in distinct)}


def rank_by_votes(pools: Sequence[Pool], judged: Judged, votes: int) -> dict[str, dict[str, float | None]]:
    """The AUC with K of the rationales, for K up to `votes`: the mean over groups of K."""
    by_votes = {}
    for k in sorted({k for k in (1, 2, 4, 8, 16, votes) if k <= votes}):
        turns = [[[sample.score(k, turn) for sample in pool] for pool in judged] for turn in range(votes // k)]
        by_votes[str(k)] = summarize_aucs(compute_aucs(turns, get_outcomes(pools)))
    return by_votes


def analyze_derivations(pools: Sequence[Pool], judged: Judged, votes: int) -> dict[str, Any]:
    """Where rationales fail that derive each line again and mark it `Same.` or `Differs.`; {} if there is none.

    rationales: how many there are. true: the share without a mistake in what they derive, of those that a program can
    check. as_solution: the share that come to all conclusions of the solution. quoted: the share of lines whose quote is
    the solution's conclusion. marked_same: the share of lines marked `Same.`, among those that come to the solution's
    conclusion (should be 1) and the others (0). yes: mean p(Yes) after marks that are all `Same.`, and after a `Differs.`.
    by_comparison: the ranking by votes if each rationale, instead of p(Yes), said whether it derived the whole solution:
    what the derivations alone are worth.
    """
    marks: dict[bool, list[bool]] = {True: [], False: []}
    p_yes: dict[bool, list[float]] = {True: [], False: []}
    truths, matches, quotes, compared = [], [], [], []
    for (problem, samples), judgements in zip(pools, judged, strict=True):
        compared.append([])
        for sample, judgement in zip(samples, judgements, strict=True):
            solution = [verdicts.conclude(line) for line in split_steps(sample.text)]
            comparisons = [verdicts.read_comparisons(text) for text in judgement.rationales]
            is_match = [[verdicts.conclude(line.derived) for line in lines] == solution for lines in comparisons]
            compared[-1].append(judgement.model_copy(update={"p_yes": [float(match) for match in is_match]}))
            if judgement.is_duplicate:
                continue
            for lines, match, p in zip(comparisons, is_match, judgement.p_yes, strict=True):
                if not lines:
                    continue
                matches.append(match)
                for i, line in enumerate(lines):
                    marks[[verdicts.conclude(line.derived)] == solution[i : i + 1]].append(line.is_same)
                    quotes.append([line.quoted] == solution[i : i + 1])
                if p is not None:
                    p_yes[all(line.is_same for line in lines)].append(p)
                labels = truth.label_steps(problem, "\n".join(line.derived for line in lines))
                truths += [] if labels is None else [all(labels)]
    if not matches:
        return {}
    return {
        "rationales": len(matches),
        "true": _mean(truths),
        "as_solution": _mean(matches),
        "quoted": _mean(quotes),
        "marked_same": {"equal": _mean(marks[True]), "different": _mean(marks[False])},
        "yes": {"all_same": _mean(p_yes[True]), "differs": _mean(p_yes[False])},
        "by_comparison": rank_by_votes(pools, compared, votes),
    }


def _mean(values: Iterable[float]) -> float | None:
    return fmean(values) if (values := list(values)) else None


def compare_modes(pools: Sequence[Pool], cot: Judged, direct: Judged) -> dict[str, float | None]:
    """The gain in AUC of rationales over bare verdicts, paired by problem."""
    by_cot, by_direct = (
        compute_aucs([[[sample.score() for sample in pool] for pool in judged]], get_outcomes(pools))
        for judged in (cot, direct)
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
