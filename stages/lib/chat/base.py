"""What every chat is: prompts in, answers out, each kept on disk, and a ledger of what they cost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from stages.lib.chat.retry import NoAnswerError
from stages.lib.core import seeds
from stages.lib.core.json_cache import open_cache

VERSION = 1

T, U = TypeVar("T"), TypeVar("U")
Request = tuple[str, str]  # a prompt and a key
Progress = Callable[[Iterable[T], int], Iterable[T]]  # (items, how many) -> the items


class Reply(NamedTuple):
    text: str
    tokens_in: int
    tokens_out: int


class Usage:
    """What a chat cost so far. `totals` fits `Execution.count`."""

    def __init__(self, price_in: float | None = None, price_out: float | None = None):
        self._prices = (price_in, price_out)
        self._lock = threading.Lock()
        self._amounts = {"calls": 0, "cached": 0, "retries": 0, "tokens_in": 0, "tokens_out": 0}

    def add(self, **amounts: int) -> None:
        with self._lock:
            for name, amount in amounts.items():
                self._amounts[name] += amount

    def get_totals(self) -> dict[str, float]:
        """calls, cached, retries, tokens_in, tokens_out and, where both prices are known, cost."""
        with self._lock:
            totals: dict[str, float] = dict(self._amounts)
        if None not in self._prices:
            totals["cost"] = (totals["tokens_in"] * self._prices[0] + totals["tokens_out"] * self._prices[1]) / 1e6
        return totals


class Chat:
    """A model that answers prompts; safe to use from several threads. threads: how many `map` runs."""

    def __init__(self, identity: dict[str, Any], cache: Path, ledger: Usage, threads: int):
        self.identity, self.usage, self.threads = identity, ledger, threads
        self._cache = open_cache(cache)

    def ask(self, prompt: str, key: str) -> str:
        """The model's answer. Raises NoAnswer, and UserError for what asking again would not mend."""
        raise NotImplementedError

    def ask_many(self, asks: Sequence[Request], progress: Progress | None = None) -> list[str | NoAnswerError]:
        """The answer to each (prompt, key), in their order, many at a time; equal asks are paid once."""
        distinct = list(dict.fromkeys(asks))
        coming = self._iter_replies(distinct)
        answers = dict(progress(coming, len(distinct)) if progress else coming)
        return [answers[ask] for ask in asks]

    def map(self, function: Callable[[T], U], items: Iterable[T]) -> list[U]:
        """`function` of each item, in their order, on `threads` threads; the first exception ends it."""
        return list(self._iter_map(function, items))

    def _iter_map(self, function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
        pool = ThreadPoolExecutor(self.threads)
        try:
            yield from pool.map(function, items)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _iter_replies(self, asks: Sequence[Request]) -> Iterator[tuple[Request, str | NoAnswerError]]:
        """The answers to distinct asks, as they come."""
        raise NotImplementedError

    def _get_cached(self, prompt: str, key: str) -> str | None:
        known = self._cache.get([self.identity, prompt, key])
        if known is None:
            return None
        self.usage.add(cached=1)
        return known["text"]

    def _save_reply(self, prompt: str, key: str, reply: Reply) -> str:
        self._cache.set([self.identity, prompt, key], reply._asdict())  # on disk before anybody uses it
        self.usage.add(calls=1)
        return reply.text


def derive_seed(prompt: str, key: str) -> int:
    """Of 64 bits, from which an answer is drawn."""
    return seeds.key("chat", VERSION, prompt, key)
