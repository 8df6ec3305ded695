"""Asking a server again: with exponential backoff and jitter, not sooner than it says, and only so often."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from stages.lib.core.errors import UserError

MAX_WAIT = 120.0  # seconds between two tries, whatever a server asks for
MAX_CONSECUTIVE_FAILURES = 8  # requests in a row without an answer after which a server is taken to be gone
PERMANENT_STATUS_CODES = (400, 401, 403, 404, 405, 413, 422)  # asking again would not help

T = TypeVar("T")


class NoAnswerError(Exception):
    """The model gave no usable answer within the allowed number of tries; the text says what happened last."""


def add_retries(
    once: Callable[[str, int], T],
    server: str,
    tries: int,
    backoff: float,
    retrying: Callable[[], None],
    redact: Callable[[str], str],
) -> Callable[[str, int], T]:
    """`once`, tried again with backoff (seconds, doubled with every try). Every error it lets out is ours, made of
    redacted text and linked to no other: NoAnswer, or UserError for what asking again would not mend."""
    import tenacity

    spread = tenacity.wait_random_exponential(multiplier=backoff, max=MAX_WAIT)
    failed = 0  # requests in a row

    def wait(state: tenacity.RetryCallState) -> float:
        asked = _parse_retry_after(state.outcome.exception())
        return min(MAX_WAIT, asked + backoff * _draw_jitter() if asked is not None else spread(state))

    def reply(prompt: str, seed: int) -> T:
        nonlocal failed
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(tries),
            wait=wait,
            reraise=True,
            retry=tenacity.retry_if_exception(lambda error: not _is_permanent(error)),
            before_sleep=lambda state: retrying(),
        )
        try:
            found = attempts(once, prompt, seed)
        except Exception as error:
            reason = " ".join(redact(f"{type(error).__name__}: {error}").split())[:300]
            permanent = _is_permanent(error)
        else:
            failed = 0
            return found
        failed += 1
        if permanent:
            raise UserError(f"{server}: refused the request ({reason})")
        if failed >= MAX_CONSECUTIVE_FAILURES:
            raise UserError(
                f"{server}: no answer to {failed} requests in a row, each tried {tries} times "
                f"(last: {reason}); start the server and run again, answers so far are kept"
            )
        raise NoAnswerError(f"no answer after {tries} tries ({reason})")

    return reply


def _is_permanent(error: BaseException) -> bool:
    return not isinstance(error, Exception) or getattr(error, "status_code", None) in PERMANENT_STATUS_CODES


def _parse_retry_after(error: BaseException | None) -> float | None:
    """Seconds the server asked to be left alone: a number or a date (RFC 9110, 10.2.3)."""
    from email.utils import parsedate_to_datetime

    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _draw_jitter() -> float:
    import random

    return random.random()  # of waiting only: no result depends on it
