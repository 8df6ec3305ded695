"""The native engine: many samples a prompt, the prompt's keys and values stored once for all of them.

`transformers.generate(num_return_sequences=N)` keeps N copies of every prompt, pads every row to the longest and runs
until the last row has ended. Here a row holds its own new tokens only (lib/inference/shared_prefix.py), draws that
have agreed so far share one row and part where they differ, rows that have ended are taken out, and new prompts are
let in when a quarter of the places is free. A draw depends on its own key alone, so sharing changes none; at
temperature 0.7 the bundled model draws six times as many tokens as it computes. It works for any transformers causal
LM: prompts run through the model as it is, and what that leaves in the model's own cache is the prefix: keys, values,
sliding windows, and the state of short convolutions and other recurrent layers, of which every row gets its copy.

**The same draws in any batch.** Token t of a sample is the inverse, at the uniform number u = H(key, t), of the
cumulative distribution softmax(logits / T) in the order of the vocabulary. Equal draws then need logits equal to the
last bit whatever shares the batch, so every shape that enters a sum is a function of the row alone:
  - prompts are read unpadded, with others of equal length only;
  - rows let in together have one age, so their suffixes have one length and nothing is padded;
  - prefixes are padded to a multiple of 32 and multiplied among their equals only;
  - rows come in multiples of 16, those of one prompt in multiples of 8: for fewer than 8, matrix libraries take kernels
    that add in another order.
Measured on CPUs in float32 with MKL: equal bits for any number of rows, any order and 1 or 2 threads
(tests/lib/inference/test_sampling.py proves it on the machine at hand). On an accelerator, whose library chooses
kernels by the number of rows, a draw can differ between batches where u falls within rounding of a boundary, which is
not rare in half precision. Attention is a loop in Python over cohorts and layers: correct there, but bound by kernel
launches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedModel

from stages.lib.inference import memory
from stages.lib.inference.sampling import Draw
from stages.lib.inference.shared_prefix import (
    PREFIX_MULTIPLE,
    ROW_MULTIPLE,
    Block,
    PrefilledPrompt,
    SharedCache,
    prefill,
    round_up,
    use_shared_prefix,
)
from stages.lib.models.stops import StopCriteria


class Request(NamedTuple):
    """Some samples of one prompt: draws `first`, `first` + 1, ... of prompt `index`, one for each of `keys`."""

    prompt_index: int
    first_draw: int
    ids: Sequence[int]
    keys: Sequence[int]


class NativeEngine:
    """See `sampling.Engine`. rows: the most samples decoded at a time, fewer where a card's memory asks for it; it changes
    speed and memory alone."""

    def __init__(self, model: PreTrainedModel, rows: int = 2048):
        self.model, self.max_rows = model.eval(), max(rows, ROW_MULTIPLE)
        self.context_length = model.config.max_position_embeddings

    @torch.inference_mode()
    def stream(
        self,
        prompts: Sequence[Sequence[int]],
        keys: Sequence[Sequence[int]],
        temperature: float,
        max_new_tokens: int,
        stops: StopCriteria | Sequence[int],
    ) -> Iterator[tuple[int, list[Draw]]]:
        """Complete prompts as they come. Raises ValueError for an empty prompt, UserError where memory is too small."""
        if not all(prompts):
            raise ValueError("a prompt needs at least one token")
        longest = max(map(len, prompts), default=0)  # held twice while it is let in, before a token is drawn
        tokens = longest + max(longest, max_new_tokens)
        self.max_rows = memory.limit_rows(self.model, self.max_rows, tokens, ROW_MULTIPLE)
        requests = deque(
            Request(i, first, prompt, own[first : first + self.max_rows])
            for i, (prompt, own) in enumerate(zip(prompts, keys, strict=True))
            for first in range(0, len(own), self.max_rows)
        )
        draws: list[list[Draw | None]] = [[None] * len(own) for own in keys]
        missing = [len(own) for own in keys]
        yield from ((i, []) for i, own in enumerate(keys) if not len(own))
        stops = stops if isinstance(stops, StopCriteria) else StopCriteria(None, stops)
        batch = DecodingBatch(self.model, temperature, max_new_tokens, stops)
        while requests or batch.cohorts:
            if not batch.cohorts or batch.num_alive <= self.max_rows * 3 // 4:
                batch.admit(take_fitting(requests, self.max_rows - batch.num_alive))
            for request, row, draw in batch.step():
                draws[request.prompt_index][request.first_draw + row] = draw
                missing[request.prompt_index] -= 1
                if not missing[request.prompt_index]:
                    yield request.prompt_index, draws[request.prompt_index]
                    draws[request.prompt_index] = []


def take_fitting(requests: deque[Request], places: int) -> list[Request]:
    """Take requests from the left that fit into the places."""
    chosen: list[Request] = []
    while requests and len(requests[0].keys) <= places:
        chosen.append(requests.popleft())
        places -= len(chosen[-1].keys)
    return chosen


class Cohort:
    """The books of requests let in together, with prompts of one padded length.

    Draws that agree so far have the same past, so they share one row; where they part, the row forks.
    """

    def __init__(self, requests: list[Request], prompts: list[PrefilledPrompt], limit: int):
        device = prompts[0].logits.device
        self.request_of_draw = [(request, row) for request in requests for row in range(len(request.keys))]
        self.keys = torch.tensor([to_int64(key) for request in requests for key in request.keys], device=device)
        # (draws,) the row of each draw, and whether it still wants tokens
        self.row_of_draw = np.repeat(np.arange(len(requests)), [len(request.keys) for request in requests])
        self.is_alive = np.ones(len(self.request_of_draw), bool)
        self.block = Block(prompts, limit)
        self.age = 0  # tokens of each draw
        self.ids = torch.zeros(len(self.request_of_draw), limit, dtype=torch.long)
        self.logprobs = torch.zeros(len(self.request_of_draw), limit)

    def record_tokens(
        self, ids: torch.Tensor, logprobs: torch.Tensor, stops: StopCriteria
    ) -> list[tuple[Request, int, Draw]]:
        """Write a token down for every living draw; return the draws that it ends. All on the CPU, (living draws,)."""
        live = np.flatnonzero(self.is_alive)
        self.ids[live, self.age], self.logprobs[live, self.age] = ids, logprobs
        self.age += 1
        stop = np.isin(ids.numpy(), stops.token_ids)
        if stops.texts:
            for i in np.flatnonzero(stops.may_complete(ids.numpy()) & ~stop):
                stop[i] = stops.is_complete(self.ids[live[i], : self.age].tolist())
        over = live[stop | (self.age == self.ids.shape[1])]
        if not len(over):
            return []
        self.is_alive[over] = False
        stopped = np.isin(over, live[stop])
        columns = (self.ids[over, : self.age].tolist(), self.logprobs[over, : self.age].tolist(), stopped)
        return [
            (*self.request_of_draw[draw], Draw(own, numbers, "stop" if ended else "length"))
            for draw, own, numbers, ended in zip(over, *columns, strict=True)
        ]

    def fork_diverging(self) -> tuple[np.ndarray, np.ndarray]:
        """Fork the rows whose living draws chose different tokens. Returns, for each row from now on, the token that it
        reads next and the row of before whose past it has. Rows without a draw read token 0, for nobody."""
        live, block = np.flatnonzero(self.is_alive), self.block
        tokens = self.ids[live, self.age - 1].numpy()
        pairs, child = np.unique(self.row_of_draw[live] << 32 | tokens, return_inverse=True)
        parent, token = pairs >> 32, pairs & (1 << 32) - 1
        heir = np.append(True, parent[1:] != parent[:-1])  # the first child stays in its parent's row
        row, forked = parent.copy(), np.flatnonzero(~heir)
        free = np.setdiff1d(np.arange(block.rows + round_up(len(forked), ROW_MULTIPLE)), parent, assume_unique=True)[
            : len(forked)
        ]
        row[forked] = free
        rows = max(block.rows, round_up(int(row.max()) + 1, ROW_MULTIPLE))
        if len(forked):
            block.fork(parent[forked], free, rows)
        self.row_of_draw[live] = row[child]
        before, after = np.zeros(rows, int), np.zeros(rows, int)
        before[row], after[row] = parent, token
        if round_up(len(row), ROW_MULTIPLE) < 0.8 * rows:  # leaving rows out means copying the others
            kept = np.sort(row)
            kept = np.pad(kept, (0, round_up(len(kept), ROW_MULTIPLE) - len(kept)), mode="edge")
            block.keep_rows(kept)
            self.row_of_draw[live] = np.searchsorted(kept, self.row_of_draw[live])
            before, after, row = before[kept], after[kept], np.searchsorted(kept, row)
        block.set_live_rows(np.sort(row))
        return after, before


class DecodingBatch:
    """All rows in decoding, and what each needs for its next token."""

    def __init__(self, model: PreTrainedModel, temperature: float, limit: int, stops: StopCriteria):
        self.model, self.temperature, self.max_new_tokens, self.stops = model, temperature, limit, stops
        self.cache, self.cohorts = SharedCache(model), []
        self.logits: list[torch.Tensor] = []  # (rows, V) of each cohort

    @property
    def num_alive(self) -> int:
        """Draws that still want tokens."""
        return sum(int(cohort.alive.sum()) for cohort in self.cohorts)

    def admit(self, requests: list[Request]) -> None:
        """Read these requests' prompts and let their rows in."""
        widths: dict[int, list[Request]] = {}
        for request in requests:
            widths.setdefault(round_up(len(request.ids), PREFIX_MULTIPLE), []).append(request)
        for width in sorted(widths):
            prompts = prefill(self.model, [request.ids for request in widths[width]])
            cohort = Cohort(widths[width], prompts, self.max_new_tokens)
            self.cohorts.append(cohort)
            self.cache.admit(cohort.block, prompts)
            owner = torch.from_numpy(cohort.block.prompt_of_row)
            self.logits.append(torch.stack([prompt.logits for prompt in prompts])[owner.to(prompts[0].logits.device)])

    def step(self) -> list[tuple[Request, int, Draw]]:
        """One more token for every draw; the draws that it ended."""
        draws, inputs, kept, first = [], [np.zeros(0, int)], [np.zeros(0, int)], 0
        for cohort, chosen in zip(self.cohorts, self._sample_tokens(), strict=True):
            rows = cohort.block.rows
            draws += cohort.record(*chosen, self.stops)
            if cohort.alive.any():
                tokens, before = cohort.branch()
                inputs.append(tokens)
                kept.append(first + before)
            first += rows
        self.cohorts = [cohort for cohort in self.cohorts if cohort.alive.any()]
        self.cache.blocks = [cohort.block for cohort in self.cohorts]
        device, self.logits = self.model.device, []
        self.cache.keep_rows(torch.from_numpy(np.concatenate(kept)).to(device))
        if self.cohorts:
            with use_shared_prefix(self.model):
                output = self.model(
                    torch.from_numpy(np.concatenate(inputs)).to(device)[:, None],
                    position_ids=torch.cat([block.get_positions() for block in self.cache.blocks])[:, None],
                    past_key_values=self.cache,
                    use_cache=True,
                )
            self.logits = list(output.logits[:, -1].split([block.rows for block in self.cache.blocks]))
            for block in self.cache.blocks:
                block.age += 1
        return draws

    def _sample_tokens(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(token, log-probability) of the living draws of each cohort, on the CPU."""
        live = [np.flatnonzero(cohort.alive) for cohort in self.cohorts]
        first = np.cumsum([0] + [len(logits) for logits in self.logits])
        row = np.concatenate([start + c.row[own] for start, c, own in zip(first, self.cohorts, live, strict=False)])
        u = None
        if self.temperature:
            keys = [c.keys[torch.from_numpy(own).to(c.keys.device)] for c, own in zip(self.cohorts, live, strict=True)]
            ages = [torch.full_like(key, c.age) for key, c in zip(keys, self.cohorts, strict=True)]
            u = draw_uniform(torch.cat(keys), torch.cat(ages))
        logits = torch.cat(self.logits)
        ids, logprobs = sample_tokens(logits, u, self.temperature, torch.from_numpy(row).to(logits.device))
        ids, logprobs, sizes = ids.cpu(), logprobs.cpu(), [len(draws) for draws in live]
        return list(zip(ids.split(sizes), logprobs.split(sizes), strict=True))


def to_int64(key: int) -> int:
    """A 64-bit key as torch holds it."""
    return (key & (2**64 - 1)) - 2**64 * (key >> 63 & 1)


def draw_uniform(key: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """float64 in [0, 1) for every (key, place), both int64: the output of SplitMix64 (Steele et al., OOPSLA 2014) with
    state `key` at step `place`. int64 products wrap around, as the algorithm wants."""
    z = key + (place + 1) * to_int64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> shift & (1 << 64 - shift) - 1)) * to_int64(factor)  # the mask makes the shift logical
    z = z ^ (z >> 31 & (1 << 33) - 1)
    return (z >> 11 & (1 << 53) - 1).double() * 2.0**-53


def sample_tokens(
    logits: torch.Tensor, u: torch.Tensor | None, temperature: float, row: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (D,) and their log-probabilities at temperature 1 (D,), from logits (B, V) and each draw's row (D,).

    Greedy if u is None; else the first token at which the cumulative distribution at `temperature` exceeds u (D,).
    Only operations that treat each row alone are used. The sum goes over blocks of tokens first, so that one pass over
    the vocabulary suffices and the running sums in float64 are short.
    """
    logits = logits.float()
    p = logits.softmax(-1)
    if u is None:
        ids = logits.argmax(-1)[row]
    else:
        q = p if temperature == 1 else (logits / temperature).softmax(-1)
        width = 32
        q = torch.nn.functional.pad(q, (0, -q.shape[1] % width)).view(len(q), -1, width)
        blocks = q.sum(-1).double().cumsum(-1)[row]
        target = u[:, None] * blocks[:, -1:]
        block = inverse_cdf(blocks, target)
        below = torch.where(block > 0, blocks.gather(1, (block - 1).clamp(min=0)), 0)
        inner = q[row, block[:, 0]].double().cumsum(-1)
        ids = (block * width + inverse_cdf(inner, target - below))[:, 0]
    return ids, p[row, ids].log()


def inverse_cdf(sums: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(B, 1) the first place of ascending `sums` (B, n) above target (B, 1); where rounding leaves none, the place
    where the last sum is reached, which is never a token of probability zero."""
    return torch.minimum((sums <= target).sum(-1, keepdim=True), (sums < sums[:, -1:]).sum(-1, keepdim=True))
