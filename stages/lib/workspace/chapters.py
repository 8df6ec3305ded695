"""Where a stage lives: `stages/<chapter>/<stage>.py`, or a folder of that name with a `__main__.py`."""

from __future__ import annotations

from importlib.util import find_spec

from stages.lib.core.errors import UserError

CHAPTERS = ("problems", "generators", "verifiers", "evaluation")


def find_module(stage: str) -> str:
    """The module that `python -m` runs for a stage. Raises UserError when no chapter has it."""
    for chapter in CHAPTERS:
        name = f"stages.{chapter}.{stage}"
        if spec := find_spec(name):
            return f"{name}.__main__" if spec.submodule_search_locations else name
    raise UserError(
        f"no stage {stage!r}: stages/{{{','.join(CHAPTERS)}}}/ have neither {stage}.py nor a folder {stage}/"
    )
