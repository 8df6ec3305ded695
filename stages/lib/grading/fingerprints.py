"""Numbers that tell most formulas apart at a glance, so that few pairs have to be compared.

A fingerprint is a kind and a few marks by name: (value, size of what it sums). Equal formulas have fingerprints that
`may_equal` lets pass; a mark that one of two lacks tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

TOLERANCE = 1e-9  # relative to the size

Component = tuple[float, float]
Fingerprint = tuple[str, dict[str, Component]]


def may_equal(ours: Sequence[Fingerprint] | None, theirs: Sequence[Fingerprint] | None) -> bool:
    """Whether two formulas with these fingerprints may be equal; None may equal anything."""
    if ours is None or theirs is None:
        return True
    return any(
        kind == other and all(_is_close(mark, others[name]) for name, mark in marks.items() if name in others)
        for kind, marks in ours
        for other, others in theirs
    )


def _is_close(ours: Component, theirs: Component) -> bool:
    return abs(ours[0] - theirs[0]) <= TOLERANCE * max(ours[1], theirs[1])
