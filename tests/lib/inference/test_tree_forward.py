"""Trees of tokens: what is read once, and that the hidden states are those of whole rows."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.inference import tree_forward
from stages.lib.models import forward
from tests.helpers import tiny_models

TEXTS = st.lists(st.lists(st.integers(2, 4), min_size=1, max_size=12), min_size=1, max_size=8, unique_by=tuple).map(
    sorted
)


@given(TEXTS, st.integers(1, 5), st.integers(0, 4))
def test_a_tree_reads_each_shared_token_once(texts, prompt_length, copies):
    prompt = list(range(10, 10 + prompt_length))
    tree = tree_forward.make_tree(prompt, texts, copies)
    for text, branch in zip([[], *texts], tree.branches, strict=True):
        assert tree.ids[branch.path].tolist() == prompt + text
        assert tree.positions[branch.path].tolist() == list(range(prompt_length + len(text)))
        new = branch.end - branch.first
        before = len(branch.path) - new
        assert branch.path[before:].tolist() == [*range(branch.first, branch.end)]
        if text:
            expected = [tree_forward.NOTHING] * copies + branch.path[:before].tolist()
            assert tree.originals[branch.first - copies : branch.first].tolist() == expected[len(expected) - copies :]
    prefixes = {tuple(text[:n]) for text in texts for n in range(1, len(text) + 1)}
    assert sum(branch.end - branch.first for branch in tree.branches) == prompt_length + len(prefixes)
    is_copy = tree.originals >= 0
    assert torch.equal(tree.ids[tree.originals][is_copy], tree.ids[is_copy])


@given(TEXTS, st.integers(1, 5), st.integers(1, 30))
def test_passes_hold_their_tokens(texts, prompt_length, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree_forward, "MAX_TOKENS", most)
        passes = tree_forward.plan_passes(prompt_length, texts)
    assert [i for first, end in passes for i in range(first, end)] == list(range(len(texts)))
    for first, end in passes:
        prefixes = {tuple(text[:n]) for text in texts[first:end] for n in range(1, len(text) + 1)}
        assert end - first == 1 or prompt_length + len(prefixes) <= most


@pytest.mark.slow
@pytest.mark.parametrize("is_dense", [False, True])
@pytest.mark.parametrize("name", ["lfm2", "mistral", "gemma2"])
@settings(max_examples=5)
@given(TEXTS, st.integers(1, 12))
def test_hidden_states_are_those_of_whole_rows(name, is_dense, texts, prompt_length):
    """Convolutions across branches, windows that end in the prompt, bounded scores, shared key heads."""
    model, prompt = tiny_models.make_model(name), list(range(5, 5 + prompt_length))
    with torch.no_grad():
        ((_, hidden),) = tree_forward.compute_hidden_states(model, prompt, texts, is_dense)
        for text, row in zip(texts, hidden, strict=True):
            whole = forward.get_decoder(model)(input_ids=torch.tensor([prompt + text])).last_hidden_state[0]
            assert torch.allclose(row[: len(text)], whole[prompt_length:], atol=1e-5)


def test_a_model_with_layers_of_another_kind_is_read_row_by_row():
    model = tiny_models.make_model("llama")
    assert tree_forward.is_supported(model)
    model.config.layer_types = ["linear_attention", "full_attention"]
    assert not tree_forward.is_supported(model)
