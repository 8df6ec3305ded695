"""How far a stage is, on standard error: a bar on a terminal, elsewhere a line at the start and every half minute."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from stages.lib.core.durations import format_duration

T = TypeVar("T")
INTERVAL = 30.0  # seconds between two lines


def describe_elapsed(seconds: float, last_seconds: float | None) -> str:
    """`for 1:05, about 2:22 left as the last run went`. last_seconds: what that took, None if there is none."""
    left = (last_seconds or 0) - seconds
    more = f", about {format_duration(left)} left as the last run went" if left > 0 else ""
    return f"for {format_duration(seconds)}{more}"


class Progress:
    """The progress of one stage. last_seconds: what its last run took, None if there is none."""

    def __init__(self, stage: str, last_seconds: float | None = None):
        self.stage, self.last_seconds = stage, last_seconds
        self.began = time.monotonic()
        self.part: tuple[str, int, float] | None = None  # what is done, how many items it has, when it began
        self.done = 0

    def track(self, items: Iterable[T], total: int, what: str) -> Iterator[T]:
        """Pass items through. total: how many there are."""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import track

            yield from track(items, total=total, description=f"{self.stage}: {what}", console=Console(stderr=True))
            return
        self.done, self.part = 0, (what, total, time.monotonic())
        try:
            for item in items:
                yield item
                self.done += 1
        finally:
            self.part = None

    def describe(self) -> str:
        """What, how far, time left."""
        now, part, done = time.monotonic(), self.part, self.done
        if part is None:
            return f"{self.stage}: running {describe_elapsed(now - self.began, self.last_seconds)}"
        what, total, began = part
        more = f", about {format_duration((now - began) / done * (total - done))} left" if done else ""
        return f"{self.stage}: {what}, {done} of {total}{more}"

    @contextmanager
    def report(self) -> Iterator[None]:
        """Print the lines while the body runs. On a terminal the bar does it."""
        if sys.stderr.isatty():
            yield
            return
        before = f"; the last run took {format_duration(self.last_seconds)}" if self.last_seconds is not None else ""
        print(f"{self.stage}: started{before}", file=sys.stderr, flush=True)
        is_over = threading.Event()

        def print_lines() -> None:
            while not is_over.wait(INTERVAL):
                print(self.describe(), file=sys.stderr, flush=True)

        thread = threading.Thread(target=print_lines, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
