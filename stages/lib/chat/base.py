"""What every chat shares: prompts in, answers out, each answer cached on disk, and a count of what they cost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from stages.lib.chat.retry import NoAnswerError
from stages.lib.core import seeds
from stages.lib.core.json_cache import open_cache

VERSION = 1  # part of every seed

T = TypeVar("T")
U = TypeVar("U")
# A prompt is one text, or the turns of a talk: user, assistant, user, ..., the last one of the user.
Prompt = str | tuple[str, ...]
Request = tuple[Prompt, str]  # a prompt and a key
Progress = Callable[[Iterable[Any], int], Iterable[Any]]  # (items, their number) -> the items


class Reply(NamedTuple):
    """finish: length, where the answer was cut off at the limit of tokens."""

    text: str
    tokens_in: int
    tokens_out: int
    tokens_reused: int = 0  # of tokens_in, what the server had read before
    finish: Literal["stop", "length"] = "stop"


class Usage:
    """What a chat has cost so far. Prices are per million tokens."""

    def __init__(self, price_in: float | None = None, price_out: float | None = None):
        self._prices = (price_in, price_out)
        self._lock = threading.Lock()
        names = ("calls", "cached", "retries", "tokens_in", "tokens_out", "tokens_reused")
        self._amounts: dict[str, int] = dict.fromkeys(names, 0)

    def add(self, **amounts: int) -> None:
        with self._lock:
            for name, amount in amounts.items():
                self._amounts[name] += amount

    def get_totals(self) -> dict[str, float]:
        """calls, cached (answers that were on disk), retries, tokens_in, tokens_out, tokens_reused (of tokens_in, what the
        server had read before) and, if both prices are known, cost. Fits `StageRun.count`."""
        with self._lock:
            totals: dict[str, float] = {**self._amounts}
        price_in, price_out = self._prices
        if price_in is not None and price_out is not None:
            totals["cost"] = (totals["tokens_in"] * price_in + totals["tokens_out"] * price_out) / 1e6
        return totals


class Chat:
    """A model that answers prompts, safe to use from several threads. threads: number of threads of `map`, and the most
    requests that are sent to a server at a time."""

    def __init__(self, identity: dict[str, Any], cache: Path, usage: Usage, threads: int):
        self.identity, self.usage, self.threads = identity, usage, threads
        self._cache = open_cache(cache)
        self._costs: dict[int, tuple[int, ...]] = {}  # of each answered request, so that one asked again counts once

    @property
    def name(self) -> str:
        """The name of a model on a server, or the digest of a local one."""
        return self.identity.get("model") or f"local:{self.identity['sha256'][:16]}"

    def ask(self, prompt: Prompt, key: str) -> str:
        """The model's answer. Raises NoAnswerError, and UserError for an error that a retry would not fix."""
        raise NotImplementedError

    def ask_many(self, requests: Sequence[Request], progress: Progress | None = None) -> list[str | NoAnswerError]:
        """The answer to each (prompt, key), in order, many at a time. Equal requests are sent once."""
        distinct = list(dict.fromkeys(requests))
        replies = self._iter_replies(distinct)
        answers = dict(progress(replies, len(distinct)) if progress else replies)
        return [answers[request] for request in requests]

    def map(self, function: Callable[[T], U], items: Iterable[T]) -> list[U]:
        """`function` of each item, in order, on `threads` threads. The first exception ends it."""
        return list(self._iter_map(function, items))

    def _iter_map(self, function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
        pool = ThreadPoolExecutor(self.threads)
        try:
            yield from pool.map(function, items)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _iter_replies(self, requests: Sequence[Request]) -> Iterator[tuple[Request, str | NoAnswerError]]:
        """The answers to distinct requests, in any order."""
        raise NotImplementedError

    def _get_cached(self, prompt: Prompt, key: str) -> str | None:
        reply: Any = self._cache.get([self.identity, prompt, key])
        if reply is None:
            return None
        self.usage.add(cached=1)
        self._note_cost(prompt, key, reply)
        return reply["text"]

    def get_reply(self, prompt: Prompt, key: str) -> Reply:
        """The answer to a prompt that was answered, with its counts, 0 where the server did not say, and whether it was
        cut off. Raises KeyError for any other prompt."""
        reply: Any = self._cache.get([self.identity, prompt, key])
        if reply is None:
            raise KeyError(key)
        return Reply(**reply)

    def _note_cost(self, prompt: Prompt, key: str, reply: Any) -> None:
        self._costs[hash((prompt, key))] = tuple(
            reply.get(name, 0) for name in ("tokens_in", "tokens_reused", "tokens_out")
        )

    def summarize(self) -> dict[str, Any]:
        """temperature, max_tokens (of an answer), and of all that was asked here and answered, also in an earlier run:
        requests, tokens_in, tokens_reused (what the server had read before) and tokens_out. Unlike `usage`, it does not
        tell a resumed run from another."""
        sampling = {name: self.identity[name] for name in ("temperature", "max_tokens")}
        columns = list(zip(*self._costs.values(), strict=True)) or [(), (), ()]
        totals = dict(zip(("tokens_in", "tokens_reused", "tokens_out"), map(sum, columns), strict=True))
        return {**sampling, "requests": len(self._costs), **totals}

    def _save_reply(self, prompt: Prompt, key: str, reply: Reply) -> str:
        self._cache.set([self.identity, prompt, key], reply._asdict())  # on disk before anybody uses it
        self.usage.add(calls=1)
        self._note_cost(prompt, key, reply._asdict())
        return reply.text


def describe_cost(agent: str, counts: Mapping[str, Any]) -> str:
    """Two sentences for a report. counts: of `Chat.summarize`."""
    return (
        f"{agent}: {counts['requests']:,} requests, {counts['tokens_in']:,} tokens read, of which the server had "
        f"{counts['tokens_reused']:,} cached, {counts['tokens_out']:,} written; stored answers count as if asked again. "
        f"It was asked at temperature {counts['temperature']:g} for {counts['max_tokens']:,} tokens an answer at most."
    )


def derive_seed(prompt: Prompt, key: str) -> int:
    """The 64-bit seed of an answer."""
    return seeds.key("chat", VERSION, *([prompt] if isinstance(prompt, str) else prompt), key)


def write_turns(prompt: Prompt, system: str | None) -> list[dict[str, str]]:
    """The messages of a prompt, after a system turn where there is one."""
    turns = [prompt] if isinstance(prompt, str) else prompt
    roles = ("user", "assistant")
    talk = [{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]
    return [{"role": "system", "content": system}, *talk] if system else talk
