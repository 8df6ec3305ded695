r"""LaTeX answers: are two expressions mathematically the same? Math-Verify decides, in worker processes.

Parsing and simplifying an expression can take for ever (`9^{9^{9^9}}`) inside C code that no Python exception
interrupts, and Math-Verify's own timeout is SIGALRM, which fails in threads. So the question goes to a child process
(stages/lib/equality.py), one line of JSON each way. A worker that exceeds its processor time is ended by the kernel
(ITIMER_PROF with the default action: processor time, not wall-clock time, so that a busy machine gives the same answers
as an idle one) and replaced. Its pair counts as different, and so does every pair with an expression that no worker
survives even against 1/7. A worker ends with its parent, however that ended.

Source: Math-Verify 0.9 (github.com/huggingface/Math-Verify). Its `verify(gold, prediction)` is asymmetric by design;
`same` is symmetric: true if either order is.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stages.lib import cores, equality

SECONDS = 3.0  # processor time for one comparison
PATIENCE = 120.0  # wall-clock time after which a worker is taken for dead
LONGEST = 20_000  # characters; of a longer text the end is read, where answers are
CHUNK = 32
REMEMBERED = 1 << 16

Pair = tuple[str, str]

_INVISIBLE = re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\[,;:! ]|\\quad(?![A-Za-z])|~")
_UPRIGHT = re.compile(r"\\(?:text|mbox|mathrm|textrm|operatorname)\s*\{([^{}]*)\}")


def normal(text: str) -> str:
    """The expression without what changes only its looks. Equal normal forms mean equal expressions, not conversely."""
    text = re.sub(r"\$|\\[()\[\]](?![0-9])", " ", text)
    text = _UPRIGHT.sub(r"\1", _INVISIBLE.sub(" ", text))
    text = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", text).replace("{,}", ",").replace("−", "-")
    text = re.sub(r"(?<=\w) +(?=\w)", "\0", text).replace(" ", "").replace("\0", " ")
    return text.strip().rstrip(".")


def same(left: str, right: str) -> bool:
    """Whether Math-Verify finds the two equal in either order; False when it cannot tell in time."""
    return same_many([(left, right)])[0]


def same_many(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """`same` for each pair, over as many workers as this process has processors to itself."""
    ends = [(left[-LONGEST:], right[-LONGEST:]) for left, right in pairs]
    keys = [(left, right) if left < right else (right, left) for left, right in ends]
    wanted = [key for key in dict.fromkeys(keys) if key not in _known]
    chunks = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
    found = dict(zip(wanted, (answer for answers in _each(_compare, chunks) for answer in answers), strict=True))
    results = [found[key] if key in found else _known[key] for key in keys]
    with _lock:
        _known.update((key, answer) for key, answer in found.items() if len(key[0]) + len(key[1]) < 2000)
        while len(_known) > REMEMBERED:
            _known.popitem(last=False)
    return results


def _each(function: Any, chunks: list[Any]) -> list[Any]:
    workers = min(len(chunks), cores.share())
    if workers <= 1:
        return [function(chunk) for chunk in chunks]
    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(function, chunks))


# Idle workers wait in `_idle`; whoever asks takes one, or starts one, and puts it back.

_lock = threading.Lock()
_idle: list[subprocess.Popen[bytes]] = []
_known: OrderedDict[Pair, bool] = OrderedDict()
_deadly: dict[str, bool] = {}


def _after_fork() -> None:
    """A forked child must not talk to its parent's workers."""
    global _lock
    _lock = threading.Lock()
    _abandoned.extend(_idle)
    _idle.clear()


_abandoned: list[Any] = []  # keeps Popen's finaliser from waiting for another process's child
os.register_at_fork(after_in_child=_after_fork)


def _compare(pairs: list[Pair]) -> list[bool]:
    return [not _deadly.get(left) and not _deadly.get(right) and _judged(left, right) for left, right in pairs]


def _judged(left: str, right: str) -> bool:
    answer = _asked(left, right)
    if answer is None:
        for text in (left, right):
            if text not in _deadly:
                _deadly[text] = _asked(text, r"\frac{1}{7}") is None
    return bool(answer)


def _asked(left: str, right: str) -> bool | None:
    """A worker's answer, or None if it died of the question. Raises UserError if workers cannot start."""
    for worker in (_take(), None):
        worker = worker or _start()  # the second is new: whoever ended one idle worker may have ended all
        answer = None
        try:
            answer = _ask(worker, (left, right))
        finally:  # after an interrupt the worker's next answer would be the wrong one
            if answer is None:
                _end(worker)
        if answer is not None:
            with _lock:
                _idle.append(worker)
            return answer
        if worker.returncode > 0:
            from stages.lib.errors import UserError

            raise UserError("formulas cannot be compared: math-verify does not import; run `make setup`")
        if worker.returncode not in (-signal.SIGKILL, -signal.SIGTERM):
            break
        # Ended from outside, which says nothing about the question: ask once more.
    return None


def _take() -> subprocess.Popen[bytes]:
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.poll() is None:
                return worker
    return _start()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", os.path.abspath(equality.__file__), str(os.getpid()), str(SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _ask(worker: subprocess.Popen[bytes], pair: tuple[str, str]) -> bool | None:
    """The worker's answer, or None if it died of the question."""
    try:
        worker.stdin.write(json.dumps(pair).encode() + b"\n")  # ASCII: any string survives, lone surrogates too
        worker.stdin.flush()
    except OSError:
        return None
    ready = select.poll()
    ready.register(worker.stdout, select.POLLIN)
    if not ready.poll(PATIENCE * 1000):
        return None
    line = worker.stdout.readline()
    return json.loads(line) if line.endswith(b"\n") else None


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()
    with contextlib.suppress(OSError):
        worker.stdin.close()
    worker.stdout.close()
