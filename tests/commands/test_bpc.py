"""`python -m stages bpc`: its rows, and what it refuses."""

import json
import math

import pytest
import torch

from stages import __main__ as command_line
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core.errors import UserError
from stages.lib.models import loading
from tests.helpers import tiny_models


@pytest.fixture(scope="module")
def call():
    command_line._register_commands()
    return lambda *words: command_line.app(["bpc", *map(str, words)], standalone_mode=False)


@pytest.fixture(scope="module")
def uniform(tmp_path_factory):
    """The folder of a model for which all tokens are equally likely."""
    tokenizer = build_tokenizer()
    model = tiny_models.make_model("qwen2", len(tokenizer))
    torch.nn.init.zeros_(model.lm_head.weight)
    folder = tmp_path_factory.mktemp("models") / "uniform"
    loading.save(model, tokenizer, folder)
    return folder


def test_a_row_for_each_text(call, uniform, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("Ann has 3 coins.", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"body": "Bob has 12."}\n{"body": "7 é"}\n', encoding="utf-8")
    call(uniform, tmp_path / "a.txt", "--device", "cpu", "--out", tmp_path / "a.out")
    call(uniform, tmp_path / "b.jsonl", "--field", "body", "--block", 8, "--stride", 2, "--device", "cpu",
         "--out", tmp_path / "b.out")  # fmt: skip
    (row,) = map(json.loads, (tmp_path / "a.out").read_text().splitlines())
    assert row["bpc"] == pytest.approx(math.log2(len(build_tokenizer())) * row["tokens"] / row["chars"], rel=1e-6)
    assert {
        "model",
        "corpus",
        "sha256",
        "tokens",
        "chars",
        "bytes",
        "nll",
        "bpc",
        "bpb",
        "block",
        "stride",
        "dtype",
    } <= {*row}
    assert row["model"] == str(uniform) and row["corpus"] == "a.txt" and (row["block"], row["stride"]) == (512, 256)
    (other,) = map(json.loads, (tmp_path / "b.out").read_text().splitlines())
    assert (
        other["documents"] == 2 and (other["block"], other["stride"]) == (8, 2) and other["bytes"] == other["chars"] + 1
    )
    shown = capsys.readouterr().out
    assert "bits per character" in shown and "The tokenizer has no begin token" in shown


def test_what_is_refused(call, uniform, tmp_path):
    text = tmp_path / "a.txt"
    text.write_text("Ann has 3 coins.")
    for words, said in (
        (("http://127.0.0.1:1/v1", text), "does not say how probable a given text is"),
        ((tmp_path / "absent", text), "not found; name a folder"),
        ((tmp_path, text), "no config.json"),
        ((uniform, tmp_path / "absent.txt"), "cannot be read"),
        ((uniform, text, "--block", 1000), "context is 512"),
        ((uniform, text, "--out", text), "is read by this command"),
    ):
        with pytest.raises(UserError, match=said):
            call(*words, *(() if "--out" in words else ("--out", tmp_path / "out.jsonl")))
    assert not (tmp_path / "out.jsonl").exists() and text.read_text() == "Ann has 3 coins."
