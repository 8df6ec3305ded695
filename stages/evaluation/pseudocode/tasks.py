"""Tasks: problems with a program, and files of BIG-Bench Hard; which of their problems are shown, which are asked."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from stages.evaluation.pseudocode import problem_plans
from stages.evaluation.pseudocode.dyval_programs import UNKNOWN, WITH_UNKNOWN
from stages.evaluation.pseudocode.programs import Plan
from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.core.params import read_yaml, to_plain
from stages.lib.core.records import Problem

VERSION = 1  # part of every key
PLANS = Path(__file__).parent / "plans"
MAX_OPTIONS = 5  # a task with so few different answers is one of options
_OPTIONS = re.compile(r"^Options:\n((?:.+\n?)+)\Z", re.MULTILINE)
_LETTER = re.compile(r"\([A-Z]\)")
Kind = Literal["option", "number", "formula", "text"]
_KINDS: dict[str, Kind] = {"boolean": "option", "integer": "number", "number": "number", "latex": "formula"}


class Instance(NamedTuple):
    """One problem of a task. options: its allowed answers, where it has some. plan: its own, where rules know one."""

    id: str
    question: str
    answer: str
    kind: Kind
    options: tuple[str, ...] = ()
    plan: Plan | None = None


class Task(NamedTuple):
    """instances are asked; shown are others, which an instructor may see with their answers. left_out: without a plan."""

    name: str
    instances: list[Instance]
    shown: list[Instance]
    left_out: int = 0

    @property
    def constant_share(self) -> float:
        """The accuracy of the best constant answer: what a reply must beat that has read nothing."""
        counts = Counter(instance.answer for instance in self.instances)
        return max(counts.values()) / len(self.instances)


def make_instance(problem: Problem) -> Instance:
    """Raises ValueError for a kind of answer that no task here has."""
    if problem.answer_type not in _KINDS:
        raise ValueError(f"{problem.id}: answers of type {problem.answer_type} are none of a task here")
    kind, options = _KINDS[problem.answer_type], ()
    if kind == "option":
        options = ("True", "False", *([UNKNOWN] if problem.operator in WITH_UNKNOWN else []))
    return Instance(problem.id, problem.question, problem.answer, kind, options, problem_plans.write_plan(problem))


def make_task(name: str, asked: Sequence[Problem], shown: Sequence[Problem], n: int, n_shown: int, seed: int) -> Task:
    """n of the problems that have a plan, chosen by key, sorted by id; n_shown of those of another split.

    A question that is asked is never shown, whichever split it is in."""
    with_plan = [problem for problem in asked if problem_plans.write_plan(problem)]
    questions = {problem.question for problem in asked}
    examples = [x for x in shown if x.question not in questions and problem_plans.write_plan(x)]
    chosen = _rank([problem.id for problem in with_plan], name, seed)[:n]
    examples_chosen = _rank([problem.id for problem in examples], name, seed)[:n_shown]
    by_id = {problem.id: problem for problem in (*examples, *with_plan)}
    instances = [make_instance(by_id[key]) for key in sorted(chosen)]
    return Task(name, instances, [make_instance(by_id[key]) for key in examples_chosen], len(asked) - len(with_plan))


def read_task(path: Path, n: int, n_shown: int, seed: int) -> Task:
    """A task of BIG-Bench Hard: {"examples": [{"input", "target"}]}. Its name is the file's.

    `n_shown` examples, chosen by key, are shown and never asked; of the others n are asked. Raises UserError for a file
    that is none, or that has too few examples."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["examples"]
        pairs = [(str(row["input"]), str(row["target"]).strip()) for row in rows]
    except OSError as error:
        raise UserError(f"pseudocode.files: {path}: cannot be read ({error.strerror}); name a file of a task") from None
    except (ValueError, KeyError, TypeError):
        form = '{"examples": [{"input": .., "target": ..}]}'
        raise UserError(
            f"pseudocode.files: {path}: not a task of BIG-Bench Hard; it must have the form {form}"
        ) from None
    if len(pairs) <= n_shown:
        raise UserError(
            f"pseudocode.files: {path}: {len(pairs)} examples, of which {n_shown} are shown; add some to ask"
        )
    targets = {target for _, target in pairs}
    known = tuple(sorted(targets)) if len(targets) <= MAX_OPTIONS else ()
    name, instances = path.stem, []
    for i, (text, target) in enumerate(pairs):
        options = read_options(text) or known
        kind: Kind = "option" if target in options else "text"
        instances.append(Instance(f"{name}/{i:04}", text, target, kind, options if kind == "option" else ()))
    by_id = {instance.id: instance for instance in instances}
    ranked = _rank(list(by_id), name, seed)
    # The same question twice must not be both shown and asked.
    shown = [by_id[key] for key in ranked[:n_shown]]
    seen = {instance.question for instance in shown}
    asked = [key for key in ranked[n_shown:] if by_id[key].question not in seen]
    return Task(name, [by_id[key] for key in sorted(asked[:n])], shown)


def read_options(text: str) -> tuple[str, ...]:
    """The options that a question lists at its end, `- Yes` or `(A) ...`; of the latter the letters."""
    match = _OPTIONS.search(text)
    lines = [line.strip().removeprefix("- ") for line in match[1].splitlines()] if match else []
    letters = [found[0] for line in lines if (found := _LETTER.match(line))]
    return tuple(letters if len(letters) == len(lines) else lines)


def load_plan(name: str) -> Plan | None:
    """The plan of a task that is written in plans/; None of others."""
    path = PLANS / f"{name}.yaml"
    if not path.is_file():
        return None
    document: Any = to_plain(read_yaml(path))
    return Plan(document["analysis"], document["prose"], document["code"])


def list_plans() -> dict[str, Plan]:
    """Every task of plans/ with its plan, by name."""
    return {path.stem: plan for path in sorted(PLANS.glob("*.yaml")) if (plan := load_plan(path.stem))}


def _rank(ids: Sequence[str], name: str, seed: int) -> list[str]:
    return sorted(ids, key=lambda item: (seeds.key(seed, "pseudocode", VERSION, name, item, "select"), item))
