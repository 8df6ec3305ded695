r"""LaTeX answers: are two expressions mathematically the same? Math-Verify decides, in worker processes.

An expression that takes a worker too long equals nothing (lib/grading/workers.py).

`standardise` turns what people and chat models write (`6√2`, `sqrt(3)/2`, `x**2`, `sin 30°`) into the LaTeX that Math-Verify
reads. Degrees count in the argument of a trigonometric function and are a unit elsewhere; `a ± b` is both values.

Source: Math-Verify 0.9 (github.com/huggingface/Math-Verify). Its `verify(gold, prediction)` is asymmetric by design;
`equal` is symmetric: true if either order is.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from stages.lib.core import cpus
from stages.lib.grading import workers
from stages.lib.grading.answer_styles import unstyle
from stages.lib.grading.fingerprints import Fingerprint, may_equal

MAX_CHARS = 20_000  # characters; of a longer text the end is read, where answers are
PAIRS_PER_THREAD = 32
CACHE_SIZE = 1 << 16

Pair = tuple[str, str]
Question = TypeVar("Question")
Answer = TypeVar("Answer")

_cache: OrderedDict[Pair, bool] = OrderedDict()

_SPACING = re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\[,;:! ]|\\quad(?![A-Za-z])|~")
_TEXT_COMMAND = re.compile(r"\\(?:text|mbox|mathrm|textrm|operatorname)\s*\{([^{}]*)\}")


_SIGNS = str.maketrans(
    {
        "∞": r"\infty ",
        "π": r"\pi ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "≠": r"\ne ",
        "∪": r"\cup ",
        "∩": r"\cap ",
        "∈": r"\in ",
        "×": r"\times ",
        "·": r"\cdot ",
        "⋅": r"\cdot ",
        "∙": r"\cdot ",
        "÷": "/",
        "±": r"\pm ",
        "∓": r"\mp ",
        "°": r"^\circ ",
        "∅": r"\emptyset ",
        "→": r"\to ",
        "−": "-",
        "–": "-",
        "⁄": "/",
        "∕": "/",
        "θ": r"\theta ",
        "α": r"\alpha ",
        "β": r"\beta ",
        "γ": r"\gamma ",
        "λ": r"\lambda ",
        "μ": r"\mu ",
        "φ": r"\phi ",
        "ω": r"\omega ",
        "ρ": r"\rho ",
        "σ": r"\sigma ",
        "Δ": r"\Delta ",
        "∠": r"\angle ",
        "∑": r"\sum ",
        "∏": r"\prod ",
        "∫": r"\int ",
        "ℝ": r"\mathbb{R}",
        "ℤ": r"\mathbb{Z}",
        "ℕ": r"\mathbb{N}",
        "⟨": r"\langle ",
        "⟩": r"\rangle ",
        "…": r"\ldots ",
        "∣": r"\mid ",
        "∀": r"\forall ",
        "∃": r"\exists ",
        "⊂": r"\subset ",
        "½": r"\frac{1}{2}",
        "⅓": r"\frac{1}{3}",
        "⅔": r"\frac{2}{3}",
        "¼": r"\frac{1}{4}",
        "¾": r"\frac{3}{4}",
    }
)
_SUPERSCRIPTS, _SUBSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n"), str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
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
    (re.compile(r"\\(?:mathrm|operatorname|text|rm)\s*\{\s*([A-Za-z])\s*\}"), r" \1 "),
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
_COUNT = r"(\{\s*[0-9]{1,3}\s*\}|[0-9])"
_CHOOSE = re.compile(  # {}_5C_2, ^5P_2, 5C2
    rf"(?:(?:\{{\s*\}})?[_^]{_COUNT}|(?<![\w.])([0-9]{{1,3}}))\s*([CP])(?:_{_COUNT}|([0-9]{{1,3}})(?![\w.]))"
)
_CHOOSE_RAISED = re.compile(rf"(?<![A-Za-z0-9}}\\])C_{_COUNT}\s*\^\s*{_COUNT}")
_ANY_INTEGER = re.compile(  # of a name, at the end
    r"[\s,;(]*(?:\\(?:text|mbox)\s*\{\s*,?\s*(?:where|for|with)?\s*\}|where|for|with)?[\s,;(]*([A-Za-z])\s*"
    r"(?:\\in\s*(?:\\mathbb\s*\{?\s*Z\s*\}?|\\Z|Z)|\s(?:is\s+)?an(?:y)?\s+integer)\s*\)?\s*$"
)
_MULTIPLE_OF_PI = re.compile(r"(?<![A-Za-z\\])([kmn])\s*\\pi(?![a-z])|\\pi\s*([kmn])(?![A-Za-z])")
_RELATION = r"[<>]|\\(?:[lg]eq?|ne)(?![a-z])"
_CONJUNCTION = re.compile(r"\\(?:text|mbox|textrm)\s*\{\s*,?\s*(and|or)\s*\}|(?<![A-Za-z\\])(and|or)(?![A-Za-z])")
_INDEXED = re.compile(r"^\s*[A-Za-z]_(?:\{[^{}]*\}|[A-Za-z0-9])\s*=(?!.*=)")
_REPEATING_DECIMAL = re.compile(r"([0-9]*)\.([0-9]*)\\(?:overline|bar|dot)\s*\{\s*([0-9]+)\s*\}")
_PLUS_MINUS = re.compile(r"\\(?:pm|mp)(?![a-z])")


def standardise(text: str) -> str:
    """An expression as LaTeX that Math-Verify reads, without dollars."""
    text = unstyle(text)
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+", lambda match: f"^{{{match[0].translate(_SUPERSCRIPTS)}}}", text)
    text = re.sub(r"[₀-₉]+", lambda match: f"_{{{match[0].translate(_SUBSCRIPTS)}}}", text)
    if "\\begin" not in text:
        text = re.sub(r"\\{2}(?=[a-z]{2})", r"\\", text)
    if text.count("{") != text.count("}"):
        text = re.sub(r"\\(?:boxed|fbox)\s*\{", "", text)
    text = re.sub(r"\\?[$\"]|\\[()\[\]](?![0-9])|\*\*$|^\*\*", " ", text.translate(_SIGNS)).strip()
    text = re.sub(r"(?<!\\right)\.+$", "", text)
    text = _join_relations(text)
    for pattern, new in _REWRITES:
        text = pattern.sub(new, text)
    text = _CHOOSE.sub(_expand_choose, text)
    text = _CHOOSE_RAISED.sub(r"\\binom{\1}{\2}", text)
    text = _rename_any_integer(text)
    text = _REPEATING_DECIMAL.sub(_expand_repeating, text)
    if _TRIGONOMETRY.search(text):
        text = re.sub(
            rf"([0-9.]+|(?<!\\)[A-Za-z](?![A-Za-z])|\\[a-z]+){_DEGREES.pattern}", r"(\1\\cdot\\frac{\\pi}{180})", text
        )
    text = _DEGREES.sub("", text)
    text = _INDEXED.sub("", text)
    if _PLUS_MINUS.search(text) and "," not in text:
        upper = _PLUS_MINUS.sub(lambda match: "+" if match[0] == r"\pm" else "-", text)
        lower = _PLUS_MINUS.sub(lambda match: "-" if match[0] == r"\pm" else "+", text)
        text = f"{upper}, {re.sub('^[^=]*=', '', lower)}"
        text = re.sub("^ *[A-Za-z] *=", "", text)
    return text.strip()


def _join_relations(text: str) -> str:
    """Relations with "and" or "or" between them, as logic."""
    parts = _CONJUNCTION.split(text)
    if len(parts) == 1 or not all(re.search(_RELATION, part) for part in parts[::3]):
        return text
    words = [one or other for one, other in zip(parts[1::3], parts[2::3], strict=True)]
    signs = [{"and": r" \wedge ", "or": r" \vee "}[word] for word in words] + [""]
    return "".join(part.rstrip(" ,") + sign for part, sign in zip(parts[::3], signs, strict=True))


def _expand_choose(match: re.Match[str]) -> str:
    n, r = match[1] or match[2], match[4] or match[5]
    chosen = rf"\binom{{{n}}}{{{r}}}"
    return chosen if match[3] == "C" else rf"({chosen} \cdot {r.strip('{} ')}!)"


def _rename_any_integer(text: str) -> str:
    """`2n\\pi` and `2m\\pi, m \\in \\mathbb{Z}` with k for the integer, whose name says nothing."""
    declared = _ANY_INTEGER.search(text)
    bare = text[: declared.start()] if declared else text
    names = {declared[1]} if declared else {one or other for one, other in _MULTIPLE_OF_PI.findall(bare)}
    if len(names) != 1 or (declared and declared[1] not in bare):
        return text
    (name,) = names
    if not declared and set(re.findall(r"(?<![A-Za-z\\])[A-Za-z]", re.sub("^[^=]*=", "", bare))) != names:
        return text  # an area of n\pi r^2
    if name != "k" and re.search(r"(?<![A-Za-z\\])k(?![A-Za-z])", bare):
        return text
    return re.sub(rf"(?<![A-Za-z\\]){name}(?![A-Za-z])", "k", bare)


def _expand_repeating(match: re.Match[str]) -> str:
    whole, lead, cycle = match.groups()
    bottom = 10 ** len(lead) * (10 ** len(cycle) - 1)
    return rf"\frac{{{int(whole + lead + cycle) - int(whole + lead or 0)}}}{{{bottom}}}"


def normalise(text: str) -> str:
    """The expression without what changes only its looks. Equal normal forms mean equal expressions, not conversely."""
    text = re.sub(r"\$|\\[()\[\]](?![0-9])", " ", unstyle(text))
    text = _TEXT_COMMAND.sub(r"\1", _SPACING.sub(" ", text))
    text = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", text).replace("{,}", ",").replace("−", "-")
    text = re.sub(r"\\varnothing(?![A-Za-z])|\\\{\s*\\\}|∅", r"\\emptyset", text)
    text = re.sub(r"(?<=\w) +(?=\w)", "\0", text).replace(" ", "").replace("\0", " ")
    return text.strip().rstrip(".")


def equal(left: str, right: str) -> bool:
    """Whether Math-Verify finds the two equal in either order; False when it cannot tell in time."""
    return equal_many([(left, right)])[0]


def equal_many(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """`equal` for each pair, over as many workers as this process has processors to itself."""
    ends = [(standardise(left[-MAX_CHARS:]), standardise(right[-MAX_CHARS:])) for left, right in pairs]
    keys = [(left, right) if left < right else (right, left) for left, right in ends]
    wanted = [(left, right) for left, right in dict.fromkeys(keys) if (left, right) not in _cache and left != right]
    found = {key: True for key in keys if key[0] == key[1]} | dict(
        zip(wanted, _map_threads(lambda pair: bool(workers.query(*pair)), wanted), strict=True)
    )
    results = [found[key] if key in found else _cache[key] for key in keys]
    with workers.lock:
        _cache.update((key, answer) for key, answer in found.items() if len(key[0]) + len(key[1]) < 2000)
        while len(_cache) > CACHE_SIZE:
            _cache.popitem(last=False)
    return results


def find_candidates(texts: Sequence[str]) -> Iterator[Pair]:
    """The pairs of expressions that may be the same: all others have fingerprints that differ."""
    written = [standardise(text[-MAX_CHARS:]) for text in texts]
    found = _map_threads(_query_fingerprints, written)
    for i, one in enumerate(texts):
        for j, other in enumerate(texts[:i]):
            if written[i] == written[j] or may_equal(found[i], found[j]):
                yield one, other


def _query_fingerprints(text: str) -> list[Fingerprint] | None:
    found = workers.query(text)
    return found if found is not None or text not in workers.fatal_expressions else []


def _map_threads(ask: Callable[[Question], Answer], questions: Sequence[Question]) -> list[Answer]:
    """The answers, from as many workers as this process has processors to itself."""
    threads = min(-(-len(questions) // PAIRS_PER_THREAD), cpus.count_per_process())
    if threads <= 1:
        return [ask(question) for question in questions]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(ask, questions))
