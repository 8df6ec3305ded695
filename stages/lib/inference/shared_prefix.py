"""Attention over a prompt that rows share and the suffix of each row, through the interfaces of transformers.

`SharedCache` is passed to a model as its cache. Its `update` stores a step's keys and values in the suffixes and returns
the cache itself instead of keys. `attend`, registered as an attention function, computes

    softmax([q K_prefix, q K_suffix]) [V_prefix, V_suffix]

with one matrix product for all rows of a prompt over its prefix, so a prompt's keys and values are stored and read once
for all its samples (Juravsky et al., Hydragen, arXiv:2402.05099). In half precision, too, scores and sums are float32, as
in the kernels of a training pass: Qwen2.5's keys are so large that rounding the scores would change them all. Every
shape that enters a sum is a function of the row alone, never of what else is in the batch (native_engine.py says why).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import AttentionInterface, DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache, LinearAttentionCacheLayerMixin

from stages.lib.models.batch import send

ROW_MULTIPLE = 16  # the number of rows is a multiple of this
SLOT_MULTIPLE = 8  # and the number of rows of one prompt, in the products with its keys and values, of this
PREFIX_MULTIPLE = 32  # prefixes are padded to multiples of this
GPU_PREFIX_MULTIPLE = 128  # on a GPU, which has memory to spare, but waits for the products of each padded length
MAX_PREFILL_TOKENS = 4096  # tokens of prompts that the model reads at a time
SUFFIX_GROWTH = 16  # the capacity for suffixes grows by this many tokens


def round_up(n: int, multiple: int) -> int:
    """n rounded up to a multiple."""
    return -(-n // multiple) * multiple


def pad_prefix(length: int, device: torch.device) -> int:
    """The padded length of a prompt."""
    return round_up(length, GPU_PREFIX_MULTIPLE if device.type == "cuda" else PREFIX_MULTIPLE)


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """The array on a device; see `send`."""
    return send(torch.from_numpy(array), device)


def to_autocast_dtype(x: torch.Tensor) -> torch.Tensor:
    """Queries, keys or values in the precision in which autocast, where it is enabled, passes them to attention."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


def stays_half(x: torch.Tensor) -> bool:
    """Whether products read x in half precision as it is: on a GPU, which adds them in float32."""
    return x.device.type == "cuda" and x.dtype in (torch.bfloat16, torch.float16)


def multiply(a: torch.Tensor, b: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """The matrix products a @ b * scale in a's precision, (.., n, m) x (.., m, k), or in float32 where b is in half
    precision: a GPU then reads b as it is and adds in float32, a CPU widens b first."""
    a3, b3 = a.flatten(0, -3), b.flatten(0, -3)
    product = torch.bmm(a3.to(b.dtype), b3, out_dtype=torch.float32) if stays_half(b) else torch.bmm(a3, b3.to(a.dtype))
    return (product if scale == 1 else product * scale).view(*a.shape[:-1], b.shape[-1])


def rank_in_prompts(prompts: np.ndarray) -> np.ndarray:
    """(rows,) the number of each row among those of its prompt, in their order. prompts: (rows,) the prompt of each."""
    order, counts = np.argsort(prompts, kind="stable"), np.bincount(prompts)
    rank = np.empty(len(prompts), int)
    rank[order] = np.arange(len(prompts)) - np.repeat(counts.cumsum() - counts, counts)
    return rank


def group_by_prompt(x: torch.Tensor, row_of_slot: torch.Tensor, prompts: int) -> torch.Tensor:
    """(rows, kv heads, groups, n) -> (prompts, kv heads, slots * groups, n). row_of_slot: (prompts * slots,)."""
    _, heads, groups, n = x.shape
    x = x[row_of_slot].view(prompts, -1, heads, groups, n)
    return x.transpose(1, 2).reshape(prompts, heads, -1, n)


def ungroup_to_rows(x: torch.Tensor, slot_of_row: torch.Tensor, groups: int) -> torch.Tensor:
    """The inverse of `group_by_prompt`. slot_of_row: (rows,)."""
    prompts, heads, _, n = x.shape
    x = x.view(prompts, heads, -1, groups, n).transpose(1, 2)
    return x.reshape(-1, heads, groups, n)[slot_of_row]


class PrefilledPrompt(NamedTuple):
    """A prompt after the model has read it: `row` of the model's cache, and the logits (V,) of the next token."""

    length: int
    cache: Any
    row: int
    logits: torch.Tensor


def prefill(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> list[PrefilledPrompt]:
    """Run the prompts through the model as it is, those of equal length together: padding would leak into convolutions.
    Short or few prompts are repeated, and more logits computed than used, for ROW_MULTIPLE rows in every product."""
    prefilled: dict[int, PrefilledPrompt] = {}
    by_length: dict[int, list[int]] = {}
    for i, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(i)
    for length, members in by_length.items():
        size = max(1, MAX_PREFILL_TOKENS // length)
        for part in (members[first : first + size] for first in range(0, len(members), size)):
            repeats = -(-ROW_MULTIPLE // (length * len(part)))
            ids = torch.tensor([list(prompts[i]) for i in part] * repeats, device=model.device)
            cache = DynamicCache(config=model.config)
            logits = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=ROW_MULTIPLE).logits
            logits = logits[:, -1].clone()  # a view would keep all of them in memory
            prefilled |= {i: PrefilledPrompt(length, cache, row, logits[row]) for row, i in enumerate(part)}
    return [prefilled[i] for i in range(len(prompts))]


def is_recurrent(layer: Any) -> bool:
    return isinstance(layer, LinearAttentionCacheLayerMixin)


class PrefixCache:
    """Prompts of one padded length: for each attention layer keys and values (prompts, kv heads, width, d)."""

    def __init__(self, prompts: list[PrefilledPrompt]):
        self.device = prompts[0].logits.device
        self.lengths = torch.tensor([prompt.length for prompt in prompts], device=self.device)
        padded = pad_prefix(max(prompt.length for prompt in prompts), self.device)
        self.keys: dict[int, torch.Tensor] = {}
        self.values: dict[int, torch.Tensor] = {}
        self.bias: dict[int, torch.Tensor] = {}  # (prompts, width) added to scores: -inf at padding
        for i, layer in enumerate(prompts[0].cache.layers):
            if is_recurrent(layer):
                continue
            # A layer with a sliding window keeps the last window - 1 keys.
            width = min(padded, round_up(layer.sliding_window, PREFIX_MULTIPLE)) if layer.is_sliding else padded
            shape = (len(prompts), layer.keys.shape[1], width)
            self.keys[i] = to_autocast_dtype(layer.keys[:0]).new_zeros((*shape, layer.keys.shape[3]))
            self.values[i] = to_autocast_dtype(layer.values[:0]).new_zeros((*shape, layer.values.shape[3]))
            self.bias[i] = layer.keys.new_full((len(prompts), width), float("-inf"))
            for p, prompt in enumerate(prompts):
                stored = prompt.cache.layers[i]
                length = stored.keys.shape[2]
                self.keys[i][p, :, :length] = stored.keys[prompt.row]
                self.values[i][p, :, :length] = stored.values[prompt.row]
                self.bias[i][p, :length] = 0

    def keep_prompts(self, prompts: np.ndarray) -> None:
        """Free the memory of all other prompts."""
        index = to_device(prompts, self.device)
        self.lengths = self.lengths[index]
        for store in (self.keys, self.values, self.bias):
            for i in store:
                store[i] = store[i][index]

    def assign_slots(self, prompt_of_row: np.ndarray, live: np.ndarray) -> None:
        """Give each live row a slot among those of its prompt. prompt_of_row: (rows,); live: indices of rows in use."""
        live = live[np.argsort(prompt_of_row[live], kind="stable")]
        counts = np.bincount(prompt_of_row[live], minlength=len(self.lengths))
        self.num_slots = round_up(int(counts.max()), SLOT_MULTIPLE)
        slot = prompt_of_row[live] * self.num_slots + rank_in_prompts(prompt_of_row[live])
        # (prompts * slots,) the row in each slot, any row in an empty one; and (rows,) the inverse.
        row_of_slot, slot_of_row = np.full(len(counts) * self.num_slots, live[0]), np.zeros(len(prompt_of_row), int)
        row_of_slot[slot], slot_of_row[live] = live, slot
        self.row_of_slot, self.slot_of_row = to_device(row_of_slot, self.device), to_device(slot_of_row, self.device)

    def _group_by_prompt(self, x: torch.Tensor) -> torch.Tensor:
        return group_by_prompt(x, self.row_of_slot, len(self.lengths))

    def _ungroup_to_rows(self, x: torch.Tensor, groups: int) -> torch.Tensor:
        return ungroup_to_rows(x, self.slot_of_row, groups)

    def compute_scores(self, i: int, query: torch.Tensor, scale: float, window: int | None, age: int) -> torch.Tensor:
        """Attention scores of layer i over the prefix: (rows, kv heads, groups, d) -> (.., width).

        query: of tokens `age` positions after the prompt. window: of a layer with sliding attention.
        """
        bias = self.bias[i]
        if window is not None:
            first = self.lengths - self.lengths.clamp(max=window - 1)  # position of the first stored key
            position = first[:, None] + torch.arange(bias.shape[1], device=self.device)
            bias = bias.masked_fill(position <= (self.lengths + age - window)[:, None], float("-inf"))
        scores = multiply(self._group_by_prompt(query), self.keys[i].transpose(2, 3), scale) + bias[:, None, None]
        return self._ungroup_to_rows(scores, query.shape[2])

    def mix_values(self, i: int, weights: torch.Tensor) -> torch.Tensor:
        """weights (rows, kv heads, groups, width) -> weighted sums of the values (rows, kv heads, groups, d)."""
        return self._ungroup_to_rows(multiply(self._group_by_prompt(weights), self.values[i]), weights.shape[2])


class SuffixCache:
    """Keys and values of new tokens, of rows of one age: for each attention layer (rows or more, kv heads, capacity, d)."""

    def __init__(self, max_tokens: int):
        self.keys: dict[int, torch.Tensor] = {}
        self.values: dict[int, torch.Tensor] = {}
        self.max_tokens = max_tokens

    def append(self, i: int, age: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Store token number `age` of layer i in place. keys, values: (rows, kv heads, 1, d)."""
        for store, new in ((self.keys, keys), (self.values, values)):
            rows, capacity = store[i].shape[0::2] if i in store else (0, 0)
            if capacity <= age or rows < len(new):
                if capacity <= age:
                    capacity = min(round_up(age + 1, SUFFIX_GROWTH), self.max_tokens)
                grown = new.new_empty((max(rows, len(new)), new.shape[1], capacity, new.shape[3]))
                if i in store:
                    grown[:rows, :, :age] = store[i][:, :, :age]
                store[i] = grown
            store[i][: len(new), :, age] = new[:, :, 0]

    def fork(self, source: torch.Tensor, target: torch.Tensor, age: int, rows: int) -> None:
        """Copy rows `source` to rows `target`; there are `rows` rows from now on."""
        for store in (self.keys, self.values):
            for i, old in store.items():
                if len(old) < rows:
                    store[i] = old.new_empty((max(rows, len(old) * 9 // 8), *old.shape[1:]))
                    store[i][: len(old), :, :age] = old[:, :, :age]
                store[i][target, :, :age] = store[i][source, :, :age]

    def keep_rows(self, rows: torch.Tensor) -> None:
        for store in (self.keys, self.values):
            for i in store:
                store[i] = store[i][rows]


class Block:
    """Rows of one age in the batch: prompts of one padded length, and `rows` suffixes of `age` tokens each.

    It begins with one row a prompt; a row forks where the draws that share it differ.
    """

    def __init__(self, prompts: list[PrefilledPrompt], max_new_tokens: int):
        layers = enumerate(prompts[0].cache.layers)
        self.windows = {i: layer.sliding_window for i, layer in layers if getattr(layer, "is_sliding", False)}
        self.prefix, self.suffixes, self.age = PrefixCache(prompts), SuffixCache(max_new_tokens), 0
        self.prompt_of_row = np.arange(round_up(len(prompts), ROW_MULTIPLE)).clip(max=len(prompts) - 1)

    @property
    def rows(self) -> int:
        return len(self.prompt_of_row)

    def get_positions(self) -> torch.Tensor:
        """(rows,) the position of the next token."""
        return self.prefix.lengths[to_device(self.prompt_of_row, self.prefix.device)] + self.age

    def fork(self, source: np.ndarray, target: np.ndarray, rows: int) -> None:
        """Copy rows `source` to rows `target`; there are `rows` rows from now on."""
        self.prompt_of_row = np.pad(self.prompt_of_row, (0, rows - self.rows), mode="edge")
        self.prompt_of_row[target] = self.prompt_of_row[source]
        device = self.prefix.device
        self.suffixes.fork(to_device(source, device), to_device(target, device), self.age, rows)

    def keep_rows(self, rows: np.ndarray) -> None:
        """Keep only these rows."""
        self.prompt_of_row = self.prompt_of_row[rows]
        self.suffixes.keep_rows(to_device(rows, self.prefix.device))

    def set_live_rows(self, live: np.ndarray) -> None:
        """Set which rows are in use. When a quarter of the prompts has no row left, their memory is freed."""
        kept = np.unique(self.prompt_of_row[live])
        if len(kept) <= len(self.prefix.lengths) * 3 // 4:
            self.prefix.keep_prompts(kept)
            self.prompt_of_row = np.searchsorted(kept, self.prompt_of_row).clip(max=len(kept) - 1)
        self.prefix.assign_slots(self.prompt_of_row, live)

    def attend(self, i: int, query: torch.Tensor, scale: float, softcap: float | None) -> torch.Tensor:
        """query (rows, kv heads, groups, d) -> (rows, kv heads, groups, d). scale: of scores. softcap: bound on them
        (Gemma 2)."""
        window = self.windows.get(i)
        begin = 0 if window is None else max(0, self.age + 1 - window)
        keys, values = (
            store[i][: self.rows, :, begin : self.age + 1] for store in (self.suffixes.keys, self.suffixes.values)
        )
        shared = self.prefix.compute_scores(i, query, scale, window, self.age)
        suffix = multiply(query, keys.transpose(2, 3), scale)
        scores = torch.cat([shared, suffix], -1)
        if softcap:
            scores = torch.where(scores.isneginf(), scores, softcap * torch.tanh(scores / softcap))
        shared, suffix = scores.softmax(-1).split([shared.shape[-1], suffix.shape[-1]], -1)
        return self.prefix.mix_values(i, shared) + multiply(suffix, values)


# What transformers' recurrent cache layers keep beside their tensors.
_STATE_FLAGS = ("has_previous_state", "is_conv_states_initialized", "is_recurrent_states_initialized")
_STATE_FIELDS = ("device", "dtype", "conv_kernel_size", *_STATE_FLAGS)


class SharedCache(Cache):
    """The cache of a decoding step: blocks for the attention layers, one state a row for the recurrent ones."""

    layers: list[Any]

    def __init__(self, model: PreTrainedModel):
        super().__init__(layers=DynamicCache(config=model.config).layers)
        self.blocks: list[Block] = []

    def _split(self, *tensors: torch.Tensor) -> Iterator[tuple[Any, ...]]:
        """Each block with its rows of the tensors."""
        sizes = [block.rows for block in self.blocks]
        return zip(self.blocks, *(tensor.split(sizes) for tensor in tensors), strict=True)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any):
        for block, keys, values in self._split(to_autocast_dtype(key_states), to_autocast_dtype(value_states)):
            block.suffixes.append(layer_idx, block.age, keys, values)
        return self, layer_idx  # what `attend` receives as key and value

    def attend(self, i: int, query: torch.Tensor, scale: float, softcap: float | None) -> torch.Tensor:
        parts = [block.attend(i, rows, scale, softcap) for block, rows in self._split(query)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def admit(self, block: Block, prompts: list[PrefilledPrompt]) -> None:
        """Add a block; each of its rows starts from the recurrent states of its prompt."""
        prompt_of_row = torch.from_numpy(block.prompt_of_row)
        self.blocks.append(block)
        for i, layer in enumerate(self.layers):
            if not is_recurrent(layer):
                continue
            source = prompts[0].cache.layers[i]
            for name in ("conv_states", "recurrent_states"):
                states = getattr(layer, name)
                for j in states:
                    if getattr(source, name)[j] is None:
                        continue
                    new = torch.stack([getattr(prompt.cache.layers[i], name)[j][prompt.row] for prompt in prompts])
                    new = new[prompt_of_row.to(new.device)]
                    states[j] = new if states[j] is None else torch.cat([states[j], new])
            for name in _STATE_FIELDS:
                setattr(layer, name, copy(getattr(source, name)))

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Keep only these rows' recurrent states."""
        for layer in self.layers:
            if is_recurrent(layer):
                layer.reorder_cache(rows)


def attend(
    module: Any, query: torch.Tensor, key: Any, value: Any, attention_mask: Any, scaling: float, **kwargs: Any
) -> tuple[torch.Tensor, None]:
    """The attention function; key is the SharedCache, value the layer. (rows, heads, 1, d) -> (rows, 1, heads, d)."""
    if kwargs.get("s_aux") is not None:
        raise ValueError("the native engine has no attention with 's_aux'; use engine: vllm for this model")
    rows, heads, _, d = query.shape
    groups = getattr(module, "num_key_value_groups", 1)
    precise, scale = to_autocast_dtype(query).view(rows, heads // groups, groups, d), scaling
    if not stays_half(precise):
        precise, scale = precise.to(torch.promote_types(precise.dtype, torch.float32)) * scaling, 1.0
    with torch.autocast(query.device.type, enabled=False):
        mixed = key.attend(value, precise, scale, kwargs.get("softcap"))
    return mixed.reshape(rows, 1, heads, -1).to(query.dtype), None


AttentionInterface.register("shared_prefix", attend)


@contextmanager
def use_attention(model: PreTrainedModel, name: str) -> Iterator[None]:
    """Inside, the model attends through the attention function registered as `name`, without masks: transformers builds
    none for one that registers no mask function."""
    before = model.config._attn_implementation
    model.config._attn_implementation = name
    try:
        yield
    finally:
        model.config._attn_implementation = before
