"""ROUGE-L: against the textbook's table, in any script, and on the published seed tasks."""

import json
import os
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.problems.augmentation import similarity
from stages.problems.augmentation.similarity import TextPool, compute_lcs, compute_rouge_l

WORDS = st.lists(st.sampled_from("abcd"), max_size=70)


def compute_by_table(left, right):
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(WORDS, WORDS)
def test_the_common_subsequence_is_that_of_the_table(left, right):
    assert compute_lcs(left, right) == compute_by_table(left, right) == compute_lcs(right, left)


def test_golden_values_of_the_package():
    # rouge-score 0.1.2, RougeScorer(["rougeL"], use_stemmer=False), fmeasure
    assert compute_rouge_l("The cat sat on the mat.", "A cat sat, on a mat!") == pytest.approx(2 / 3)
    assert compute_rouge_l("police killed the gunman", "police kill the gunman") == 0.75
    assert compute_rouge_l("it's 3.5 x_y", "its 35 xy") == 0
    assert compute_rouge_l("", "a") == compute_rouge_l("...", "...") == 0


def test_words_of_every_script_count():
    assert compute_rouge_l("Wie viele Äpfel hat Jörg?", "Wie viele Äpfel hat Jürg?") == pytest.approx(0.8)
    assert compute_rouge_l("Сколько яблок у Анны?", "Сколько яблок у Анны?") == 1  # 0 in the package
    assert compute_rouge_l("小明有三个苹果", "小明有五个苹果") == pytest.approx(6 / 7)
    assert compute_rouge_l("e\u0301t\u00e9", "\u00e9te\u0301") == 1, "composed or not"


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1, max_size=9).map(" ".join), max_size=14)
)
def test_no_kept_pair_is_too_similar_and_every_refused_text_is(texts):
    pool, kept, refused = TextPool([], 0.7), [], []
    for text in texts:
        if pool.find_similar(text):
            refused.append((text, list(kept)))
        else:
            pool.add(text)
            kept.append(text)
    assert all(compute_rouge_l(a, b) <= 0.7 for a, b in combinations(kept, 2))
    assert all(any(compute_rouge_l(text, other) > 0.7 for other in before) for text, before in refused)


@pytest.mark.skipif(
    "ASSAY_BENCHMARKS" not in os.environ, reason="ASSAY_BENCHMARKS is not set; it names published files"
)
def test_the_published_seed_tasks():
    path = Path(os.environ["ASSAY_BENCHMARKS"]) / "car" / "self_instruct_seed_tasks.jsonl"
    texts = [json.loads(line)["instruction"] for line in path.read_text().splitlines()]
    words = list(map(similarity.split_words, texts))
    pairs = [(i, j) for i, j in combinations(range(len(texts)), 2) if compute_rouge_l(texts[i], texts[j]) > 0.7]
    table = [
        (i, j)
        for i, j in combinations(range(len(texts)), 2)
        if words[i] and 2 * compute_by_table(words[i], words[j]) / (len(words[i]) + len(words[j])) > 0.7
    ]
    assert len(texts) == 175 and pairs == table
    assert pairs == [(47, 74), (77, 113)], "four of the authors' own seeds would not pass their filter"
