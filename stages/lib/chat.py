"""Asking a language model in text: one small interface over any OpenAI-compatible server and over a local model.

`make(kind, cache, **settings)` gives a `Chat`; `chat.ask(prompt, key)` gives the answer's text. Answers are kept on disk
under (model, settings, prompt, key) before they are used, so a crash loses none that was paid for and a second run pays
nothing; another key draws another answer. Failures are retried with exponential backoff and jitter, not sooner than the
server's Retry-After says, and at most `tries` times; then `NoAnswer` is raised. `chat.ledger` counts what it all cost.

A server's key comes from the environment variable named in the settings. It is in no setting, error, log or cache.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import Field, ValidationError

from stages.lib import files, models, seeds
from stages.lib.errors import UserError
from stages.lib.params import Params
from stages.lib.patience import NoAnswer, patient
from stages.lib.records import explain
from stages.lib.store import open_store

VERSION = 1

T, U = TypeVar("T"), TypeVar("U")


class OpenAI(Params):
    """A server that speaks OpenAI's chat completions. Prices are per million tokens, in any currency."""

    model: str = Field(min_length=1)
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


class Local(Params):
    """A transformers model in a folder, run here."""

    model: str = Field(min_length=1)
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    temperature: float = Field(0.0, ge=0)
    max_tokens: int = Field(256, ge=1)


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
    """A model that answers prompts; safe to use from several threads."""

    def __init__(
        self,
        identity: dict[str, Any],
        reply: Callable[[str, int], Reply],
        cache: Path,
        ledger: Ledger,
        threads: int = 1,
    ):
        self.identity, self.ledger, self.threads = identity, ledger, threads
        self._reply, self._answers = reply, open_store(cache)

    def ask(self, prompt: str, key: str) -> str:
        """The model's answer. Raises NoAnswer, and UserError for what asking again would not mend."""
        return self._ask(prompt, key)

    def ask_many(self, asks: Sequence[tuple[str, str]]) -> list[str | NoAnswer]:
        """The answer to each (prompt, key), in their order, several at a time; equal asks are paid once."""

        def one(ask: tuple[str, str]) -> str | NoAnswer:
            try:
                return self.ask(*ask)
            except NoAnswer as failure:
                return failure

        distinct = list(dict.fromkeys(asks))
        answers = dict(zip(distinct, self.map(one, distinct), strict=True))
        return [answers[ask] for ask in asks]

    def map(self, function: Callable[[T], U], items: Iterable[T]) -> list[U]:
        """`function` of each item, in their order, on `threads` threads; the first exception ends it."""
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(self.threads)
        try:
            return list(pool.map(function, items))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, prompt: str, key: str) -> str:
        name = [self.identity, prompt, key]
        known = self._answers.get(name)
        if known is not None:
            self.ledger.add(cached=1)
            return known["text"]
        reply = self._reply(prompt, seeds.key("chat", VERSION, prompt, key) >> 33)  # servers take 31-bit seeds
        self._answers.set(name, reply._asdict())  # on disk before anybody uses it
        self.ledger.add(calls=1)
        return reply.text


def make(kind: Literal["openai", "hf"], cache: Path, **settings: Any) -> Chat:
    """A chat of the kind, its answers kept in the folder `cache`. Raises UserError for settings that do not fit."""
    kinds: dict[str, tuple[type[Params], Callable[..., Chat]]] = {"openai": (OpenAI, _openai), "hf": (Local, _local)}
    if kind not in kinds:
        raise UserError(f"chat kind {kind!r}: unknown; allowed: {', '.join(kinds)}")
    section, build = kinds[kind]
    try:
        return build(section.model_validate(settings), Path(cache))
    except ValidationError as error:
        raise UserError(f"settings of the {kind} chat: {explain(error)}") from None


# A server.


def _openai(settings: OpenAI, cache: Path) -> Chat:
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
    sampling = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}

    def once(prompt: str, seed: int) -> Reply:
        done = client.chat.completions.create(
            model=settings.model, messages=[{"role": "user", "content": prompt}], seed=seed, **sampling
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
    return Chat(identity, reply, cache, ledger, settings.threads)


def _complaint(done: Any) -> str:
    """What a server says that sent no answer: some put an error into a body that they call a success."""
    error = getattr(done, "error", None)
    said = error.get("message") if isinstance(error, dict) else error
    return f"the server sent no answer, but: {said}" if said else "the server sent a body without choices"


# A model in this process.


def _local(settings: Local, cache: Path) -> Chat:
    """Greedy at temperature 0; else each answer is drawn with a seed of its own, so order and threads change nothing."""
    folder = Path(settings.model)
    if not folder.is_dir():
        raise UserError(f"{folder}: not a folder; name one that `save_pretrained` wrote")
    model, tokenizer = models.load_causal_lm(folder, settings.dtype), models.load_tokenizer(folder)
    ledger, lock = Ledger(), threading.Lock()

    def reply(prompt: str, seed: int) -> Reply:
        import torch

        if tokenizer.chat_template:
            message = [{"role": "user", "content": prompt}]
            prompt = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        tokens = tokenizer(prompt, return_tensors="pt", add_special_tokens=not tokenizer.chat_template)["input_ids"]
        sampling = {"do_sample": True, "temperature": settings.temperature, "top_k": 0} if settings.temperature else {}
        with lock, torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            out = model.generate(
                tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=settings.max_tokens,
                pad_token_id=tokenizer.eos_token_id, **(sampling or {"do_sample": False}),
            )[0, tokens.shape[1] :]  # fmt: skip
        ledger.add(tokens_in=tokens.shape[1], tokens_out=len(out))
        return Reply(tokenizer.decode(out, skip_special_tokens=True), tokens.shape[1], len(out))

    sha256 = files.sha256(folder)
    identity = {"kind": "hf", "sha256": sha256, **settings.model_dump(exclude={"model"})}
    return Chat(identity, reply, cache, ledger)
