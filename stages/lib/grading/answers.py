r"""Answers: are two equal, by value, and which of many are?

`equal` compares two answers, or two whole solutions (`extraction` finds the answer in one), by type:

* number, integer: exactly, as fractions (`numerals`). Only floating-point noise is allowed: a decimal of 12 or more
  significant digits equals what is within 1e-12 of it. Rounding is a difference, unless a tolerance is given.
* latex: by value, in worker processes (`formulas`). A formula that cannot be read whole equals only one written the same
  way; times of day and compound amounts (`6 apples and 4 pears`) are compared as text.
* choice, boolean: by meaning (`not true` is false).
* text: ignoring case, outer punctuation and white space. code: ignoring comments and white space.

Equality is symmetric. An answer that cannot be read equals nothing, not even itself. A percentage equals both of its
readings (28% = 28 = 0.28), because benchmarks write it either way. `N/A` equals only itself.

Command: `python -m stages grade FILE.jsonl`.
"""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from stages.lib.grading import formulas, latex, numerals, programs
from stages.lib.grading.extraction import COMPOUND_AMOUNT, NO_ANSWER, TYPES, extract, has_marked_answer

__all__ = ["NO_ANSWER", "TYPES", "equal", "equal_many", "extract", "group", "has_marked_answer", "parse_number"]

_CLOCK_TIME = re.compile(r"([01]?[0-9]|2[0-4])(?:[:.]([0-5][0-9]))?\s*([ap])\.?\s*m\b\.?", re.I)
_BARE_TIME = re.compile(r"[1-9]:[0-5][0-9]|1[0-2]:[0-5][0-9]")
_OUTER_CHARS = " \t\n.,;:!?*\"'“”‘’`$"
_NUMBER_TYPES = ("number", "integer")
_FORMULA_TYPES = (None, "latex")


def equal(gold: str | None, pred: str | None, answer_type: str | None = None, tolerance: float = 0.0) -> bool:
    """Whether two answers (or solutions) have the same value. Never raises on a string, and takes bounded time.

    tolerance: how far numbers may differ, as a share of the larger one.
    """
    return equal_many([(gold, pred)], answer_type, tolerance)[0]


def equal_many(
    pairs: Sequence[tuple[str | None, str | None]], answer_type: str | None = None, tolerance: float = 0.0
) -> list[bool]:
    """`equal` for each (gold, pred); formulas are compared in parallel."""
    if answer_type in _NUMBER_TYPES:
        return [_equal_numbers(gold, pred, tolerance) for gold, pred in pairs]
    verdicts: list[bool | None] = []
    undecided: dict[int, tuple[str, str]] = {}
    for index, pair in enumerate(pairs):
        gold, pred = (extract(text, answer_type) for text in pair)
        verdict = False if gold is None or pred is None else _compare(gold, pred, answer_type, tolerance)
        if gold is not None and pred is not None and verdict is None:
            undecided[index] = gold, pred
        verdicts.append(verdict)
    if undecided:
        for index, verdict in zip(undecided, formulas.equal_many(list(undecided.values())), strict=True):
            verdicts[index] = verdict
    return [bool(verdict) for verdict in verdicts]


def parse_number(text: str | None) -> Fraction | None:
    """The exact value of a text that is a number, perhaps with a currency and a unit; None of anything else."""
    number = numerals.parse(text) if text is not None else None
    return number and (number.value / 100 if number.is_percent else number.value)


def group(answers: Sequence[str | None], answer_type: str | None = None) -> list[int]:
    """A class id per answer, counted from 0 in order of first appearance; -1 for one that cannot be read.

    Equality is not transitive (28 = 28% = 0.28), so classes are the connected components of the graph of equal pairs.
    Whether two answers share a class does not depend on the order of the answers.
    """
    extracted_from = {answer: extract(answer, answer_type) for answer in dict.fromkeys(answers)}  # many are equal
    extracted = [extracted_from[answer] for answer in answers]
    keys = {answer: _make_keys(answer, answer_type) for answer in dict.fromkeys(extracted) if answer is not None}
    readable = [answer for answer, answer_keys in keys.items() if answer_keys]
    leader = {answer: answer for answer in readable}  # union-find

    def find(answer: str) -> str:
        while leader[answer] != answer:
            leader[answer] = answer = leader[leader[answer]]
        return answer

    bucket: dict[str | Fraction, str] = {}
    for answer in readable:
        for key in keys[answer]:
            leader[find(answer)] = find(bucket.setdefault(key, answer))
    for a, b in _find_near_pairs(readable, answer_type):
        leader[find(a)] = find(b)
    if answer_type in _FORMULA_TYPES:
        candidates = [(a, b) for a, b in formulas.find_candidates(readable) if find(a) != find(b)]
        for (a, b), is_equal in zip(candidates, equal_many(candidates, answer_type), strict=True):
            if is_equal:
                leader[find(a)] = find(b)
    ids: dict[str, int] = {}
    return [ids.setdefault(find(answer), len(ids)) if answer in leader else -1 for answer in extracted]


# Equality of extracted answers.


def _find_near_pairs(answers: Sequence[str], answer_type: str | None) -> Iterator[tuple[str, str]]:
    """The pairs of numbers that differ by floating-point noise only."""
    numeric, formula = answer_type in _NUMBER_TYPES, answer_type in _FORMULA_TYPES
    if not (numeric or formula):
        return
    numbers = [(answer, numerals.parse(answer, units=numeric, comma=numeric, formula=formula)) for answer in answers]
    values = sorted((value, answer, number) for answer, number in numbers if number for value in number.possible_values)
    for i, (value, answer, number) in enumerate(values):
        for other_value, other_answer, other in values[i + 1 :]:
            if other_value - value > numerals.FLOAT_TOLERANCE * max(abs(value), abs(other_value)):
                break
            if numerals.equal(number, other):
                yield answer, other_answer


def _equal_numbers(gold: str | None, pred: str | None, tolerance: float) -> bool:
    left, right = (
        (numerals.parse(text) or numerals.parse(extract(text, "number") or "")) if text else None
        for text in (gold, pred)
    )
    if not left or not right:
        return extract(gold, "number") == extract(pred, "number") == NO_ANSWER
    return left == right or numerals.equal(left, right, tolerance)


def _compare(gold: str, pred: str, answer_type: str | None, tolerance: float) -> bool | None:
    """Whether two extracted answers are equal; None where the formulas have to be compared."""
    gold_keys, pred_keys = _make_keys(gold, answer_type), _make_keys(pred, answer_type)
    if not gold_keys or not pred_keys or set(gold_keys) & set(pred_keys):
        return bool(gold_keys and pred_keys)
    if answer_type not in _FORMULA_TYPES or NO_ANSWER in (gold, pred):
        return False
    if _normalise_compound(gold) or _normalise_compound(pred):
        return False
    left, right = (numerals.parse(answer, units=False, comma=False, formula=True) for answer in (gold, pred))
    if bool(left) != bool(right):  # perhaps the other has a unit, or (no type given) a decimal comma
        left, right = (numerals.parse(answer, comma=answer_type is None, formula=True) for answer in (gold, pred))
    return numerals.equal(left, right, tolerance) if left and right else None


def _make_keys(answer: str, answer_type: str | None) -> list[str | Fraction]:
    """Keys of an answer, none if it cannot be read. Answers that share a key are equal; numbers and formulas may be equal
    without."""
    if answer == NO_ANSWER:
        return [NO_ANSWER]
    if answer_type in _NUMBER_TYPES:
        number = numerals.parse(answer)
        return [*number.possible_values] if number else []
    if answer_type == "choice":
        return [answer.upper()]
    if answer_type == "boolean":
        return ["true" if answer.lower() in ("yes", "true") else "false"]
    if answer_type == "code":
        return [programs.normalise(answer)]
    if answer_type == "text":
        bare = re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", latex.strip_styles(answer))
        words = " ".join(bare.casefold().split())
        return [key] if (key := words.strip(_OUTER_CHARS) or words) else []
    if compound := _normalise_compound(answer):
        return [compound]
    number = numerals.parse(answer, units=False, comma=False, formula=True)
    plain = latex.normalise(answer)
    if _BARE_TIME.fullmatch(plain):  # without "a.m." or "p.m.", which may be either
        return [plain, *(f"{plain} {half}m" for half in "ap")]
    return [*(number.possible_values if number else []), *([plain] if re.search(r"\w|\\\{", plain) else [])]


def _normalise_compound(answer: str) -> str | None:
    """The normal form of a time of day or of a compound amount, which are compared as text; None of anything else."""
    plain = re.sub(
        r"\\(?:text|mbox|textrm|mathrm)\s*\{([^{}]*)\}|[$~]|\\[,;: ]",
        lambda match: match[1] or " ",
        latex.strip_styles(answer),
    )
    plain = " ".join(plain.split())
    if time := _CLOCK_TIME.fullmatch(plain):
        return f"{int(time[1])}:{time[2] or '00'} {time[3].lower()}m"
    if COMPOUND_AMOUNT.fullmatch(plain.rstrip(" .!")):
        return re.sub(r",? and |, ", " & ", plain.rstrip(" .!").casefold())
    return None
