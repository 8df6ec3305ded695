"""Sequences that share a batch compute what they compute alone; every example comes round once."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.models.batch import Example, collate
from stages.lib.models.forward import compute_hidden_states
from stages.lib.training import data_loader
from tests.helpers import tiny_models

LENGTHS = (30, 7, 12, 5, 3, 21, 2, 1)


@torch.no_grad()
@pytest.mark.parametrize("name", tiny_models.ARCHITECTURES)
def test_company_and_padding_change_nothing(name):
    model, generator = tiny_models.make_model(name), random.Random(0)
    given = [Example([generator.randrange(2, 100) for _ in range(n)], [1.0] * n) for n in LENGTHS]
    alone = [compute_hidden_states(model, collate([example]))[0] for example in given]
    for pad in (0, 57):
        for row, expected in zip(compute_hidden_states(model, collate(given, pad)), alone, strict=True):
            torch.testing.assert_close(row[: len(expected)], expected, atol=1e-5, rtol=0)


def test_a_batch_holds_targets_where_they_stand():
    batch = collate([Example([5, 6, 7], [9, 1, 2], [0, 0.5, 1], [0, 1, 3]), Example([8], [4])], pad=3)
    assert batch.ids.tolist() == [[5, 6, 7], [8, 3, 3]]
    assert batch.lm_weight.tolist() == [[0, 1, 2], [0, 0, 0]], "nothing predicts a first token"
    assert batch.target.tolist() == [[0, 0.5, 1], [0, 0, 0]] and batch.target_weight.tolist() == [[0, 1, 3], [0, 0, 0]]


@given(st.lists(st.integers(1, 50), max_size=300), st.integers(1, 9), st.integers(0, 3))
def test_an_epoch_sees_each_example_once(lengths, size, seed):
    batches = data_loader.make_epoch_batches(lengths, size, random.Random(seed))
    assert sorted(i for step in batches for i in step) == list(range(len(lengths)))
    assert all(len(step) <= size for step in batches)


def test_steps_hold_similar_lengths():
    generator = random.Random(1)
    lengths = [generator.randint(1, 100) for _ in range(1000)]
    spread = [
        max(lengths[i] for i in step) - min(lengths[i] for i in step)
        for step in data_loader.make_epoch_batches(lengths, 8, generator)
    ]
    assert sum(spread) / len(spread) < 10


def test_sorting_leaves_little_to_pad():
    """Why rows hold one sequence each. Lengths as of GSM8K: log-normal, 160 tokens on average."""
    generator = random.Random(2)
    lengths = [round(generator.lognormvariate(5, 0.4)) for _ in range(2000)]
    used = computed = 0
    for step in data_loader.make_epoch_batches(lengths, 64, generator):
        for micro in (step[i : i + 8] for i in range(0, len(step), 8)):
            used += sum(lengths[i] for i in micro)
            computed += len(micro) * max(lengths[i] for i in micro)
    assert used / computed > 0.97
