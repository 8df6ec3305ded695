"""How long work tells how far it is: a function around its items, such as `run.progress.Progress.track`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Track = Callable[[Iterable[Any], int, str], Iterable[Any]]  # (items, how many, what they are) -> the same items


def track_nothing(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    return items
