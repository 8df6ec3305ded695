"""What was made, kept and rejected, and how close it is to what is measured: lineage.jsonl, audit.json and audit.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.lib.core import files
from stages.lib.core.problem_ids import get_root
from stages.lib.core.records import Problem
from stages.lib.datasets import contamination
from stages.lib.operators.rejects import Reject
from stages.problems.augmentation.candidate import Candidate


class Count:
    """One method on one split. made = kept + rejected."""

    def __init__(self, method: str, split: str, parents: int):
        self.method, self.split, self.parents = method, split, parents  # parents: those that fit the method
        self.kept: list[Candidate] = []
        self.rejected: list[Reject] = []

    def reject(self, candidate: Candidate, reason: str) -> None:
        self.kept.remove(candidate)
        self.rejected.append(Reject(candidate.problem.id, self.method, reason, candidate.tries))

    def describe(self) -> dict[str, Any]:
        reasons = Counter(group_reason(reject.reason) for reject in self.rejected)
        kept, rejected = len(self.kept), len(self.rejected)
        names = {"method": self.method, "split": self.split, "parents": self.parents}
        return names | {
            "made": kept + rejected,
            "kept": kept,
            "rejected": rejected,
            "reasons": dict(sorted(reasons.items())),
        }


def group_reason(reason: str) -> str:
    """A reason without what is particular to one problem: what stands in brackets, numbers and ids."""
    words = reason.partition(" (")[0].split()
    return " ".join("N" if any(char.isdigit() for char in word) else word for word in words)[:100]


def measure_overlap(
    kept: Sequence[Problem], references: Mapping[str, Sequence[Problem]], removed: Mapping[str, str]
) -> list[dict[str, Any]]:
    """A row for each reference set: how many new problems share 13 words in a row with it, before any was removed, and how
    many nearly repeat one of its problems. Set phrases make the first number large where problems are procedural."""
    texts, rows = [problem.format_prompt() for problem in kept], []
    for name, problems in references.items():
        shared = contamination.find_shared_ngrams(texts, [problem.format_prompt() for problem in problems])
        ids = {problem.id for problem in problems}
        repeats = sum(reason.split(" is ")[-1].split(" of ")[0] in ids for reason in removed.values())
        sizes = {"problems": len(problems), "new_problems": len(kept)}
        rows.append({"set": name, **sizes, "shared_13_grams": len(shared), "removed": repeats})
    return rows


def write_lineage(path: Path, kept: Iterable[Candidate], methods: Mapping[str, str]) -> None:
    """One JSON object a line, sorted by id. methods: id -> the method that made it."""
    rows = [
        {
            "id": candidate.problem.id,
            "parent": candidate.problem.parent,
            "root": get_root(candidate.problem.id),
            "method": methods[candidate.problem.id],
            "round": candidate.round,
            "agent": candidate.agent,
            "prompt_sha": candidate.prompt_sha,
            "masked": candidate.masked,
            "checks": candidate.checks,
            "tries": candidate.tries,
            "licence": candidate.problem.licence,
        }
        for candidate in sorted(kept, key=lambda candidate: candidate.problem.id)
    ]
    files.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_audit(out_dir: Path, content: Mapping[str, Any]) -> None:
    """audit.json, and the same as tables in audit.md."""
    files.write_json(out_dir / "audit.json", content)
    lines = ["# New training problems", "", "| method | split | parents that fit | made | kept | rejected |"]
    lines += ["|---|---|---:|---:|---:|---:|"]
    for row in content["methods"]:
        numbers = " | ".join(str(row[name]) for name in ("parents", "made", "kept", "rejected"))
        lines.append(f"| {row['method']} | {row['split']} | {numbers} |")
    reasons = [(row, *pair) for row in content["methods"] for pair in row["reasons"].items()]
    if reasons:
        lines += ["", "## Rejected", "", "| method | split | reason | problems |", "|---|---|---|---:|"]
        lines += [f"| {row['method']} | {row['split']} | {_escape(text)} | {n} |" for row, text, n in reasons]
    lines += ["", "## Overlap with what is measured", ""]
    lines += [
        "| split | compared with | its problems | new ones that share 13 words in a row | removed as near-duplicates |"
    ]
    lines += ["|---|---|---:|---:|---:|"]
    for row in content["overlap"]:
        share = f"{row['shared_13_grams']} of {row['new_problems']}"
        lines.append(f"| {row['split']} | {row['set']} | {row['problems']} | {share} | {row['removed']} |")
    lines += [
        "",
        "A near-duplicate asks an equal question, or a similar one with the same answer. Set phrases of procedural",
        "problems can have 13 words; a shared run removes a problem only if few have it and much else is shared.",
    ]
    lines += ["", "## Licences", "", "| licence | new problems |", "|---|---:|"]
    lines += [f"| {_escape(name)} | {n} |" for name, n in content["licences"].items()]
    if content["remarks"]:
        lines += ["", *(f"* {remark}" for remark in content["remarks"])]
    files.write_text(out_dir / "audit.md", "\n".join(lines) + "\n")


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
