r"""LaTeX answers: are two expressions mathematically the same? Math-Verify decides, in worker processes.

Parsing and simplifying an expression can take for ever (`9^{9^{9^9}}`) inside C code that no Python exception
interrupts, and Math-Verify's own timeout is SIGALRM, which fails in threads. So the question goes to a child process
(stages/lib/equality.py), one line of JSON each way. A worker that exceeds its processor time is ended by the kernel
(ITIMER_PROF with the default action: processor time, not wall-clock time, so that a busy machine gives the same answers
as an idle one) and replaced. Its pair counts as different, and so does every pair with the expression that it died of,
if it was one. A worker ends with its parent, however that ended.

`standard` turns what people and chat models write (`6√2`, `sqrt(3)/2`, `x**2`, `sin 30°`) into the LaTeX that Math-Verify
reads. Degrees count in the argument of a trigonometric function and are a unit elsewhere; `a ± b` is both values.

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

SECONDS = 2.0  # processor time for one comparison
PATIENCE = 120.0  # wall-clock time after which a worker is taken for dead
LONGEST = 20_000  # characters; of a longer text the end is read, where answers are
CHUNK = 32
REMEMBERED = 1 << 16

Pair = tuple[str, str]

_INVISIBLE = re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\[,;:! ]|\\quad(?![A-Za-z])|~")
_UPRIGHT = re.compile(r"\\(?:text|mbox|mathrm|textrm|operatorname)\s*\{([^{}]*)\}")


_SIGNS = str.maketrans(
    {"∞": r"\infty ", "π": r"\pi ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
     "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "÷": "/", "±": r"\pm ", "∓": r"\mp ", "°": r"^\circ ",
     "∅": r"\emptyset ", "→": r"\to ", "−": "-", "–": "-", "⁄": "/", "∕": "/", "θ": r"\theta ", "α": r"\alpha ",
     "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "μ": r"\mu ", "φ": r"\phi ", "ω": r"\omega ", "ρ": r"\rho ",
     "σ": r"\sigma ", "Δ": r"\Delta ", "∠": r"\angle ", "∑": r"\sum ", "∏": r"\prod ", "∫": r"\int ", "ℝ": r"\mathbb{R}",
     "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "⟨": r"\langle ", "⟩": r"\rangle ", "…": r"\ldots ", "∣": r"\mid ",
     "∀": r"\forall ", "∃": r"\exists ", "⊂": r"\subset ", "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}",
     "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}"}
)  # fmt: skip
_RAISED, _LOWERED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n"), str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_DEGREES = re.compile(r"\s*(?:\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-z]))|\\degree(?![a-z])|\\text\{\s*degrees?\s*\})")
_ARRAY = re.compile(
    r"(?:\\left\s*)?[\[(|]?\s*\\begin\{array\}\{[lcr| ]*\}((?:(?!\\begin).)*)\\end\{array\}\s*(?:\\right\s*)?[\])|]?"
    r"(?<!\\right\.)$",
    re.S,
)
_REWRITES = [
    (re.compile(r"(?:√|(?<![A-Za-z\\])sqrt|\\sqrt)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![A-Za-z\\])sqrt(?=\{)"), r"\\sqrt"),
    (re.compile(r"√\s*(?=\{)"), r"\\sqrt"),
    (re.compile(r"√\s*([0-9]+|[A-Za-z]|\\[a-z]+)"), r"\\sqrt{\1}"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"(?<![*])\*(?![*])"), r"\\cdot "),
    (re.compile(r"\^\s*\(([^()]*)\)"), r"^{\1}"),
    (re.compile(r"\^(-?[0-9]{2,}|-[0-9])(?![0-9])"), r"^{\1}"),
    (re.compile(r"<="), r"\\le "),
    (re.compile(r">="), r"\\ge "),
    (re.compile(r"(?<![A-Za-z\\])(?:oo|inf|infty|infinity)(?![A-Za-z])"), r"\\infty "),
    (re.compile(r"(?<![A-Za-z\\])pi(?![A-Za-z])"), r"\\pi "),
    (re.compile(r"(?<=[)\]]) *U *(?=[(\[])"), r"\\cup "),
    (re.compile(r"(?<![A-Za-z\\])(sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|log|ln|exp)(?=[ (^0-9]|\\)"), r"\\\1"),
    (re.compile(r"\\(?:mathrm|mathbf|mathit|boldsymbol|operatorname|text|textit|rm)\s*\{\s*([A-Za-z])\s*\}"), r" \1 "),
    (re.compile(r"_\{?\\(max|min)\}?"), r"_{\1}"),
    (re.compile(r"\\varnothing|\\\{\s*\\\}"), r"\\emptyset "),
    (
        re.compile(
            r"\\(?:text|mbox|textrm)\s*\{\s*,?\s*(?:and|or)\s*\}|(?<![A-Za-z\\])\s*(?:and|or)(?=[\s(\[\d\\$A-Z-])"
        ),
        ", ",
    ),
    (_ARRAY, r"\\begin{pmatrix}\1\\end{pmatrix}"),
]
_INDEXED = re.compile(r"^\s*[A-Za-z]_(?:\{[^{}]*\}|[A-Za-z0-9])\s*=(?!.*=)")
_CYCLE = re.compile(r"([0-9]*)\.([0-9]*)\\(?:overline|bar|dot)\s*\{\s*([0-9]+)\s*\}")
_ADDED = re.compile(r"\\(?:pm|mp)(?![a-z])")


def standard(text: str) -> str:
    """An expression as LaTeX that Math-Verify reads, without dollars."""
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+", lambda match: f"^{{{match[0].translate(_RAISED)}}}", text)
    text = re.sub(r"[₀-₉]+", lambda match: f"_{{{match[0].translate(_LOWERED)}}}", text)
    if "\\begin" not in text:
        text = re.sub(r"\\{2}(?=[a-z]{2})", r"\\", text)
    if text.count("{") != text.count("}"):
        text = re.sub(r"\\(?:boxed|fbox)\s*\{", "", text)
    text = re.sub(r"\\?[$\"]|\\[()\[\]](?![0-9])|\*\*$|^\*\*", " ", text.translate(_SIGNS)).strip().rstrip(".")
    for pattern, new in _REWRITES:
        text = pattern.sub(new, text)
    text = _CYCLE.sub(_fraction, text)
    if _TRIGONOMETRY.search(text):
        text = re.sub(
            rf"([0-9.]+|(?<!\\)[A-Za-z](?![A-Za-z])|\\[a-z]+){_DEGREES.pattern}", r"(\1\\cdot\\frac{\\pi}{180})", text
        )
    text = _DEGREES.sub("", text)
    text = _INDEXED.sub("", text)
    if _ADDED.search(text) and "," not in text:
        upper = _ADDED.sub(lambda match: "+" if match[0] == r"\pm" else "-", text)
        lower = _ADDED.sub(lambda match: "-" if match[0] == r"\pm" else "+", text)
        text = f"{upper}, {re.sub('^[^=]*=', '', lower)}"
        text = re.sub("^ *[A-Za-z] *=", "", text)
    return text


def _fraction(match: re.Match[str]) -> str:
    whole, lead, cycle = match.groups()
    bottom = 10 ** len(lead) * (10 ** len(cycle) - 1)
    return rf"\frac{{{int(whole + lead + cycle) - int(whole + lead or 0)}}}{{{bottom}}}"


def normal(text: str) -> str:
    """The expression without what changes only its looks. Equal normal forms mean equal expressions, not conversely."""
    text = re.sub(r"\$|\\[()\[\]](?![0-9])", " ", text)
    text = _UPRIGHT.sub(r"\1", _INVISIBLE.sub(" ", text))
    text = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", text).replace("{,}", ",").replace("−", "-")
    text = re.sub(r"\\varnothing(?![A-Za-z])|\\\{\s*\\\}|∅", r"\\emptyset", text)
    text = re.sub(r"(?<=\w) +(?=\w)", "\0", text).replace(" ", "").replace("\0", " ")
    return text.strip().rstrip(".")


def same(left: str, right: str) -> bool:
    """Whether Math-Verify finds the two equal in either order; False when it cannot tell in time."""
    return same_many([(left, right)])[0]


def same_many(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """`same` for each pair, over as many workers as this process has processors to itself."""
    ends = [(standard(left[-LONGEST:]), standard(right[-LONGEST:])) for left, right in pairs]
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


def values(texts: Sequence[str]) -> list[float | None]:
    """A fingerprint of each expression: equal ones have almost the same; None where there is none."""
    wanted = [standard(text[-LONGEST:]) for text in texts]
    chunks = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
    return [value for found in _each(_values, chunks) for value in found]


def _values(texts: list[str]) -> list[float | None]:
    return [None if text in _deadly else _asked(text) for text in texts]


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
_deadly: set[str] = set()


def _after_fork() -> None:
    """A forked child must not talk to its parent's workers."""
    global _lock
    _lock = threading.Lock()
    _abandoned.extend(_idle)
    _idle.clear()


_abandoned: list[Any] = []  # keeps Popen's finaliser from waiting for another process's child
os.register_at_fork(after_in_child=_after_fork)


def _compare(pairs: list[Pair]) -> list[bool]:
    return [left not in _deadly and right not in _deadly and bool(_asked(left, right)) for left, right in pairs]


def _asked(*question: str) -> Any:
    """A worker's answer; None if it died of the question. Raises UserError if workers cannot start."""
    for worker in (_take(), None):
        worker = worker or _start()  # the second is new: whoever ended one idle worker may have ended all
        line = b""
        try:
            line = _ask(worker, question)
        finally:  # after an interrupt the worker's next answer would be the wrong one
            if not line.endswith(b"\n"):
                _end(worker)
        if line.endswith(b"\n"):
            with _lock:
                _idle.append(worker)
            return json.loads(line)
        if worker.returncode > 0:
            from stages.lib.errors import UserError

            raise UserError("formulas cannot be compared: math-verify does not import; run `make setup`")
        if worker.returncode not in (-signal.SIGKILL, -signal.SIGTERM):
            _deadly.update(question[len(line) : len(line) + 1])  # it writes a blank for each one it survives
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


def _ask(worker: subprocess.Popen[bytes], question: tuple[str, ...]) -> bytes:
    """The worker's line; one that does not end if it died of the question."""
    try:
        worker.stdin.write(json.dumps(question).encode() + b"\n")  # ASCII: any string survives, lone surrogates too
        worker.stdin.flush()
    except OSError:
        return b""
    ready, line = select.poll(), b""
    ready.register(worker.stdout, select.POLLIN)
    while ready.poll(PATIENCE * 1000):
        block = os.read(worker.stdout.fileno(), 1 << 12)
        line += block
        if not block or line.endswith(b"\n"):
            break
    return line


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()
    with contextlib.suppress(OSError):
        worker.stdin.close()
    worker.stdout.close()
