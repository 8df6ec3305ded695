"""ROUGE against a longest common subsequence by brute force; identities; lines; other scripts; an empty text."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rouge_score")
pytest.importorskip("sacrebleu")
from stages.lib.arena import text_overlap  # noqa: E402

WORDS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=8)


def is_subsequence(part, whole):
    rest = iter(whole)
    return all(word in rest for word in part)


def brute_force_lcs(first, second):
    return next(
        n for n in range(len(first), -1, -1) if any(is_subsequence(part, second) for part in combinations(first, n))
    )


@settings(max_examples=60)
@given(WORDS, WORDS)
def test_rouge_l_is_the_longest_common_subsequence(first, second):
    ours, back = (
        text_overlap.compare(" ".join(first), " ".join(second)),
        text_overlap.compare(" ".join(second), " ".join(first)),
    )
    assert ours["rougeL"] == pytest.approx(2 * brute_force_lcs(first, second) / (len(first) + len(second)))
    assert all(ours[name] == pytest.approx(back[name]) for name in ("rouge1", "rouge2", "rougeL")), "F1 is symmetric"


@pytest.mark.parametrize(
    "text", ["The cat sat on the mat.", "Der Käse schmeckt nach Öl und Brot", "кошка сидит на ковре сейчас"]
)
def test_a_text_and_itself(text):
    assert text_overlap.compare(text, text) == pytest.approx(dict.fromkeys((*text_overlap.ROUGE, "bleu", "chrf"), 1.0))
    assert text_overlap.summarize([text] * 2, [text] * 2)["bleu"] == pytest.approx(1.0)


def test_lines_make_the_difference_of_l_and_lsum():
    reference, text = "one two three\nfour five six", "four five six\none two three"
    assert text_overlap.compare(text, reference)["rougeLsum"] == 1.0 > text_overlap.compare(text, reference)["rougeL"]
    flat = text_overlap.compare(text.replace("\n", " "), reference.replace("\n", " "))
    assert flat["rougeLsum"] == flat["rougeL"]


def test_nothing_in_common():
    assert text_overlap.compare("", "a b")["rouge1"] == 0.0 == text_overlap.compare("x y", "a b")["rougeL"]
