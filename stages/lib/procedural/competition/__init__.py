"""Competition problems in the format of the AIME: integer answers from 0 to 999, each proven by two solvers.

Families stand in five files by area; `family.py` says what one is, `items.py` makes and checks problems of them.
"""

from stages.lib.procedural.competition import intros
from stages.lib.procedural.competition.items import (
    FAMILIES,
    GENERATOR,
    LEVELS,
    VERSION,
    add_intro,
    check,
    fingerprint,
    generate_item,
    rederive,
)

__all__ = [
    "FAMILIES",
    "GENERATOR",
    "LEVELS",
    "VERSION",
    "check",
    "fingerprint",
    "add_intro",
    "intros",
    "generate_item",
    "rederive",
]
