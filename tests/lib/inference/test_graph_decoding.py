"""Decoding over fixed places: the draws of the native engine, whatever is admitted, moved and masked. Here its steps run
without graphs, as without a GPU; bench/accelerator runs them with."""

import functools

import numpy as np
import pytest
import torch

from stages.lib.core import seeds
from stages.lib.inference import graph_decoding, native_engine, sampling
from stages.lib.inference.native_engine import NativeEngine
from stages.lib.inference.sampling import GREEDY, Distribution
from stages.lib.models.stops import StopCriteria
from tests.helpers import tiny_models

STOP, VOCABULARY = 2, 67
SHAPE = dict(hidden_size=64, intermediate_size=96, bos_token_id=1, eos_token_id=STOP, initializer_range=0.12)
LENGTHS = (1, 2, 3, 70, 8, 31, 64, 65, 8, 130, 7)


@functools.cache
def make_model(name: str):
    return tiny_models.make_model(name, VOCABULARY, **SHAPE)


def make_inputs(n: int) -> tuple[list[list[int]], list[list[int]]]:
    prompts = [np.random.default_rng(i).integers(3, VOCABULARY, length).tolist() for i, length in enumerate(LENGTHS)]
    return prompts, [[seeds.key("test", i, j) for j in range(n + i % 3)] for i in range(len(prompts))]


@pytest.fixture
def on_gpu(monkeypatch):
    """Choose the batch of a GPU, and count how often it was."""
    made = []

    class Counted(graph_decoding.GraphBatch):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    def use() -> list:
        monkeypatch.setattr(graph_decoding, "is_used", graph_decoding.is_supported)
        monkeypatch.setattr(native_engine, "GraphBatch", Counted)
        return made

    return use


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    ("distribution", "rows"), [(GREEDY, 48), (Distribution(1.0), 512), (Distribution(0.8, 20, 0.9), 37)]
)
def test_draws_are_the_native_engines(name, distribution, rows, on_gpu):
    model, (prompts, keys) = make_model(name), make_inputs(6)
    stops = StopCriteria(None, [STOP])
    arguments = prompts, keys, distribution, 90, stops
    expected = sampling.sample(NativeEngine(model, rows), *arguments)
    made = on_gpu()
    drawn = sampling.sample(NativeEngine(model, rows), *arguments)
    assert len(made) == 1
    pairs = [pair for a, b in zip(drawn, expected, strict=True) for pair in zip(a, b, strict=True)]
    assert len({len(ours.ids) for ours, _ in pairs}) > 10 or distribution is GREEDY
    equal = [(ours.ids, ours.finish) == (theirs.ids, theirs.finish) for ours, theirs in pairs]
    assert np.mean(equal) > 0.95, "sums in another order move few draws"
    for prompt, draws in zip(prompts, drawn, strict=True):
        for draw in draws:
            with torch.no_grad():
                logits = model(torch.tensor([prompt + draw.ids])).logits[0, len(prompt) - 1 : -1].double()
            logprobs = logits.log_softmax(-1).gather(1, torch.tensor(draw.ids)[:, None])[:, 0]
            assert draw.logprobs == pytest.approx(logprobs.tolist(), abs=1e-4)


def test_prompts_without_draws_and_no_prompts(on_gpu):
    on_gpu()
    engine = NativeEngine(make_model("llama"), 64)
    assert sampling.sample(engine, [], [], GREEDY, 5, [STOP]) == []
    ((one,), none) = sampling.sample(engine, [[5, 6], [7]], [[1], []], GREEDY, 5, [STOP])
    assert none == [] and 0 < len(one.ids) <= 5


def test_layers_that_do_not_read_the_whole_text_are_left_to_the_native_engine():
    windowed = tiny_models.make_model("mistral", VOCABULARY, **SHAPE, sliding_window=9)
    assert not graph_decoding.is_supported(windowed)
    assert not graph_decoding.is_supported(make_model("lfm2"))
    assert not graph_decoding.is_used(make_model("llama")), "this machine has no GPU"


def test_memory_that_runs_out_halves_the_rows(on_gpu, monkeypatch, capsys):
    model, (prompts, keys) = make_model("llama"), make_inputs(20)
    arguments = prompts, keys, Distribution(1.0), 30, [STOP]
    expected = [[draw.ids for draw in draws] for draws in sampling.sample(NativeEngine(model, 128), *arguments)]
    on_gpu()
    compute, left = graph_decoding.GraphBatch._compute, [9]

    def fail_once(batch, *sizes):
        left[0] -= 1
        if left[0] == 0:
            raise torch.OutOfMemoryError("no memory")
        compute(batch, *sizes)

    monkeypatch.setattr(graph_decoding.GraphBatch, "_compute", fail_once)
    assert [[draw.ids for draw in draws] for draws in sampling.sample(NativeEngine(model, 128), *arguments)] == expected
    assert "drawing 64" in capsys.readouterr().err


def test_sizes_of_rows():
    sizes = [4096]
    while sizes[-1] > 16:
        sizes.append(graph_decoding.shrink_size(sizes[-1]))
    assert sizes == [4096, 3072, 2048, 1536, 1024, 768, 512, 384, 256, 192, 128, 96, 64, 48, 32, 24, 16]
