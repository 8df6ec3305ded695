"""Competition problems in the format of the AIME: integer answers from 0 to 999, each proven by two solvers.

One folder per area holds the families (kinds of problem). `family.py` defines what a family is, `items.py` generates and
checks problems, `equations.py` checks the arithmetic of a solution, `intros.py` adds a sentence that a model wrote.
"""

from stages.lib.procedural.competition import intros as intros
from stages.lib.procedural.competition.items import FAMILIES as FAMILIES
from stages.lib.procedural.competition.items import GENERATOR as GENERATOR
from stages.lib.procedural.competition.items import LEVELS as LEVELS
from stages.lib.procedural.competition.items import VERSION as VERSION
from stages.lib.procedural.competition.items import add_intro as add_intro
from stages.lib.procedural.competition.items import check as check
from stages.lib.procedural.competition.items import fingerprint as fingerprint
from stages.lib.procedural.competition.items import generate_item as generate_item
from stages.lib.procedural.competition.items import get_program as get_program
from stages.lib.procedural.competition.items import rederive as rederive
