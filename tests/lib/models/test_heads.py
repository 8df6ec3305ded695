"""A verifier of a model in bfloat16 reads its scores in float32: they stay as fine as they were taught."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.inference import multiple_choice
from stages.lib.models import forward, heads, loading, objectives
from stages.lib.models.encoding import Encoder
from stages.lib.verifiers.outcome import OutcomeVerifier
from stages.lib.verifiers.process import ProcessVerifier
from tests.helpers import tiny_models
from tests.lib.verifiers.test_published_models import SHAPE

TOKENIZER = build_tokenizer()


def scalar(model, encoder):
    return OutcomeVerifier("orm", model, encoder, "bce")


def steps(model, encoder):
    return ProcessVerifier("prm", model, encoder, "scalar", aggregation="last")


@pytest.mark.parametrize("make", [scalar, steps])
def test_scores_near_one_do_not_tie(make, tmp_path):
    verifier = make(tiny_models.make_model("qwen2", len(TOKENIZER)), Encoder(TOKENIZER))
    with torch.no_grad():
        verifier.head.weight.normal_(std=0.02)
        verifier.head.bias.fill_(4.0)
    verifier.save(tmp_path / "model")
    loaded = type(verifier).load(tmp_path / "model", "bfloat16")
    assert loaded.model.dtype == torch.bfloat16 and loaded.head.weight.dtype == torch.float32
    problem = tiny_models.make_problem(3)
    pool = [tiny_models.make_sample(problem, i, i) for i in range(20)]
    scores = {score.score for score in loaded.score(problem, pool)}
    assert len(scores) == 20, "bfloat16 has four values between 4 and 4.125"


@pytest.mark.parametrize("bias", [True, False])
def test_two_words_are_weighed_in_float32(bias):
    output = torch.nn.Linear(32, 50, bias=bias).bfloat16()
    hidden = torch.randn(7, 32, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected = output.double()(hidden.double())
    output.bfloat16()
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            head_logits = heads.compute_logits(heads.TokenLogitHead(output, 4, 9), hidden)
        torch.testing.assert_close(head_logits.double(), expected[:, 4] - expected[:, 9], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("granite", {"logits_scaling": 8.0}),
        ("cohere", {"logit_scale": 0.0625}),
        ("gemma2", {"final_logit_softcapping": 0.1, "head_dim": 8}),
    ],
)
@torch.no_grad()
def test_logits_are_scaled_and_bounded_as_the_model_asks(kind, settings):
    """Words, options and the language loss, each against the model's own forward pass."""
    config = AutoConfig.for_model(kind, **SHAPE, vocab_size=60, pad_token_id=0, bos_token_id=None, eos_token_id=1)
    config.update(settings)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    ids = torch.tensor([[5, 9, 30, 2, 7]])
    logits, hidden = model(ids).logits[0], forward.get_decoder(model)(ids).last_hidden_state[0]
    head_logits = heads.compute_logits(heads.TokenLogitHead(model.get_output_embeddings(), 4, 9, model.config), hidden)
    torch.testing.assert_close(head_logits, logits[:, 4] - logits[:, 9], atol=1e-6, rtol=1e-5)
    expected = logits[:-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    for weight in torch.eye(4):
        loss = objectives.sum_lm_loss(model, hidden[:-1], ids[0, 1:], weight)
        torch.testing.assert_close(-loss, expected @ weight)
    assert multiple_choice.compute_logprobs(model, [5, 9], [[30, 2, 7]])[0] == pytest.approx(
        expected[1:].tolist(), abs=1e-5
    )


def test_what_was_trained_in_float32_is_read_the_same(tmp_path):
    verifier = scalar(tiny_models.make_model("lfm2", len(TOKENIZER)), Encoder(TOKENIZER))
    verifier.save(tmp_path / "model")
    problem = tiny_models.make_problem(3)
    assert OutcomeVerifier.load(tmp_path / "model").score(
        problem, [tiny_models.make_sample(problem, 0, 0)]
    ) == verifier.score(problem, [tiny_models.make_sample(problem, 0, 0)])
    assert loading.load_causal_lm(tmp_path / "model").dtype == torch.float32
