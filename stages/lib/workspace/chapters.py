"""Where a stage lives: `stages/<chapter>/<stage>.py`, or a folder of that name with a `__main__.py`."""

from __future__ import annotations

from pathlib import Path

from stages.lib.core.errors import UserError

CHAPTERS = ("problems", "generators", "verifiers", "evaluation")
_REPO_ROOT = Path(__file__).resolve().parents[3]


def find_module(stage: str, root: Path = _REPO_ROOT) -> str:
    """The module that `python -m` runs for a stage. Raises UserError when no chapter has it."""
    for chapter in CHAPTERS if stage.isidentifier() and not stage.startswith("_") else ():
        folder = root / "stages" / chapter
        if (folder / f"{stage}.py").is_file():
            return f"stages.{chapter}.{stage}"
        if (folder / stage / "__main__.py").is_file():
            return f"stages.{chapter}.{stage}.__main__"
    raise UserError(
        f"no stage {stage!r}: stages/{{{','.join(CHAPTERS)}}}/ have neither {stage}.py nor a folder {stage}/; "
        "`python -m stages` lists the stages"
    )


def is_stage(name: str) -> bool:
    """Whether a chapter has a stage of this name."""
    try:
        return bool(find_module(name))
    except UserError:
        return False
