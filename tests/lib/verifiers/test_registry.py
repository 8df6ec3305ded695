"""A saved verifier is loaded by its kind, with equal scores; equal solutions are scored once."""

import json

import pytest

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core.errors import UserError
from stages.lib.models.encoding import Encoder
from stages.lib.verifiers import registry
from stages.lib.verifiers.generative import GenerativeVerifier, RationaleSampling
from stages.lib.verifiers.outcome import OutcomeVerifier
from stages.lib.verifiers.process import ProcessVerifier
from tests.helpers import tiny_models

ENCODER = Encoder(build_tokenizer())


def make_verifier(kind):
    model = tiny_models.make_model("qwen2", len(ENCODER.tokenizer))
    if kind == "outcome":
        return OutcomeVerifier("orm", model, ENCODER, "mse")
    if kind == "process":
        return ProcessVerifier("prm", model, ENCODER, "scalar", ["Right", "Wrong"], "Right.\n", "mean")
    return GenerativeVerifier("genrm", model, ENCODER, RationaleSampling(), "direct")


@pytest.mark.parametrize("kind", ["outcome", "process", "generative"])
def test_loads_the_kind_that_was_saved(kind, tmp_path):
    verifier, problem = make_verifier(kind), tiny_models.make_problem(3)
    pool = [tiny_models.make_sample(problem, i, i % 2) for i in range(3)]
    verifier.save(tmp_path / "model")
    loaded = registry.load(tmp_path / "model")
    assert type(loaded) is type(verifier) and loaded.score(problem, pool) == verifier.score(problem, pool)
    other = {"outcome": ProcessVerifier, "process": OutcomeVerifier, "generative": OutcomeVerifier}[kind]
    with pytest.raises(UserError, match=f"holds no .* verifier .its kind is {kind}"):
        other.load(tmp_path / "model")


def test_a_folder_without_a_verifier_and_an_unknown_kind_are_refused(tmp_path):
    with pytest.raises(UserError, match="holds no trained verifier .no verifier.json"):
        registry.load(tmp_path)
    (tmp_path / "verifier.json").write_text(json.dumps({"kind": "oracle", "name": "x"}))
    with pytest.raises(UserError, match="kind 'oracle'; must be outcome, process or generative"):
        registry.load(tmp_path)


@pytest.mark.parametrize("kind", ["outcome", "process", "generative"])
def test_equal_solutions_are_scored_once(kind, monkeypatch):
    verifier, problem = make_verifier(kind), tiny_models.make_problem(3)
    pool = [tiny_models.make_sample(problem, i % 2, i % 2).model_copy(update={"index": i}) for i in range(6)]
    read, encode = [], Encoder.encode
    monkeypatch.setattr(Encoder, "encode", lambda *x, **options: read.append(x) or encode(*x, **options))
    [scores] = verifier.score_many([(problem, pool)])
    assert len(read) == 2 and [score.index for score in scores] == list(range(6))
    assert len({score.score for score in scores[::2]}) == len({score.score for score in scores[1::2]}) == 1
