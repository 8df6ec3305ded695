"""Competition problems in the format of the AIME: integer answers from 0 to 999, each proven by two solvers.

One folder per area holds the families (kinds of problem). `family.py` defines what a family is, `items.py` generates and
checks problems, `equations.py` checks the arithmetic of a solution, `intros.py` adds a sentence that a model wrote.
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
    get_program,
    rederive,
)
