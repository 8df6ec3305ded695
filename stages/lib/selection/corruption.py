"""Planted faults: a solution with one known fault.

They train a model of quality where nobody has revised solutions, and measure how much noise a method of selection keeps.
Where a fault goes is keyed by (seed, id, kind), so the order of rows changes nothing. Which rows get one is up to whoever
plants them.

wrong_step        the result of a line's calculation is another number there; the lines below keep the true one
wrong_answer      the last number of the final line is another one
cut_end           the solution stops early
swapped_numbers   in one calculation the first operand and the result change places, in their whole line
duplicated_step   a line stands there twice

CaR (Ge et al. 2024, arXiv 2402.18191) trains on pairs of raw and revised rows; these are its pairs for solutions.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from stages.lib.core import seeds
from stages.lib.selection.rows import Row

VERSION = 1  # part of every key
Kind = Literal["wrong_step", "wrong_answer", "cut_end", "swapped_numbers", "duplicated_step"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?![\w])")
_RESULT = re.compile(r"=[\s$<]*-?")  # up to a result
_OPERAND = re.compile(r"(?<![\w.])(\d[\d,.]*)\s*[-+*/×÷][-+*/×÷\d\s.,()$]*$")  # the first one, before the sign `=`
_ENUMERATOR = re.compile(r"^\s*\d+[.)]\s")
_FINAL = re.compile(r"^\s*#{4}|\\boxed\b|\bthe (?:final )?answer\b", re.I)


class Corruption(NamedTuple):
    """A row with a planted fault, under the id of the sound row; detail: where it is and what was there before."""

    row: Row
    kind: Kind
    detail: str


def corrupt(row: Row, kind: Kind, seed: int) -> Corruption | None:
    """The row with a fault in its answer; None where this kind does not apply (no number, a single line)."""
    changed = corrupt_lines(row.answer.split("\n"), kind, seeds.rng(seed, "corruption", VERSION, row.id, kind))
    return changed and Corruption(row._replace(answer="\n".join(changed[0])), kind, changed[1])


def corrupt_lines(lines: Sequence[str], kind: Kind, rng: random.Random) -> tuple[list[str], str] | None:
    """(the steps of a solution with a fault, what it is), or None where this kind does not apply."""
    changed = list(lines)
    last = max((i for i, line in enumerate(lines) if line.strip()), default=-1)
    final = {i for i, line in enumerate(lines) if _FINAL.search(line)} or {last}
    steps = [i for i, line in enumerate(lines) if line.strip() and i not in final]
    if kind == "cut_end":
        return _cut_end(changed[: last + 1], rng)
    if kind == "duplicated_step":
        if not steps:
            return None
        i = rng.choice(steps)
        return [*changed[: i + 1], changed[i], *changed[i + 1 :]], f"line {i + 1} twice"
    if kind == "wrong_answer":
        numbers = [(i, match) for i in sorted(final) if i >= 0 for match in _NUMBER.finditer(lines[i])]
        if not numbers:
            return None
        i, match = numbers[-1]
        new = _draw_other(match[0], rng)
        changed[i] = lines[i][: match.start()] + new + lines[i][match.end() :]
        return changed, f"line {i + 1}: {match[0]} -> {new}"
    is_swap = kind == "swapped_numbers"
    edits = [(i, edit) for i in steps if (edit := _find_calculation(lines[i], is_swap))]
    if not edits:
        return None
    i, (result, operand) = rng.choice(edits)
    old = lines[i]
    if is_swap:
        other = {result[0]: operand, operand: result[0]}
        start = match.end() if (match := _ENUMERATOR.match(old)) else 0
        changed[i] = old[:start] + _NUMBER.sub(lambda match: other.get(match[0], match[0]), old[start:])
        return changed, f"line {i + 1}: {operand} <-> {result[0]}"
    new = _draw_other(result[0], rng)
    tail = _NUMBER.sub(lambda match: new if match[0] == result[0] else match[0], old[result.start() :])
    changed[i] = old[: result.start()] + tail
    return changed, f"line {i + 1}: {result[0]} -> {new}"


def _cut_end(lines: list[str], rng: random.Random) -> tuple[list[str], str] | None:
    if len(lines) > 1:
        kept = rng.randint(1, len(lines) - 1)
        return lines[:kept], f"{len(lines) - kept} of {len(lines)} lines cut"
    words = lines[0].split(" ") if lines else []
    if len(words) < 4:
        return None
    kept = rng.randint(len(words) // 3, len(words) * 4 // 5)
    return [" ".join(words[: max(1, kept)])], f"{len(words) - kept} of {len(words)} words cut"


def _find_calculation(line: str, has_operand: bool) -> tuple[re.Match[str], str] | None:
    """The result of the line's last calculation, the number behind `=`, and its first operand. has_operand: only a
    calculation `a op b = c` that is wrong once a and c change places: not `a - b = -c`, nor one
    that has a or c twice, as `a * b / a = b`."""
    for sign in reversed(list(_RESULT.finditer(line))):
        result, before = _NUMBER.match(line, sign.end()), _OPERAND.search(line, 0, sign.start())
        operand = _NUMBER.match(line, before.start(1)) if before else None
        if result and not has_operand:
            return result, ""
        if before and operand and result and not sign[0].endswith("-"):
            numbers = [_read(match[0]) for match in _NUMBER.finditer(before[0])]
            if numbers.count(_read(operand[0])) == 1 and _read(result[0]) not in numbers:
                return result, operand[0]
    return None


def _read(number: str) -> float:
    return float(number.replace(",", ""))


def _draw_other(number: str, rng: random.Random) -> str:
    """Another number that is above 0, near the old one, with as many decimals and with commas where it had some."""
    decimals = len(number.partition(".")[2])
    unit = int(number.replace(",", "").replace(".", ""))
    shifts = [shift for shift in (-10, -5, -3, -2, -1, 1, 2, 3, 5, 10) if unit + shift > 0]
    value = unit + rng.choice(shifts)
    whole, rest = divmod(value, 10**decimals)
    text = f"{whole:,}" if "," in number else str(whole)
    return f"{text}.{rest:0{decimals}d}" if decimals else text
