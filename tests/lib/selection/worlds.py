"""Rows and vectors to select from."""

from __future__ import annotations

import numpy as np

from stages.lib.selection.rows import Choice, Row


def make_rows(count: int, prefix: str = "r", **fields) -> list[Row]:
    """Rows `r000`, `r001`, .. each of its own group. fields: of every row, or a function of its number."""
    plain = {"question": lambda i: f"What is {i} + {i}?", "answer": lambda i: f"It is {2 * i}."}
    return [
        Row(
            **{
                "id": f"{prefix}{i:05}",
                "group": f"{prefix}{i:05}",
                "tokens": 10,
                **{name: value(i) if callable(value) else value for name, value in (plain | fields).items()},
            }
        )
        for i in range(count)
    ]


def make_vectors(count: int, width: int = 8, seed: int = 0) -> np.ndarray:
    """Normally distributed vectors of length 1."""
    vectors = np.random.default_rng(seed).normal(size=(count, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_blobs(count: int, centres: int, width: int = 8, spread: float = 0.05, seed: int = 0) -> np.ndarray:
    """Vectors around random centres on the sphere, row i around centre i % centres."""
    rng = np.random.default_rng(seed)
    middle = make_vectors(centres, width, seed + 1)
    vectors = middle[np.arange(count) % centres] + spread * rng.normal(size=(count, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def get_ids(choices: list[Choice]) -> list[str]:
    return [choice.id for choice in choices]
