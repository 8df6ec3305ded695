"""Rationales that the verifier learns from itself, written as it will write them when it is asked.

A program derives every line rightly; the verifier does not. A verifier that has only seen true derivations takes its own
mistake for the solution's. So it samples rationales for the solutions that it trains on. One that ends in the right
verdict is learnt as it stands (STaR, Zelikman et al. 2022, arXiv 2203.14465). One that ends in the wrong verdict is only
read, with weight 0, and the true verdict after it is learnt: p(Yes) becomes the probability that the solution is right,
given a derivation that may be wrong itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from stages.lib.core.records import Problem, Sample
from stages.lib.verifiers import verdicts
from stages.lib.verifiers.base import Pool
from stages.lib.verifiers.generative import RationaleVerdicts
from stages.lib.verifiers.verdicts import DIRECT_VERDICT_WEIGHT, VERDICT_QUESTION, Segment

Pair = tuple[Problem, Sample]


def group_pairs(pairs: Sequence[Pair]) -> list[Pool]:
    """The pairs as pools: each problem with its samples."""
    pools: dict[str, Pool] = {}
    for problem, sample in pairs:
        pools.setdefault(problem.id, (problem, []))[1].append(sample)
    return list(pools.values())


def weigh_rationales(
    pools: Sequence[Pool], judged: Iterable[Sequence[RationaleVerdicts]]
) -> tuple[list[tuple[Pair, list[Segment]]], dict[str, int]]:
    """What is learnt from the rationales of each sample, and how many of them are right, wrong or without a verdict.

    Equal rationales of a sample are learnt once.
    """
    learnt, counts = [], Counter()
    for (problem, samples), judgements in zip(pools, judged, strict=True):
        for sample, judgement in zip(samples, judgements, strict=True):
            written = zip(judgement.rationales, judgement.p_yes, strict=True)
            counts["without a verdict"] += sum(p is None for p in judgement.p_yes)
            for text in dict.fromkeys(text for text, p in written if p is not None):
                words, _, verdict = text.rpartition(VERDICT_QUESTION)
                truth = verdicts.format_verdict(sample.is_right)
                counts["right verdict" if verdict == truth else "wrong verdict"] += 1
                weight = int(verdict == truth)
                segments = [(words + VERDICT_QUESTION, weight), (truth, DIRECT_VERDICT_WEIGHT)]
                learnt.append(((problem, sample), segments))
    return learnt, dict(sorted(counts.items()))
