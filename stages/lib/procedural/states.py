"""States: programs of problems with what changes them, and what every change of a state needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

State = dict[str, Any]  # a program in the format of its generator, plain data
Knobs = Mapping[str, Any]  # split: whose words may be used; largest: bound on the values of bundled problems; dose


class NotApplicable(Exception):
    """The operator cannot change this problem and keep its contract; the message is the reason of the Reject."""


def apply_edits(text: str, edits: Sequence[Any]) -> str:
    """The text with its typos made. An edit is [position in the text before all edits, "swap" or "double"]."""
    for at, kind in sorted(edits, reverse=True):
        letters = text[at + 1] + text[at] if kind == "swap" else text[at] * 2 + text[at + 1 : at + 2]
        text = text[:at] + letters + text[at + 2 :]
    return text
