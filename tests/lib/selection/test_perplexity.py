"""Perplexity of answers and uncertainty about options, against loops by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.lib.core.errors import UserError
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.selection import perplexity
from stages.lib.selection.rows import Row
from tests.lib.selection.worlds import make_rows

BASE = Path(__file__).parents[3] / "data/raw/base"


@pytest.fixture(scope="module")
def base():
    return loading.load_causal_lm(BASE), Encoder.load(BASE)


def read_logprobs(model, prompt, answer):
    """The log-probability of each token of the answer, one forward pass for each."""
    logprobs = []
    for place, token in enumerate(answer):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[*prompt, *answer[:place]]])).logits[0, -1].double()
        logprobs.append(float(logits.log_softmax(-1)[token]))
    return logprobs


def test_perplexity_is_that_of_the_answer_alone(base, monkeypatch):
    """A published version averaged over the tokens of the prompt, too."""
    model, encoder = base
    monkeypatch.setattr(perplexity, "CHUNK", 4)
    rows = [
        Row("a", "Ann has 3 coins and Bob has 4 coins more. How many coins are with Bob?", "3 + 4 = 7.\n#### 7", "a"),
        Row("b", "Jan has 10 stamps.", "#### 10", "b"),
        Row("c", "Jan has 10 stamps.", "", "c"),
    ]
    found = perplexity.compute_perplexities(rows, model, encoder)
    for row, value in zip(rows, found, strict=True):
        encoded = encoder.encode(row.question, row.answer.splitlines())
        prompt, answer = encoded.ids[: encoded.prompt_length], encoded.ids[encoded.prompt_length :]
        assert answer[-1] == encoder.end_id
        assert value == pytest.approx(math.exp(-np.mean(read_logprobs(model, prompt, answer))), rel=1e-4)


def test_perplexity_does_not_depend_on_the_batch(base):
    rows = make_rows(40, answer=lambda i: f"{i} + {i} = {2 * i}.\n" * (1 + i % 5) + f"#### {2 * i}")
    together = perplexity.compute_perplexities(rows, *base)
    alone = [perplexity.compute_perplexities([row], *base)[0] for row in rows[:6]]
    assert together[:6] == pytest.approx(alone, rel=1e-4)
    assert perplexity.compute_perplexities(rows[::-1], *base)[::-1] == pytest.approx(together, rel=1e-5)
    assert perplexity.compute_perplexities([], *base).shape == (0,)


def test_options_count_all_of_their_tokens(base):
    """A published version took the first token: these options all begin with the same."""
    model, encoder = base
    question, options = "Jan has 10 stamps and loses 3. How many?", ["#### 7", "#### 13", "#### 1", "#### 7"]
    found = perplexity.measure_options(model, encoder, question, options)
    texts = encoder.encode_texts([f"{option}\n" for option in options[:3]])
    assert len({text[0] for text in texts}) == 1 and len({tuple(text) for text in texts}) == 3
    p = np.exp([sum(read_logprobs(model, encoder.prompt_ids(question), text)) for text in texts])
    shares = np.sort(p / p.sum())
    assert found.mass == pytest.approx(p.sum(), rel=1e-4) and 0 < found.mass < 1
    assert found.entropy == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-4)
    assert found.margin == pytest.approx(shares[-1] - shares[-2], rel=1e-4)


def test_mass_is_at_most_one_where_one_option_begins_another(base):
    """Each option ends with its step, so `1` and `13` are different events."""
    model, encoder = base
    options = [f"#### {i}" for i in range(40)]
    whole = perplexity.measure_options(model, encoder, "Jan has 10 stamps.", options)
    part = perplexity.measure_options(model, encoder, "Jan has 10 stamps.", options[:20])
    assert 0 < part.mass <= whole.mass <= 1 + 1e-9
    assert 0 <= whole.entropy <= math.log(40)


@pytest.mark.parametrize("measure", ["mass", "entropy", "margin"])
def test_uncertainty_of_options_is_high_where_the_model_is_unsure(base, measure):
    model, encoder = base
    options = ("#### 7", "#### 13", "#### 1")
    rows = [Row("a", "Jan has 10 stamps and loses 3. How many?", "", "a", options=options)]
    found = perplexity.measure_options(model, encoder, rows[0].question, options)
    (value,) = perplexity.compute_uncertainties(measure, rows, model, encoder)
    assert value == (found.entropy if measure == "entropy" else 1 - getattr(found, measure))
    with pytest.raises(
        UserError, match=f"measure {measure}: needs the options .* 1 of 2 rows do not have, first row b"
    ):
        perplexity.compute_uncertainties(measure, [*rows, Row("b", "q", "a", "b")], model, encoder)


def test_one_option_is_a_fault(base):
    with pytest.raises(UserError, match="two different ones are needed"):
        perplexity.measure_options(*base, "q", ["A", "A"])
