r"""LaTeX answers: are two expressions mathematically the same? Math-Verify decides, in worker processes.

Parsing and simplifying an expression can take for ever (`9^{9^{9^9}}`) inside C code that no Python exception
interrupts, and Math-Verify's own timeout is SIGALRM, which fails in threads. So the question goes to a child process,
one line of JSON each way. A worker that exceeds its processor time is ended by the kernel (ITIMER_PROF with the default
action: processor time, not wall-clock time, so that a busy machine gives the same answers as an idle one) and replaced.
Its pair counts as different, and so does every pair with an expression that no worker survives even against 1/7.
A worker ends with its parent, however that ended.

Source: Math-Verify 0.9 (github.com/huggingface/Math-Verify). Its `verify(gold, prediction)` is asymmetric by design;
`same` is symmetric: true if either order is.
"""

from __future__ import annotations

import contextlib
import json
import math
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
from functools import lru_cache
from typing import Any

SECONDS = 3.0  # processor time for one comparison
PATIENCE = 120.0  # wall-clock time after which a worker is taken for dead
MEMORY = 2 << 30  # address space of a worker
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
    workers = min(len(chunks), processors())
    if workers <= 1:
        return [function(chunk) for chunk in chunks]
    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(function, chunks))


def processors() -> int:
    """Processors for this process: those of the machine, shared among the ranks of a launch."""
    return max(1, len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE") or 1))


# The parent's side. Idle workers wait in `_idle`; whoever asks takes one, or starts one, and puts it back.

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
        [sys.executable, "-P", os.path.abspath(__file__), str(os.getpid()), str(SECONDS)],
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


# The worker's side.


def _serve(parent: int, seconds: float) -> None:
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prepare()
    for line in _lines(parent):
        signal.setitimer(signal.ITIMER_PROF, seconds)
        answer = _same(*json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(1, json.dumps(answer).encode() + b"\n")


def _lines(parent: int) -> Any:
    """Lines of standard input, until it closes or the parent is gone.

    Both are needed: a fork of the parent may hold the pipe open after the parent itself was killed.
    """
    buffer = b""
    while True:
        if not select.select([0], [], [], 1.0)[0]:
            if os.getppid() != parent:
                return
            continue
        block = os.read(0, 1 << 16)
        if not block:
            return
        buffer += block
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            yield line


def _same(left: str, right: str) -> bool:
    try:
        return any(_equal(a, b) for a in _parsed(left) for b in _parsed(right))
    except Exception:  # RecursionError, MemoryError, whatever sympy raises on nonsense: it was not shown to be equal
        return False


def _equal(left: Any, right: Any) -> bool:
    """Math-Verify's `verify`, made symmetric where its two orders disagree."""
    from math_verify import verify
    from math_verify.grader import is_assignment_relation, is_equation, is_relation, take_last_relation
    from sympy import Expr, FiniteSet, Interval, Tuple, Union

    if isinstance(left, str) or isinstance(right, str):
        return isinstance(left, str) and isinstance(right, str) and left.strip() == right.strip() != ""
    if is_equation(right) and not is_equation(left):
        left, right = right, left
    if is_equation(left) and not is_equation(right):  # `x = 5` and `1/2 = 5` say 5; `2x + z = 5` does not
        if not is_assignment_relation(left) and left.free_symbols:
            return False
        left = take_last_relation(left).rhs
    if isinstance(left, FiniteSet) and isinstance(right, Tuple):  # in this order, (3, 1) would equal {1, 3}
        left, right = right, left
    if isinstance(right, Expr):
        left, right = right, left
    if (isinstance(left, Expr) and isinstance(right, Interval | Union)) or _apart(left, right):
        return False
    if verify(left, right, timeout_seconds=None):
        return True
    return (is_relation(left) or is_relation(right)) and verify(right, left, timeout_seconds=None)


_ARGUMENT = r"\s*(?:\{([^{}]*)\}|(\\[A-Za-z]+|[0-9A-Za-z]))"
_FRACTION = re.compile(rf"\\[dtc]?frac{_ARGUMENT}{_ARGUMENT}")


@lru_cache(maxsize=4096)
def _parsed(text: str) -> list[Any]:
    """Math-Verify's reading of a text; of a bare expression as if it stood between dollars."""
    from math_verify import parse

    text = re.sub(r"\\?%", "", text)  # Math-Verify cannot read it inside an expression
    text = _FRACTION.sub(r"\\frac{\1\2}{\3\4}", text)  # `\frac\pi2`, too
    if not re.search(r"\$|\\\(|\\\[|\\boxed", text):
        found = parse(f"${text}$", parsing_timeout=None)
        if found:
            return found
    return parse(text, parsing_timeout=None)


def _apart(left: Any, right: Any) -> bool:
    """Whether two expressions differ by far at some point: a quick no, which spares most calls of `simplify`."""
    from sympy import Expr, Symbol, UnevaluatedExpr

    for each in (left, right):  # a lone symbol may be a word; a percentage equals two numbers
        if not isinstance(each, Expr) or isinstance(each, Symbol) or each.has(UnevaluatedExpr):
            return False
    names = sorted(left.free_symbols | right.free_symbols, key=str)
    point = {name: 0.5 + math.sqrt(2 + index) % 1 for index, name in enumerate(names)}
    try:
        ours, theirs = (complex(each.evalf(15, subs=point)) for each in (left, right))
    except (TypeError, ValueError):  # it has no numerical value, as f(x) has none
        return False
    return abs(ours - theirs) > 1e-4 * (1 + abs(ours) + abs(theirs))  # not so for inf and nan


def _prepare() -> None:
    """Import Math-Verify, silence it, and make its parser five times as fast.

    ANTLR's prediction mode SLL gives the same tree as the default, LL, wherever it gives one, but remembers its
    decisions; so it is tried first ("two-stage parsing", as the documentation of ANTLR 4's PredictionMode advises).
    And an integer need not pass through sympy's parser of Python expressions.
    """
    import logging

    logging.disable(logging.CRITICAL)
    import math_verify  # noqa: F401
    from antlr4.atn.PredictionMode import PredictionMode
    from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy
    from sympy import Integer

    parse, create_parser = _Latex2Sympy.parse, _Latex2Sympy.create_parser

    def fast_parser(self: Any, text: str) -> Any:
        parser = create_parser(self, text)
        parser._interp.predictionMode = PredictionMode.SLL
        return parser

    def two_stage(self: Any, text: str) -> Any:
        try:
            self.create_parser = fast_parser.__get__(self)
            return parse(self, text)
        except Exception:
            del self.create_parser
            return parse(self, text)

    parse_number = _Latex2Sympy.parse_number

    def fast_number(self: Any, text: str) -> Any:
        return Integer(int(text)) if text.isascii() and text.isdigit() else parse_number(self, text)

    _Latex2Sympy.parse = two_stage
    _Latex2Sympy.parse_number = fast_number


if __name__ == "__main__":
    _serve(int(sys.argv[1]), float(sys.argv[2]))
