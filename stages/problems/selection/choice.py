"""How the stage chooses: what a method of lib/selection needs is computed, and its choice or a random one returned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.lib.core.errors import UserError
from stages.lib.run.execution import StageRun
from stages.lib.selection import methods
from stages.lib.selection.methods import random_rows
from stages.lib.selection.rows import Budget, Choice, Labelled, Row, Values
from stages.problems.selection.pool import Member, make_row

if TYPE_CHECKING:
    import numpy as np
