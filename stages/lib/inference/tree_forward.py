"""Hidden states of many continuations of one prompt, where each token that several of them share is read once.

The solutions of a problem share the prompt and often their first steps. As a tree they have up to half fewer tokens, and
nothing is padded: the whole tree goes through the model in one pass, as one row, branch after branch. What reaches across
tokens goes through the interfaces of transformers: `attend`, registered as an attention function, gives each branch the
keys and values of its path, and `TreeCache` the inputs of a short convolution. For these, each branch begins with copies
of the tokens before it; at every layer their inputs are replaced by those of the originals, and their results are unused.

A pass reads one problem, so a solution's numbers depend on its own tokens and, up to rounding, on the problem's other
distinct solutions, never on their order, other problems or processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import takewhile
from typing import Any, NamedTuple

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AttentionInterface, DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache

from stages.lib.inference.shared_prefix import round_up, use_attention
from stages.lib.models.forward import get_decoder

LAYER_TYPES = {"full_attention", "sliding_attention", "conv"}  # other layers read a sequence in ways of their own
NOTHING = -1  # the place before the first token, where convolutions read zeros
# Not cuDNN's kernel, which prepares itself anew for every length of a row.
KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
MAX_TOKENS = 4096  # in a pass, if two continuations fit; it bounds memory


class Branch(NamedTuple):
    """Places first .. end - 1 of the row: the tokens that one continuation adds. path (length,): the places of all tokens
    from the prompt's first to its last."""

    first: int
    end: int
    path: torch.Tensor


class Tree(NamedTuple):
    """ids, positions, originals (tokens,): token, its position in a text, and its place or that of which it is a copy
    (NOTHING in front of the first token). branches: the prompt's, then one for each continuation."""

    ids: torch.Tensor
    positions: torch.Tensor
    originals: torch.Tensor
    branches: list[Branch]


def is_supported(model: Any) -> bool:
    """Whether the model attends through transformers' interface and has layers of LAYER_TYPES alone (no Mamba, no gated
    delta network, no attention in chunks)."""
    config = model.config.get_text_config()
    has_interface = isinstance(model, PreTrainedModel) and model._supports_attention_backend
    return has_interface and set(getattr(config, "layer_types", None) or ()) <= LAYER_TYPES


def count_shared(a: Sequence[int], b: Sequence[int]) -> int:
    """The number of tokens with which both begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def plan_passes(prompt_length: int, texts: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """(first, end) of each pass over sorted continuations."""
    passes, first, tokens = [], 0, prompt_length
    for i, text in enumerate(texts):
        new = len(text) - (count_shared(texts[i - 1], text) if i > first else 0)
        if i > first and tokens + new > MAX_TOKENS:
            passes.append((first, i))
            first, tokens, new = i, prompt_length, len(text)
        tokens += new
    return [*passes, (first, len(texts))] if texts else []


def make_tree(prompt: Sequence[int], texts: Sequence[Sequence[int]], copies: int) -> Tree:
    """The tree of a prompt and its sorted continuations; each branches off its predecessor, with which it shares most.

    copies: tokens before a branch that are repeated in front of it.
    """
    ids, path = list(prompt), list(range(len(prompt)))
    positions, originals = list(path), list(path)
    branches, before = [Branch(0, len(prompt), torch.tensor(path))], ()
    for text in texts:
        start = len(prompt) + count_shared(before, text)  # the position of the first new token
        repeated = [NOTHING] * (copies - start) + path[max(0, start - copies) : start]
        first = len(ids) + copies
        new = list(range(first, first + len(prompt) + len(text) - start))
        ids += [*(ids[place] for place in repeated), *text[start - len(prompt) :]]
        positions += [0] * copies + list(range(start, start + len(new)))
        originals += repeated + new
        path = path[:start] + new
        branches.append(Branch(first, len(ids), torch.tensor(path)))
        before = text
    return Tree(torch.tensor(ids), torch.tensor(positions), torch.tensor(originals), branches)


class TreeCache(Cache):
    """What a pass knows of the tokens before each token of a tree.

    dtype: of queries. is_dense: attend over the whole row at once, with a mask of tokens squared: on a GPU,
    which waits for the many small products of one branch after another. On a CPU these save the work at masked places.
    """

    layers: list[Any]

    def __init__(self, config: Any, tree: Tree, device: torch.device, dtype: torch.dtype, is_dense: bool):
        super().__init__(layers=DynamicCache(config=config).layers)
        self.originals, self.positions = tree.originals.to(device), tree.positions.to(device)
        branches = [Branch(first, end, path.to(device)) for first, end, path in tree.branches if first < end]
        self.branches, self.masks = branches, {}
        if is_dense:
            self.branches = [Branch(0, len(tree.ids), torch.arange(len(tree.ids), device=device))]
            visible = torch.eye(len(tree.ids), dtype=torch.bool, device=device)  # a copy sees itself: nothing is unused
            for first, end, path in branches:
                row = torch.arange(len(path) - (end - first), len(path), device=device)
                visible[first:end, path] = torch.arange(len(path), device=device) <= row[:, None]
            aligned = visible.new_zeros(len(visible), round_up(len(visible), 16), dtype=dtype)  # for GPU kernels
            self.bias = aligned[:, : len(visible)].masked_fill_(~visible, float("-inf"))
        else:
            longest = max(len(branch.path) for branch in branches)
            self.bias = torch.full((longest, longest), float("-inf"), device=device, dtype=dtype).triu(1)
        self.is_dense = is_dense

    def get_bias(self, before: int, length: int, window: int | None) -> torch.Tensor:
        """(new tokens, length) what is added to the scores of a branch with `before` tokens in front of it."""
        if not self.is_dense:
            bias = self.bias[before:length, :length].contiguous()
            if window:
                bias = bias.masked_fill(torch.ones_like(bias, dtype=torch.bool).tril(before - window), float("-inf"))
            return bias
        if window not in self.masks:
            is_far = self.positions[:, None] - self.positions >= window if window else None
            self.masks[window] = self.bias if is_far is None else self.bias.masked_fill(is_far, float("-inf"))
        return self.masks[window]

    def get_conv_state(self, layer_idx: int, state_idx: int = 0) -> None:
        """None: `update_conv_state` gives all that a convolution reads."""

    def update_conv_state(self, conv_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The inputs of a convolution (1, channels, tokens), those of copies replaced by their originals'."""
        return functional.pad(conv_states, (0, 1))[:, :, self.originals]

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any):
        return (self, key_states), value_states  # what `attend` receives as key and value


def attend(
    module: Any, query: torch.Tensor, key: Any, value: torch.Tensor, attention_mask: Any, scaling: float, **kwargs: Any
) -> tuple[torch.Tensor, None]:
    """The attention function; key is (TreeCache, keys). (1, heads, tokens, d) -> (1, tokens, heads, d), 0 for copies."""
    cache, keys = key
    query, keys, value = (
        x[0].transpose(0, 1) for x in (query, keys, value)
    )  # (tokens, heads, d), as they lie in memory
    output = query.new_zeros(*query.shape[:2], value.shape[-1])
    for first, end, path in cache.branches:
        bias = cache.get_bias(len(path) - (end - first), len(path), kwargs.get("sliding_window"))
        new, known, read = (x.transpose(0, 1) for x in (query[first:end], keys[path], value[path]))
        mixed = _attend_branch(new, known, read, bias, scaling, **kwargs)
        output[first:end] = mixed.transpose(0, 1)
    return output[None], None


def _attend_branch(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    bias: torch.Tensor,
    scaling: float,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **kwargs: Any,
) -> torch.Tensor:
    """query (heads, n, d), keys and values (kv heads, length, d), bias (n, length) -> (heads, n, d). softcap: bound on
    scores (Gemma 2). s_aux (heads,): score of a sink that takes a share of every query's weight (GPT-OSS)."""
    groups = len(query) // len(keys)
    if groups > 1:
        keys, values = keys.repeat_interleave(groups, 0), values.repeat_interleave(groups, 0)
    if softcap is None and s_aux is None:
        mixed = functional.scaled_dot_product_attention(query[None], keys[None], values[None], bias, scale=scaling)
        return mixed[0]
    scores = (query @ keys.transpose(1, 2)).float() * scaling
    scores = (softcap * torch.tanh(scores / softcap) if softcap else scores) + bias
    if s_aux is not None:
        scores = torch.cat([scores, s_aux.float()[:, None, None].expand(*scores.shape[:2], 1)], -1)
    return scores.softmax(-1)[..., : bias.shape[1]].to(query.dtype) @ values


AttentionInterface.register("token_tree", attend)


def compute_hidden_states(
    model: Any, prompt: Sequence[int], texts: Sequence[Sequence[int]], is_dense: bool | None = None
) -> Iterator[tuple[int, torch.Tensor]]:
    """For each pass over sorted, distinct continuations: the number of the first of them, and (rows, length, width) their
    last hidden states after the final norm, of which those after a row's end mean nothing. is_dense: of `TreeCache`; by
    default on a GPU."""
    device, copies = next(model.parameters()).device, getattr(model.config.get_text_config(), "conv_L_cache", 1) - 1
    dense: bool = device.type == "cuda" if is_dense is None else is_dense
    for first, end in plan_passes(len(prompt), texts):
        tree = make_tree(prompt, texts[first:end], copies)
        with use_attention(model, "token_tree"), sdpa_kernel(KERNELS) if dense else nullcontext():
            hidden = get_decoder(model)(
                input_ids=tree.ids.to(device)[None],
                position_ids=tree.positions.to(device)[None],
                past_key_values=TreeCache(model.config, tree, device, model.dtype, dense),
                use_cache=True,
            ).last_hidden_state[0]
        paths = [branch.path[len(prompt) :] for branch in tree.branches[1:]]
        yield first, hidden[torch.nn.utils.rnn.pad_sequence(paths, batch_first=True).to(device)]
