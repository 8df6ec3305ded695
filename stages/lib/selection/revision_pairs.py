"""Pairs of a worse and a better row of one question, from which a model of quality learns.

Pairs that experts revised: the published files of CaR (Ge et al. 2024, arXiv 2402.18191; columns `src`, `score`), where a
raw row (score 0) is followed by its revision (score 1). The raw texts there are escaped (`\\n`, `\\u2019`) and the revised
ones are not, which alone tells them apart: read as they stand, a classifier learns the escapes. So escapes are undone, and
quotation marks and dashes are made plain. Pairs that were not revised: a row and the same with a planted fault
(`corruption.py`).

The paper drops the pairs with the smallest edit distance (1,211 of 3,751): a small revision says little about quality. The
published files are what is left, 2,540 pairs, so nothing more is dropped from them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from stages.lib.core import records, seeds
from stages.lib.core.errors import UserError
from stages.lib.selection import corruption
from stages.lib.selection.rows import Row, join_surrogates

VERSION = 1  # of the split, part of its key
COLUMNS = ["src", "score"]
Part = Literal["train", "dev", "test"]

_ESCAPE = re.compile(r'\\(u[0-9a-fA-F]{4}|["\\/ntr])')
_PLAIN_SIGNS = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " "})
_FIELDS = re.compile(r"Instruction: (?P<question>.*?)(?: Input: (?P<input>.*?))? Response:(?P<answer>.*)", re.S)


class Pair(NamedTuple):
    """A worse and a better row; what was done to the worse one, or `revised`; group: pairs of one question share it."""

    worse: Row
    better: Row
    kind: str
    group: str


def plain(text: str) -> str:
    """The text with escapes undone, unless it has true line ends and so was never escaped, and with plain signs."""

    def unescape(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) > 1 else {"n": "\n", "t": "\t", "r": "\n"}.get(code, code)

    text = text if "\n" in text else _ESCAPE.sub(unescape, text)
    return join_surrogates(text.translate(_PLAIN_SIGNS))


def read(path: Path) -> list[Pair]:
    """Pairs of a CSV file, raw before revised. Raises UserError `file:line: reason` for a row of another form, rows that
    do not alternate, and a file without pairs."""
    reader = csv.reader(io.StringIO(records.read_text(path), newline=""), strict=True)
    found: list[tuple[int, Row]] = []
    line = 1
    try:
        if (header := next(reader, None)) != COLUMNS:
            raise UserError(f"{path}:1: columns {header}; must be {','.join(COLUMNS)}")
        line = reader.line_num + 1
        for cells in reader:
            if any(cells):
                found.append((line, _parse(cells, len(found), f"{path}:{line}")))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}:{line}: not valid CSV ({error})") from None
    if len(found) % 2:
        raise UserError(f"{path}:{found[-1][0]}: score 0 without the revised row after it; rows must come in pairs")
    if not found:
        raise UserError(f"{path}: has no pairs")
    rows = [row for _, row in found]
    return [Pair(worse, better, "revised", worse.group) for worse, better in zip(rows[::2], rows[1::2], strict=True)]


def _parse(cells: Sequence[str], place: int, where: str) -> Row:
    """The row at a place, which says whether it is raw or revised."""
    if len(cells) != len(COLUMNS):
        raise UserError(f"{where}: {len(cells)} columns; must be {len(COLUMNS)}")
    expected = str(place % 2)
    if cells[1] != expected:
        raise UserError(
            f"{where}: score {cells[1]!r}; must be {expected}: a raw row (0) and its revision (1) take turns"
        )
    match = _FIELDS.fullmatch(plain(cells[0]).strip())
    if not match:
        raise UserError(f"{where}: src must read `Instruction: .. Input: .. Response: ..`, Input being optional")
    question = "\n".join(match[name].strip() for name in ("question", "input") if match[name])
    digest = hashlib.sha256(question.encode()).hexdigest()[:16]
    return Row(f"{digest}-{place}", question, match["answer"].strip(), digest, source=("raw", "revised")[place % 2])


def plant_pairs(rows: Iterable[Row], seed: int) -> list[Pair]:
    """Each row beside itself with a planted fault, one pair for each kind that applies. Raises UserError if none does."""
    faults = [(row, corruption.corrupt(row, kind, seed)) for row in rows for kind in corruption.KINDS]
    pairs = [Pair(fault.row, row, fault.kind, row.group) for row, fault in faults if fault]
    if not pairs:
        raise UserError("planted faults: apply to none of the rows; they need solutions with several lines or numbers")
    return pairs


def split(pairs: Iterable[Pair], seed: int) -> dict[Part, list[Pair]]:
    """80 % train, 10 % dev, 10 % test, by a hash of the group: a pair is never divided, nor are pairs of one question."""
    parts: dict[Part, list[Pair]] = {"train": [], "dev": [], "test": []}
    for pair in pairs:
        place = seeds.rng(seed, "revision_pairs", VERSION, pair.group, "split").random()
        parts["train" if place < 0.8 else "dev" if place < 0.9 else "test"].append(pair)
    return parts
