"""What every chat shares: prompts in, answers out, each answer cached on disk, and a count of what they cost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from stages.lib.chat.retry import NoAnswerError
from stages.lib.core import seeds
from stages.lib.core.json_cache import open_cache

VERSION = 1  # part of every seed

T = TypeVar("T")
U = TypeVar("U")
Request = tuple[str, str]  # a prompt and a key
Progress = Callable[[Iterable[Any], int], Iterable[Any]]  # (items, their number) -> the items


class Reply(NamedTuple):
    text: str
    tokens_in: int
    tokens_out: int
    tokens_reused: int = 0  # of tokens_in, what the server had read before


class Usage:
    """What a chat has cost so far. Prices are per million tokens."""

    def __init__(self, price_in: float | None = None, price_out: float | None = None):
        self._prices = (price_in, price_out)
        self._lock = threading.Lock()
        self._amounts: dict[str, int] = {"calls": 0, "cached": 0, "retries": 0, "tokens_in": 0, "tokens_out": 0}

    def add(self, **amounts: int) -> None:
        with self._lock:
            for name, amount in amounts.items():
                self._amounts[name] += amount

    def get_totals(self) -> dict[str, float]:
        """calls, cached, retries, tokens_in, tokens_out and, if both prices are known, cost. Fits `StageRun.count`."""
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

    def ask(self, prompt: str, key: str) -> str:
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

    def _get_cached(self, prompt: str, key: str) -> str | None:
        reply: Any = self._cache.get([self.identity, prompt, key])
        if reply is None:
            return None
        self.usage.add(cached=1)
        return reply["text"]

    def get_prompt_tokens(self, prompt: str, key: str) -> tuple[int, int]:
        """(tokens of a prompt that was answered, those of them that the server had read before); 0 where it did not say."""
        reply: Any = self._cache.get([self.identity, prompt, key]) or {}
        return reply.get("tokens_in", 0), reply.get("tokens_reused", 0)

    def _save_reply(self, prompt: str, key: str, reply: Reply) -> str:
        self._cache.set([self.identity, prompt, key], reply._asdict())  # on disk before anybody uses it
        self.usage.add(calls=1)
        return reply.text


def derive_seed(prompt: str, key: str) -> int:
    """The 64-bit seed of an answer."""
    return seeds.key("chat", VERSION, prompt, key)
