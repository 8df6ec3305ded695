"""Asking a language model in text: one small interface over any OpenAI-compatible server and over a local model.

`make(kind, cache, **settings)` gives a `Chat`; `chat.ask(prompt, key)` gives the answer's text. Answers are kept on disk
under (model, settings, prompt, key) before they are used, so a crash loses none that was paid for and a second run pays
nothing; another key draws another answer. Who has many prompts gives them all to `ask_many`, or asks from the threads of
`map`: a server is sent several at once, and a local model answers in batches all that was asked meanwhile.

A server's failures are retried with exponential backoff and jitter, not sooner than its Retry-After says, and at most
`tries` times; then `NoAnswer` is raised. Its key comes from the environment variable named in the settings. It is in no
setting, error, log or cache. `chat.ledger` counts what it all cost.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import Field, ValidationError

from stages.lib import seeds
from stages.lib.errors import UserError
from stages.lib.params import Params
from stages.lib.patience import NoAnswer, patient
from stages.lib.records import explain
from stages.lib.store import open_store

VERSION = 1

T, U = TypeVar("T"), TypeVar("U")
Ask = tuple[str, str]  # a prompt and a key
Progress = Callable[[Iterable[T], int], Iterable[T]]  # (items, how many) -> the items


class OpenAI(Params):
    """A server that speaks OpenAI's chat completions. Prices are per million tokens, in any currency."""

    model: str = Field(min_length=1)
    system: str | None = None  # a system turn before every prompt
    base_url: str = Field(pattern=r"^https?://")
    key_env: str | None = "OPENAI_API_KEY"  # null: the server asks for no key
    temperature: float = Field(0.7, ge=0)
    max_tokens: int = Field(1000, ge=1)
    timeout: float = Field(60.0, gt=0)  # seconds for one request
    tries: int = Field(6, ge=1)
    backoff: float = Field(1.0, gt=0)  # seconds, doubled with every try
    threads: int = Field(8, ge=1)
    price_in: float | None = Field(None, ge=0)
    price_out: float | None = Field(None, ge=0)


class Reply(NamedTuple):
    text: str
    tokens_in: int
    tokens_out: int


class Ledger:
    """What a chat cost so far. `totals` fits `Execution.count`."""

    def __init__(self, price_in: float | None = None, price_out: float | None = None):
        self._prices = (price_in, price_out)
        self._lock = threading.Lock()
        self._amounts = {"calls": 0, "cached": 0, "retries": 0, "tokens_in": 0, "tokens_out": 0}

    def add(self, **amounts: int) -> None:
        with self._lock:
            for name, amount in amounts.items():
                self._amounts[name] += amount

    def totals(self) -> dict[str, float]:
        """calls, cached, retries, tokens_in, tokens_out and, where both prices are known, cost."""
        with self._lock:
            totals: dict[str, float] = dict(self._amounts)
        if None not in self._prices:
            totals["cost"] = (totals["tokens_in"] * self._prices[0] + totals["tokens_out"] * self._prices[1]) / 1e6
        return totals


class Chat:
    """A model that answers prompts; safe to use from several threads. threads: how many `map` runs."""

    def __init__(self, identity: dict[str, Any], cache: Path, ledger: Ledger, threads: int):
        self.identity, self.ledger, self.threads = identity, ledger, threads
        self._answers = open_store(cache)

    def ask(self, prompt: str, key: str) -> str:
        """The model's answer. Raises NoAnswer, and UserError for what asking again would not mend."""
        raise NotImplementedError

    def ask_many(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[str | NoAnswer]:
        """The answer to each (prompt, key), in their order, many at a time; equal asks are paid once."""
        distinct = list(dict.fromkeys(asks))
        coming = self._replies(distinct)
        answers = dict(progress(coming, len(distinct)) if progress else coming)
        return [answers[ask] for ask in asks]

    def map(self, function: Callable[[T], U], items: Iterable[T]) -> list[U]:
        """`function` of each item, in their order, on `threads` threads; the first exception ends it."""
        return list(self._mapped(function, items))

    def _mapped(self, function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
        pool = ThreadPoolExecutor(self.threads)
        try:
            yield from pool.map(function, items)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _replies(self, asks: Sequence[Ask]) -> Iterator[tuple[Ask, str | NoAnswer]]:
        """The answers to distinct asks, as they come."""
        raise NotImplementedError

    def _known(self, prompt: str, key: str) -> str | None:
        known = self._answers.get([self.identity, prompt, key])
        if known is None:
            return None
        self.ledger.add(cached=1)
        return known["text"]

    def _keep(self, prompt: str, key: str, reply: Reply) -> str:
        self._answers.set([self.identity, prompt, key], reply._asdict())  # on disk before anybody uses it
        self.ledger.add(calls=1)
        return reply.text


def seed(prompt: str, key: str) -> int:
    """Of 64 bits, from which an answer is drawn."""
    return seeds.key("chat", VERSION, prompt, key)


def make(kind: Literal["openai", "hf"], cache: Path, /, **settings: Any) -> Chat:
    """A chat of the kind, its answers kept in the folder `cache`. Raises UserError for settings that do not fit."""
    from stages.lib.local_chat import Local, LocalChat

    kinds: dict[str, tuple[type[Params], Callable[..., Chat]]] = {"openai": (OpenAI, _server), "hf": (Local, LocalChat)}
    if kind not in kinds:
        raise UserError(f"chat kind {kind!r}: unknown; allowed: {', '.join(kinds)}")
    section, build = kinds[kind]
    if unknown := sorted(settings.keys() - section.model_fields):
        raise UserError(
            f"settings of the {kind} chat: {unknown[0]}: unknown key; allowed: {', '.join(section.model_fields)}"
        )
    try:
        checked = section.model_validate(settings)
    except ValidationError as error:
        raise UserError(f"settings of the {kind} chat: {explain(error)}") from None
    return build(checked, Path(cache))


# A server.


class ServerChat(Chat):
    """reply: the answer to (prompt, 31-bit seed), which is what servers take. A failure is a NoAnswer of its own ask."""

    def __init__(self, reply: Callable[[str, int], Reply], *arguments: Any):
        super().__init__(*arguments)
        self._reply = reply

    def ask(self, prompt: str, key: str) -> str:
        known = self._known(prompt, key)
        return known if known is not None else self._keep(prompt, key, self._reply(prompt, seed(prompt, key) >> 33))

    def _replies(self, asks: Sequence[Ask]) -> Iterator[tuple[Ask, str | NoAnswer]]:
        def one(ask: Ask) -> tuple[Ask, str | NoAnswer]:
            try:
                return ask, self.ask(*ask)
            except NoAnswer as failure:
                return ask, failure

        return self._mapped(one, asks)


def _server(settings: OpenAI, cache: Path) -> ServerChat:
    secret = ""
    if settings.key_env is not None:
        secret = os.environ.get(settings.key_env, "")
        if not secret:
            raise UserError(
                f"environment variable {settings.key_env}: not set; put the key of {settings.base_url} in it"
            )
    import openai

    client = openai.OpenAI(
        api_key=secret or "none", base_url=settings.base_url, timeout=settings.timeout, max_retries=0,
        organization="", project="",
    )  # fmt: skip
    ledger = Ledger(settings.price_in, settings.price_out)
    before = [{"role": "system", "content": settings.system}] if settings.system else []
    sampling = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}

    def once(prompt: str, seed: int) -> Reply:
        done = client.chat.completions.create(
            model=settings.model, messages=[*before, {"role": "user", "content": prompt}], seed=seed, **sampling
        )
        spent = getattr(done, "usage", None)
        tokens = [int(getattr(spent, name, 0) or 0) for name in ("prompt_tokens", "completion_tokens")]
        ledger.add(tokens_in=tokens[0], tokens_out=tokens[1])  # an unusable answer is paid too
        if not done.choices:
            raise ValueError(_complaint(done))
        text = done.choices[0].message.content
        if isinstance(text, list):  # as some servers send it: in parts
            text = "".join(part.get("text") or "" for part in text)
        if not isinstance(text, str) or not text.strip():
            raise ValueError("the answer is empty")
        return Reply(text, *tokens)

    reply = patient(
        once, f"{settings.base_url}, model {settings.model}", settings.tries, settings.backoff,
        lambda: ledger.add(retries=1), lambda text: text.replace(secret, "[key]") if secret else text,
    )  # fmt: skip
    identity = {"kind": "openai", "base_url": settings.base_url, "model": settings.model, **sampling}
    identity |= {"system": settings.system} if settings.system else {}
    return ServerChat(reply, identity, cache, ledger, settings.threads)


def _complaint(done: Any) -> str:
    """What a server says that sent no answer: some put an error into a body that they call a success."""
    error = getattr(done, "error", None)
    said = error.get("message") if isinstance(error, dict) else error
    return f"the server sent no answer, but: {said}" if said else "the server sent a body without choices"
