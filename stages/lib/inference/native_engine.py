"""The native engine: many samples a prompt, with the prompt's keys and values stored once for all of them.

`transformers.generate(num_return_sequences=N)` keeps N copies of every prompt, pads every row to the longest and runs
until the last row has ended. Here a row holds only its new tokens (shared_prefix.py), draws that have agreed so far share
one row and fork where they differ, rows that have ended are removed, and new prompts are admitted when a quarter of the
rows is free. A draw depends on its own key alone, so sharing changes none; at temperature 0.7 the bundled model draws six
times as many tokens as it computes. It works for any transformers causal LM: prompts run through the unchanged
model, and the prefix is what that leaves in its cache: keys, values, sliding windows, and the state of short convolutions
and other recurrent layers, of which every row gets a copy.

**The same draws in any batch.** Token t of a sample is the inverse, at the uniform number u = H(key, t), of the
cumulative distribution softmax(logits / T) in the order of the vocabulary. Equal draws then need logits equal to the
last bit in any batch, so every shape that enters a sum depends on the row alone:
  - prompts are read unpadded, together with others of equal length only;
  - rows admitted together have one age, so their suffixes have one length and nothing is padded;
  - prefixes are padded to a multiple of 32 and multiplied only with others of the same padded length;
  - rows come in multiples of 16, those of one prompt in multiples of 8: for fewer than 8, matrix libraries choose kernels
    that add in another order.
Measured on CPUs in float32 with MKL: equal bits for any number of rows, any order and 1 or 2 threads
(tests/lib/inference/test_sampling.py proves it on the machine at hand). On an accelerator, whose library chooses
kernels by the number of rows, a draw can differ between batches where u falls within rounding of a boundary, which is
not rare in half precision. There graph_decoding.py decodes models whose layers all attend to the whole text.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from stages.lib.core.errors import UserError
from stages.lib.inference import graph_decoding, memory
from stages.lib.inference.draw_table import DrawTable, Request
from stages.lib.inference.graph_decoding import GraphBatch
from stages.lib.inference.sampling import Distribution, Draw, DrawCollector, MaxRows
from stages.lib.inference.shared_prefix import (
    ROW_MULTIPLE,
    Block,
    PrefilledPrompt,
    SharedCache,
    pad_prefix,
    prefill,
    round_up,
    to_device,
    use_attention,
)
from stages.lib.inference.token_sampling import draw_uniform, sample_tokens
from stages.lib.models.calculator import Calculator
from stages.lib.models.stops import StopCriteria


class NativeEngine:
    """See `sampling.Engine`. max_rows: the most samples decoded at a time, fewer where a GPU's memory is too small; auto:
    as many as fit. It changes speed and memory alone."""

    def __init__(self, model: PreTrainedModel, max_rows: MaxRows = 2048):
        self.model = model.eval()
        self.max_rows: MaxRows = "auto" if max_rows == "auto" else max(max_rows, ROW_MULTIPLE)
        self.context_length: int = model.config.max_position_embeddings

    @torch.inference_mode()
    def stream(
        self,
        prompts: Sequence[Sequence[int]],
        keys: Sequence[Sequence[int]],
        distribution: Distribution,
        max_new_tokens: int,
        stops: StopCriteria | Sequence[int],
        calculator: Calculator | None = None,
    ) -> Iterator[tuple[int, list[Draw]]]:
        """Complete a stream of prompts. Where memory runs out, those not yet complete begin again with half the rows.
        Raises ValueError for an empty prompt, UserError where memory is too small."""
        if not all(prompts):
            raise ValueError("a prompt needs at least one token")
        longest = max(map(len, prompts), default=0)  # held twice while it is admitted, before a token is drawn
        tokens = longest + max(longest, max_new_tokens)
        copies = memory.SORTED_LOGIT_COPIES if distribution.top_p < 1 else memory.LOGIT_COPIES
        max_rows = memory.limit_rows(self.model, self.max_rows, tokens, ROW_MULTIPLE, copies)
        collector, complete = DrawCollector(keys), set()
        yield from collector.get_empty()
        stops = stops if isinstance(stops, StopCriteria) else StopCriteria(None, stops)

        def begin(rows: int) -> tuple[deque[Request], DecodingBatch | GraphBatch]:
            whole = [Request(i, 0, prompts[i], keys[i]) for i in range(len(prompts)) if i not in complete]
            requests = deque(part for request in whole if request.keys for part in split_request(request, rows))
            settings = distribution, max_new_tokens, stops, calculator
            if requests and graph_decoding.is_used(self.model):
                return requests, GraphBatch(self.model, requests, rows, *settings)
            return requests, DecodingBatch(self.model, *settings)

        requests, batch = begin(max_rows)
        while requests or batch.num_alive:
            try:
                if requests and batch.num_alive <= max_rows * 3 // 4:
                    batch.admit(take_fitting(requests, max_rows - batch.num_alive, batch.num_free_prompts))
                ended = batch.step()
            except torch.OutOfMemoryError:  # a draw depends on its own key alone, so what is drawn again is the same
                max_rows = self.max_rows = halve_rows(max_rows, self.model.device)
                requests, batch = begin(max_rows)
                continue
            for request, number, draw in ended:
                for i, draws in collector.add(request.prompt_index, request.first_draw + number, draw):
                    complete.add(i)
                    yield i, draws


def split_request(request: Request, size: int) -> list[Request]:
    """Parts of at most `size` draws."""
    index, first, ids, keys = request
    return [Request(index, first + i, ids, keys[i : i + size]) for i in range(0, len(keys), size)]


def halve_rows(rows: int, device: torch.device) -> int:
    """Half of the rows, with a line on standard error. Raises UserError below ROW_MULTIPLE."""
    half = max(rows // 2 // ROW_MULTIPLE, 1) * ROW_MULTIPLE
    if half == rows:
        raise UserError(f"{device}: out of memory with {rows} samples at a time; lower max_new_tokens, or free memory")
    print(f"{device}: out of memory with {rows} samples at a time; drawing {half}", file=sys.stderr)
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return half


def take_fitting(requests: deque[Request], places: int, most: int) -> list[Request]:
    """Take at most so many requests from the left as long as their draws fit into the places."""
    taken: list[Request] = []
    while requests and len(taken) < most and len(requests[0].keys) <= places:
        taken.append(requests.popleft())
        places -= len(taken[-1].keys)
    return taken


class Cohort:
    """Bookkeeping for the requests of one admission whose prompts have one padded length.

    Draws that agree so far have the same past, so they share one row; where they differ, the row forks.
    """

    def __init__(
        self,
        requests: list[Request],
        prompts: list[PrefilledPrompt],
        max_new_tokens: int,
        stops: StopCriteria,
        calculator: Calculator | None,
    ):
        counts = [len(request.keys) for request in requests]
        self.draws = DrawTable(sum(counts), max_new_tokens, stops, calculator)
        for request, end in zip(requests, np.cumsum(counts), strict=True):
            self.draws.place(request, np.arange(end - len(request.keys), end))
        self.keys = torch.from_numpy(self.draws.keys).to(prompts[0].logits.device)
        self.row_of_draw = np.repeat(np.arange(len(requests)), counts)
        self.block = Block(prompts, max_new_tokens)
        self.age = 0  # tokens of each draw

    def record_tokens(self, ids: torch.Tensor, logprobs: torch.Tensor) -> list[tuple[Request, int, Draw]]:
        """Append a token to every living draw; return the draws that end with it. ids, logprobs: (living draws,), CPU."""
        self.age += 1
        return self.draws.record(ids.numpy(), logprobs.numpy())

    def fork_diverging(self) -> tuple[np.ndarray, np.ndarray]:
        """Fork the rows whose living draws chose different tokens.

        Returns for each row from now on the token that it reads next, and the old row whose past it continues. Rows
        without a draw are fed token 0 and ignored.
        """
        alive, block = np.flatnonzero(self.draws.is_alive), self.block
        tokens = self.draws.ids[alive, self.age - 1]
        pairs, child = np.unique(self.row_of_draw[alive] << 32 | tokens, return_inverse=True)
        parent, token = pairs >> 32, pairs & (1 << 32) - 1
        is_first_child = np.append(True, parent[1:] != parent[:-1])  # it stays in its parent's row
        row, forked = parent.copy(), np.flatnonzero(~is_first_child)
        candidates = np.arange(block.rows + round_up(len(forked), ROW_MULTIPLE))
        free = np.setdiff1d(candidates, parent, assume_unique=True)[: len(forked)]
        row[forked] = free
        rows = max(block.rows, round_up(int(row.max()) + 1, ROW_MULTIPLE))
        if len(forked):
            block.fork(parent[forked], free, rows)
        self.row_of_draw[alive] = row[child]
        old_row, next_token = np.zeros(rows, int), np.zeros(rows, int)
        old_row[row], next_token[row] = parent, token
        if round_up(len(row), ROW_MULTIPLE) < 0.9 * rows:  # removing rows means copying the others
            kept_rows = np.sort(row)
            kept_rows = np.pad(kept_rows, (0, round_up(len(kept_rows), ROW_MULTIPLE) - len(kept_rows)), mode="edge")
            block.keep_rows(kept_rows)
            self.row_of_draw[alive] = np.searchsorted(kept_rows, self.row_of_draw[alive])
            old_row, next_token, row = old_row[kept_rows], next_token[kept_rows], np.searchsorted(kept_rows, row)
        block.set_live_rows(np.sort(row))
        return next_token, old_row


class DecodingBatch:
    """All rows that are being decoded, and the logits of their next tokens."""

    num_free_prompts = sys.maxsize  # prompts that can be admitted, whatever the rows

    def __init__(
        self,
        model: PreTrainedModel,
        distribution: Distribution,
        max_new_tokens: int,
        stops: StopCriteria,
        calculator: Calculator | None = None,
    ):
        self.model, self.distribution, self.max_new_tokens = model, distribution, max_new_tokens
        self.stops, self.calculator = stops, calculator
        self.cache = SharedCache(model)
        self.cohorts: list[Cohort] = []
        self.logits: list[torch.Tensor] = []  # (rows, vocabulary) of each cohort

    @property
    def num_alive(self) -> int:
        """Draws that have not ended yet."""
        return sum(int(cohort.draws.is_alive.sum()) for cohort in self.cohorts)

    def admit(self, requests: list[Request]) -> None:
        """Read these requests' prompts and add their rows, a cohort for each padded length."""
        by_width: dict[int, list[Request]] = {}
        for request in requests:
            by_width.setdefault(pad_prefix(len(request.ids), self.model.device), []).append(request)
        for _, members in sorted(by_width.items()):
            prompts = prefill(self.model, [request.ids for request in members])
            cohort = Cohort(members, prompts, self.max_new_tokens, self.stops, self.calculator)
            self.cohorts.append(cohort)
            self.cache.admit(cohort.block, prompts)
            prompt_of_row = torch.from_numpy(cohort.block.prompt_of_row).to(prompts[0].logits.device)
            self.logits.append(torch.stack([prompt.logits for prompt in prompts])[prompt_of_row])

    def step(self) -> list[tuple[Request, int, Draw]]:
        """Draw one more token for every living draw and compute the next logits; return the draws that end."""
        draws: list[tuple[Request, int, Draw]] = []
        inputs, old_rows, first = [np.zeros(0, int)], [np.zeros(0, int)], 0
        for cohort, (ids, logprobs) in zip(self.cohorts, self._sample_tokens(), strict=True):
            rows = cohort.block.rows
            draws += cohort.record_tokens(ids, logprobs)
            if cohort.draws.is_alive.any():
                next_token, old_row = cohort.fork_diverging()
                inputs.append(next_token)
                old_rows.append(first + old_row)
            first += rows
        self.cohorts = [cohort for cohort in self.cohorts if cohort.draws.is_alive.any()]
        self.cache.blocks = [cohort.block for cohort in self.cohorts]
        self.logits = []
        self.cache.keep_rows(to_device(np.concatenate(old_rows), self.model.device))
        if self.cohorts:
            self._compute_logits(np.concatenate(inputs))
        return draws

    def _compute_logits(self, tokens: np.ndarray) -> None:
        """Run the model on the next token of each row, (rows,)."""
        blocks = self.cache.blocks
        with use_attention(self.model, "shared_prefix"):
            output = self.model(
                to_device(tokens, self.model.device)[:, None],
                position_ids=torch.cat([block.get_positions() for block in blocks])[:, None],
                past_key_values=self.cache,
                use_cache=True,
            )
        self.logits = list(output.logits[:, -1].split([block.rows for block in blocks]))
        for block in blocks:
            block.age += 1

    def _sample_tokens(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(token, log-probability) of the living draws of each cohort, on the CPU."""
        alive = [np.flatnonzero(cohort.draws.is_alive) for cohort in self.cohorts]
        first_rows = np.cumsum([0] + [len(logits) for logits in self.logits])[:-1]
        cohorts = list(zip(self.cohorts, alive, first_rows, strict=True))
        row = np.concatenate([first + cohort.row_of_draw[draws] for cohort, draws, first in cohorts])
        u = None
        if self.distribution.temperature:
            keys = [cohort.keys[to_device(draws, cohort.keys.device)] for cohort, draws, _ in cohorts]
            ages = [torch.full_like(key, cohort.age) for key, (cohort, _, _) in zip(keys, cohorts, strict=True)]
            u = draw_uniform(torch.cat(keys), torch.cat(ages))
        logits = torch.cat(self.logits) if len(self.logits) > 1 else self.logits[0]
        ids, logprobs = sample_tokens(logits, u, self.distribution, to_device(row, logits.device))
        # The only wait for a GPU; both fit into float64 exactly.
        ids, logprobs = torch.stack([ids.double(), logprobs.double()]).cpu()
        sizes = [len(draws) for draws in alive]
        return list(zip(ids.long().split(sizes), logprobs.float().split(sizes), strict=True))
