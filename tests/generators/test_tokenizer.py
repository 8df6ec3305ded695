"""Any text comes back exactly; digits, names and the words of the world are single tokens; equal bytes every time."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.generators.base import tokenizer
from stages.lib.procedural import gradeschool
from stages.lib.procedural.gradeschool import wording

BUILT = tokenizer.build_tokenizer()


@pytest.fixture
def tok():
    return BUILT


def ids(tok, text):
    return tok(text).input_ids


@pytest.mark.slow
@settings(max_examples=300)
@given(text=st.text(max_size=80))
def test_any_text_comes_back(text):
    assert BUILT.decode(ids(BUILT, text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "Janet’s ducks lay 16 eggs per day, i.e. $2.50 each.",
        r"\[\frac{1}{2} + \sqrt{x^2}\]",
        "def f(x):\n\treturn x  # two  spaces\r\n",
        "日本語 😀 \u200d e\u0301 \x00",
        "<eos> <pad>x",
        "",
    ],
)
def test_real_text_comes_back(tok, text):
    assert tok.decode(ids(tok, text)) == text


@given(st.integers(0, 10**30))
def test_a_digit_is_a_token(number):
    assert len(ids(BUILT, f"{number}")) == len(ids(BUILT, f" {number}")) == len(str(number))


def test_the_words_of_the_world_are_single_tokens(tok):
    for word in (*wording.NAMES, *wording.VERBS, *wording.UNITS, "Question", "Answer", "Verification", "Yes", "No"):
        assert len(ids(tok, f" {word}")) == 1, word
    problem = gradeschool.generate_problems("test", 1, 1)[0]
    pieces = tok.convert_ids_to_tokens(ids(tok, problem.question))
    assert all(len(piece.lstrip("Ġ")) > 1 or not piece[-1].isalpha() or piece[-1] == "a" for piece in pieces), pieces


def test_specials_are_distinct_and_never_typed_by_a_user(tok):
    assert tok.eos_token_id != tok.pad_token_id
    assert len(tok) < 1200
    typed = ids(tok, f"{tokenizer.EOS} {tokenizer.PAD}")
    assert not {tok.eos_token_id, tok.pad_token_id} & set(typed)
    assert ids(tok, "Question: 1") == ids(tok, "Question:") + ids(tok, " 1")  # no token is added at either end


def test_the_same_bytes_every_time(tmp_path):
    for name in "ab":
        tokenizer.build_tokenizer().save_pretrained(tmp_path / name)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert json.loads((tmp_path / "a" / "tokenizer.json").read_text())["model"]["merges"] == []


def test_a_saved_tokenizer_reads_as_the_built_one(tok, tmp_path):
    from transformers import AutoTokenizer

    tok.save_pretrained(tmp_path)
    read = AutoTokenizer.from_pretrained(tmp_path)
    for text in ("Question: Bob has 16 apples.\nAnswer:\nThen Cal has 16 + 7 = 23.\n#### 23\n", tokenizer.EOS):
        assert ids(read, text) == ids(tok, text)
