"""The headline of a stage: the few of its figures that git keeps and that DVC and MLflow compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def select_headline(figures: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, Any]:
    """The part of nested figures that the patterns name. A pattern is a path such as `test.auc`; `*` stands for one key.
    What a path leads to is taken whole; a path that leads to nothing is left out."""
    chosen = {}
    for key, value in figures.items():
        parts = [pattern.partition(".") for pattern in patterns]
        rest = [below for first, _, below in parts if first in ("*", key)]
        if "" in rest:
            chosen[key] = value
        elif isinstance(value, Mapping) and (part := select_headline(value, rest)):
            chosen[key] = part
    return chosen
