"""The native engine: equal to transformers' own decoding, and the same draws whatever shares the batch."""

import copy
import functools
import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.inference import sampling, shared_prefix
from stages.lib.inference.native_engine import DecodingBatch, NativeEngine
from stages.lib.inference.sampling import GREEDY, Distribution
from stages.lib.inference.token_sampling import draw_uniform, sample_tokens, to_int64
from tests.helpers import tiny_models

STOP, VOCABULARY = 2, 67
SHAPE = dict(hidden_size=64, intermediate_size=96, bos_token_id=1, eos_token_id=STOP, initializer_range=0.12)
LENGTHS = (1, 2, 3, 5, 8, 31, 32, 33, 8, 70, 7)


@pytest.fixture(scope="module")
def model():
    """Name of an architecture -> its model."""
    windows = {"mistral": {"sliding_window": 9}}
    return functools.cache(lambda name: tiny_models.make_model(name, VOCABULARY, **SHAPE, **windows.get(name, {})))


def make_prompts(lengths=LENGTHS) -> list[list[int]]:
    return [np.random.default_rng(i).integers(3, VOCABULARY, n).tolist() for i, n in enumerate(lengths)]


def make_keys(count: int, n: int) -> list[list[int]]:
    return [[seeds.key("test", i, j) for j in range(n)] for i in range(count)]


def draw(model, prompts, keys, rows=512, temperature=1.0, limit=24):
    return sampling.sample(NativeEngine(model, rows), prompts, keys, Distribution(temperature), limit, [STOP])


@pytest.mark.slow
@pytest.mark.parametrize("name", tiny_models.ARCHITECTURES)
def test_greedy_is_transformers_generate(model, name):
    engine, prompts = NativeEngine(model(name), max_rows=48), make_prompts()  # 48 rows: not all prompts fit at a time
    draws = sampling.sample(engine, prompts, make_keys(len(prompts), 7), GREEDY, 24, [STOP])
    ends = set()
    for prompt, samples in zip(prompts, draws, strict=True):
        ids = torch.tensor([prompt])
        expected = model(name).generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False, eos_token_id=STOP
        )
        assert len(samples) == 7
        for sample in samples:
            assert sample.ids == expected[0, len(prompt) :].tolist()
            assert (sample.finish == "stop") == (sample.ids[-1] == STOP)
            assert len(sample.ids) == 24 or sample.finish == "stop"
            ends.add(sample.finish)
    assert ends == {"stop", "length"}, "the test should see both ends"


@pytest.mark.slow
@pytest.mark.parametrize("name", tiny_models.ARCHITECTURES)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probabilities_are_the_models(model, name, temperature):
    prompts = make_prompts()
    draws = draw(model(name), prompts, make_keys(len(prompts), 3), temperature=temperature)
    for prompt, samples in zip(prompts, draws, strict=True):
        for sample in samples:
            with torch.no_grad():
                logits = model(name)(torch.tensor([prompt + sample.ids])).logits[0, len(prompt) - 1 : -1].double()
            expected = logits.log_softmax(-1).gather(1, torch.tensor(sample.ids)[:, None])[:, 0]
            assert sample.logprobs == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float16", "autocast"])
def test_half_precision_differs_from_a_training_pass_by_rounding(model, precision):
    """With keys far from zero, as Qwen2.5 has them, whose scores must not be rounded before the softmax."""
    qwen, autocast = (
        copy.deepcopy(model("qwen2")),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast"),
    )
    with torch.no_grad():
        torch.manual_seed(0)
        for layer in qwen.model.layers:
            layer.self_attn.k_proj.bias.normal_(std=20)
            layer.self_attn.q_proj.bias.normal_()
    qwen = qwen if precision == "autocast" else qwen.to(getattr(torch, precision))
    prompts, errors = make_prompts(), []
    with autocast, torch.no_grad():
        for prompt, samples in zip(prompts, draw(qwen, prompts, make_keys(len(prompts), 4)), strict=True):
            for sample in samples:
                logits = qwen(torch.tensor([prompt + sample.ids])).logits[0, len(prompt) - 1 : -1].double()
                expected = logits.log_softmax(-1).gather(1, torch.tensor(sample.ids)[:, None])[:, 0]
                errors += (expected - torch.tensor(sample.logprobs)).tolist()
    assert np.sqrt(np.mean(np.square(errors))) < {"bfloat16": 0.04, "float16": 0.006, "autocast": 0.04}[precision]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lfm2", "llama", "mistral"])
def test_the_batch_changes_no_bit(model, name):
    prompts, keys = make_prompts(), make_keys(len(LENGTHS), 20)
    reference = draw(model(name), prompts, keys, rows=4096)
    assert len({tuple(sample.ids) for samples in reference for sample in samples}) > 150
    for rows in (16, 37, 64):
        assert draw(model(name), prompts, keys, rows=rows) == reference, rows
    for i in range(len(prompts)):  # a prompt alone
        assert draw(model(name), [prompts[i]], [keys[i]]) == [reference[i]]
    order = random.Random(0).sample(range(len(prompts)), len(prompts))
    shuffled = draw(model(name), [prompts[i] for i in order], [keys[i] for i in order], rows=100)
    assert shuffled == [reference[i] for i in order]
    # one sample, and a few in another order
    assert draw(model(name), prompts, [k[13:14] for k in keys]) == [samples[13:14] for samples in reference]
    assert draw(model(name), prompts, [k[:5][::-1] for k in keys], rows=50) == [
        samples[:5][::-1] for samples in reference
    ]


@pytest.mark.slow
def test_threads_change_no_bit(model):
    prompts, keys, before = make_prompts(), make_keys(len(LENGTHS), 20), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = draw(model("lfm2"), prompts, keys, limit=60)
        torch.set_num_threads(2)
        assert draw(model("lfm2"), prompts, keys, limit=60, rows=64) == one
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_a_longer_limit_only_adds(model):
    prompts, keys = make_prompts(), make_keys(len(LENGTHS), 5)
    short, long = draw(model("lfm2"), prompts, keys, limit=10), draw(model("lfm2"), prompts, keys, limit=70)
    for few, many in zip(sum(short, []), sum(long, []), strict=True):
        assert few.ids == many.ids[:10] and few.logprobs == many.logprobs[:10]


def test_draws_follow_the_models_distribution(model):
    """Chi-square of first tokens against the distribution at this temperature, 4,000 draws."""
    from scipy import stats

    (samples,) = draw(model("lfm2"), [[5, 6, 7]], make_keys(1, 4000), temperature=0.8, limit=1)
    with torch.no_grad():
        p = (model("lfm2")(torch.tensor([[5, 6, 7]])).logits[0, -1].double() / 0.8).softmax(-1).numpy()
    counts = np.bincount([sample.ids[0] for sample in samples], minlength=VOCABULARY)
    common = p * 4000 > 5
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(p[common], p[~common].sum()) * 4000
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_uniforms_are_splitmix64():
    """Against the reference implementation's published first outputs for seed 1234567, and in [0, 1)."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    uniforms = draw_uniform(torch.full((4,), 1234567), torch.arange(4))
    assert uniforms.tolist() == [(x >> 11) * 2.0**-53 for x in published]
    many = draw_uniform(torch.tensor([to_int64(seeds.key(i)) for i in range(20000)]), torch.arange(20000))
    assert many.min() >= 0 and many.max() < 1 and abs(many.mean() - 0.5) < 0.01


@given(st.integers(0, 2**64 - 1))
def test_keys_of_all_64_bits_fit(key):
    assert int(np.array(key, dtype=np.uint64).astype(np.int64)) == to_int64(key)


@pytest.mark.parametrize("steps", [1, 9, 20])
def test_out_of_memory_halves_the_rows_and_changes_no_draw(model, steps, monkeypatch, capsys):
    prompts, compute, left = make_prompts(), DecodingBatch._compute_logits, [steps]
    keys = make_keys(len(prompts), 40)
    calm = draw(model("lfm2"), prompts, keys, rows=128)

    def fail_sometimes(batch, tokens):
        left[0] -= 1
        if left[0] in (0, -10):
            raise torch.OutOfMemoryError("no memory")
        compute(batch, tokens)

    monkeypatch.setattr(DecodingBatch, "_compute_logits", fail_sometimes)
    assert draw(model("lfm2"), prompts, keys, rows=128) == calm
    assert [line.split()[-1] for line in capsys.readouterr().err.splitlines()] == ["64", "32"]
    monkeypatch.setattr(DecodingBatch, "_compute_logits", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError()))
    with pytest.raises(UserError, match="out of memory with 16 samples at a time"):
        draw(model("lfm2"), prompts, keys, rows=128)


@pytest.mark.parametrize("temperature", [0.7, 1.0])
@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (5, 1.0), (0, 0.8), (7, 0.6), (1, 1.0), (0, 1e-9), (200, 0.95)])
def test_top_k_and_top_p_are_those_of_transformers(temperature, top_k, top_p):
    """The distributions, and by a chi-square test the draws of the engine."""
    from scipy.stats import chisquare
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    logits = torch.randn(8, 50, generator=torch.Generator().manual_seed(0)) * 2
    warped = TemperatureLogitsWarper(temperature)(None, logits)
    warped = TopKLogitsWarper(top_k)(None, warped) if top_k else warped
    expected = (TopPLogitsWarper(top_p)(None, warped) if top_p < 1 else warped).softmax(-1)
    found = Distribution(temperature, top_k, top_p).compute_probabilities(logits, logits.softmax(-1))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    u = draw_uniform(torch.arange(40_000), torch.zeros(40_000, dtype=torch.long))
    ids, _ = sample_tokens(
        logits[:1], u, Distribution(temperature, top_k, top_p), torch.zeros(40_000, dtype=torch.long)
    )
    counts, p = np.bincount(ids.numpy(), minlength=50), expected[0].double().numpy()
    assert not counts[p == 0].any()
    likely = p * len(ids) >= 5  # what is rarer counts together
    observed = np.append(counts[likely], counts[~likely].sum())
    share = np.append(p[likely], p[~likely].sum()) * len(ids)
    assert len(share) < 3 or chisquare(observed[share > 0], share[share > 0], sum_check=False).pvalue > 1e-3


@pytest.mark.slow
@given(st.integers(1, 99), st.floats(0, 1, exclude_max=True), st.sampled_from([0.3, 0.7, 1.0, 1.5]), st.integers(0, 99))
def test_choose_inverts_the_distribution(size, u, temperature, seed):
    logits = torch.from_numpy(np.random.default_rng(seed).normal(0, 3, (16, size))).float()
    logits[:, seed % size] = -math.inf if size > 1 else 0.0
    ids, logprobs = sample_tokens(
        logits, torch.full((16,), u, dtype=torch.float64), Distribution(temperature), torch.arange(16)
    )
    p = (logits.double() / temperature).softmax(-1).numpy()
    for row, token in enumerate(ids.tolist()):
        sums = np.cumsum(p[row])
        assert sums[token] > u - 1e-6 and (token == 0 or sums[token - 1] <= u + 1e-6)
        assert p[row, token] > 0
        assert logprobs[row] == pytest.approx(logits[row].double().log_softmax(-1)[token].item(), abs=1e-5)


def test_prompts_hold_on_to_their_next_tokens_logits_alone(model):
    """Sixteen positions of every prompt are computed; of a large vocabulary, they would fill a card."""
    with torch.no_grad():
        prefilled = shared_prefix.prefill(model("llama"), make_prompts((40, 40, 40, 8)))
    held = {
        prompt.logits.untyped_storage().data_ptr(): prompt.logits.untyped_storage().nbytes() for prompt in prefilled
    }
    assert sum(held.values()) <= 4 * (3 + 2) * VOCABULARY, "the short prompt is read twice, for enough rows"


def test_nothing_asked_nothing_drawn(model):
    assert draw(model("lfm2"), [], []) == []
    assert draw(model("lfm2"), [[5], [6]], [[], [1]])[0] == []
    with pytest.raises(ValueError, match="at least one token"):
        draw(model("lfm2"), [[]], [[1]])


def test_the_model_is_given_back_as_it_was(model):
    before = model("llama").config._attn_implementation
    draw(model("llama"), make_prompts(), make_keys(len(LENGTHS), 1), limit=3)
    assert model("llama").config._attn_implementation == before
