"""`python -m stages bpc`: its rows, and what it refuses."""

import json
import math

import pytest
import torch

from stages import __main__ as command_line
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core.errors import UserError
from stages.lib.models import loading, sources
from tests.helpers import tiny_models
from tests.lib.models.test_sources import TOKENS, write_gguf


class Killed(Exception):
    """Stands for the end of the process: what is on disk stays, nothing else does."""


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


def test_a_killed_run_goes_on_with_equal_bytes(call, uniform, tmp_path, monkeypatch):
    from stages.lib.compression import bits

    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"{name}: Ann has 3 coins and Bob has 12 more. " * 40, encoding="utf-8")
    words = (uniform, "a.txt", "b.txt", "--block", 32, "--batch-tokens", 64, "--device", "cpu", "--out")
    call(*words, "whole.jsonl")
    assert not list((tmp_path / ".checkpoints").iterdir()), "what is done is cleared away"
    real, calls = bits.score_batch, []

    def score(*arguments):
        if len(calls) == limit:
            raise Killed
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(bits, "score_batch", score)
    limit = 25  # in the second text
    with pytest.raises(Killed):
        call(*words, "killed.jsonl")
    assert not (tmp_path / "killed.jsonl").exists() and len(list((tmp_path / ".checkpoints").iterdir())) == 2
    limit, before = None, len(calls)
    call(*words, "killed.jsonl")
    assert (tmp_path / "killed.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    again = len(calls) - before
    call(*words, "other.jsonl")
    assert len(calls) - before - again == before + again, "nothing was computed twice"


def test_a_gguf_file_has_the_bits_of_the_folder_that_it_was_made_from(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_gguf(tmp_path / "m.gguf", tiny_models.make_model("llama", len(TOKENS)))
    loading.save(*sources.read_gguf(tmp_path / "m.gguf"), tmp_path / "folder")
    (tmp_path / "a.txt").write_text("ab c ab ab c " * 30, encoding="utf-8")
    for name in ("m.gguf", "folder"):
        call(name, "a.txt", "--block", 32, "--device", "cpu", "--out", f"{name}.jsonl")
    first, second = (json.loads((tmp_path / f"{name}.jsonl").read_text()) for name in ("m.gguf", "folder"))
    assert first["bpc"] == pytest.approx(second["bpc"], rel=1e-6) and first["begin"] and first["chars"] == 390


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
