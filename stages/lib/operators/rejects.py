"""Rejects: variants that could not be made within their contract, each with its reason, as lines of rejects.jsonl."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from stages.lib.core import files


class Reject(NamedTuple):
    """A variant that was not made: its id (parent~operator), the operator, the reason, and the number of attempts."""

    id: str
    operator: str
    reason: str
    tries: int = 1


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write one JSON object a line, sorted, so that equal rejects give equal bytes."""
    rows = sorted(set(rejects))
    files.write_text(path, "".join(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows))
