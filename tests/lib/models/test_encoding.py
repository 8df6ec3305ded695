"""encode() concatenates ids, knows where steps end, cuts nothing, and never changes unnoticed."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core.expressions import strip_annotations
from stages.lib.models.encoding import Encoder, split_steps
from stages.lib.models.prompts import PLAIN_TEMPLATE

TOKENIZER = build_tokenizer()
ENCODER = Encoder(TOKENIZER)
LINES = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20)


def test_golden():
    """A change here makes every trained verifier read something else than it was trained on."""
    encoded = ENCODER.encode("Ann has 3 apples.\nHow many?", ["3 + 4 = 7", "#### 7"])
    text = TOKENIZER.convert_ids_to_tokens(encoded.ids)
    digest = hashlib.sha256(json.dumps([text, encoded.prompt_length, encoded.step_ends]).encode()).hexdigest()
    assert digest[:16] == "8f54d61637f574ec"


@given(LINES, st.lists(LINES, max_size=4), st.booleans())
def test_ids_are_the_pieces_in_order(question, steps, finished):
    encoded = ENCODER.encode(question, steps, finished)
    start = encoded.prompt_length
    assert encoded.ids[:start] == ENCODER.prompt_ids(question)
    assert TOKENIZER.decode(encoded.ids[:start]) == PLAIN_TEMPLATE.format(question=question)
    for step, end in zip(steps, encoded.step_ends, strict=True):
        assert TOKENIZER.decode(encoded.ids[start : end + 1]) == step + "\n"
        start = end + 1
    assert encoded.ids[start:] == [TOKENIZER.eos_token_id] * finished


def test_a_limit_raises_instead_of_cutting():
    length = len(ENCODER.encode("q", ["1", "2"]).ids)
    assert len(ENCODER.encode("q", ["1", "2"], limit=length).ids) == length
    with pytest.raises(ValueError, match="limit"):
        ENCODER.encode("q", ["1", "2"], limit=length - 1)


def test_names_of_special_tokens_in_text_are_text():
    assert TOKENIZER.eos_token_id not in ENCODER.encode("a <eos> b", ["<eos>"], finished=False).ids


def test_a_tokenizer_that_closes_its_input():
    from tokenizers.processors import TemplateProcessing

    closing = build_tokenizer()
    closing.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", closing.eos_token_id)]
    )
    assert Encoder(closing).prompt_ids("q") == ENCODER.prompt_ids("q")
    assert Encoder(closing).encode("q", ["1"]).ids == ENCODER.encode("q", ["1"]).ids


def test_steps_are_lines_with_something_in_them():
    assert split_steps("a\n\n  b \n \n#### 3") == ["a", "  b ", "#### 3"]


def test_annotations_go():
    assert strip_annotations("48/2 = <<48/2=24>>24 clips, <<1+1=2>>2 < 3") == "48/2 = 24 clips, 2 < 3"
