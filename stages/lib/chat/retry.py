"""Retries of requests to a server: exponential backoff with jitter, not sooner than the server says, not for ever."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from stages.lib.core.errors import UserError

MAX_WAIT = 120.0  # seconds between two tries at most, even if a server asks for more
MAX_CONSECUTIVE_FAILURES = 8  # requests in a row without an answer, after which the server is taken to be gone
PERMANENT_STATUS_CODES = (400, 401, 403, 404, 405, 413, 422)  # a retry would not help

P = TypeVar("P")
T = TypeVar("T")


class NoAnswerError(Exception):
    """The model gave no usable answer within the allowed number of tries. The message names the last failure."""


def add_retries(
    send: Callable[[P, int], T],
    server: str,
    tries: int,
    backoff: float,
    on_retry: Callable[[], None],
    redact: Callable[[str], str],
) -> Callable[[P, int], T]:
    """`send` with retries. backoff: seconds, doubled with every try. server: its name in errors.

    The result raises NoAnswerError after the last try, and UserError for a permanent fault. Their texts are redacted, and
    they are linked to no other exception.
    """
    import tenacity

    exponential = tenacity.wait_random_exponential(multiplier=backoff, max=MAX_WAIT)
    failures = 0  # requests in a row

    def wait(state: tenacity.RetryCallState) -> float:
        seconds = _parse_retry_after(state.outcome.exception()) if state.outcome else None
        # The jitter changes waiting only, no result.
        return exponential(state) if seconds is None else min(MAX_WAIT, seconds + backoff * random.random())

    def send_with_retries(prompt: P, seed: int) -> T:
        nonlocal failures
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(tries),
            wait=wait,
            reraise=True,
            retry=tenacity.retry_if_exception(lambda error: not _is_permanent(error)),
            before_sleep=lambda state: on_retry(),
        )
        try:
            reply = retrying(send, prompt, seed)
        except Exception as error:
            reason = " ".join(redact(f"{type(error).__name__}: {error}").split())[:300]
            permanent = _is_permanent(error)
        else:
            failures = 0
            return reply
        failures += 1
        if permanent:
            raise UserError(f"{server}: refused the request ({reason})")
        if failures >= MAX_CONSECUTIVE_FAILURES:
            raise UserError(
                f"{server}: no answer to {failures} requests in a row, each tried {tries} times "
                f"(last: {reason}); start the server and run again, answers so far are kept"
            )
        raise NoAnswerError(f"no answer after {tries} tries ({reason})")

    return send_with_retries


def _is_permanent(error: BaseException) -> bool:
    return not isinstance(error, Exception) or getattr(error, "status_code", None) in PERMANENT_STATUS_CODES


def _parse_retry_after(error: BaseException | None) -> float | None:
    """The seconds of a Retry-After header, which is a number or a date (RFC 9110, 10.2.3). None without one."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    value = headers.get("retry-after")
    if value is None:
        return None
    for parse in (float, lambda date: parsedate_to_datetime(date).timestamp() - time.time()):
        try:
            return max(0.0, parse(value))
        except (ValueError, TypeError):
            continue
    return None
