"""What became of every row that was read, and how reliable the gold steps are: provenance.json and its warnings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem
from stages.problems.benchmarks import calculator
from stages.problems.benchmarks.rows import Table

RowLocation = tuple[str, int]  # (file, line)
REJECT_WARNING_SHARE = 0.1  # of a file's rows; more rejects give a warning
_ROW_SPECIFIC = re.compile(
    r"'.*'|\".*\"|\d+|\S+/\S+|(?<=: )\S+(?= is )"
)  # the parts of a reason that differ between rows


def check_annotations(problems: Iterable[Problem]) -> dict[str, Any]:
    """The number of calculator annotations in the gold steps, and those that do not hold exactly."""
    checked, faults = 0, []
    for problem in problems:
        for step in problem.steps or []:
            for annotation in calculator.ANNOTATION.findall(step.text):
                checked += 1
                if fault := calculator.find_fault(annotation):
                    faults.append({"id": problem.id, "annotation": f"<<{annotation}>>", "fault": fault})
    return {"checked": checked, "faults": faults}


def require_usable_rows(table: Table, rejects: Mapping[RowLocation, str]) -> None:
    """Raise UserError for a file without a usable row."""
    if not table.rows:
        raise UserError(f"{table.url}: no rows; fetch the file again, or take it out of params.yaml")
    reasons = [why for (url, _), why in rejects.items() if url == table.url]
    if len(reasons) == len(table.rows):
        raise UserError(
            f"{table.url}: none of the {len(table.rows)} rows is a usable problem; {summarize_reasons(reasons)}; "
            "is this the file of the benchmark named in benchmarks.name?"
        )


def summarize_reasons(reasons: list[str]) -> str:
    """The most frequent kind of reason: its count and an example."""
    kinds = Counter(_ROW_SPECIFIC.sub("", reason) for reason in reasons)
    kind, count = kinds.most_common(1)[0]
    return f"{count} x `{next(reason for reason in reasons if _ROW_SPECIFIC.sub('', reason) == kind)}`"


def require_problems(account: Mapping[str, Any], requested: Iterable[str]) -> None:
    """Raises UserError for splits that the parameters ask for and that are empty: a later stage could only stop there."""
    if empty := [split for split in requested if not account["splits"][split]]:
        raise UserError(
            f"no problem is left for {' and '.join(empty)}, which benchmarks.sizes and shares ask for; give more "
            f"rows, or another share ({', '.join(f'{split} {n}' for split, n in account['splits'].items())})"
        )


def find_warnings(account: Mapping[str, Any]) -> Iterator[str]:
    """Warnings about files with many rejects."""
    for entry in account["files"]:
        rows, reasons = entry["rows"], [reject["reason"] for reject in entry["rejected"]]
        if rows["rejected"] > REJECT_WARNING_SHARE * rows["in"]:
            summary = summarize_reasons(reasons)
            yield f"{entry['url']}: {rows['rejected']} of {rows['in']} rows rejected; commonest: {summary}"


def account_for_rows(
    tables: Iterable[Table], problems: Iterable[Problem], rejects: dict[RowLocation, str]
) -> list[dict[str, Any]]:
    """For every published file: rows read, used, beyond the requested sizes, and rejected with their reasons."""
    used = Counter(problem.source.url for problem in problems)
    files_read = []
    for table in tables:
        rejected = [{"row": line, "reason": why} for (url, line), why in sorted(rejects.items()) if url == table.url]
        rows = {"in": len(table.rows), "out": used[table.url], "rejected": len(rejected)}
        rows["beyond_sizes"] = rows["in"] - rows["out"] - rows["rejected"]
        origin = {name: getattr(table, name) for name in ("url", "split", "revision", "sha256")}
        files_read.append(origin | {"rows": rows, "rejected": rejected})
    return files_read
