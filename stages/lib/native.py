"""The native engine: many samples a prompt, the prompt's keys and values stored once for all of them.

`transformers.generate(num_return_sequences=N)` keeps N copies of every prompt, pads every row to the longest and runs
until the last row has ended. Here a row holds its own new tokens only (stages/lib/prefixes.py), rows that have ended
are taken out, and new prompts are let in when a quarter of the places is free. It works for any transformers causal LM:
prompts run through the model as it is, and what that leaves in the model's own cache is the prefix: keys, values,
sliding windows, and the state of short convolutions and other recurrent layers, of which every row gets its copy.

**The same draws in any batch.** Token t of a sample is the inverse, at the uniform number u = H(key, t), of the
cumulative distribution softmax(logits / T) in the order of the vocabulary. Equal draws then need logits equal to the
last bit whatever shares the batch, so every shape that enters a sum is a function of the row alone:
  - prompts are read unpadded, with others of equal length only;
  - rows let in together have one age, so their suffixes have one length and nothing is padded;
  - prefixes are padded to a multiple of 32 and multiplied among their equals only;
  - rows come in multiples of 16: for fewer than 8, matrix libraries take kernels that add in another order.
Measured on CPUs in float32 with MKL: equal bits for any number of rows, any order and 1 or 2 threads
(tests/test_sampling.py proves it on the machine at hand). On an accelerator, whose library chooses kernels by the
number of rows, a draw can differ between batches where u falls within rounding of a boundary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from stages.lib.prefixes import PREFIX, ROWS, Block, Prompt, SharedCache, read, shared_prefix, up
from stages.lib.sampling import Draw


class Request(NamedTuple):
    """Some samples of one prompt: draws `first`, `first` + 1, ... of prompt `index`, one for each of `keys`."""

    index: int
    first: int
    ids: Sequence[int]
    keys: Sequence[int]


class NativeEngine:
    """See `sampling.Engine`. rows: the most samples decoded at a time; it bounds memory and changes no draw."""

    def __init__(self, model: PreTrainedModel, rows: int = 2048):
        self.model, self.rows = model.eval(), max(rows, ROWS)
        self.context = model.config.max_position_embeddings

    @torch.inference_mode()
    def stream(
        self,
        prompts: Sequence[Sequence[int]],
        keys: Sequence[Sequence[int]],
        temperature: float,
        max_new_tokens: int,
        stop_ids: Sequence[int],
    ) -> Iterator[tuple[int, list[Draw]]]:
        """Complete prompts as they come. Raises ValueError for an empty prompt."""
        if not all(prompts):
            raise ValueError("a prompt needs at least one token")
        requests = deque(
            Request(i, first, prompt, own[first : first + self.rows])
            for i, (prompt, own) in enumerate(zip(prompts, keys, strict=True))
            for first in range(0, len(own), self.rows)
        )
        draws: list[list[Draw | None]] = [[None] * len(own) for own in keys]
        missing = [len(own) for own in keys]
        yield from ((i, []) for i, own in enumerate(keys) if not len(own))
        batch = Batch(self.model, temperature, max_new_tokens, stop_ids)
        while requests or batch.cohorts:
            if not batch.cohorts or batch.size <= self.rows * 3 // 4:
                batch.admit(fitting(requests, self.rows - batch.size))
            for request, row, draw in batch.step():
                draws[request.index][request.first + row] = draw
                missing[request.index] -= 1
                if not missing[request.index]:
                    yield request.index, draws[request.index]
                    draws[request.index] = []


def fitting(requests: deque[Request], places: int) -> list[Request]:
    """Take requests from the left that fit into the places."""
    chosen: list[Request] = []
    while requests and len(requests[0].keys) <= places:
        chosen.append(requests.popleft())
        places -= len(chosen[-1].keys)
    return chosen


class Cohort:
    """The books of requests let in together. Rows beyond the last draw repeat it, for rows come in multiples of 16."""

    def __init__(self, requests: list[Request], prompts: list[Prompt], room: int):
        device = prompts[0].logits.device
        self.at = [(request, row) for request in requests for row in range(len(request.keys))]
        # (rows,) on the CPU: the draw that a row makes, its request, and whether it still wants tokens
        self.slot = torch.arange(up(len(self.at), ROWS)).clamp(max=len(self.at) - 1)
        sizes = torch.tensor([len(request.keys) for request in requests])
        self.owner = torch.repeat_interleave(torch.arange(len(requests)), sizes)[self.slot]
        self.alive = torch.arange(len(self.slot)) < len(self.at)
        self.block = Block(prompts, self.owner, room)
        self.age = 0  # tokens drawn in each row
        self.ids = torch.zeros(len(self.at), room, dtype=torch.long, device=device)
        self.logprobs = torch.zeros(len(self.at), room, device=device)

    def record(self, ids: torch.Tensor, logprobs: torch.Tensor, stop: torch.Tensor) -> list[tuple[Request, int, Draw]]:
        """Write one token a row down; return the draws that it ends. stop: (rows,) on the CPU."""
        slot = self.slot.to(ids.device)
        self.ids[slot, self.age], self.logprobs[slot, self.age] = ids, logprobs
        self.age += 1
        over = self.alive & (stop | (self.age == self.ids.shape[1]))
        if not over.any():
            return []
        self.alive &= ~over
        slots = self.slot[over]
        ends = ["stop" if stopped else "length" for stopped in stop[over].tolist()]
        columns = (self.ids[slots, : self.age].tolist(), self.logprobs[slots, : self.age].tolist(), ends)
        return [(*self.at[slot], Draw(*row)) for slot, *row in zip(slots.tolist(), *columns, strict=True)]

    def shrink(self) -> torch.Tensor:
        """The rows to go on with: all of them while few have ended, for leaving out rows means copying the others."""
        live = self.alive.nonzero()[:, 0]
        size = up(len(live), ROWS)
        if size > 0.9 * len(self.slot):
            return torch.arange(len(self.slot))
        rows = torch.cat([live, live[-1:].expand(size - len(live))])
        self.slot, self.alive = self.slot[rows], torch.arange(size) < len(live)
        self.owner = self.owner[rows]
        self.block.take(rows.to(self.ids.device), self.owner)
        return rows


class Batch:
    """All rows in decoding, and what each needs for its next token."""

    def __init__(self, model: PreTrainedModel, temperature: float, limit: int, stop_ids: Sequence[int]):
        self.model, self.temperature, self.limit = model, temperature, limit
        self.stop_ids = torch.tensor(list(stop_ids), dtype=torch.long)
        self.cache, self.cohorts = SharedCache(model), []
        self.rows: dict[str, torch.Tensor] = {}  # logits (B, V); key, age, position (B,)

    @property
    def size(self) -> int:
        return sum(cohort.block.rows for cohort in self.cohorts)

    def admit(self, requests: list[Request]) -> None:
        """Read these requests' prompts and let their rows in."""
        if not requests:
            return
        requests = sorted(requests, key=lambda request: up(len(request.ids), PREFIX))
        prompts = read(self.model, [request.ids for request in requests])
        cohort = Cohort(requests, prompts, self.limit)
        self.cohorts.append(cohort)
        self.cache.admit(cohort.block, prompts, cohort.owner)
        device = self.model.device
        owner = cohort.owner.to(device)
        keys = torch.tensor([signed(key) for request in requests for key in request.keys])
        new = {
            "logits": torch.stack([prompt.logits for prompt in prompts])[owner],
            "position": torch.tensor([prompt.length for prompt in prompts], device=device)[owner],
            "age": torch.zeros_like(owner),
            "key": keys[cohort.slot].to(device),
        }
        self.rows = {name: torch.cat([self.rows[name], x]) if self.rows else x for name, x in new.items()}

    def step(self) -> list[tuple[Request, int, Draw]]:
        """One more token for every row; the draws that it ended."""
        u = None if self.temperature == 0 else uniform(self.rows["key"], self.rows["age"])
        ids, logprobs = choose(self.rows.pop("logits"), u, self.temperature)
        stop = torch.isin(ids.cpu(), self.stop_ids)
        draws, kept, first = [], [], 0
        for cohort in self.cohorts:
            rows = slice(first, first + cohort.block.rows)
            draws += cohort.record(ids[rows], logprobs[rows], stop[rows])
            kept.append(first + cohort.shrink())
            first = rows.stop
        self.cohorts = [cohort for cohort in self.cohorts if cohort.block.rows]
        self.cache.blocks = [cohort.block for cohort in self.cohorts]
        rows = torch.cat(kept)
        if len(rows) < first:
            rows = rows.to(ids.device)
            ids, self.rows = ids[rows], {name: x[rows] for name, x in self.rows.items()}
            self.cache.take(rows)
        if self.cohorts:
            with shared_prefix(self.model):
                output = self.model(
                    ids[:, None],
                    position_ids=self.rows["position"][:, None],
                    past_key_values=self.cache,
                    use_cache=True,
                )
            self.rows["logits"] = output.logits[:, -1]
            self.rows["age"], self.rows["position"] = self.rows["age"] + 1, self.rows["position"] + 1
            for block in self.cache.blocks:
                block.age += 1
        else:
            self.rows = {}
        return draws


def signed(key: int) -> int:
    """A 64-bit key as torch holds it."""
    return (key & (2**64 - 1)) - 2**64 * (key >> 63 & 1)


def uniform(key: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """float64 in [0, 1) for every (key, place), both int64: the output of SplitMix64 (Steele et al., OOPSLA 2014) with
    state `key` at step `place`. int64 products wrap around, as the algorithm wants."""
    z = key + (place + 1) * signed(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> shift & (1 << 64 - shift) - 1)) * signed(factor)  # the mask makes the shift logical
    z = z ^ (z >> 31 & (1 << 33) - 1)
    return (z >> 11 & (1 << 53) - 1).double() * 2.0**-53


def choose(logits: torch.Tensor, u: torch.Tensor | None, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (B,) and their log-probabilities at temperature 1 (B,), from logits (B, V).

    Greedy if u is None; else the first token at which the cumulative distribution at `temperature` exceeds u (B,).
    Only operations that treat each row alone are used. The sum goes over blocks of tokens first, so that one pass over
    the vocabulary suffices and the running sums in float64 are short.
    """
    logits = logits.float()
    p = logits.softmax(-1)
    if u is None:
        ids = logits.argmax(-1)
    else:
        q = p if temperature == 1 else (logits / temperature).softmax(-1)
        width = 32
        q = torch.nn.functional.pad(q, (0, -q.shape[1] % width)).view(len(q), -1, width)
        blocks = q.sum(-1).double().cumsum(-1)
        target = u[:, None] * blocks[:, -1:]
        block = first_above(blocks, target)
        below = torch.where(block > 0, blocks.gather(1, (block - 1).clamp(min=0)), 0)
        inner = q[torch.arange(len(q), device=q.device), block[:, 0]].double().cumsum(-1)
        ids = (block * width + first_above(inner, target - below))[:, 0]
    return ids, p.gather(1, ids[:, None])[:, 0].log()


def first_above(sums: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(B, 1) the first place of ascending `sums` (B, n) above target (B, 1); where rounding leaves none, the place
    where the last sum is reached, which is never a token of probability zero."""
    return torch.minimum((sums <= target).sum(-1, keepdim=True), (sums < sums[:, -1:]).sum(-1, keepdim=True))
