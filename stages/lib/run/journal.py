"""The journal: a record on disk of every execution of a stage, with its parameters, inputs, metrics and costs.

One folder per execution under `.assay/journal/` with two plain files: `run.json` (parameters, inputs, git commit, status,
metrics; replaced atomically) and `log.jsonl` (numbers by step, appended). Wall-clock, memory, tokens and FLOPs stand here
and never in a DVC output, where they would change its hash and re-run every later stage. MLflow holds a copy of the
journal. It needs no service and survives any kill.
"""

from __future__ import annotations

import getpass
import json
import math
import os
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.lib.core import digests, files
from stages.lib.core.errors import UserError

JOURNAL_DIR = Path(".assay/journal")
_GIT_PLACES = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"}
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"  # as MLflow names them


@dataclass
class Entry:
    """One execution. `info` is the content of run.json."""

    folder: Path
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.folder.name

    def save(self) -> None:
        files.write_json(self.folder / "run.json", self.info)

    def log(self, step: int, **numbers: float) -> None:
        """Append one line of numbers at a step. A kill loses at most the line being written."""
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

    def finish(self, status: str, **fields: Any) -> None:
        """Record how the execution ended. NaN and infinity become null, since JSON has neither."""
        self.info.update(_replace_nonfinite({"status": status, "ended": time.time(), **fields}))
        self.save()


def start(root: Path, **fields: Any) -> Entry:
    """Open the entry of an execution that begins now in this process, and close those of executions that were killed."""
    for entry in load_entries(root):
        close_killed(entry)
    name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{fields['stage']}-{uuid.uuid4().hex[:6]}"
    entry = Entry(root / JOURNAL_DIR / name)
    entry.folder.mkdir(parents=True)
    entry.info = {
        **fields,
        "status": RUNNING,
        "started": time.time(),
        "pid": os.getpid(),
        "pid_started": _get_process_start(os.getpid()),
        "git": get_git_revision(root),
        "lock": digests.md5(root / "dvc.lock") if (root / "dvc.lock").exists() else None,
        "user": get_user(),
        "experiment": os.environ.get("DVC_EXP_NAME"),
        "repro": get_repro_id(),
    }
    entry.save()
    return entry


def load(folder: Path) -> Entry | None:
    """The entry in a folder, or None without a whole run.json. RUNNING without a live process becomes KILLED."""
    try:
        entry = Entry(folder, json.loads((folder / "run.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if entry.info["status"] == RUNNING and not is_alive(entry):
        entry.info["status"] = KILLED
    return entry


def is_alive(entry: Entry) -> bool:
    """Whether the process that opened the entry still runs; a clock correction may shift its start time by seconds."""
    started = _get_process_start(entry.info["pid"])
    return started is not None and abs(started - entry.info["pid_started"]) < 5


def close_killed(entry: Entry) -> None:
    """Record that an execution was killed, with the time of its last write as its end."""
    if entry.info["status"] == KILLED and "ended" not in entry.info:
        ended = max(path.stat().st_mtime for path in entry.folder.glob("*.json*"))
        entry.finish(KILLED, ended=ended, reason="killed from outside, out of memory, or its machine went down")


def load_entries(root: Path) -> list[Entry]:
    """All executions, oldest first."""
    entries = filter(None, map(load, (root / JOURNAL_DIR).glob("*/")))
    return sorted(entries, key=lambda entry: (entry.info["started"], entry.id))


def load_latest(root: Path, stage: str) -> Entry | None:
    """The latest execution of a stage."""
    return next((entry for entry in reversed(load_entries(root)) if entry.info["stage"] == stage), None)


def find_runs(entries: list[Entry], stage: str, outputs: dict[str, str]) -> list[Entry]:
    """The finished executions of a stage that wrote these outputs (path -> md5), the newest first."""
    finished = [entry for entry in entries if entry.info["stage"] == stage and entry.info["status"] == FINISHED]
    return [entry for entry in reversed(finished) if entry.info.get("outputs") == outputs]


def load_last_seconds(root: Path, stage: str) -> float | None:
    """What the newest finished execution of a stage took, None if there is none."""
    finished = [x.info for x in load_entries(root) if x.info["stage"] == stage and x.info["status"] == FINISHED]
    return finished[-1]["seconds"] if finished else None


def get_git_revision(root: Path) -> dict[str, Any] | None:
    """{"commit": HEAD, "dirty": whether a tracked file differs from it, "branch", "url": of the remote that it follows};
    None where git tells none. What stages write does not count: dvc.lock and data/*/metrics.json change between stages."""

    outputs = (":(exclude)dvc.lock", ":(exclude)data/*/metrics.json")
    try:
        commit = run_git(root, "rev-parse", "HEAD")
        changes = run_git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *outputs)
        branch = run_git(root, "branch", "--show-current")
    except UserError:
        return None
    try:
        url = run_git(root, "ls-remote", "--get-url")  # without a connection; a name if there is no remote
    except UserError:
        url = ""
    url = re.sub(r"://[^/@]*@", "://", url) if "/" in url or ":" in url else None  # without name and password
    return {"commit": commit, "dirty": bool(changes), "branch": branch or None, "url": url}


def read_committed(root: Path, path: str) -> str:
    """The text of a file in HEAD; empty outside git and where HEAD has no such file."""
    try:
        return run_git(root, "show", f"HEAD:./{path}")
    except UserError:
        return ""


def get_repro_id() -> str | None:
    """When the `dvc` that runs this stage began, and its process: the same for all stages of one `dvc repro` or experiment.
    None for a stage run by hand."""
    import psutil

    if "DVC_STAGE" not in os.environ:
        return None
    with suppress(psutil.Error):
        for process in psutil.Process().parents():  # dvc sets the variable for what it starts; it has none itself
            if "DVC_STAGE" not in process.environ():
                began = time.strftime("%Y%m%dT%H%M%S", time.gmtime(process.create_time()))
                # The worker of a queue runs several experiments.
                return "-".join(filter(None, (began, str(process.pid), os.environ.get("DVC_EXP_NAME"))))
    return None


def get_user() -> str | None:
    """The user's name, also where USER is unset, as in containers; None for a user id without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def run_git(root: Path, *arguments: str, timeout: float = 10) -> str:
    """What git prints about the repository of a folder, without the space around it. Raises UserError as `read_git`."""
    return read_git(root, *arguments, timeout=timeout).decode("utf-8", "replace").strip()


def read_git(root: Path, *arguments: str, timeout: float = 10) -> bytes:
    """The bytes that git prints about the repository of a folder, whichever one GIT_DIR names (a hook of git sets it). It
    asks for no password. Raises UserError with git's own reason."""
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_PLACES}
    environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout, env=environment)
    except OSError as error:
        raise UserError(f"git: cannot be started ({error.strerror})") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"git: no answer within {timeout:.0f} s") from None
    if done.returncode:
        reason = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise UserError(f"git: {reason or f'ended with status {done.returncode}'}")
    return done.stdout


def _replace_nonfinite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replace_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_nonfinite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _get_process_start(pid: int) -> float | None:
    """When the process began, which distinguishes it from a later one with the same pid; None when it has ended."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None
