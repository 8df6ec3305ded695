r"""Final answers: whether two are the same, by value, and which of many are.

`equal` compares two answers, or two whole solutions (`lib/extraction.py` finds the answer in one), by type:

* number, integer: exactly, as fractions (`lib/numerals.py`), but for floating-point noise: a decimal of 12 or more
  significant digits equals what it is within 1e-12 of. Rounding is a difference, unless a tolerance is given.
* latex: by value, in worker processes (`lib/latex.py`). A formula that cannot be read whole equals only one written the
  same way; times of day and parts in words (`6 apples and 4 pears`) are compared whole.
* choice, boolean: by meaning (`not true` is false). text: but for case, outer punctuation and white space.
* code: by text, but for comments and white space.

It is symmetric. An answer that cannot be read equals nothing, itself included. A percentage equals both readings of it
(28% = 28 = 0.28), since benchmarks write it either way. `N/A` equals only itself.

Command: `python -m stages grade FILE.jsonl`.
"""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from stages.lib.grading import latex, numerals, programs
from stages.lib.grading.answer_styles import unstyle
from stages.lib.grading.extraction import COMPOUND_AMOUNT, NO_ANSWER, TYPES, extract, extract_boxed, has_marked_answer

__all__ = [
    "NO_ANSWER",
    "TYPES",
    "extract_boxed",
    "equal",
    "equal_many",
    "extract",
    "group",
    "has_marked_answer",
    "parse_number",
]

_CLOCK_TIME = re.compile(r"([01]?[0-9]|2[0-4])(?:[:.]([0-5][0-9]))?\s*([ap])\.?\s*m\b\.?", re.I)
_BARE_TIME = re.compile(r"[1-9]:[0-5][0-9]|1[0-2]:[0-5][0-9]")
_OUTER_CHARS = " \t\n.,;:!?*\"'“”‘’`$"


def equal(gold: str | None, pred: str | None, answer_type: str | None = None, tolerance: float = 0.0) -> bool:
    """Whether two answers (or solutions) have the same value. Never raises on a string, and takes bounded time.

    `tolerance`: how far numbers may differ, as a share of the larger one.
    """
    return equal_many([(gold, pred)], answer_type, tolerance)[0]


def equal_many(
    pairs: Sequence[tuple[str | None, str | None]], answer_type: str | None = None, tolerance: float = 0.0
) -> list[bool]:
    """`equal` for each (gold, pred); formulas are compared in parallel."""
    if answer_type in ("number", "integer"):
        return [_equal_numbers(gold, pred, tolerance) for gold, pred in pairs]
    read = [(extract(gold, answer_type), extract(pred, answer_type)) for gold, pred in pairs]
    verdicts = [_compare(gold, pred, answer_type, tolerance) for gold, pred in read]
    open_ = [index for index, verdict in enumerate(verdicts) if verdict is None]
    if open_:
        for index, same in zip(open_, latex.equal_many([read[index] for index in open_]), strict=True):
            verdicts[index] = same
    return [bool(verdict) for verdict in verdicts]


def parse_number(text: str | None) -> Fraction | None:
    """The exact value of a text that is a number, its currency and unit aside; None if it is anything else."""
    found = numerals.parse(text) if text is not None else None
    return found.value / 100 if found and found.is_percent else found.value if found else None


def group(answers: Sequence[str | None], answer_type: str | None = None) -> list[int]:
    """A class id per answer, counted from 0 in order of first appearance; -1 for one that cannot be read.

    Equality is not transitive (28 = 28% = 0.28), so classes are the connected parts of the graph of equal pairs.
    Whether two answers share a class does not depend on the order of the answers.
    """
    read = [extract(answer, answer_type) for answer in answers]
    distinct = list(dict.fromkeys(answer for answer in read if answer is not None))
    distinct = [answer for answer in distinct if _is_readable(answer, answer_type)]
    leader = {answer: answer for answer in distinct}

    def find(answer: str) -> str:
        while leader[answer] != answer:
            leader[answer] = answer = leader[leader[answer]]
        return answer

    bucket: dict[str | Fraction, str] = {}
    for answer in distinct:
        for key in _make_keys(answer, answer_type):
            leader[find(answer)] = find(bucket.setdefault(key, answer))
    for a, b in _find_near_pairs(distinct, answer_type):
        leader[find(a)] = find(b)
    if answer_type in (None, "latex"):
        rest = [(a, b) for a, b in latex.find_candidates(distinct) if find(a) != find(b)]
        for (a, b), same in zip(rest, equal_many(rest, answer_type), strict=True):
            if same:
                leader[find(a)] = find(b)
    ids: dict[str, int] = {}
    return [ids.setdefault(find(answer), len(ids)) if answer in leader else -1 for answer in read]


# Equality of extracted answers.


def _find_near_pairs(given: Sequence[str], answer_type: str | None) -> Iterator[tuple[str, str]]:
    """The pairs of numbers that differ by floating-point noise only."""
    numeric, formula = answer_type in ("number", "integer"), answer_type in (None, "latex")
    if not (numeric or formula):
        return
    read = [(one, numerals.parse(one, units=numeric, comma=numeric, formula=formula)) for one in given]
    values = sorted((value, one, found) for one, found in read if found for value in found.possible_values)
    for i, (value, one, found) in enumerate(values):
        for other_value, other, other_found in values[i + 1 :]:
            if other_value - value > numerals.FLOAT_TOLERANCE * max(abs(value), abs(other_value)):
                break
            if numerals.equal(found, other_found):
                yield one, other


def _equal_numbers(gold: str | None, pred: str | None, tolerance: float) -> bool:
    ours, theirs = (
        (numerals.parse(text) or numerals.parse(extract(text, "number") or "")) if text else None
        for text in (gold, pred)
    )
    if not ours or not theirs:
        return extract(gold, "number") == extract(pred, "number") == NO_ANSWER
    return ours == theirs or numerals.equal(ours, theirs, tolerance)


def _compare(gold: str | None, pred: str | None, answer_type: str | None, tolerance: float) -> bool | None:
    """True or False where it can be told here; None where Math-Verify has to be asked."""
    if gold is None or pred is None or not (_is_readable(gold, answer_type) and _is_readable(pred, answer_type)):
        return False
    if set(_make_keys(gold, answer_type)) & set(_make_keys(pred, answer_type)):
        return True
    if (
        answer_type not in (None, "latex")
        or NO_ANSWER in (gold, pred)
        or _normalise_compound(gold)
        or _normalise_compound(pred)
    ):
        return False
    ours, theirs = (numerals.parse(answer, units=False, comma=False, formula=True) for answer in (gold, pred))
    if ours and theirs:
        return numerals.equal(ours, theirs, tolerance)
    if ours or theirs:  # a number faces something looser: with a unit, or (no type given) with a decimal comma
        ours, theirs = (numerals.parse(answer, comma=answer_type is None, formula=True) for answer in (gold, pred))
        if ours and theirs:
            return numerals.equal(ours, theirs, tolerance)
    return None


def _is_readable(answer: str, answer_type: str | None) -> bool:
    return bool(_make_keys(answer, answer_type))


def _make_keys(answer: str, answer_type: str | None) -> list[str | Fraction]:
    """Two answers that share a key are equal; for types other than latex and numbers, only those."""
    if answer == NO_ANSWER:
        return [NO_ANSWER]
    if answer_type in ("number", "integer"):
        found = numerals.parse(answer)
        return found.possible_values if found else []
    if answer_type == "choice":
        return [answer.upper()]
    if answer_type == "boolean":
        return ["true" if answer.lower() in ("yes", "true") else "false"]
    if answer_type == "code":
        return [programs.normalise(answer)]
    if answer_type == "text":
        bare = re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", unstyle(answer))
        words = " ".join(bare.casefold().split())
        return [key] if (key := words.strip(_OUTER_CHARS) or words) else []
    if whole := _normalise_compound(answer):
        return [whole]
    found = numerals.parse(answer, units=False, comma=False, formula=True)
    plain = latex.normalise(answer)
    if _BARE_TIME.fullmatch(plain):  # morning or afternoon is not said
        return [plain, *(f"{plain} {half}m" for half in "ap")]
    return [*(found.possible_values if found else []), *([plain] if re.search(r"\w|\\\{", plain) else [])]


def _normalise_compound(answer: str) -> str | None:
    """The normal form of a time of day or of parts in words (`6 apples and 4 pears`), which are compared as they are."""
    plain = re.sub(
        r"\\(?:text|mbox|textrm|mathrm)\s*\{([^{}]*)\}|[$~]|\\[,;: ]", lambda match: match[1] or " ", unstyle(answer)
    )
    plain = " ".join(plain.split())
    if time := _CLOCK_TIME.fullmatch(plain):
        return f"{int(time[1])}:{time[2] or '00'} {time[3].lower()}m"
    if COMPOUND_AMOUNT.fullmatch(plain.rstrip(" .!")):
        return re.sub(r",? and |, ", " & ", plain.rstrip(" .!").casefold())
    return None
