"""Fewer samples at a time where a card has no room for all, by arithmetic that the real caches confirm."""

from types import SimpleNamespace

import pytest
import torch
from transformers import DynamicCache, Qwen2Config

from stages.lib.core.errors import UserError
from stages.lib.inference import memory
from stages.lib.inference.native_engine import NativeEngine
from stages.lib.inference.sampling import Distribution, sample
from stages.lib.inference.sampling_params import SamplingParams
from tests.helpers import tiny_models

QWEN = Qwen2Config(
    vocab_size=151_936, hidden_size=1536, num_hidden_layers=28, num_attention_heads=12, num_key_value_heads=2
)


def test_by_hand():
    """Qwen2.5-1.5B: keys and values of 2 heads of 128 in 28 layers are 57,344 bytes a token in float32."""
    logits = 5 * 151_936 * 4
    assert memory.estimate_row_bytes(QWEN, 4, 1) == 57_344 + logits
    assert memory.estimate_row_bytes(QWEN, 2, 470) == 28_672 * 470 + logits


@pytest.mark.parametrize("name", ["lfm2", "llama", "qwen2", "qwen3", "mistral"])
@torch.no_grad()
def test_as_the_cache_of_a_model_has_it(name):
    model, ids = tiny_models.make_model(name), torch.arange(3, 40)[None]
    cache = DynamicCache(config=model.config)
    model(ids, past_key_values=cache, use_cache=True)
    stores = [
        [layer.keys, layer.values] if hasattr(layer, "keys") else layer.conv_states.values() for layer in cache.layers
    ]
    stored = sum(tensor.nbytes for store in stores for tensor in store)
    expected = memory.estimate_row_bytes(model.config, 4, ids.shape[1]) - 5 * 100 * 4
    assert stored < expected if name == "mistral" else stored == expected  # a sliding window stores less


def card(free, monkeypatch, **facts):
    monkeypatch.setattr(memory, "get_free_bytes", lambda device: free)
    return SimpleNamespace(config=QWEN, device=torch.device("cuda:0"), dtype=torch.float32, **facts)


def test_rows_are_lowered_to_what_is_free(monkeypatch, capsys):
    each = memory.estimate_row_bytes(QWEN, 4, 470)
    model = card(100 * each, monkeypatch)  # 80 rows at four fifths
    assert memory.limit_rows(model, 2048, 470, 16) == 80
    assert capsys.readouterr().err == (
        "cuda:0: 2048 samples of up to 470 tokens take 57.20 GB, and 2.79 GB are free; drawing 80 at a time\n"
    )
    assert memory.limit_rows(model, 80, 470, 16) == 80 and memory.limit_rows(model, 33, 470, 16) == 33
    assert memory.limit_rows(card(99 * each, monkeypatch), 2048, 470, 16) == 64
    assert memory.limit_rows(card(None, monkeypatch), 2048, 470, 16) == 2048
    assert capsys.readouterr().err.count("\n") == 1


def test_a_card_without_room_is_refused(monkeypatch):
    model = card(19 * memory.estimate_row_bytes(QWEN, 4, 470), monkeypatch)
    with pytest.raises(
        UserError, match=r"^cuda:0: 16 samples of up to 470 tokens take 0.45 GB, and 0.53 GB are free; lower"
    ):
        memory.limit_rows(model, 2048, 470, 16)


@pytest.mark.slow
def test_the_engine_draws_the_same_in_the_rows_that_fit(monkeypatch, capsys):
    model, prompts, keys = tiny_models.make_model("llama"), [[5, 6, 7], [8, 9]], [list(range(40)), list(range(50, 90))]
    wanted = sample(NativeEngine(model), prompts, keys, Distribution(1.0), 9, [1])
    monkeypatch.setattr(memory, "get_free_bytes", lambda device: 30 * memory.estimate_row_bytes(model.config, 4, 12))
    assert sample(NativeEngine(model), prompts, keys, Distribution(1.0), 9, [1]) == wanted
    assert "drawing 16 at a time" in capsys.readouterr().err


def test_auto_takes_what_fits(monkeypatch, capsys):
    each = memory.estimate_row_bytes(QWEN, 4, 470)
    assert memory.limit_rows(card(100 * each, monkeypatch), "auto", 470, 16) == 80
    assert memory.limit_rows(card(10**6 * each, monkeypatch), "auto", 470, 16) == memory.MAX_AUTO_ROWS
    monkeypatch.setattr(memory, "get_host_bytes", lambda: 50 * each)
    assert memory.limit_rows(card(None, monkeypatch), "auto", 470, 16) == 32
    assert not capsys.readouterr().err, "it was asked to choose"
    with pytest.raises(UserError, match="16 samples of up to 470 tokens take"):
        memory.limit_rows(card(19 * each, monkeypatch), "auto", 470, 16)


def test_processes_share_the_main_memory(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=2**30))
    alone = memory.get_host_bytes()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert 0 < memory.get_host_bytes() == alone // 2 <= 2**28


def test_auto_changes_no_draw(monkeypatch):
    model, prompts, keys = tiny_models.make_model("llama"), [[5, 6, 7], [8, 9]], [list(range(40)), list(range(50, 90))]
    expected = sample(NativeEngine(model), prompts, keys, Distribution(1.0), 9, [1])
    assert sample(NativeEngine(model, "auto"), prompts, keys, Distribution(1.0), 9, [1]) == expected
    monkeypatch.setattr(memory, "get_host_bytes", lambda: 30 * memory.estimate_row_bytes(model.config, 4, 12))
    assert sample(NativeEngine(model, "auto"), prompts, keys, Distribution(1.0), 9, [1]) == expected


@pytest.mark.parametrize("rows", ["auto", 16, 1024])
def test_rows_are_a_number_or_auto(rows):
    settings = dict(temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=9)
    assert SamplingParams(**settings, max_rows=rows).max_rows == rows
    for wrong in (8, 16.0, True, "all", None):
        with pytest.raises(ValueError, match="must be auto or a whole number >= 16"):
            SamplingParams(**settings, max_rows=wrong)


def test_a_recurrent_layer_holds_a_state_and_no_keys():
    """Qwen3-Next: three layers of four are gated delta networks; figures of its own cache, by hand."""
    from transformers.models.qwen3_next import Qwen3NextConfig

    config = Qwen3NextConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
    )
    cache = 2 * 2 * 37 * 8 + 3 * (64 * 4 + 4 * 8 * 8)
    assert memory.estimate_row_bytes(config, 4, 37) - 5 * 100 * 4 == 4 * cache == 10880
