"""The pool of worker processes that answer questions about formulas, one line of JSON each way.

Parsing or simplifying an expression can take forever (`9^{9^{9^9}}`) inside C code that no Python exception interrupts,
and Math-Verify's own timeout is SIGALRM, which fails in threads. So the kernel ends a worker that exceeds its processor
time (ITIMER_PROF with the default action), and the pool replaces it and never asks about that expression again. Processor
time, not wall-clock time: a busy machine gives the same answers as an idle one. A worker ends with its parent, however that
ended.
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
    # Run as a subprocess, never imported here, because it imports sympy. Its code counts as a dependency of callers.
    from stages.lib.grading.formulas import worker  # noqa: F401

CPU_SECONDS = 2.0  # processor time for one question
WALL_SECONDS = 120.0  # wall-clock time after which a worker counts as dead
ROOT = Path(__file__).parents[4]

Worker = subprocess.Popen[bytes]

lock = threading.Lock()
idle_workers: list[Worker] = []  # a caller takes one, or starts one, and puts it back
fatal_expressions: set[str] = set()


def _reset_after_fork() -> None:
    """A forked child must not talk to its parent's workers."""
    global lock
    lock = threading.Lock()
    _orphaned_workers.extend(idle_workers)
    idle_workers.clear()


_orphaned_workers: list[Worker] = []  # keeps Popen's finaliser from waiting for another process's child
os.register_at_fork(after_in_child=_reset_after_fork)


def query(*expressions: str) -> Any:
    """A worker's answer about one expression (its fingerprints) or two (whether they are equal).

    None if a worker died of an expression, now or before. Raises UserError if workers cannot start.
    """
    if not fatal_expressions.isdisjoint(expressions):
        return None
    for idle in (_acquire_worker(), None):
        worker = (
            idle or _start_worker()
        )  # start a new one the second time: what ended one idle worker may have ended all
        line = b""
        try:
            line = _query_worker(worker, expressions)
        finally:  # after an interrupt, the worker's next line would answer this question
            if not line.endswith(b"\n"):
                _kill_worker(worker)
        if line.endswith(b"\n"):
            with lock:
                idle_workers.append(worker)
            return json.loads(line)
        if worker.returncode > 0:
            raise UserError("formulas cannot be compared: math-verify does not import; run `make setup`")
        if worker.returncode not in (-signal.SIGKILL, -signal.SIGTERM):
            survived = len(line)  # the worker writes a blank after each expression it survives
            fatal_expressions.update(expressions[survived : survived + 1])
            break
        # Killed from outside, not because of the question: ask once more.
    return None


def _acquire_worker() -> Worker:
    with lock:
        while idle_workers:
            worker = idle_workers.pop()
            if worker.poll() is None:
                return worker
    return _start_worker()


def _start_worker() -> Worker:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "stages.lib.grading.formulas.worker", str(os.getpid()), str(CPU_SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )


def _query_worker(worker: Worker, expressions: tuple[str, ...]) -> bytes:
    """The worker's line, without its end if the worker died of the question."""
    assert worker.stdin and worker.stdout
    try:
        worker.stdin.write(json.dumps(expressions).encode() + b"\n")  # ASCII: lone surrogates survive, too
        worker.stdin.flush()
    except OSError:
        return b""
    poll, line = select.poll(), b""
    poll.register(worker.stdout, select.POLLIN)
    while poll.poll(WALL_SECONDS * 1000):
        block = os.read(worker.stdout.fileno(), 1 << 12)
        line += block
        if not block or line.endswith(b"\n"):
            break
    return line


def _kill_worker(worker: Worker) -> None:
    assert worker.stdin and worker.stdout
    worker.kill()
    worker.wait()
    with contextlib.suppress(OSError):
        worker.stdin.close()
    worker.stdout.close()
