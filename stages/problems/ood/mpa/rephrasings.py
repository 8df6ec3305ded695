"""The checks, measured on rephrasings from elsewhere (a model, people): what they wrongly refuse, what they let pass.

Only the deterministic checks look at them, no judge. Recall counts the faults planted into rephrasings that the checks let
pass when untouched; a refusal of one refused before would be no merit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from stages.lib.core import seeds
from stages.lib.core.records import Problem
from stages.problems.ood.mpa import checks, principles
from stages.problems.ood.mpa.planted_faults import FAULT_PLANTERS
from stages.problems.ood.mpa.principles import VERSION


def measure_checks(pairs: Sequence[tuple[Problem, str]], seed: int) -> dict[str, Any]:
    """(problem, rephrased question)s -> {n, refused, reasons, recall, by_fault: {fault: [caught, planted]}}.

    reasons: how often the checks refuse an untouched rephrasing, by the first words of why.
    """
    reasons: Counter[str] = Counter()
    by_fault: dict[str, list[int]] = {fault: [0, 0] for fault in FAULT_PLANTERS["question"] if fault != "unchanged"}
    for problem, text in pairs:
        made = principles.start_draft(problem)._replace(question=text)
        found = checks.find_faults(problem, made, ("question",))
        if found:
            reasons[found[0].partition(" (")[0]] += 1
            continue
        for fault, counts in by_fault.items():
            broken = FAULT_PLANTERS["question"][fault](
                problem, made, seeds.rng(seed, "ood", VERSION, problem.id, "foreign", fault)
            )
            if broken is not None:
                counts[0] += bool(checks.find_faults(problem, broken, ("question",)))
                counts[1] += 1
    caught, planted = (sum(counts[i] for counts in by_fault.values()) for i in (0, 1))
    return {
        "n": len(pairs),
        "refused": sum(reasons.values()),
        "reasons": dict(sorted(reasons.items())),
        "recall": caught / planted if planted else None,
        "by_fault": by_fault,
    }
