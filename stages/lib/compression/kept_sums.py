"""Sums that are kept on disk while a long text is measured, so that a killed run goes on where it was."""

from __future__ import annotations

import json
import os
from pathlib import Path


class KeptSums:
    """For each batch of windows the negative log-probability of each window, in a JSONL file: [batch, [sums]].

    A line is on disk before the next batch begins; one that a kill cut off is removed. Numbers come back exactly."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self._sums: dict[int, list[float]] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            lines = self.path.read_bytes().split(b"\n")[:-1]
            os.truncate(self.path, sum(len(line) + 1 for line in lines))
            self._sums = dict(map(json.loads, lines))

    def __len__(self) -> int:
        return len(self._sums)

    def get(self, batch: int) -> list[float] | None:
        """The sums of a batch that was measured before."""
        return self._sums.get(batch)

    def add(self, batch: int, sums: list[float]) -> None:
        with open(self.path, "ab") as file:
            file.write(json.dumps([batch, sums]).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._sums[batch] = sums
