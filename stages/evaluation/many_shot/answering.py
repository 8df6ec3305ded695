"""Who answers the prompts: a model folder by the native engine, or a chat (a server or a local chat model).

A prompt that does not fit is an error, never cut: a model folder says how long its context is; of a server that counts its
tokens, two prompts of which the longer one has no more tokens than the shorter one show that it cuts. A server that gives
every prompt the same count does not count, and shows nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from stages.evaluation.many_shot.episodes import VERSION, Group, Item, write_prompt, write_turns
from stages.lib.core.errors import UserError
from stages.lib.core.records import Record


class Row(Record):
    """An answer. problem_id: the id of its `Group`, whose shots it was given. prompt: 16 digits of the prompt's hash, equal
    for equal prompts. seen: whether a shot has the query's question. tokens: of the prompt, cached: of these what a
    server had read before; 0 where it does not say. finished: whether the reply ended before its limit of tokens. gold_nll:
    nats of the gold solution, where it was measured. oracles: those that are right, of numeric worlds."""

    problem_id: str
    query: str
    world: str
    episode: str
    arm: str
    k: int
    set_seed: int
    order_seed: int
    shots: list[str]
    seen: bool
    prompt: str
    tokens: int
    cached: int
    finished: bool
    text: str
    answer: str | None
    correct: bool
    gold_nll: float | None = None
    oracles: list[str] = []


class Reply(NamedTuple):
    text: str
    tokens: int
    cached: int
    is_finished: bool


Read = Callable[[Group, Item, Reply], tuple[str | None, bool]]  # (answer, whether it is right)


class FolderReader:
    """A model folder. chat prompts are one user turn. has_whole_tokens: one token is a whole answer, so no reply is cut."""

    def __init__(self, encoder: Any, engine: Any, max_new_tokens: int, key: str, has_whole_tokens: bool = False):
        self.encoder, self.engine, self.max_new_tokens, self.key = encoder, engine, max_new_tokens, key
        self.has_whole_tokens = has_whole_tokens
        start = encoder.tokenizer("", add_special_tokens=True)["input_ids"]
        self.start = [token for token in start if token != encoder.tokenizer.eos_token_id]  # some tokenizers write both

    def encode(self, group: Group, queries: Sequence[Item]) -> list[list[int]]:
        """Raises UserError for a prompt that does not fit."""
        from stages.lib.models.encoding import check_context_length

        texts = ["".join(write_prompt(group, query)) for query in queries]
        if self.encoder.prompt.style == "chat":
            rows = [self.encoder.prompt_ids(text) for text in texts]
        else:
            rows = [self.start + ids for ids in self.encoder.encode_texts(texts)]
        remedy = f"lower {self.key}.max_shots or {self.key}.max_new_tokens; prompts are not cut"
        limits = (self.max_new_tokens, self.engine.context_length, f"{self.key}.max_new_tokens", remedy)
        for query, ids in zip(queries, rows, strict=True):
            check_context_length(f"{query.id} after {group.k} shots", ids, *limits)
        return rows

    def drop_long(self, groups: Sequence[Group]) -> list[Group]:
        """The groups of each arm below the first K at which a prompt does not fit. Raises UserError where that is 0."""
        limits: dict[str, float] = {}
        for group in sorted(groups, key=lambda group: group.k):
            if group.k < limits.get(group.arm, math.inf):
                try:
                    self.encode(group, group.episode.queries)
                except UserError:
                    if not group.k:
                        raise
                    limits[group.arm] = group.k
        return [group for group in groups if group.k < limits.get(group.arm, math.inf)]

    def ask(self, groups: Sequence[Group]) -> list[list[Reply]]:
        """The greedy replies to the queries of each group; equal prompts are read once."""
        from stages.lib.inference.sampling import GREEDY

        prompts = [tuple(ids) for group in groups for ids in self.encode(group, group.episode.queries)]
        distinct = list(dict.fromkeys(prompts))
        replies: dict[tuple[int, ...], Reply] = {}
        rows, keys = [list(ids) for ids in distinct], [[0]] * len(distinct)  # a greedy draw has no randomness
        for i, (draw,) in self.engine.stream(rows, keys, GREEDY, self.max_new_tokens, self.encoder.stops):
            is_finished = draw.finish == "stop" or self.has_whole_tokens
            replies[distinct[i]] = Reply(self.encoder.decode_solution(draw.ids), len(distinct[i]), 0, is_finished)
        return _split([replies[ids] for ids in prompts], groups)

    def measure_nll(self, group: Group) -> list[float]:
        """Nats of each query's gold solution after the prompt; what the prompts share is read once."""
        import torch

        from stages.lib.inference import prefix_forward
        from stages.lib.models import forward

        model, queries = self.engine.model, group.episode.queries
        prompts = self.encode(group, queries)
        golds = self.encoder.encode_texts([group.episode.form.gap + query.solution for query in queries])
        rows = [ids + gold for ids, gold in zip(prompts, golds, strict=True)]
        differ = (i for i, column in enumerate(zip(*prompts, strict=False)) if len({*column}) > 1)
        shared = next(differ, len(prompts[0]))
        shared = min(
            shared, *(len(ids) - 1 for ids in prompts)
        )  # the last token of a prompt predicts the first of gold
        nats = [0.0] * len(rows)
        with torch.inference_mode():
            if shared:
                ends = [row[shared:] for row in rows]
                passes = prefix_forward.compute_hidden_states(model, prompts[0][:shared], ends)
            else:  # prompts without shots and instruction, in a tokenizer that adds nothing
                decoder, ends = forward.get_decoder(model), rows
                inputs = [torch.tensor([row], device=model.device) for row in rows]
                passes = (([i], decoder(input_ids=ids).last_hidden_state) for i, ids in enumerate(inputs))
            for members, hidden in passes:
                for i, states in zip(members, hidden, strict=True):
                    nats[i] = _sum_nats(model, states[: len(ends[i])], golds[i])
        return nats


def _sum_nats(model: Any, states: Any, gold: list[int]) -> float:
    """states (n, width): of tokens of which `gold` are the last."""
    import torch

    from stages.lib.models import heads

    output = model.get_output_embeddings()
    logits = torch.nn.functional.linear(states[-len(gold) - 1 : -1], output.weight, output.bias)
    targets = torch.tensor(gold, device=logits.device)
    logits = heads.scale_logits(logits, model.config).float()
    return float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))


class ChatReader:
    """A chat: a prompt is one user message, or with `turns` a talk in which every shot is a question and its answer."""

    def __init__(self, chat: Any, seed: int, key: str, turns: bool = False):
        self.chat, self.seed, self.key, self.turns = chat, seed, key, turns

    def write(self, group: Group, query: Item) -> str | tuple[str, ...]:
        return write_turns(group, query) if self.turns else "".join(write_prompt(group, query))

    def ask(self, groups: Sequence[Group]) -> list[list[Reply]]:
        """Raises UserError for a prompt without an answer: rows that are missing would favour short prompts."""
        requests = [
            (self.write(group, query), f"many_shot {VERSION} {self.seed}")
            for group in groups
            for query in group.episode.queries
        ]
        answers, replies = self.chat.ask_many(requests), []
        for (prompt, key), answer in zip(requests, answers, strict=True):
            if isinstance(answer, Exception):
                raise UserError(
                    f"{self.key}: a prompt of {len(''.join(prompt))} characters has no answer ({answer}); lower {self.key}."
                    "max_shots, or run again: answers so far are kept"
                )
            reply = self.chat.get_reply(prompt, key)
            replies.append(Reply(answer, reply.tokens_in, reply.tokens_reused, reply.finish == "stop"))
        return _split(replies, groups)


def _split(replies: Sequence[Reply], groups: Sequence[Group]) -> list[list[Reply]]:
    rest = iter(replies)
    return [[next(rest) for _ in group.episode.queries] for group in groups]


def make_rows(group: Group, replies: Sequence[Reply], read: Read, **known: Sequence[Any]) -> list[Row]:
    """known: further fields, a value for each query."""
    rows = []
    for i, (query, reply) in enumerate(zip(group.episode.queries, replies, strict=True)):
        answer, correct = read(group, query, reply)
        rows.append(
            Row(
                problem_id=group.id,
                query=query.id,
                world=group.episode.world,
                episode=group.episode.name,
                arm=group.arm,
                k=group.k,
                set_seed=group.set_seed,
                order_seed=group.order_seed,
                shots=[shot.id for shot in group.shots],
                seen=any(shot.question == query.question for shot in group.shots),
                prompt=hashlib.sha256("".join(write_prompt(group, query)).encode()).hexdigest()[:16],
                tokens=reply.tokens,
                cached=reply.cached,
                finished=reply.is_finished,
                text=reply.text,
                answer=answer,
                correct=correct,
                **{name: values[i] for name, values in known.items()},
            )
        )
    return rows


def counts_tokens(rows: Iterable[Row]) -> bool:
    """Whether counts of tokens tell prompts apart. Some servers say nothing (0), or the same of every prompt."""
    return len({row.tokens for row in rows}) > 1


def check_not_cut(rows: Sequence[Row]) -> None:
    """Raises UserError where twice the shots took no more tokens: then whoever answered has cut the prompt. A server that
    does not count (`counts_tokens`) is let pass; the report says so."""
    if not counts_tokens(rows):
        return
    tokens = {
        (row.world, row.episode, row.arm, row.set_seed, row.query, row.k): row.tokens
        for row in rows
        if not row.order_seed
    }
    for place, count in tokens.items():
        query, k = place[4:]
        fewer = tokens.get((*place[:5], k // 2), 0) if k > 1 else 0
        if fewer and count and count <= fewer:
            raise UserError(
                f"many_shot: {query}: {k} shots took {count} tokens and {k // 2} took {fewer}, so the prompt was cut; "
                "raise the server's context or lower max_shots (where it counts only what it reads anew, turn its cache of "
                "prompts off)"
            )
