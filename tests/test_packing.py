"""Sequences that share a row, a batch or padding compute what they compute alone; every example comes round once."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.lib import packing
from stages.lib.packing import Example
from stages.lib.training import Losses, hidden_states
from tests import tiny

LENGTHS = (30, 7, 12, 5, 3, 21, 2, 1)


def examples(lengths=LENGTHS):
    generator = random.Random(0)
    return [Example([generator.randrange(2, 100) for _ in range(n)], [1.0] * n) for n in lengths]


@torch.no_grad()
def alone(model, given):
    return [hidden_states(model, packing.collate([example], model.config, False))[0] for example in given]


@torch.no_grad()
@pytest.mark.parametrize("name", tiny.ARCHITECTURES)
def test_packed_equals_alone(name):
    model, given = tiny.model(name), examples()
    expected = alone(model, given)
    batch = packing.collate(given, model.config, True)
    assert batch.ids.shape[0] < len(given), "nothing was packed"
    found = hidden_states(model, batch)
    gap = packing.gap(model.config)
    for r, row in enumerate(packing.rows(LENGTHS, max(LENGTHS), gap)):
        start = 0
        for i in row:
            torch.testing.assert_close(found[r, start : start + LENGTHS[i]], expected[i], atol=1e-5, rtol=0)
            start += LENGTHS[i] + gap


@torch.no_grad()
@pytest.mark.parametrize("name", tiny.ARCHITECTURES)
def test_padding_changes_nothing(name):
    model, given = tiny.model(name), examples()
    for pad in (0, 57):
        found = hidden_states(model, packing.collate(given, model.config, False, pad))
        for row, expected in zip(found, alone(model, given), strict=True):
            torch.testing.assert_close(row[: len(expected)], expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_gap_is_what_keeps_convolutions_apart(monkeypatch):
    model, given = tiny.model("lfm2"), examples((9, 8, 20))
    expected = alone(model, given)
    monkeypatch.setattr(packing, "gap", lambda config: 0)
    found = hidden_states(model, packing.collate(given, model.config, True))
    assert packing.rows((9, 8, 20), 20, 0) == [[2], [0, 1]]
    assert (found[1, 9:17] - expected[1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["lfm2", "mistral"])
def test_loss_and_gradient_of_packed_rows(name):
    given, found = examples(), {}
    for pack in (True, False):
        losses = Losses(tiny.model(name))
        language, _ = losses(packing.collate(given, losses.model.config, pack))
        language.backward()
        found[pack] = [language, *(p.grad for p in losses.parameters())]
    for packed, plain in zip(found[True], found[False], strict=True):
        torch.testing.assert_close(packed, plain, atol=1e-3, rtol=1e-4)  # of a sum over 73 tokens


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(0, 4))
def test_rows_hold_each_sequence_once_and_never_too_much(lengths, gap):
    found = packing.rows(lengths, max(lengths), gap)
    assert sorted(i for row in found for i in row) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row) + gap * (len(row) - 1) <= max(lengths) for row in found)


@given(st.lists(st.integers(1, 50), max_size=300), st.integers(1, 9), st.integers(0, 3))
def test_an_epoch_sees_each_example_once(lengths, size, seed):
    found = packing.steps(lengths, size, random.Random(seed))
    assert sorted(i for step in found for i in step) == list(range(len(lengths)))
    assert all(len(step) <= size for step in found)


def test_steps_hold_similar_lengths():
    generator = random.Random(1)
    lengths = [generator.randint(1, 100) for _ in range(1000)]
    spread = [max(lengths[i] for i in step) - min(lengths[i] for i in step)
              for step in packing.steps(lengths, 8, generator)]  # fmt: skip
    assert sum(spread) / len(spread) < 10
