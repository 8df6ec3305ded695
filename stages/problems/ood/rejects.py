"""The ledger of rejects: what could not be made honestly, and why.

A variant that breaks its contract is never replaced by an unchanged item: it becomes one line of `rejects.jsonl`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from stages.lib.core import files


class Reject(NamedTuple):
    """One variant that was not made: its id (parent~operator), the operator, why not, and after how many tries."""

    id: str
    operator: str
    reason: str
    tries: int = 1


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """One JSON object a line, sorted: equal rejects give equal bytes."""
    rows = sorted(set(rejects))
    files.write_text(path, "".join(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows))
