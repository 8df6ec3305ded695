"""Attention over a prompt shared by many rows and a suffix of each row's own, through the interfaces of transformers.

`SharedCache` stands where a model expects its cache; its `update` stores a step's keys and values in the suffixes and
hands itself on in place of keys; `attend`, registered as an attention function, computes

    softmax([q K_prefix, q K_suffix]) [V_prefix, V_suffix]

with one matrix product for all rows of a problem over its prefix, so a prompt's keys and values are stored and read
once for all its samples (Juravsky et al., Hydragen, arXiv:2402.05099). In half precision, too, scores and sums are
float32, as in the kernels of a training pass: Qwen2.5's keys are so large that rounded scores would all be others. Every
shape that enters a sum is a function of the row alone, never of what else is in the batch; lib/inference/native_engine.py
says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import NamedTuple

import numpy as np
import torch
from transformers import AttentionInterface, DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache, LinearAttentionCacheLayerMixin

ROW_MULTIPLE = 16  # rows come in multiples of this
SLOT_MULTIPLE = 8  # and those of one prompt, in the products with its keys and values, in multiples of this
PREFIX_MULTIPLE = 32  # prefixes are padded to multiples of this
MAX_PREFILL_TOKENS = 4096  # tokens of prompts that the model reads at a time
SUFFIX_GROWTH = 32  # the room for suffixes grows by this many tokens


def round_up(n: int, multiple: int) -> int:
    """n rounded up to a multiple."""
    return -(-n // multiple) * multiple


def to_autocast_dtype(x: torch.Tensor) -> torch.Tensor:
    """Queries, keys or values in the precision in which autocast, where it is on, hands them to attention."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


class PrefilledPrompt(NamedTuple):
    """A prompt after the model has read it: `row` of what it left in `cache`, and the logits (V,) of the next token."""

    length: int
    cache: DynamicCache
    row: int
    logits: torch.Tensor


def prefill(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> list[PrefilledPrompt]:
    """Run the prompts through the model as it is, those of equal length together: no padding, which would leak into
    convolutions. Short or few ones are repeated, and more logits made than wanted, for ROWS rows in every product."""
    read: dict[int, PrefilledPrompt] = {}
    lengths: dict[int, list[int]] = {}
    for i, prompt in enumerate(prompts):
        lengths.setdefault(len(prompt), []).append(i)
    for length, members in lengths.items():
        size = max(1, MAX_PREFILL_TOKENS // length)
        for part in (members[first : first + size] for first in range(0, len(members), size)):
            repeats = -(-ROW_MULTIPLE // (length * len(part)))
            ids = torch.tensor([list(prompts[i]) for i in part] * repeats, device=model.device)
            cache = DynamicCache(config=model.config)
            logits = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=ROW_MULTIPLE).logits
            logits = logits[:, -1].clone()  # or each prompt would hold on to all of them
            read |= {i: PrefilledPrompt(length, cache, row, logits[row]) for row, i in enumerate(part)}
    return [read[i] for i in range(len(prompts))]


def is_recurrent(layer) -> bool:
    return isinstance(layer, LinearAttentionCacheLayerMixin)


class PrefixCache:
    """The prompts of one padded length: for each attention layer keys and values (P, kv heads, width, d)."""

    def __init__(self, prompts: list[PrefilledPrompt]):
        self.device = prompts[0].logits.device
        self.lengths = torch.tensor([prompt.length for prompt in prompts], device=self.device)
        padded = round_up(int(self.lengths.max()), PREFIX_MULTIPLE)
        self.keys, self.values, self.bias = {}, {}, {}
        for i, layer in enumerate(prompts[0].cache.layers):
            if is_recurrent(layer):
                continue
            # A sliding layer has kept the last window - 1 keys.
            width = min(padded, round_up(layer.sliding_window, PREFIX_MULTIPLE)) if layer.is_sliding else padded
            shape = (len(prompts), layer.keys.shape[1], width)
            self.keys[i] = to_autocast_dtype(layer.keys[:0]).new_zeros((*shape, layer.keys.shape[3]))
            self.values[i] = to_autocast_dtype(layer.values[:0]).new_zeros((*shape, layer.values.shape[3]))
            self.bias[i] = layer.keys.new_full((len(prompts), width), float("-inf"))
            for p, prompt in enumerate(prompts):
                stored = prompt.cache.layers[i]
                self.keys[i][p, :, : stored.keys.shape[2]] = stored.keys[prompt.row]
                self.values[i][p, :, : stored.keys.shape[2]] = stored.values[prompt.row]
                self.bias[i][p, : stored.keys.shape[2]] = 0

    def keep_prompts(self, prompts: np.ndarray) -> None:
        """Give up the memory of all other prompts."""
        chosen = torch.from_numpy(prompts).to(self.device)
        self.lengths = self.lengths[chosen]
        for store in (self.keys, self.values, self.bias):
            for i in store:
                store[i] = store[i][chosen]

    def assign_slots(self, owner: np.ndarray, live: np.ndarray) -> None:
        """owner: (rows,) the prompt of each row; live: the rows that count. The others may hold anything."""
        live = live[np.argsort(owner[live], kind="stable")]
        counts = np.bincount(owner[live], minlength=len(self.lengths))
        self.num_slots = round_up(int(counts.max()), SLOT_MULTIPLE)
        rank = np.arange(len(live)) - np.repeat(counts.cumsum() - counts, counts)
        slot = owner[live] * self.num_slots + rank
        # (P * slots,) the row in each slot, in an empty one any; and (rows,) the way back.
        index, back = np.full(len(counts) * self.num_slots, live[0]), np.zeros(len(owner), int)
        index[slot], back[live] = live, slot
        self.row_of_slot, self.slot_of_row = (torch.from_numpy(x).to(self.device) for x in (index, back))

    def _group_by_prompt(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, kv heads, groups, n) -> (P, kv heads, slots * groups, n)."""
        _, heads, groups, n = x.shape
        x = x[self.row_of_slot].view(len(self.lengths), self.num_slots, heads, groups, n)
        return x.transpose(1, 2).reshape(len(self.lengths), heads, self.num_slots * groups, n)

    def _ungroup_to_rows(self, x: torch.Tensor, groups: int) -> torch.Tensor:
        prompts, heads, _, n = x.shape
        x = x.view(prompts, heads, self.num_slots, groups, n).transpose(1, 2)
        return x.reshape(prompts * self.num_slots, heads, groups, n)[self.slot_of_row]

    def compute_scores(self, i: int, query: torch.Tensor, window: int | None, age: int) -> torch.Tensor:
        """query (rows, kv heads, groups, d), scaled, of tokens `age` places after the prompt -> (.., width)."""
        bias = self.bias[i]
        if window is not None:
            first = self.lengths - self.lengths.clamp(max=window - 1)  # position of the first key stored
            position = first[:, None] + torch.arange(bias.shape[1], device=self.device)
            bias = bias.masked_fill(position <= (self.lengths + age - window)[:, None], float("-inf"))
        keys = self.keys[i].to(query.dtype)
        scores = self._group_by_prompt(query) @ keys.transpose(2, 3) + bias[:, None, None]
        return self._ungroup_to_rows(scores, query.shape[2])

    def mix_values(self, i: int, weights: torch.Tensor) -> torch.Tensor:
        """weights (rows, kv heads, groups, width) -> weighted sums of the values (rows, kv heads, groups, d)."""
        return self._ungroup_to_rows(
            self._group_by_prompt(weights) @ self.values[i].to(weights.dtype), weights.shape[2]
        )


class SuffixCache:
    """New tokens' keys and values of rows of one age: for each attention layer (rows, kv heads, room, d), or more."""

    def __init__(self, limit: int):
        self.keys, self.values, self.max_tokens = {}, {}, limit

    def append(self, i: int, age: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """keys, values: (rows, kv heads, 1, d) of the token at place `age`. In place; room grows now and then."""
        for store, new in ((self.keys, keys), (self.values, values)):
            rows, room = store[i].shape[0::2] if i in store else (0, 0)
            if room <= age or rows < len(new):
                if room <= age:
                    room = min(
                        round_up(age + 1, SUFFIX_GROWTH) if age < 2 * SUFFIX_GROWTH else 2 * age, self.max_tokens
                    )
                grown = new.new_empty((max(rows, len(new)), new.shape[1], room, new.shape[3]))
                if i in store:
                    grown[:rows, :, :age] = store[i][:, :, :age]
                store[i] = grown
            store[i][: len(new), :, age] = new[:, :, 0]

    def fork(self, source: torch.Tensor, target: torch.Tensor, age: int, rows: int) -> None:
        """Copy what rows `source` hold to rows `target`; there are `rows` of them from now on."""
        for store in (self.keys, self.values):
            for i, old in store.items():
                if len(old) < rows:
                    store[i] = old.new_empty((max(rows, len(old) * 3 // 2), *old.shape[1:]))
                    store[i][: len(old), :, :age] = old[:, :, :age]
                store[i][target, :, :age] = store[i][source, :, :age]

    def keep_rows(self, rows: torch.Tensor) -> None:
        for store in (self.keys, self.values):
            for i in store:
                store[i] = store[i][rows]


class Block:
    """Rows of one age in the batch: prompts of one padded length, and `rows` suffixes of `age` tokens each.

    It begins with one row a prompt; a row forks where the draws that share it part.
    """

    def __init__(self, prompts: list[PrefilledPrompt], limit: int):
        layers = enumerate(prompts[0].cache.layers)
        self.windows = {i: layer.sliding_window for i, layer in layers if getattr(layer, "is_sliding", False)}
        self.prefix, self.suffixes, self.age = PrefixCache(prompts), SuffixCache(limit), 0
        self.prompt_of_row = np.minimum(
            np.arange(round_up(len(prompts), ROW_MULTIPLE)), len(prompts) - 1
        )  # (rows,) the prompt of each

    @property
    def rows(self) -> int:
        return len(self.prompt_of_row)

    def get_positions(self) -> torch.Tensor:
        """(rows,) of the next token."""
        return self.prefix.lengths[torch.from_numpy(self.prompt_of_row).to(self.prefix.device)] + self.age

    def fork(self, source: np.ndarray, target: np.ndarray, rows: int) -> None:
        """Let rows `target` go on as copies of rows `source`; there are `rows` of them from now on."""
        self.prompt_of_row = np.pad(self.prompt_of_row, (0, rows - self.rows), mode="edge")
        self.prompt_of_row[target] = self.prompt_of_row[source]
        device = self.prefix.device
        self.suffixes.fork(torch.from_numpy(source).to(device), torch.from_numpy(target).to(device), self.age, rows)

    def keep_rows(self, rows: np.ndarray) -> None:
        """Keep these rows."""
        self.prompt_of_row = self.prompt_of_row[rows]
        self.suffixes.keep_rows(torch.from_numpy(rows).to(self.prefix.device))

    def set_live_rows(self, live: np.ndarray) -> None:
        """Say which rows count. When a quarter of the prompts has none left, these give up their memory."""
        wanted = np.unique(self.prompt_of_row[live])
        if len(wanted) <= len(self.prefix.lengths) * 3 // 4:
            self.prefix.keep_prompts(wanted)
            self.prompt_of_row = np.searchsorted(wanted, self.prompt_of_row).clip(max=len(wanted) - 1)
        self.prefix.assign_slots(self.prompt_of_row, live)

    def attend(self, i: int, query: torch.Tensor, softcap: float | None) -> torch.Tensor:
        """query (rows, kv heads, groups, d), scaled -> (rows, kv heads, groups, d). softcap: bound on scores (Gemma 2)."""
        window = self.windows.get(i)
        begin = 0 if window is None else max(0, self.age + 1 - window)
        stored = (self.suffixes.keys[i], self.suffixes.values[i])
        keys, values = (x[: self.rows, :, begin : self.age + 1].flatten(0, 1).to(query.dtype) for x in stored)
        shared = self.prefix.compute_scores(i, query, window, self.age)
        suffix = torch.bmm(query.flatten(0, 1), keys.transpose(1, 2)).view(*query.shape[:3], -1)
        scores = torch.cat([shared, suffix], -1)
        if softcap:
            scores = torch.where(scores.isneginf(), scores, softcap * torch.tanh(scores / softcap))
        weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
        shared, suffix = weights.split([shared.shape[-1], suffix.shape[-1]], -1)
        return self.prefix.mix_values(i, shared) + torch.bmm(suffix.flatten(0, 1), values).view(*query.shape[:3], -1)


class SharedCache(Cache):
    """The cache of a decoding step: blocks for the attention layers, one state a row for the recurrent ones."""

    def __init__(self, model: PreTrainedModel):
        super().__init__(layers=DynamicCache(config=model.config).layers)
        self.blocks: list[Block] = []

    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        keys, values, first = to_autocast_dtype(key_states), to_autocast_dtype(value_states), 0
        for block in self.blocks:
            rows = slice(first, first + block.rows)
            block.suffixes.append(layer_idx, block.age, keys[rows], values[rows])
            first += block.rows
        return self, layer_idx  # what `attend` receives as key and value

    def attend(self, i: int, query: torch.Tensor, softcap: float | None) -> torch.Tensor:
        parts, first = [], 0
        for block in self.blocks:
            parts.append(block.attend(i, query[first : first + block.rows], softcap))
            first += block.rows
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def admit(self, block: Block, prompts: list[PrefilledPrompt]) -> None:
        """Add a block of rows; each takes its recurrent states from its prompt."""
        owner = torch.from_numpy(block.prompt_of_row)
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
                    new = new[owner.to(new.device)]
                    states[j] = new if states[j] is None else torch.cat([states[j], new])
            for name in (
                "device",
                "dtype",
                "conv_kernel_size",
                "has_previous_state",
                "is_conv_states_initialized",
                "is_recurrent_states_initialized",
            ):
                setattr(layer, name, copy(getattr(source, name)))

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Keep these rows' recurrent states."""
        for layer in self.layers:
            if is_recurrent(layer):
                layer.reorder_cache(rows)


def attend(module, query, key, value, attention_mask, scaling, **kwargs):
    """The attention function; key is the SharedCache, value the layer. (rows, heads, 1, d) -> (rows, 1, heads, d)."""
    if kwargs.get("s_aux") is not None:
        raise ValueError("the native engine has no attention with 's_aux'; use engine: vllm for this model")
    rows, heads, _, d = query.shape
    groups = getattr(module, "num_key_value_groups", 1)
    wide = to_autocast_dtype(query)
    wide = wide.float() if wide.dtype in (torch.bfloat16, torch.float16) else wide
    with torch.autocast(query.device.type, enabled=False):
        mixed = key.attend(value, wide.view(rows, heads // groups, groups, d) * scaling, kwargs.get("softcap"))
    return mixed.reshape(rows, 1, heads, -1).to(query.dtype), None


AttentionInterface.register("shared_prefix", attend)


@contextmanager
def use_shared_prefix(model: PreTrainedModel) -> Iterator[None]:
    """Inside, the model attends through `attend`. It makes no masks: an attention function without a mask function of
    its own is given none."""
    before = model.config._attn_implementation
    model.config._attn_implementation = "shared_prefix"
    try:
        yield
    finally:
        model.config._attn_implementation = before
