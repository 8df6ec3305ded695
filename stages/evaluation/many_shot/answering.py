"""Who answers the prompts: a model folder by the native engine, or a chat (a server or a local chat model).

A prompt that does not fit is an error, never cut: a model folder says how long its context is; of a server that counts its
tokens, two prompts of which the longer one has no more tokens than the shorter one show that it cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from stages.evaluation.many_shot.episodes import VERSION, Group, Item, write_prompt
from stages.lib.core.errors import UserError
from stages.lib.core.records import Record


class Row(Record):
    """An answer. problem_id: the id of its `Group`, whose shots it was given. tokens: of the prompt, cached: of these what
    a server had read before; 0 where it does not say. gold_nll: nats of the gold solution, where it was measured. oracles:
    those that are right, of numeric worlds."""

    problem_id: str
    query: str
    world: str
    episode: str
    arm: str
    k: int
    set_seed: int
    order_seed: int
    shots: list[str]
    tokens: int
    cached: int
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
    """A model folder. chat prompts are one user turn."""

    def __init__(self, encoder: Any, engine: Any, max_new_tokens: int, key: str):
        self.encoder, self.engine, self.max_new_tokens, self.key = encoder, engine, max_new_tokens, key

    def encode(self, group: Group, query: Item) -> list[int]:
        """Raises UserError for a prompt that does not fit."""
        from stages.lib.models.encoding import check_context_length

        shots, opening = write_prompt(group, query)
        if self.encoder.prompt.style == "chat":
            ids = self.encoder.prompt_ids(shots + opening)
        else:
            start = self.encoder.tokenizer("", add_special_tokens=True)["input_ids"]  # some tokenizers end it, too
            start = [token for token in start if token != self.encoder.tokenizer.eos_token_id]
            ids = start + self.encoder.encode_texts([shots + opening])[0]
        remedy = f"lower {self.key}.max_shots or {self.key}.max_new_tokens; prompts are not cut"
        limits = (self.max_new_tokens, self.engine.context_length, f"{self.key}.max_new_tokens", remedy)
        check_context_length(f"{query.id} after {group.k} shots", ids, *limits)
        return ids

    def ask(self, groups: Sequence[Group]) -> list[list[Reply]]:
        """The greedy replies to the queries of each group."""
        from stages.lib.inference.sampling import GREEDY

        prompts = [self.encode(group, query) for group in groups for query in group.episode.queries]
        stops = self.encoder.stops
        replies: list[Any] = [None] * len(prompts)
        keys = [[0]] * len(prompts)  # a greedy draw has no randomness
        for i, (draw,) in self.engine.stream(prompts, keys, GREEDY, self.max_new_tokens, stops):
            text = self.encoder.decode_solution(draw.ids)
            replies[i] = Reply(text, len(prompts[i]), 0, draw.finish == "stop")
        return _split(replies, groups)

    def measure_nll(self, group: Group) -> list[float]:
        """Nats of each query's gold solution after the prompt; what the prompts share is read once."""
        prompts = [self.encode(group, query) for query in group.episode.queries]
        gap = group.episode.form.gap
        golds = self.encoder.encode_texts([gap + query.solution for query in group.episode.queries])
        first = next((i for i, column in enumerate(zip(*prompts, strict=False)) if len(set(column)) > 1), None)
        shared = min(len(ids) - 1 for ids in prompts) if first is None else first
        if shared == 0:  # prompts that share nothing: each is its own prefix
            pairs = zip(prompts, golds, strict=True)
            return [self._measure(ids[:-1], [ids[-1:] + gold], [gold])[0] for ids, gold in pairs]
        rows = [ids[shared:] + gold for ids, gold in zip(prompts, golds, strict=True)]
        return self._measure(prompts[0][:shared], rows, golds)

    def _measure(self, prefix: list[int], rows: list[list[int]], golds: list[list[int]]) -> list[float]:
        import torch

        from stages.lib.inference import prefix_forward
        from stages.lib.models import heads

        model = self.engine.model
        if not prefix:  # a prompt of one token
            prefix, rows = rows[0][:1], [row[1:] for row in rows]
        output, nats = model.get_output_embeddings(), [0.0] * len(rows)
        with torch.inference_mode():
            for members, hidden in prefix_forward.compute_hidden_states(model, prefix, rows):
                for i, states in zip(members, hidden, strict=True):
                    end = len(rows[i])
                    before = states[end - len(golds[i]) - 1 : end - 1]
                    targets = torch.tensor(golds[i], device=before.device)
                    logits = heads.scale_logits(
                        torch.nn.functional.linear(before, output.weight, output.bias), model.config
                    )
                    nats[i] = float(torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum"))
        return nats


class ChatReader:
    """A chat: a prompt is one user message."""

    def __init__(self, chat: Any, seed: int, key: str):
        self.chat, self.seed, self.key = chat, seed, key

    def ask(self, groups: Sequence[Group]) -> list[list[Reply]]:
        """Raises UserError for a prompt without an answer: rows that are missing would favour short prompts."""
        requests = [
            ("".join(write_prompt(group, query)), f"many_shot {VERSION} {self.seed}")
            for group in groups
            for query in group.episode.queries
        ]
        answers, replies = self.chat.ask_many(requests), []
        for (prompt, key), answer in zip(requests, answers, strict=True):
            if isinstance(answer, Exception):
                raise UserError(
                    f"{self.key}: a prompt of {len(prompt)} characters has no answer ({answer}); lower {self.key}."
                    "max_shots, or run again: answers so far are kept"
                )
            tokens, cached = self.chat.get_prompt_tokens(prompt, key)
            replies.append(Reply(answer, tokens, cached, True))
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
                tokens=reply.tokens,
                cached=reply.cached,
                text=reply.text,
                answer=answer,
                correct=correct,
                **{name: values[i] for name, values in known.items()},
            )
        )
    return rows


def check_not_cut(rows: Sequence[Row]) -> None:
    """Raises UserError where twice the shots took no more tokens: then whoever answered has cut the prompt."""
    tokens = {
        (row.world, row.episode, row.arm, row.set_seed, row.query, row.k): row.tokens
        for row in rows
        if not row.order_seed
    }
    for (*place, k), count in tokens.items():
        fewer = tokens.get((*place, k // 2), 0) if k > 1 else 0
        if fewer and count and count <= fewer:
            raise UserError(
                f"many_shot: {place[-1]}: {k} shots took {count} tokens and {k // 2} took {fewer}, so the prompt was cut; "
                "raise the server's context or lower max_shots"
            )
