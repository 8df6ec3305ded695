"""A chat with a server that speaks OpenAI's chat completions, several requests at a time.

Failures are retried with exponential backoff and jitter, not sooner than the server's Retry-After says, and at most `tries`
times; then `NoAnswerError` is raised. The key comes from the environment variable named in the settings. It is in no setting,
error, log or cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from stages.lib.chat.base import Chat, Reply, Request, Usage, derive_seed
from stages.lib.chat.retry import NoAnswerError, add_retries
from stages.lib.core.errors import UserError
from stages.lib.core.params import Params


class OpenAIParams(Params):
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


class ServerChat(Chat):
    """reply: the answer to (prompt, 31-bit seed), which is what servers take. A failure is a NoAnswer of its own ask."""

    def __init__(self, reply: Callable[[str, int], Reply], *arguments: Any):
        super().__init__(*arguments)
        self._request = reply

    def ask(self, prompt: str, key: str) -> str:
        known = self._get_cached(prompt, key)
        return (
            known
            if known is not None
            else self._save_reply(prompt, key, self._request(prompt, derive_seed(prompt, key) >> 33))
        )

    def _iter_replies(self, asks: Sequence[Request]) -> Iterator[tuple[Request, str | NoAnswerError]]:
        def one(ask: Request) -> tuple[Request, str | NoAnswerError]:
            try:
                return ask, self.ask(*ask)
            except NoAnswerError as failure:
                return ask, failure

        return self._iter_map(one, asks)


def create_server_chat(settings: OpenAIParams, cache: Path) -> ServerChat:
    secret = ""
    if settings.key_env is not None:
        secret = os.environ.get(settings.key_env, "")
        if not secret:
            raise UserError(
                f"environment variable {settings.key_env}: not set; put the key of {settings.base_url} in it"
            )
    import openai

    client = openai.OpenAI(
        api_key=secret or "none",
        base_url=settings.base_url,
        timeout=settings.timeout,
        max_retries=0,
        organization="",
        project="",
    )
    ledger = Usage(settings.price_in, settings.price_out)
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
            raise ValueError(_describe_failure(done))
        text = done.choices[0].message.content
        if isinstance(text, list):  # as some servers send it: in parts
            text = "".join(part.get("text") or "" for part in text)
        if not isinstance(text, str) or not text.strip():
            raise ValueError("the answer is empty")
        return Reply(text, *tokens)

    reply = add_retries(
        once,
        f"{settings.base_url}, model {settings.model}",
        settings.tries,
        settings.backoff,
        lambda: ledger.add(retries=1),
        lambda text: text.replace(secret, "[key]") if secret else text,
    )
    identity = {"kind": "openai", "base_url": settings.base_url, "model": settings.model, **sampling}
    identity |= {"system": settings.system} if settings.system else {}
    return ServerChat(reply, identity, cache, ledger, settings.threads)


def _describe_failure(done: Any) -> str:
    """What a server says that sent no answer: some put an error into a body that they call a success."""
    error = getattr(done, "error", None)
    said = error.get("message") if isinstance(error, dict) else error
    return f"the server sent no answer, but: {said}" if said else "the server sent a body without choices"
