"""The journal: what every execution of a stage did, when, with what, at what cost.

One folder per execution under `.assay/journal/`, made of two plain files: `run.json` (what it is and how it ended,
replaced atomically) and `log.jsonl` (numbers by step, appended). Wall-clock, memory, tokens and FLOPs live here and
never in a DVC output, where they would change the hash and re-run everything downstream. The journal is the truth that
MLflow mirrors; it needs no service and survives any kill.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.lib.core import files

JOURNAL_DIR = Path(".assay/journal")
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"  # MLflow's words


@dataclass
class Entry:
    """One execution. `run` is the content of run.json."""

    folder: Path
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.folder.name

    def save(self) -> None:
        files.write_json(self.folder / "run.json", self.info)

    def log(self, step: int, **numbers: float) -> None:
        """Append numbers at a step; one line, flushed, so that a kill loses at most the line being written."""
        row = {"step": step, "time": time.time(), **{name: float(value) for name, value in numbers.items()}}
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def iter_log(self) -> Iterator[dict[str, float]]:
        """The logged rows; a torn last line is left out."""
        path = self.folder / "log.jsonl"
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    return

    def finish(self, status: str, **facts: Any) -> None:
        """How it ended. Numbers that are not finite become null: JSON has no other word for them."""
        self.info.update(_replace_nonfinite({"status": status, "ended": time.time(), **facts}))
        self.save()


def start(root: Path, **facts: Any) -> Entry:
    """Open a journal entry for an execution that begins now in this process; those that were killed are closed."""
    for entry in load_entries(root):
        close_killed(entry)
    identity = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{facts['stage']}-{uuid.uuid4().hex[:6]}"
    entry = Entry(root / JOURNAL_DIR / identity)
    entry.folder.mkdir(parents=True)
    entry.info = {
        **facts,
        "status": RUNNING,
        "started": time.time(),
        "pid": os.getpid(),
        "pid_started": _get_process_start(os.getpid()),
        "git": get_git_revision(root),
        "experiment": os.environ.get("DVC_EXP_NAME"),
    }
    entry.save()
    return entry


def load(folder: Path) -> Entry | None:
    """One execution; None where no whole run.json is. One that says RUNNING while its process is gone was killed."""
    try:
        entry = Entry(folder, json.loads((folder / "run.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if entry.info["status"] == RUNNING and not is_alive(entry):
        entry.info["status"] = KILLED
    return entry


def is_alive(entry: Entry) -> bool:
    """Whether the process that opened the entry still runs. Start times may shift by a clock correction."""
    began = _get_process_start(entry.info["pid"])
    return began is not None and abs(began - entry.info["pid_started"]) < 5


def close_killed(entry: Entry) -> None:
    """Write down that an execution was killed; it ended no earlier than the last thing it wrote."""
    if entry.info["status"] == KILLED and "ended" not in entry.info:
        entry.finish(KILLED, ended=max(path.stat().st_mtime for path in entry.folder.glob("*.json*")))


def load_entries(root: Path) -> list[Entry]:
    """All executions, oldest first."""
    found = [load(path) for path in (root / JOURNAL_DIR).glob("*/")]
    return sorted((entry for entry in found if entry), key=lambda entry: (entry.info["started"], entry.id))


def load_latest(root: Path, stage: str) -> Entry | None:
    return next((entry for entry in reversed(load_entries(root)) if entry.info["stage"] == stage), None)


def get_git_revision(root: Path) -> dict[str, Any] | None:
    """The commit the work tree stands on, and whether a tracked file differs from it; None outside git.

    dvc.lock is left out of `dirty`: `dvc repro` itself rewrites it between stages.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        changes = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)dvc.lock")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(changes)}


def _replace_nonfinite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replace_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_nonfinite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _get_process_start(pid: int) -> float | None:
    """When the process began: a pid alone may have been given to another process since. None when it is gone."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None
