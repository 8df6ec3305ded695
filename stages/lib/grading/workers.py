"""Processes that answer questions about formulas (lib/grading/math_verify_worker.py), one line of JSON each way.

Parsing and simplifying an expression can take for ever (`9^{9^{9^9}}`) inside C code that no Python exception
interrupts, and Math-Verify's own timeout is SIGALRM, which fails in threads. A worker that exceeds its processor time is
ended by the kernel (ITIMER_PROF with the default action: processor time, not wall-clock time, so that a busy machine
gives the same answers as an idle one) and replaced. What it died of is asked only once. A worker ends with its parent,
however that ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    # What a worker runs. It is never imported here, for it imports sympy; so it is a dependency all the same.
    from stages.lib.grading import math_verify_worker  # noqa: F401

CPU_SECONDS = 2.0  # processor time for one question
WALL_SECONDS = 120.0  # wall-clock time after which a worker is taken for dead
ROOT = Path(__file__).parents[3]

# Idle workers wait in `idle_workers`; whoever asks takes one, or starts one, and puts it back.

lock = threading.Lock()
idle_workers: list[subprocess.Popen[bytes]] = []
fatal_expressions: set[str] = set()


def _reset_after_fork() -> None:
    """A forked child must not talk to its parent's workers."""
    global lock
    lock = threading.Lock()
    _orphaned_workers.extend(idle_workers)
    idle_workers.clear()


_orphaned_workers: list[Any] = []  # keeps Popen's finaliser from waiting for another process's child
os.register_at_fork(after_in_child=_reset_after_fork)


def query(*question: str) -> Any:
    """A worker's answer; None if one died of the question, or of a part of it. Raises UserError if workers cannot start."""
    if not fatal_expressions.isdisjoint(question):
        return None
    for worker in (_acquire_worker(), None):
        worker = worker or _start_worker()  # the second is new: whoever ended one idle worker may have ended all
        line = b""
        try:
            line = _query_worker(worker, question)
        finally:  # after an interrupt the worker's next answer would be the wrong one
            if not line.endswith(b"\n"):
                _kill_worker(worker)
        if line.endswith(b"\n"):
            with lock:
                idle_workers.append(worker)
            return json.loads(line)
        if worker.returncode > 0:
            raise UserError("formulas cannot be compared: math-verify does not import; run `make setup`")
        if worker.returncode not in (-signal.SIGKILL, -signal.SIGTERM):
            fatal_expressions.update(question[len(line) : len(line) + 1])  # it writes a blank for each one it survives
            break
        # Ended from outside, which says nothing about the question: ask once more.
    return None


def _acquire_worker() -> subprocess.Popen[bytes]:
    with lock:
        while idle_workers:
            worker = idle_workers.pop()
            if worker.poll() is None:
                return worker
    return _start_worker()


def _start_worker() -> subprocess.Popen[bytes]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "stages.lib.grading.math_verify_worker", str(os.getpid()), str(CPU_SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )


def _query_worker(worker: subprocess.Popen[bytes], question: tuple[str, ...]) -> bytes:
    """The worker's line; one that does not end if it died of the question."""
    try:
        worker.stdin.write(json.dumps(question).encode() + b"\n")  # ASCII: any string survives, lone surrogates too
        worker.stdin.flush()
    except OSError:
        return b""
    ready, line = select.poll(), b""
    ready.register(worker.stdout, select.POLLIN)
    while ready.poll(WALL_SECONDS * 1000):
        block = os.read(worker.stdout.fileno(), 1 << 12)
        line += block
        if not block or line.endswith(b"\n"):
            break
    return line


def _kill_worker(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()
    with contextlib.suppress(OSError):
        worker.stdin.close()
    worker.stdout.close()
