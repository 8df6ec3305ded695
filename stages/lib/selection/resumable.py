"""Arrays over rows that are computed a part at a time: a killed run loses one part, and the next one goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from stages.lib.core import files
from stages.lib.selection.progress import Track, track_nothing
from stages.lib.selection.rows import Row

PART = 1024  # rows


class ResumableArrays:
    """Finished parts lie in a folder named by what they depend on.

    folder: for unfinished work. settings: all that the arrays depend on, the bytes of the rows' file included."""

    def __init__(self, folder: Path, settings: object):
        self.folder = folder / hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]

    def compute(
        self,
        name: str,
        rows: Sequence[Row],
        function: Callable[[Sequence[Row]], np.ndarray],
        track: Track = track_nothing,
    ) -> np.ndarray:
        """`function` of the rows, which must treat each row by itself; its first axis are the rows."""
        parts = []
        starts = range(0, len(rows), PART)
        for start in track(starts, len(starts), f"computing {name}, parts of {PART} rows"):
            path = self.folder / f"{name}-{start}.npy"
            if not path.exists():
                values = function(rows[start : start + PART])
                with files.atomic_write(path) as temporary, open(temporary, "wb") as file:
                    np.save(file, values, allow_pickle=False)
            parts.append(np.load(path, allow_pickle=False))
        return np.concatenate(parts)

    def remove(self) -> None:
        """Once the result is written."""
        shutil.rmtree(self.folder, ignore_errors=True)
