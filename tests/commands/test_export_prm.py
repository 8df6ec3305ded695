"""The exported token classifier scores as the verifier does."""

import json

import pytest
import torch
from transformers import AutoModelForTokenClassification

from stages.commands.export_prm import export_prm
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core.errors import UserError
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.verifiers.process import ProcessVerifier
from tests.helpers import tiny_models


def make_verifier(name, head="scalar", **options):
    tokenizer = build_tokenizer()
    model = tiny_models.make_model(name, len(tokenizer))
    verifier = ProcessVerifier("prm", model, Encoder(tokenizer), head, **options)
    if head == "scalar":
        torch.nn.init.normal_(verifier.head.weight)
        torch.nn.init.constant_(verifier.head.bias, 0.3)
    return verifier


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3", "mistral"])
@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("scalar", {}),
        ("scalar", {"loss": "beta_binomial"}),
        ("token_logits", {"head_init_tokens": ["Right", "Wrong"], "step_marker": "Right.\n"}),
    ],
)
def test_scores_are_equal(tmp_path, capsys, name, head, options):
    verifier = make_verifier(name, head, **options)
    verifier.save(tmp_path / "model")
    export_prm(tmp_path / "out", tmp_path / "model")
    is_beta = "loss" in options
    assert ("its concentration is not exported" in capsys.readouterr().out) == is_beta
    classifier = AutoModelForTokenClassification.from_pretrained(tmp_path / "out").eval()
    problem = tiny_models.make_problem(3)
    samples = [tiny_models.make_sample(problem, 0, 0), tiny_models.make_sample(problem, 1, 2)]
    for sample, expected in zip(samples, verifier.score_steps(problem, samples), strict=True):
        encoded = verifier.encode_sample(problem, sample)
        with torch.no_grad():
            p = classifier(torch.tensor([encoded.ids])).logits[0].softmax(-1)[:, 1]
        assert p[encoded.score_positions].tolist() == pytest.approx(expected[: len(encoded.score_positions)], abs=1e-5)
    told = json.loads((tmp_path / "out/format.json").read_text())
    assert told["after_step_is_scored"] == verifier.step_marker and classifier.config.id2label[1] == "right"
    assert loading.load_tokenizer(tmp_path / "out")("3 + 4")["input_ids"] == build_tokenizer()("3 + 4")["input_ids"]
    with pytest.raises(UserError, match="exists already"):
        export_prm(tmp_path / "out", tmp_path / "model")


def test_models_without_a_classifier_are_told(tmp_path):
    make_verifier("lfm2").save(tmp_path / "model")
    with pytest.raises(UserError, match="lfm2: transformers has no token classifier"):
        export_prm(tmp_path / "out", tmp_path / "model")
    assert not (tmp_path / "out").exists()
