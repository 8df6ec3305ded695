"""Names of quantities: three different consonants, so that no name is an English word or reveals its position.

DyVal uses aaa, aab, ... in the order of creation, and numbers the names of some tasks (`aac0`) but not those of their
distractors; a regular expression can exploit both.
"""

from __future__ import annotations

import random

_CONSONANTS = "bcdfghjklmnpqrstvwz"  # without x, which is an unknown, and y, which makes words
_EXCLUDED = frozenset(str.split("nth pst tsk cwm dvd mrs pdf hrs lbs pct sqr sqt"))


def draw_names(rng: random.Random, count: int) -> list[str]:
    """Different names; the first ones are the same for every count."""
    names: dict[str, None] = {}
    while len(names) < count:
        name = "".join(rng.sample(_CONSONANTS, 3))
        if name not in _EXCLUDED:
            names[name] = None
    return list(names)
