"""What became of every row that was read, and how far the gold steps can be trusted: the parts of provenance.json, and
what of them is said aloud."""

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
REJECT_WARNING_SHARE = 0.1  # of a file's rows: more rejects are said aloud
_ROW_SPECIFIC = re.compile(r"'.*'|\".*\"|\d+|\S+/\S+|(?<=: )\S+(?= is )")  # what differs between rows of one fault


def check_annotations(problems: Iterable[Problem]) -> dict[str, Any]:
    """How many calculator annotations the gold steps hold, and those that do not hold exactly."""
    checked, faults = 0, []
    for problem in problems:
        for step in problem.steps or []:
            for annotation in calculator.ANNOTATION.findall(step.text):
                checked += 1
                if fault := calculator.find_fault(annotation):
                    faults.append({"id": problem.id, "annotation": f"<<{annotation}>>", "fault": fault})
    return {"checked": checked, "faults": faults}


def require_usable_rows(table: Table, rejects: Mapping[RowLocation, str]) -> None:
    """Raises UserError for a file without a usable row."""
    if not table.rows:
        raise UserError(f"{table.url}: no rows; fetch the file again, or take it out of params.yaml")
    reasons = [why for (url, _), why in rejects.items() if url == table.url]
    if len(reasons) == len(table.rows):
        raise UserError(
            f"{table.url}: none of the {len(table.rows)} rows is a usable problem; {summarize_reasons(reasons)}; "
            "is this the file of the benchmark named in benchmarks.name?"
        )


def summarize_reasons(reasons: list[str]) -> str:
    """The commonest kind of reason, with its count and one example."""
    kinds = Counter(_ROW_SPECIFIC.sub("", reason) for reason in reasons)
    kind, count = kinds.most_common(1)[0]
    return f"{count} x `{next(reason for reason in reasons if _ROW_SPECIFIC.sub('', reason) == kind)}`"


def find_warnings(account: Mapping[str, Any], asked: Iterable[str]) -> Iterator[str]:
    """What a person should know now of files with many rejects, and of splits that are empty although asked for."""
    for entry in account["files"]:
        rows, reasons = entry["rows"], [reject["reason"] for reject in entry["rejected"]]
        if rows["rejected"] > REJECT_WARNING_SHARE * rows["in"]:
            yield f"{entry['url']}: {rows['rejected']} of {rows['in']} rows rejected; commonest: {summarize_reasons(reasons)}"
    for split in asked:
        if not account["splits"][split]:
            yield f"split {split} is empty; see benchmarks.sizes, benchmarks.shares and provenance.json"


def account_for_rows(
    tables: Iterable[Table], problems: Iterable[Problem], rejects: dict[RowLocation, str]
) -> list[dict[str, Any]]:
    """For every published file: its rows in, out (used), beyond the sizes asked for, and rejected with reasons."""
    used = Counter(problem.source.url for problem in problems)
    files_read = []
    for table in tables:
        rejected = [{"row": line, "reason": why} for (url, line), why in sorted(rejects.items()) if url == table.url]
        rows = {"in": len(table.rows), "out": used[table.url], "rejected": len(rejected)}
        rows["beyond_sizes"] = rows["in"] - rows["out"] - rows["rejected"]
        files_read.append(
            {
                "url": table.url,
                "split": table.split,
                "revision": table.revision,
                "sha256": table.sha256,
                "rows": rows,
                "rejected": rejected,
            }
        )
    return files_read
