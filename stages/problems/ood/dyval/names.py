"""Names of quantities: three different consonants, so that no name is an English word and none tells of its place.

DyVal deals out aaa, aab, ... in the order of creation, and numbers the names of some tasks (`aac0`) but not those of
their distractors; both can be read off by a regular expression.
"""

from __future__ import annotations

import random

_CONSONANTS = "bcdfghjklmnpqrstvwz"  # without x, which is an unknown, and y, which makes words
_EXCLUDED = frozenset(
    {"and", "not", "nth", "pst", "tsk", "cwm", "dvd", "mrs", "pdf", "hrs", "lbs", "pct", "sqr", "sqt"}
)


def draw_names(draw: random.Random, count: int) -> list[str]:
    """Different names; the first ones are the same for every count."""
    found: dict[str, None] = {}
    while len(found) < count:
        name = "".join(draw.sample(_CONSONANTS, 3))
        if name not in _EXCLUDED:
            found[name] = None
    return list(found)
