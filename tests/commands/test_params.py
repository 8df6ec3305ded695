"""`python -m stages params`: every key is explained, with the value that a stage would read."""

import pytest

from stages.commands.params import describe_schema, list_keys, params
from stages.lib.core.errors import UserError
from tests.helpers.tiny_models import ROOT


@pytest.fixture(autouse=True)
def at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.slow
def test_every_key_has_a_meaning_of_one_line():
    keys = list_keys()
    assert len(keys) > 200 and len({key.path for key in keys}) == len(keys)
    assert not [key.path for key in keys if not 2 < len(key.meaning) < 110]


def test_one_key(capsys):
    params("orm.lora_rank")
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines["value"] == lines["default"] == "0" and lines["allowed"] == "a whole number >= 0"
    assert lines["meaning"] == "rank of LoRA adapters; 0 trains all weights"


@pytest.mark.slow
def test_a_section_shows_shared_values_and_the_whole_list_shows_them_once(capsys):
    params("orm")
    section = capsys.readouterr().out
    assert "orm.warmup_ratio" in section and "orm.loss" in section and "prm." not in section
    params(None)
    whole = capsys.readouterr().out
    assert "orm.warmup_ratio" not in whole and "training.warmup_ratio" in whole and "base.warmup_ratio" in whole


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("orm.warmup_ratio", "from training.warmup_ratio"),
        (
            "training.optimizer",
            "except base.optimizer muon, generator.optimizer adamw, preference.optimizer adamw, "
            "honesty.optimizer adamw, adaptation.optimizer adamw, compression.optimizer adamw, pseudocode.optimizer adamw",
        ),
        ("benchmarks.hub.repo", "value (not set)"),
        ("benchmarks.path.train", "allowed a string or a list; each: a string"),
        ("genrm.lm_weights", "allowed a list, not empty; each: a number >= 0"),
    ],
)
def test_one_key_says_where_its_value_stands_and_what_is_allowed(key, line, capsys):
    params(key)
    assert line in [" ".join(said.split()) for said in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("orm.x", "no such key"),
        ("orm.droput", "do you mean orm.dropout"),
        ("warmup", "do you mean training.warmup_ratio"),
    ],
)
def test_unknown_key(key, hint):
    with pytest.raises(UserError, match=f"params {key}: no such key.*") as caught:
        params(key)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "a number > 0 and <= 1"),
        ({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}, "a whole number >= 1 or null"),
        ({"enum": ["no", "bf16"]}, 'one of "no", bf16'),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, "a list, not empty; each: a string"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 2}, "a list of length 0 to 2; each: a string"),
        ({"$ref": "#/x"}, "a mapping"),
    ],
)
def test_allowed_in_words(schema, words):
    assert describe_schema(schema) == words
