"""Whether texts repeat others: shared runs of words, and near-duplicates by MinHash.

A 13-word run in common is the usual sign of contamination (GPT-3's report, arXiv 2005.14165, appendix C); rewordings keep
no such run, so sets of 5-word runs are compared as well (Broder 1997), those above a Jaccard similarity of 0.7 reported.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stages.lib.core.errors import UserError
from stages.lib.core.records import iter_jsonl

NGRAM_SIZE, SHINGLE_SIZE, MIN_JACCARD, PERMUTATIONS = 13, 5, 0.7, 128
QUESTION_FIELDS = ("question", "problem", "Question", "Problem")


def split_words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def extract_ngrams(text: str, n: int) -> set[str]:
    own = split_words(text)
    return {" ".join(own[i : i + n]) for i in range(len(own) - n + 1)}


def find_shared_ngrams(texts: Sequence[str], references: Iterable[str], n: int = NGRAM_SIZE) -> list[int]:
    """Indices of the texts that have a run of n words in common with a reference."""
    known = set().union(*(extract_ngrams(reference, n) for reference in references))
    return [i for i, text in enumerate(texts) if not known.isdisjoint(extract_ngrams(text, n))]


def find_similar(
    texts: Sequence[str], references: Sequence[str], threshold: float = MIN_JACCARD
) -> list[tuple[int, int]]:
    """(text, reference) whose sets of 5-word runs have about this Jaccard similarity or more."""
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
    hashed = {j: _compute_minhash(reference) for j, reference in enumerate(references)}
    for j, value in hashed.items():
        if value is not None:
            index.insert(j, value)
    pairs = []
    for i, text in enumerate(texts):
        value = _compute_minhash(text)
        for j in sorted(index.query(value)) if value is not None else []:
            if value.jaccard(hashed[j]) >= threshold:
                pairs.append((i, j))
    return pairs


def _compute_minhash(text: str) -> Any:
    from datasketch import MinHash

    own = sorted(extract_ngrams(text, SHINGLE_SIZE))
    if not own:
        return None
    value = MinHash(num_perm=PERMUTATIONS, seed=1)
    value.update_batch([run.encode() for run in own])
    return value


def read_texts(path: Path) -> list[str]:
    """The questions of a JSONL or CSV file. Raises UserError where a row has none."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: not found; name a .jsonl or .csv file of problems")
    if path.suffix == ".csv":
        with open(path, encoding="utf-8-sig", newline="") as file:
            csv.field_size_limit(2**31 - 1)
            rows = [(reader.line_num, row) for reader in [csv.DictReader(file)] for row in reader]
    else:
        rows = list(iter_jsonl(path))
    texts = []
    for number, row in rows:
        found = next((row[field] for field in QUESTION_FIELDS if row.get(field)), None)
        if not isinstance(found, str):
            raise UserError(f"{path}:{number}: no question; a row needs one of the fields {', '.join(QUESTION_FIELDS)}")
        texts.append(found)
    return texts
