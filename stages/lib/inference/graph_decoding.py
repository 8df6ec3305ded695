"""Decoding on a GPU: a step is one CUDA graph over fixed places, so that the CPU launches it once and not kernel by kernel.

A row holds one draw: its key and value for each token in a store of fixed size, which the graph writes and reads in place.
Rows of different ages and prompts lie together; what a row may not see is masked. As in shared_prefix.py, the keys and
values of a prompt are stored once, and one product reads them for all of its rows. The last token of a prompt is the first
that a graph reads, so a graph computes every draw's every token, from the last one to the next. A graph is captured for
each of a few sizes: rows, which go down as draws end, width of their stores, which goes up, and prompts with their rows.

It needs a model whose layers all attend to the whole text; native_engine.py decodes others, and on CPUs, where rows that
agree are worth sharing and draws depend on nothing else in the batch. Here they do, within rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from stages.lib.inference.draw_table import DrawTable, Request
from stages.lib.inference.graph_runner import GraphRunner
from stages.lib.inference.sampling import Distribution, Draw
from stages.lib.inference.shared_prefix import (
    group_by_prompt,
    multiply,
    rank_in_prompts,
    round_up,
    to_autocast_dtype,
    ungroup_to_rows,
    use_attention,
)
from stages.lib.inference.token_sampling import draw_uniform, sample_tokens
from stages.lib.models.batch import send
from stages.lib.models.calculator import Calculator
from stages.lib.models.forward import get_decoder
from stages.lib.models.stops import StopCriteria

ROW_MULTIPLE = 16
WIDTH_MULTIPLE = 64  # tokens of a prompt or of a row's new tokens
MAX_PREFILL_TOKENS = 16384  # tokens of prompts, with padding, that the model reads at a time
MIN_PROMPTS = 64  # places for prompts, where memory is no matter


def is_used(model: Any) -> bool:
    """On a GPU, if the model is supported."""
    return model.device.type == "cuda" and is_supported(model)


def is_supported(model: Any) -> bool:
    """Whether the model attends through transformers' interface, with layers that read the whole text."""
    if not (isinstance(model, PreTrainedModel) and model._supports_attention_backend):
        return False
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def round_up_to_power(n: int) -> int:
    """The next power of two from n on."""
    return 1 << (n - 1).bit_length()


def shrink_size(size: int) -> int:
    """The next smaller number of rows that has a graph: 4096, 3072, 2048, 1536, ..."""
    power = round_up_to_power(size) // 2
    return max(power * 3 // 2 if size > power * 3 // 2 else power, ROW_MULTIPLE)


class Stores(Cache):
    """Keys and values: of prompts (prompts, kv heads, width, d), and of rows (rows, kv heads, new tokens, d), a tensor for
    each layer. It is the cache that the model sees in a step; `set_sizes` says which part a step reads."""

    layers: list[Any]

    def __init__(
        self, model: PreTrainedModel, rows: int, new_tokens: int, prompts: int, prompt_tokens: int, slots: int
    ):
        super().__init__(layers=DynamicCache(config=model.config).layers)
        self.device = model.device
        self.shape = rows, new_tokens, prompts, prompt_tokens
        self.prefix: list[list[torch.Tensor]] = []  # for each layer keys and values
        self.suffix: list[list[torch.Tensor]] = []
        self.lengths = torch.zeros(prompts, dtype=torch.long, device=self.device)  # of prompts, but for the last token
        self.numbers = torch.arange(max(rows, new_tokens, prompt_tokens), device=self.device)
        # Of a step: (rows,) tokens so far, place among its prompt's rows; (prompts * slots,) the row in each slot.
        self.ages = self.slot_of_row = torch.zeros(rows, dtype=torch.long, device=self.device)
        self.row_of_slot = torch.zeros(prompts * slots, dtype=torch.long, device=self.device)

    def write_prompts(self, places: np.ndarray, lengths: Sequence[int], cache: Any) -> None:
        """Store prompts that the model has read, with padding on the right."""
        rows, new_tokens, prompts, prompt_tokens = self.shape
        index = send(torch.from_numpy(places), self.device)
        for i, layer in enumerate(cache.layers):
            pair = [to_autocast_dtype(x) for x in (layer.keys, layer.values)]
            if len(self.prefix) <= i:
                # Zeros, because what is masked has the weight 0, and 0 times what is left in memory may be no number.
                self.prefix.append([x.new_zeros(prompts, x.shape[1], prompt_tokens, x.shape[3]) for x in pair])
                self.suffix.append([x.new_zeros(rows, x.shape[1], new_tokens, x.shape[3]) for x in pair])
            for store, x in zip(self.prefix[i], pair, strict=True):
                store[index, :, : x.shape[2]] = x
        self.lengths[index] = send(torch.tensor(lengths), self.device)

    def move(self, old: np.ndarray, new: np.ndarray) -> None:
        """Copy rows."""
        source, target = (send(torch.from_numpy(x), self.device) for x in (old, new))
        for pair in self.suffix:
            for store in pair:
                store[target] = store[source]

    def set_sizes(self, rows: int, width: int, prompts: int, slots: int) -> None:
        self.rows, self.width, self.prompts, self.slots = rows, width, prompts, slots
        numbers = self.numbers
        hidden = numbers[: self.shape[3]] >= self.lengths[:prompts, None]
        self.prefix_bias = torch.zeros(hidden.shape, device=self.device).masked_fill(hidden, float("-inf"))
        self.is_ahead = (numbers[:width] > self.ages[:rows, None])[:, None, None]

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any):
        for store, new in zip(self.suffix[layer_idx], (key_states, value_states), strict=True):
            store[self.numbers[: self.rows], :, self.ages[: self.rows]] = to_autocast_dtype(new)[:, :, 0]
        return self, layer_idx  # what `attend` receives as key and value

    def _group(self, x: torch.Tensor) -> torch.Tensor:
        return group_by_prompt(x, self.row_of_slot[: self.prompts * self.slots], self.prompts)

    def _ungroup(self, x: torch.Tensor, groups: int) -> torch.Tensor:
        return ungroup_to_rows(x, self.slot_of_row[: self.rows], groups)

    def attend(self, i: int, query: torch.Tensor, scale: float, softcap: float | None) -> torch.Tensor:
        """query (rows, kv heads, groups, d) -> (rows, kv heads, groups, d)."""
        groups = query.shape[2]
        keys, values = (store[: self.rows, :, : self.width] for store in self.suffix[i])
        prompt_keys, prompt_values = (store[: self.prompts] for store in self.prefix[i])
        shared = multiply(self._group(query), prompt_keys.transpose(2, 3), scale)
        own = multiply(query, keys.transpose(2, 3), scale)
        if softcap:
            shared, own = (softcap * torch.tanh(x / softcap) for x in (shared, own))
        shared = self._ungroup(shared + self.prefix_bias[:, None, None], groups)
        weights = torch.cat([shared, own.masked_fill(self.is_ahead, float("-inf"))], -1).softmax(-1)
        shared, own = weights.split([shared.shape[-1], own.shape[-1]], -1)
        return self._ungroup(multiply(self._group(shared), prompt_values), groups) + multiply(own, values)


class GraphBatch:
    """The draws that are being decoded; the interface of `native_engine.DecodingBatch`.

    rows: at most so many at a time. requests: all that will be admitted, which bounds what is stored. Off a GPU steps run
    without graphs.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        requests: Sequence[Request],
        rows: int,
        distribution: Distribution,
        max_new_tokens: int,
        stops: StopCriteria,
        calculator: Calculator | None = None,
    ):
        self.model, self.distribution, self.max_new_tokens = model, distribution, max_new_tokens
        draws = [len(request.keys) for request in requests]
        self.rows = self.max_rows = round_up(min(rows, sum(draws)), ROW_MULTIPLE)
        # As draws end, a row's prompt is replaced by others' before its last draw has ended.
        prompts = min(len(requests), self.max_rows, max(2 * self.max_rows // max(draws), MIN_PROMPTS))
        longest = max(len(request.ids) for request in requests)
        sizes = self.max_rows, max_new_tokens, prompts, round_up(longest, WIDTH_MULTIPLE), round_up_to_power(max(draws))
        self.stores = Stores(model, *sizes)
        self.num_waiting = len(requests)
        self.table = DrawTable(self.max_rows, max_new_tokens, stops, calculator)
        self.prompt_of_row = np.zeros(self.max_rows, int)
        self.prompt_lengths = np.zeros(prompts, int)
        self.rows_of_prompt = np.zeros(prompts, int)  # living draws
        self.graphs = GraphRunner(model.device)
        # The inputs of a step: token, position, age, slot and key of each row, and the row of each slot.
        self.inputs = torch.zeros(5, self.max_rows, dtype=torch.long, device=model.device)
        self.outputs = torch.zeros(2, self.max_rows, dtype=torch.double, device=model.device)

    @property
    def num_alive(self) -> int:
        """Draws that have not ended yet."""
        return int(self.table.is_alive.sum())

    @property
    def num_free_prompts(self) -> int:
        """Prompts that can be admitted, whatever the rows."""
        return int((self.rows_of_prompt == 0).sum())

    def admit(self, requests: list[Request]) -> None:
        """Read these requests' prompts and begin their draws."""
        self.num_waiting -= len(requests)
        free_rows, free_prompts = np.flatnonzero(~self.table.is_alive), np.flatnonzero(self.rows_of_prompt == 0)
        for request, prompt in zip(requests, free_prompts, strict=False):
            rows, free_rows = np.split(free_rows, [len(request.keys)])
            self.table.place(request, rows)
            self.prompt_of_row[rows], self.rows_of_prompt[prompt] = prompt, len(rows)
            self.prompt_lengths[prompt] = len(request.ids)
            self.table.ids[rows, -1] = request.ids[-1]  # where a draw of age 0 finds its last token
        order = sorted(range(len(requests)), key=lambda i: len(requests[i].ids))
        while order:
            width = len(requests[order[-1]].ids)
            size = max(1, MAX_PREFILL_TOKENS // width)
            part, order = order[-size:], order[:-size]
            ids = torch.zeros(len(part), max(width - 1, 1), dtype=torch.long)
            for row, i in enumerate(part):
                ids[row, : len(requests[i].ids) - 1] = torch.tensor(requests[i].ids[:-1], dtype=torch.long)
            cache = DynamicCache(config=self.model.config)
            get_decoder(self.model)(send(ids, self.model.device), past_key_values=cache, use_cache=True)
            self.stores.write_prompts(free_prompts[part], [len(requests[i].ids) - 1 for i in part], cache)

    def step(self) -> list[tuple[Request, int, Draw]]:
        """Draw one more token for every living draw; return the draws that end."""
        self._shrink()
        table, stores = self.table, self.stores
        alive = np.flatnonzero(table.is_alive)
        prompts = self.prompt_of_row[alive]
        counts = np.bincount(prompts)
        sizes = self._choose_sizes(len(counts), int(counts.max()), int(table.ages[alive].max()) + 1)
        slots = sizes[3]
        slot = prompts * slots + rank_in_prompts(prompts)
        row_of_slot = np.zeros(len(stores.row_of_slot), int)
        row_of_slot[slot] = alive
        inputs = np.zeros((5, self.rows), int)
        ages = table.ages[alive]
        tokens, positions = table.ids[alive, ages - 1], self.prompt_lengths[prompts] - 1 + ages
        inputs[:, alive] = tokens, positions, ages, slot, table.keys[alive]
        device = self.model.device
        self.inputs[:, : self.rows] = send(torch.from_numpy(inputs), device)
        stores.row_of_slot.copy_(send(torch.from_numpy(row_of_slot), device))
        self.graphs.run(sizes, lambda: self._compute(*sizes))
        ids, logprobs = self.outputs[:, : self.rows].cpu().numpy()  # the only wait for the GPU
        ended = table.record(ids[alive].astype(int), logprobs[alive].astype(np.float32))
        self.rows_of_prompt = np.bincount(self.prompt_of_row[table.is_alive], minlength=len(self.rows_of_prompt))
        return ended

    def _choose_sizes(self, prompts: int, slots: int, width: int) -> tuple[int, int, int, int]:
        """(rows, width, prompts, slots) of the graph for at least these."""
        width = min(round_up(width, WIDTH_MULTIPLE), self.max_new_tokens)
        return self.rows, width, min(round_up_to_power(prompts), len(self.prompt_lengths)), round_up_to_power(slots)

    def _shrink(self) -> None:
        """Move the draws of the last rows where all fit into fewer and no more will come."""
        alive, rows = np.flatnonzero(self.table.is_alive), self.rows
        while not self.num_waiting and rows > ROW_MULTIPLE and len(alive) <= shrink_size(rows):
            rows = shrink_size(rows)
        if rows == self.rows:
            return
        old = alive[alive >= rows]
        new = np.flatnonzero(~self.table.is_alive[:rows])[: len(old)]
        self.table.move(old, new)
        self.stores.move(old, new)
        self.prompt_of_row[new], self.rows = self.prompt_of_row[old], rows

    def _compute(self, rows: int, width: int, prompts: int, slots: int) -> None:
        """From `inputs` the next token and its log-probability of each row, into `outputs`."""
        tokens, positions, ages, slot, keys = self.inputs[:, :rows]
        self.stores.ages, self.stores.slot_of_row = ages, slot
        self.stores.set_sizes(rows, width, prompts, slots)
        with use_attention(self.model, "shared_prefix"):
            logits = self.model(
                tokens[:, None], position_ids=positions[:, None], past_key_values=self.stores, use_cache=True
            ).logits[:, -1]
        u = draw_uniform(keys, ages) if self.distribution.temperature else None
        ids, logprobs = sample_tokens(logits, u, self.distribution, self.stores.numbers[:rows])
        self.outputs[0, :rows], self.outputs[1, :rows] = ids, logprobs  # both fit into float64 exactly
