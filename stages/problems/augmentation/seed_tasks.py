"""The tasks that people wrote, from which self_instruct starts: problems of ours, or seed tasks as Self-Instruct has
them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem


class SeedTask(NamedTuple):
    id: str
    text: str
    licence: str


def from_problems(problems: Sequence[Problem]) -> list[SeedTask]:
    return [SeedTask(problem.id, problem.format_prompt(), problem.licence) for problem in problems]


def read_seed_tasks(path: Path, licence: str) -> list[SeedTask]:
    """A JSONL file of problems, or of tasks in the form of Self-Instruct (`instruction`, `instances`). licence: of
    tasks that name none.

    An input belongs to its instance and not to the task, so a task with an input is only its instruction, as in the
    paper. Raises UserError `file:line` for a row that is neither, a repeated id, and a file without tasks.
    """
    tasks: dict[str, SeedTask] = {}
    for number, row in records.iter_jsonl(path):
        text = row.get("question", row.get("instruction"))
        if not isinstance(text, str) or not text.strip():
            raise UserError(
                f"{path}:{number}: neither `question` nor `instruction` with a text; see Self-Instruct's form"
            )
        name = _read_text(row, "id") or f"{number:05d}"
        if name in tasks:
            raise UserError(f"{path}:{number}: id {name!r} is already used; ids must be unique")
        tasks[name] = SeedTask(name, text.strip(), _read_text(row, "licence") or licence)
    if not tasks:
        raise UserError(f"{path}: no tasks; name a file with at least one")
    return list(tasks.values())


def _read_text(row: dict[str, Any], name: str) -> str | None:
    value = row.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
