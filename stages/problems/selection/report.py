"""What the pool held and what was kept of it: figures, one page, and a line for each chosen problem."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.lib.core import files
from stages.lib.display import tables
from stages.lib.selection.methods import adversarial
from stages.lib.selection.rows import Choice
from stages.problems.selection.choice import Chosen
from stages.problems.selection.faults import NOISE
from stages.problems.selection.pool import Member, get_family

MAX_FAMILIES = 40  # rows of the page's table


def compute_figures(members: Sequence[Member], kept: Sequence[Member], result: Chosen) -> dict[str, Any]:
    """Counts of the pool and of what was kept: problems, tokens, by origin, by family, by planted fault.

    noise: the share of the kept problems whose solution was made bad; noise_kept: the share of those made bad that were
    kept. None where none was. jaccard: the Jaccard index over seeds. quality: by kind of fault, the accuracy on pairs of
    problems held out. audit, of method adversarial alone: areas under the ROC curve of telling existing problems from
    candidates by all, by length and by source alone, the mean probability that a candidate is covered, and `said`, the same
    in sentences."""
    faults = {name: [_count_faults(part, name) for part in (members, kept)] for name in _list_faults(members)}
    bad, bad_kept = (sum(faults[name][i] for name in faults if name in NOISE) for i in (0, 1))
    return {
        "pool": _count(members),
        "kept": _count(kept),
        "origins": _pair(Counter(m.origin for m in members), Counter(m.origin for m in kept)),
        "families": _pair(Counter(map(get_family, members)), Counter(map(get_family, kept))),
        "faults": faults,
        "noise": bad_kept / len(kept) if bad and kept else None,
        "noise_kept": bad_kept / bad if bad else None,
        "jaccard": result.stability,
        "quality": {kind: found.accuracy._asdict() for kind, found in result.accuracies.items()},
    } | ({"audit": _describe_audit(result.audit)} if result.audit else {})


def _describe_audit(audit: adversarial.Audit) -> dict[str, Any]:
    figures = {"auc": audit.auc, "auc_length": audit.auc_length, "auc_source": audit.auc_source}
    return {**figures, "covered": float(audit.covered.mean()), "said": adversarial.describe(audit)}


def _count(members: Sequence[Member]) -> dict[str, int]:
    return {
        "items": len(members),
        "tokens": sum(member.tokens for member in members),
        "families": len(set(map(get_family, members))),
    }


def _pair(pool: Counter[str], kept: Counter[str]) -> dict[str, list[int]]:
    return {name: [count, kept[name]] for name, count in sorted(pool.items(), key=lambda item: (-item[1], item[0]))}


def _list_faults(members: Sequence[Member]) -> list[str]:
    return sorted({member.fault for member in members if member.fault})


def _count_faults(members: Sequence[Member], fault: str) -> int:
    return sum(member.fault == fault for member in members)


def pick_metrics(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures that DVC and MLflow compare."""
    pool, kept = figures["pool"], figures["kept"]
    return {**kept, **{f"pool_{name}": value for name, value in pool.items()}} | {
        name: figures[name] for name in ("noise", "noise_kept", "jaccard") if figures[name] is not None
    }


def format_report(figures: dict[str, Any], method: str, control: str) -> str:
    """One page of Markdown."""
    pool, kept = figures["pool"], figures["kept"]
    named = method if control == "none" else f"random rows, as many {control} as `{method}` chose"
    lines = [
        "# What the generator learns from",
        f"Chosen by {named}: {kept['items']:,} of {pool['items']:,} problems, {kept['tokens']:,} of {pool['tokens']:,} "
        f"tokens of solutions, {kept['families']} of {pool['families']} families.",
    ]
    if figures["noise_kept"] is not None:
        lines.append(
            f"Of the solutions that were made bad, {100 * figures['noise_kept']:.1f} % were kept; they are "
            f"{100 * figures['noise']:.1f} % of what was chosen."
        )
    if figures["jaccard"] is not None:
        lines.append(
            f"Repeated with other seeds on the same embeddings and qualities, choices have a mean Jaccard index of "
            f"{figures['jaccard']:.2f} (1: the same rows)."
        )
    if "audit" in figures:
        lines.append("\n".join(f"* {sentence}" for sentence in figures["audit"]["said"]))
    if figures["quality"]:
        header = ["planted fault", "sound solution rated higher %", "95% interval"]
        rows = [
            [kind, f"{100 * found['mean']:.1f}", f"{100 * found['low']:.1f} to {100 * found['high']:.1f}"]
            for kind, found in figures["quality"].items()
        ]
        lines.append("How well quality tells sound solutions from the same with a fault, on problems held out:")
        lines.append(tables.format_markdown(header, rows).strip())
    parts = {"origin": figures["origins"], "planted fault": figures["faults"], "family": figures["families"]}
    for title, counts in parts.items():
        if not counts:
            continue
        rows = [[name, f"{pool_count:,}", f"{kept_count:,}"] for name, (pool_count, kept_count) in counts.items()]
        left = rows[MAX_FAMILIES:]
        lines.append(tables.format_markdown([title, "in the pool", "kept"], rows[:MAX_FAMILIES]).strip())
        if left:
            lines.append(f"And {len(left)} more; report.json has all.")
    return "\n\n".join(lines) + "\n"


def write_selected(path: Path, choices: Sequence[Choice], members: Sequence[Member], method: str) -> None:
    """A line for each choice, in their order: {id, method, order, value, reason, fault}."""
    faults = {member.problem.id: member.fault for member in members}
    rows = [
        {"id": choice.id, "method": method, "order": order, "value": choice.value, "reason": choice.reason}
        | ({"fault": faults[choice.id]} if faults[choice.id] else {})
        for order, choice in enumerate(choices)
    ]
    files.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
