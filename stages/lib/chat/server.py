"""A chat with a server that speaks OpenAI's chat completions API, with several requests at a time.

Failures are retried (lib/chat/retry.py) at most `tries` times; then `NoAnswerError` is raised. The secret key comes from
the environment variable named in the settings, and never appears in a setting, error, log or cache.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from stages.lib.chat.base import Chat, Prompt, Reply, Request, Usage, derive_seed, write_turns
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
    top_p: float | None = Field(None, gt=0, le=1)  # null, here and below: as the server does
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    max_tokens: int = Field(1000, ge=1)
    timeout: float = Field(60.0, gt=0)  # seconds for one request
    tries: int = Field(6, ge=1)
    backoff: float = Field(1.0, gt=0)  # seconds, doubled with every try
    threads: int = Field(8, ge=1)
    price_in: float | None = Field(None, ge=0)
    price_out: float | None = Field(None, ge=0)


class ServerChat(Chat):
    """send: (prompt, 31-bit seed, the size that servers take) -> reply. A failed request does not affect the others."""

    def __init__(self, send: Callable[[Prompt, int], Reply], *arguments: Any):
        super().__init__(*arguments)
        self._send, self._slots = send, threading.BoundedSemaphore(self.threads)  # threads of another chat may ask, too

    def ask(self, prompt: Prompt, key: str) -> str:
        cached = self._get_cached(prompt, key)
        if cached is not None:
            return cached
        with self._slots:
            return self._save_reply(prompt, key, self._send(prompt, derive_seed(prompt, key) >> 33))

    def _iter_replies(self, requests: Sequence[Request]) -> Iterator[tuple[Request, str | NoAnswerError]]:
        def try_ask(request: Request) -> tuple[Request, str | NoAnswerError]:
            try:
                return request, self.ask(*request)
            except NoAnswerError as failure:
                return request, failure

        return self._iter_map(try_ask, requests)


def create_server_chat(settings: OpenAIParams, cache: Path) -> ServerChat:
    """Raises UserError if the environment variable with the secret key is not set."""
    import openai

    secret = os.environ.get(settings.key_env, "") if settings.key_env else ""
    if settings.key_env is not None and not secret:
        raise UserError(f"environment variable {settings.key_env}: not set; put the key of {settings.base_url} in it")
    client = openai.OpenAI(
        api_key=secret or "none",
        base_url=settings.base_url,
        timeout=settings.timeout,
        max_retries=0,
        organization="",
        project="",
    )
    usage = Usage(settings.price_in, settings.price_out)
    sampling: dict[str, Any] = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
    optional = {"top_p": settings.top_p, "presence_penalty": settings.presence_penalty}
    sampling |= {name: value for name, value in optional.items() if value is not None}

    def send(prompt: Prompt, seed: int) -> Reply:
        messages: Any = write_turns(prompt, settings.system)
        completion = client.chat.completions.create(model=settings.model, messages=messages, seed=seed, **sampling)
        counts = getattr(completion, "usage", None)
        tokens_in, tokens_out = (int(getattr(counts, name, 0) or 0) for name in ("prompt_tokens", "completion_tokens"))
        details = getattr(counts, "prompt_tokens_details", None)
        tokens_reused = int(getattr(details, "cached_tokens", 0) or 0)
        # An unusable answer costs too.
        usage.add(tokens_in=tokens_in, tokens_out=tokens_out, tokens_reused=tokens_reused)
        if not completion.choices:
            raise ValueError(_describe_failure(completion))
        text: Any = completion.choices[0].message.content
        is_cut = completion.choices[0].finish_reason == "length"
        if isinstance(text, list):  # some servers send it in parts
            text = "".join(part.get("text") or "" for part in text)
        if not isinstance(text, str) or not text.strip():
            reason = f" and was cut off at max_tokens ({settings.max_tokens}); raise it" if is_cut else ""
            raise ValueError(f"the answer is empty{reason}")
        return Reply(text, tokens_in, tokens_out, tokens_reused, "length" if is_cut else "stop")

    send_with_retries = add_retries(
        send,
        f"{settings.base_url}, model {settings.model}",
        settings.tries,
        settings.backoff,
        on_retry=lambda: usage.add(retries=1),
        redact=lambda text: text.replace(secret, "[key]") if secret else text,
    )
    identity = {"kind": "openai", "base_url": settings.base_url, "model": settings.model, **sampling}
    identity |= {"system": settings.system} if settings.system else {}
    return ServerChat(send_with_retries, identity, cache, usage, settings.threads)


def _describe_failure(completion: Any) -> str:
    """What a server says instead of an answer: some send an error in a body with status 200."""
    error = getattr(completion, "error", None)
    message = error.get("message") if isinstance(error, dict) else error
    return f"the server sent no answer, but: {message}" if message else "the server sent a body without choices"
