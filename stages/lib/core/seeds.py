"""Keyed randomness: every draw is a pure function of its purpose, never of the draws before it.

The value of a field is H(seed, stage, version, item id, field). Changing one knob therefore changes only the fields
that depend on it, and batch size, order of work and number of processes change nothing. Adjacent seeds share nothing,
because the seed goes through the hash instead of being added to an index.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

KeyPart = str | int | float | bool | None


def key(*parts: KeyPart) -> int:
    """A 64-bit unsigned integer from the parts. Types count: key(1) differs from key("1") and from key(True)."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        text = f"{type(part).__name__}:{part!r}".encode()
        digest.update(len(text).to_bytes(4, "little") + text)  # the length keeps ("ab", "c") apart from ("a", "bc")
    return int.from_bytes(digest.digest(), "little")


def rng(*parts: KeyPart) -> random.Random:
    """An independent generator for one field of one item."""
    return random.Random(key(*parts))


def uniforms(*parts: KeyPart, n: int) -> np.ndarray:
    """n float64 numbers in [0, 1) for one field of one item."""
    import numpy as np

    return np.random.Generator(np.random.Philox(key=key(*parts))).random(n)
