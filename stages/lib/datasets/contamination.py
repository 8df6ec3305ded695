"""Contamination checks: shared n-grams of words, and near-duplicates by MinHash.

A shared 13-gram is the usual sign of contamination (GPT-3, arXiv 2005.14165, appendix C). Rewordings share none, so sets
of 5-grams are compared as well (Broder 1997); pairs above a Jaccard similarity of 0.7 are reported.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stages.lib.core import records
from stages.lib.core.errors import UserError

NGRAM_SIZE, SHINGLE_SIZE, MIN_JACCARD, PERMUTATIONS = 13, 5, 0.7, 128
QUESTION_FIELDS = ("question", "problem", "Question", "Problem")


def split_words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return re.findall(r"[a-z0-9]+", text.lower())


def extract_ngrams(text: str, n: int) -> set[str]:
    """All runs of n words."""
    words = split_words(text)
    return {" ".join(words[i : i + n]) for i in range(len(words) - n + 1)}


def find_shared_ngrams(texts: Sequence[str], references: Iterable[str], n: int = NGRAM_SIZE) -> list[int]:
    """Indices of the texts that share an n-gram with a reference."""
    ngrams = set().union(*(extract_ngrams(reference, n) for reference in references))
    return [i for i, text in enumerate(texts) if not ngrams.isdisjoint(extract_ngrams(text, n))]


def find_similar(
    texts: Sequence[str], references: Sequence[str], threshold: float = MIN_JACCARD
) -> list[tuple[int, int]]:
    """Index pairs (text, reference) whose sets of 5-grams have an estimated Jaccard similarity of at least `threshold`."""
    from datasketch import MinHashLSH

    index: Any = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
    hashes = _compute_minhashes(references)
    for j, value in hashes.items():
        index.insert(j, value)
    return [
        (i, j)
        for i, value in _compute_minhashes(texts).items()
        for j in sorted(index.query(value))
        if value.jaccard(hashes[j]) >= threshold
    ]


def _compute_minhashes(texts: Sequence[str]) -> dict[int, Any]:
    """Index -> MinHash of the texts that are long enough to have a 5-gram."""
    from datasketch import MinHash

    hashes = {}
    for i, text in enumerate(texts):
        if ngrams := sorted(extract_ngrams(text, SHINGLE_SIZE)):
            hashes[i] = MinHash(num_perm=PERMUTATIONS, seed=1)
            hashes[i].update_batch([ngram.encode() for ngram in ngrams])
    return hashes


def read_texts(path: Path) -> list[str]:
    """The questions of a JSONL or CSV file. Raises UserError for a row without a question, and where there are no rows."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: not found; name a .jsonl or .csv file of problems")
    rows = list(_iter_csv(path) if path.suffix == ".csv" else records.iter_jsonl(path))
    if not rows:
        raise UserError(f"{path}: no rows; name a file of problems, or take it out of params.yaml")
    texts = []
    for number, row in rows:
        text = next((row[field] for field in QUESTION_FIELDS if row.get(field)), None)
        if not isinstance(text, str):
            raise UserError(f"{path}:{number}: no question; a row needs one of the fields {', '.join(QUESTION_FIELDS)}")
        texts.append(text)
    return texts


def _iter_csv(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    csv.field_size_limit(2**31 - 1)
    reader = csv.DictReader(io.StringIO(records.read_text(path), newline=""), strict=True)
    try:
        for row in reader:
            if any(isinstance(value, str) and value.strip() for value in row.values()):  # else a blank line
                yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: not valid csv ({error})") from None
