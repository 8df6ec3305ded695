"""Which formulas differ by their fingerprints alone, so that few pairs have to be compared. Imports no sympy.

A fingerprint is a kind and a few components by name: (value, sum of the sizes of what it adds up). If two formulas are
equal, `may_equal` is true; a component that one of two fingerprints lacks is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

TOLERANCE = 1e-9  # relative to the size

Component = tuple[float, float]
Fingerprint = tuple[str, dict[str, Component]]


def may_equal(left: Sequence[Fingerprint] | None, right: Sequence[Fingerprint] | None) -> bool:
    """Whether two formulas with these fingerprints may be equal; None may equal anything."""
    if left is None or right is None:
        return True
    return any(
        kind == other_kind
        and all(_is_close(value, others[name]) for name, value in components.items() if name in others)
        for kind, components in left
        for other_kind, others in right
    )


def _is_close(left: Component, right: Component) -> bool:
    return abs(left[0] - right[0]) <= TOLERANCE * max(left[1], right[1])
