"""Models keep their function through a file; folders that could run code are refused."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core.errors import UserError
from stages.lib.models import loading
from tests.helpers import tiny_models

IDS = torch.tensor([[5, 9, 30, 2]])


@pytest.fixture
def folder(tmp_path):
    loading.save(tiny_models.make_model("lfm2"), build_tokenizer(), tmp_path / "model")
    return tmp_path / "model"


@torch.no_grad()
def test_saved_and_loaded_is_the_same(folder):
    torch.testing.assert_close(
        loading.load_causal_lm(folder)(IDS).logits, tiny_models.make_model("lfm2")(IDS).logits, atol=0, rtol=0
    )
    assert loading.load_causal_lm(folder, "bfloat16").dtype == torch.bfloat16
    assert loading.load_tokenizer(folder)("3 + 4")["input_ids"] == build_tokenizer()("3 + 4")["input_ids"]
    assert not [file.name for file in folder.iterdir() if file.suffix not in (".json", ".safetensors")]


def test_weights_that_a_folder_lacks_are_not_drawn_at_random(folder):
    weights = load_file(folder / "model.safetensors")
    norm = "model.embedding_norm.weight"
    for changed, message in (
        (
            {key: tensor for key, tensor in weights.items() if key != norm},
            "has no weights model.embedding_norm.weight, so",
        ),
        (
            {**weights, norm: weights[norm][:4].clone()},
            "has the weights model.embedding_norm.weight in another size, so",
        ),
    ):
        save_file(changed, folder / "model.safetensors", {"format": "pt"})
        with pytest.raises(UserError, match=message):
            loading.load_causal_lm(folder)


@pytest.mark.parametrize("name", tiny_models.ARCHITECTURES)
def test_a_tokenizer_stays_what_it_is_beside_any_model(name, tmp_path):
    """AutoTokenizer would read ours as another beside a Qwen2 model."""
    loading.save(tiny_models.make_model(name), build_tokenizer(), tmp_path / "model")
    loaded = loading.load_tokenizer(tmp_path / "model")
    assert loaded.backend_tokenizer.to_str() == build_tokenizer().backend_tokenizer.to_str()
    text = "Ann has 3 <eos> 47 apples, über.\n"
    assert (
        loaded(text)["input_ids"] == build_tokenizer()(text)["input_ids"]
        and loaded.decode(loaded(text)["input_ids"]) == text
    )


def test_saving_twice_gives_equal_bytes(folder, tmp_path):
    loading.save(loading.load_causal_lm(folder), loading.load_tokenizer(folder), tmp_path / "again")
    assert (folder / "model.safetensors").read_bytes() == (tmp_path / "again/model.safetensors").read_bytes()


def add(name, text):
    return lambda folder: (folder / name).write_text(text)


def change(name, **facts):
    return lambda folder: (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | facts))


@pytest.mark.parametrize(
    "harm, said",
    [
        (add("pytorch_model.bin", ""), "pytorch_model.bin"),
        (add("extra.pkl", ""), "extra.pkl"),
        (add("modeling_mine.py", ""), "modeling_mine.py"),
        (change("config.json", auto_map={"AutoModel": "x.Y"}), "auto_map"),
        (change("tokenizer_config.json", auto_map={"AutoTokenizer": "x.Y"}), "auto_map"),
        (lambda folder: (folder / "model.safetensors").unlink(), "safetensors"),
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: shutil.rmtree(folder), "config.json"),
    ],
)
def test_refused(folder, harm, said):
    harm(folder)
    with pytest.raises(UserError, match=said):
        loading.load_causal_lm(folder)


def test_a_tokenizer_without_an_end_is_refused(folder):
    change("tokenizer_config.json", eos_token=None)(folder)
    with pytest.raises(UserError, match="eos_token"):
        loading.load_tokenizer(folder)


@pytest.mark.parametrize("revision", ["main", "v1.0", "abc123", "A" * 40])
def test_a_hub_model_needs_a_commit(revision):
    with pytest.raises(UserError, match="commit"):
        loading.download_snapshot("some/model", revision)


def test_tied_weights_count_once():
    model = tiny_models.make_model("lfm2")
    assert loading.count_parameters(model) == sum(p.numel() for p in {id(p): p for p in model.parameters()}.values())
    assert loading.estimate_flops(7, 10, training=True) == 3 * loading.estimate_flops(7, 10, training=False) == 420


@pytest.mark.slow
@torch.no_grad()
def test_adapters_merge_into_plain_weights():
    adapted = loading.add_lora(tiny_models.make_model("lfm2"), 4, 1)
    for name, p in adapted.named_parameters():
        if "lora_B" in name:
            p.normal_(std=0.1)
    merged = loading.merge_lora(adapted)
    torch.testing.assert_close(merged(IDS).logits, adapted(IDS).logits, atol=1e-4, rtol=0)
    assert (merged(IDS).logits - tiny_models.make_model("lfm2")(IDS).logits).abs().max() > 1e-2
    assert set(merged.state_dict()) == set(tiny_models.make_model("lfm2").state_dict())


def test_adapters_are_drawn_by_key_and_leave_the_generator_alone():
    def first(key):
        torch.seed()  # as a fresh process is: from the system
        adapted = loading.add_lora(tiny_models.make_model("llama"), 4, key)
        return {name: p.detach().clone() for name, p in adapted.named_parameters() if "lora_A" in name}

    one, again, other = first(1), first(1), first(12345)
    assert one and all(torch.equal(one[name], again[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)
    model = tiny_models.make_model("llama")
    torch.manual_seed(5)
    loading.add_lora(model, 4, 1)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), drawn), "what else is drawn stays as it was"


def test_a_card_that_imitates_bfloat16_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    for dtype in ("bf16", "bfloat16"):
        with pytest.raises(UserError, match="^Tesla T4 does not compute in bfloat16; set dtype: float16$"):
            loading.check_bf16_support(torch.device("cuda:0"), dtype, "dtype: float16")
        loading.check_bf16_support(torch.device("cpu"), dtype, "")
    for dtype in ("no", "float32", "float16"):
        loading.check_bf16_support(torch.device("cuda:0"), dtype, "")
