"""ROUGE-L between texts, and a pool of texts none of which is too similar to another.

F is the harmonic mean of the shares of either text's words that a longest common subsequence covers (Lin 2004, ROUGE,
section 3). On ASCII text it equals the package rouge-score 0.1.2 without stemming. That package drops every other
letter, so that two texts in another script always have F = 0; here words of all scripts count, and of scripts without
blanks the signs.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_SIGNS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"  # kana and Chinese characters: no blanks between words
_WORD = re.compile(rf"[{_SIGNS}]|[^\W_{_SIGNS}]+")


class Match(NamedTuple):
    similarity: float
    text: str


def split_words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFC", text).lower())


def compute_lcs(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of a longest common subsequence, one row of the table a machine operation (Hyyrö 2004, Bit-parallel
    LCS-length computation revisited)."""
    positions: dict[str, int] = {}
    for i, word in enumerate(left):
        positions[word] = positions.get(word, 0) | 1 << i
    full = (1 << len(left)) - 1
    row = full
    for word in right:
        matches = row & positions.get(word, 0)
        row = ((row + matches) | (row - matches)) & full
    return len(left) - row.bit_count()


def compute_rouge_l(left: str, right: str) -> float:
    """F of two texts, 0 to 1; 0 where one has no word."""
    return _compute_f(split_words(left), split_words(right))


def _compute_f(left: Sequence[str], right: Sequence[str]) -> float:
    return 2 * compute_lcs(left, right) / (len(left) + len(right)) if left and right else 0.0


class TextPool:
    """Texts that were kept. limit: no text may have a greater F with one of them."""

    def __init__(self, texts: Iterable[str], limit: float):
        self.limit = limit
        self._entries: list[tuple[list[str], Counter[str], str]] = []
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        words = split_words(text)
        self._entries.append((words, Counter(words), text))

    def find_similar(self, text: str) -> Match | None:
        """The first text of the pool with an F above the limit."""
        words = split_words(text)
        counts = Counter(words)
        for others, other_counts, other in self._entries:
            most = 2 * (counts & other_counts).total() / max(1, len(words) + len(others))  # bound on F; cheaper
            if most > self.limit and (similarity := _compute_f(words, others)) > self.limit:
                return Match(similarity, other)
        return None
