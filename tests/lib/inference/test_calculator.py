"""The calculator while sampling: values are written where they are due, and the draws are those of any other batch."""

import random

import pytest
import torch
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from stages.lib.core import expressions, seeds
from stages.lib.inference.native_engine import NativeEngine
from stages.lib.inference.sampling import GREEDY, Distribution, sample
from stages.lib.inference.token_sampling import draw_uniform, to_int64
from stages.lib.models.encoding import Encoder
from stages.lib.models.prompts import Prompt
from stages.lib.models.stops import StopCriteria
from tests.helpers import tiny_models

CHARACTERS = "0123456789.+-*/()<>=\n "
PROMPTS = ("<<", "<<1", "<<12+3", "5\n<<8/2=", "<<1/0", "<<2=", "<<3*4=1", "9 ", "<<1\n", "<<6-7", "<<4/3", "x<<0*5")
SHARP, LIMIT = Distribution(0.9), 14


@pytest.fixture(scope="module")
def encoder():
    """Some tokens hold an equals sign and its neighbour on either side."""
    pieces = ["<|end|>", *CHARACTERS, "<<", ">>", "5=", "=2", "10"]
    merges = [("<", "<"), (">", ">"), ("5", "="), ("=", "2"), ("1", "0")]
    core = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges, unk_token="<|end|>"))
    core.decoder = decoders.Fuse()
    return Encoder(PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>"), Prompt(calculator=True))


@pytest.fixture(scope="module")
def model(encoder):
    vocabulary = len(encoder.tokenizer) + 3  # a model may have more outputs than its tokenizer has tokens
    return tiny_models.make_model("lfm2", vocabulary, hidden_size=64, initializer_range=0.12, eos_token_id=0)


def make_keys(count: int, n: int) -> list[list[int]]:
    return [[seeds.key("calculator", i, j) for j in range(n)] for i in range(count)]


def draw(model, encoder, prompts, keys, rows=512, distribution=SHARP, limit=LIMIT, stops=None):
    return sample(NativeEngine(model, rows), prompts, keys, distribution, limit, stops or [0], encoder.calculator)


def complete_by_hand(encoder, ids: list[int]) -> list[int]:
    """What is due after these tokens, by plain string functions."""
    text = encoder.tokenizer.decode(ids)
    expression = text.rpartition("<<")[2][:-1]
    if not text.endswith("=") or "<<" not in text or set(expression) & set("<>=\n"):
        return []
    value = expressions.compute_text(expression)
    return [] if value is None else encoder.tokenizer(f"{value}>>")["input_ids"]


def test_every_token_is_the_calculators_or_the_models_at_its_own_number(model, encoder):
    """Against one forward pass over each whole draw: forced tokens are right, and no other token is moved by them."""
    prompts, keys = [encoder.tokenizer(text)["input_ids"] for text in PROMPTS], make_keys(len(PROMPTS), 40)
    values, cut_off = set(), 0
    for prompt, prompt_keys, draws in zip(prompts, keys, draw(model, encoder, prompts, keys), strict=True):
        for key, (ids, logprobs, finish) in zip(prompt_keys, draws, strict=True):
            with torch.no_grad():
                logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1].double()
            sums = (logits / SHARP.temperature).softmax(-1).cumsum(-1)
            u = draw_uniform(torch.full((len(ids),), to_int64(key)), torch.arange(len(ids)))
            forced = complete_by_hand(encoder, prompt)
            for t, token in enumerate(ids):
                if forced:
                    assert (token, logprobs[t]) == (forced.pop(0), 0.0)
                else:
                    below = sums[t, token - 1] if token else 0.0
                    assert below - 1e-5 <= u[t] <= sums[t, token] + 1e-5
                    assert (
                        logprobs[t] == pytest.approx(logits[t].log_softmax(-1)[token].item(), abs=1e-4)
                        and logprobs[t] < 0
                    )
                    forced = complete_by_hand(encoder, prompt + ids[: t + 1])
                    values |= {encoder.tokenizer.decode(forced)} if forced else set()
            assert len(ids) <= LIMIT and (finish == "stop") == (ids[-1] == 0)
            cut_off += bool(forced)
    assert len(values) > 20 and cut_off, "the test should see many values, and one that the limit cuts off"


@pytest.mark.slow
@pytest.mark.parametrize("distribution", [SHARP, Distribution(1.0, 9, 0.9), GREEDY])
def test_the_batch_changes_no_draw(model, encoder, distribution):
    prompts, keys = [encoder.tokenizer(text)["input_ids"] for text in PROMPTS], make_keys(len(PROMPTS), 12)
    calm = draw(model, encoder, prompts, keys, 4096, distribution)
    for rows in (16, 37):
        assert draw(model, encoder, prompts, keys, rows, distribution) == calm, rows
    order = random.Random(0).sample(range(len(prompts)), len(prompts))
    shuffled = draw(model, encoder, [prompts[i] for i in order], [keys[i] for i in order], 100, distribution)
    assert shuffled == [calm[i] for i in order]
    for i in range(0, len(prompts), 4):  # a prompt alone, and one of its draws alone
        assert draw(model, encoder, prompts[i : i + 1], [keys[i]], 512, distribution) == [calm[i]]
        assert draw(model, encoder, prompts[i : i + 1], [keys[i][7:8]], 512, distribution) == [calm[i][7:8]]


def test_a_longer_limit_only_adds(model, encoder):
    prompts, keys = [encoder.tokenizer(text)["input_ids"] for text in PROMPTS], make_keys(len(PROMPTS), 20)
    for few, many in zip(
        sum(draw(model, encoder, prompts, keys, limit=3), []), sum(draw(model, encoder, prompts, keys), []), strict=True
    ):
        assert few.ids == many.ids[:3] and few.logprobs == many.logprobs[:3]


def test_a_stop_text_may_end_in_a_value(model, encoder):
    stops, prompt = StopCriteria(encoder.tokenizer, [0], [">>"]), encoder.tokenizer("<<12+3=")["input_ids"]
    (draws,) = draw(model, encoder, [prompt], make_keys(1, 5), stops=stops)
    assert {(encoder.tokenizer.decode(ids), finish) for ids, _, finish in draws} == {("15>>", "stop")}
    assert all(set(logprobs) == {0.0} for _, logprobs, _ in draws)


def test_without_the_calculator_nothing_is_written(model, encoder):
    prompt, keys = encoder.tokenizer("<<12+3=")["input_ids"], make_keys(1, 30)
    (draws,) = sample(NativeEngine(model), [prompt], keys, Distribution(1.0), 4, [0])
    assert len({tuple(ids) for ids, _, _ in draws}) > 5 and all(max(logprobs) < 0 for _, logprobs, _ in draws)
