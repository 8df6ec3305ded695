"""The journal: what every execution of a stage did, when, with what, at what cost.

One folder per execution under `.assay/journal/`, made of two plain files: `run.json` (what it is and how it ended,
replaced atomically) and `log.jsonl` (numbers by step, appended). Wall-clock, memory, tokens and FLOPs live here and
never in a DVC output, where they would change the hash and re-run everything downstream. The journal is the truth that
MLflow mirrors; it needs no service and survives any kill.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.lib import files

FOLDER = Path(".assay/journal")
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"  # MLflow's words


@dataclass
class Entry:
    """One execution. `run` is the content of run.json."""

    folder: Path
    run: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.folder.name

    def save(self) -> None:
        files.write_json(self.folder / "run.json", self.run)

    def log(self, step: int, **numbers: float) -> None:
        """Append numbers at a step; one line, flushed, so that a kill loses at most the line being written."""
        row = {"step": step, "time": time.time(), **{name: float(value) for name, value in numbers.items()}}
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def history(self) -> Iterator[dict[str, float]]:
        """The logged rows; a torn last line is left out."""
        path = self.folder / "log.jsonl"
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    return

    def finish(self, status: str, **facts: Any) -> None:
        self.run.update(status=status, ended=time.time(), **facts)
        self.save()


def start(root: Path, **facts: Any) -> Entry:
    """Open a journal entry for an execution that begins now in this process."""
    identity = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{facts['stage']}-{uuid.uuid4().hex[:6]}"
    entry = Entry(root / FOLDER / identity)
    entry.folder.mkdir(parents=True)
    entry.run = {
        **facts, "status": RUNNING, "started": time.time(), "pid": os.getpid(), "pid_started": _started(os.getpid())
    }  # fmt: skip
    entry.save()
    return entry


def entries(root: Path) -> list[Entry]:
    """All executions, oldest first. One that says RUNNING while its process is gone was killed, and is told so."""
    found = []
    for path in sorted((root / FOLDER).glob("*/run.json")):
        try:
            entry = Entry(path.parent, json.loads(path.read_text(encoding="utf-8")))
        except json.JSONDecodeError:
            continue  # cannot happen through save(), which replaces the file in one step
        if entry.run["status"] == RUNNING and _started(entry.run["pid"]) != entry.run["pid_started"]:
            entry.run["status"] = KILLED
        found.append(entry)
    return found


def latest(root: Path, stage: str) -> Entry | None:
    return next((entry for entry in reversed(entries(root)) if entry.run["stage"] == stage), None)


def _started(pid: int) -> float | None:
    """When the process began: a pid alone may have been given to another process since."""
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None
