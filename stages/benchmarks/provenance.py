"""What became of every row that was read, and how far the gold steps can be trusted: the parts of provenance.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from stages.benchmarks import calculator
from stages.benchmarks.rows import Table
from stages.lib.records import Problem

Place = tuple[str, int]  # (file, line)


def check_annotations(problems: Iterable[Problem]) -> dict[str, Any]:
    """How many calculator annotations the gold steps hold, and those that do not hold exactly."""
    checked, faults = 0, []
    for problem in problems:
        for step in problem.steps or []:
            for annotation in calculator.ANNOTATION.findall(step.text):
                checked += 1
                if fault := calculator.check(annotation):
                    faults.append({"id": problem.id, "annotation": f"<<{annotation}>>", "fault": fault})
    return {"checked": checked, "faults": faults}


def account(tables: Iterable[Table], problems: Iterable[Problem], rejects: dict[Place, str]) -> list[dict[str, Any]]:
    """For every published file: its rows in, out (used), beyond the sizes asked for, and rejected with reasons."""
    used = Counter(problem.source.url for problem in problems)
    files_read = []
    for table in tables:
        rejected = [{"row": line, "reason": why} for (url, line), why in sorted(rejects.items()) if url == table.url]
        rows = {"in": len(table.rows), "out": used[table.url], "rejected": len(rejected)}
        rows["beyond_sizes"] = rows["in"] - rows["out"] - rows["rejected"]
        files_read.append(
            {"url": table.url, "split": table.split, "revision": table.revision, "sha256": table.sha256,
             "rows": rows, "rejected": rejected}
        )  # fmt: skip
    return files_read
