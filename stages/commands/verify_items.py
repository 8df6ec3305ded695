"""`python -m stages verify-items FILE...`: derive every label again from the item's program, without a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stages.lib.core.records import Problem, Program

# Program.generator -> the module whose check(problem) returns the faults of an item, [] if there are none.
CHECKERS = {
    "operators": "stages.lib.operators.registry",
    "augmentation": "stages.problems.augmentation.masking",
    "dyval": "stages.lib.procedural.dyval",
    "mpa": "stages.problems.ood.mpa",
    "competition": "stages.lib.procedural.competition",
}


def verify_items(
    files: Annotated[list[Path], typer.Argument(help="JSONL files of problems, such as data/ood/test.jsonl.")],
) -> None:
    """Derive every label again without a model; exit 1 if a label, step or contract is wrong, and name the item.

    Items without a program are counted as `no program`: they are not verified. Variants are also compared with
    their parents if these are in one of the files.
    """
    from stages.lib.core.errors import UserError
    from stages.lib.core.files import name_files
    from stages.lib.core.records import read_problems
    from stages.lib.display import terminal

    counts: Counter[tuple[str, ...]] = Counter()
    failures: list[str] = []
    items = {file: read_problems(file) for file in files}
    if not any(items.values()):
        raise UserError(f"{', '.join(map(str, files))}: no problems, so nothing can be verified")
    names = name_files(files)
    parents = {problem.id: problem for problems in items.values() for problem in problems}
    for file, problems in items.items():
        for problem in problems:
            verdict, faults = verify(problem, parents)
            counts[names[file], problem.benchmark, problem.operator or "-", problem.contract or "-", verdict] += 1
            failures += [f"{file}: {problem.id}: {fault}" for fault in faults]
    verdicts = ["verified", "failed", "no program"]
    numbers = {group: [counts[(*group, verdict)] for verdict in verdicts] for group in {key[:-1] for key in counts}}
    rows = [[*group, *map(str, numbers[group])] for group in sorted(numbers)]
    totals = [sum(column) for column in zip(*numbers.values(), strict=True)] or [0] * len(verdicts)
    rows.append(["total", "", "", "", *map(str, totals)])
    terminal.print_table(["file", "benchmark", "operator", "contract", *verdicts], rows, verdicts)
    for line in failures:
        print(line)
    if failures:
        raise typer.Exit(1)


def verify(problem: Problem, parents: dict[str, Problem]) -> tuple[str, list[str]]:
    """("verified" | "failed" | "no program", faults). parents: id -> problem, of the parents that are in the files."""
    faults = check_fields(problem)
    if problem.parent in parents:
        faults += check_against_parent(problem, parents[problem.parent])
    if problem.program is None:
        return ("failed" if faults else "no program"), faults
    checker = _get_checker(problem.program.generator)
    if checker is None:
        faults.append(f"generator {problem.program.generator!r} has no checker")
    else:
        faults += checker(problem)
        if problem.program.generator == "mpa" and not faults:
            faults += _verify_mpa_parent(problem)
    return ("failed" if faults else "verified"), faults


def check_fields(problem: Problem) -> list[str]:
    """Faults that can be found without a program: an answer that is no choice, a variant without parent or contract."""
    faults = []
    letters = [chr(ord("A") + i) for i in range(len(problem.choices or []))]
    if problem.choices is not None and problem.answer not in [*letters, "N/A"]:
        faults.append(f"answer {problem.answer!r} is none of the {len(problem.choices)} choices")
    if problem.parent and not (problem.operator and problem.contract):
        faults.append("a variant without its operator or contract")
    if problem.parent and not problem.id.startswith(
        f"{problem.parent.partition('~')[0]}~"
    ):  # `a~evolve2` of `a~evolve1`
        faults.append(f"its parent is {problem.parent!r}, but its id does not say so")
    if problem.contract == "unsolvable" and problem.answer != "N/A":
        faults.append(f"unsolvable, but the answer is {problem.answer!r}")
    return faults


def check_against_parent(problem: Problem, parent: Problem) -> list[str]:
    """Faults against the parent: another answer or other tests, or a program that starts from another text."""
    faults = []
    if problem.contract == "preserving" and parent.answer != problem.answer and problem.choices is None:
        faults.append(f"preserving, but the parent's answer is {parent.answer!r:.80}")
    if parent.tests != problem.tests:
        faults.append("its tests are not the parent's")
    base = problem.program.params.get("base") if problem.program else None
    if base and base["generator"] in ("code", "text") and base["params"].get("question") != parent.question:
        faults.append("its program starts from another text than the parent's")
    return faults


def _get_checker(generator: str) -> Callable[[Problem], list[str]] | None:
    if generator in ("gradeschool", "lifted"):
        return _check_gradeschool if generator == "gradeschool" else _check_lifted
    return getattr(import_module(CHECKERS[generator]), "check", None) if generator in CHECKERS else None


def _verify_mpa_parent(problem: Problem) -> list[str]:
    """The faults of the problem that a reworded one carries within: its label is only as good as its parent's."""
    from stages.problems.ood import mpa

    return [f"its parent: {fault}" for fault in verify(mpa.restore_parent(problem), {})[1]]


def _check_gradeschool(problem: Problem) -> list[str]:
    """The steps are the program's, or, of another solution (method `answers`), each is true by the program's values."""
    from stages.lib.labels import truth
    from stages.lib.procedural import gradeschool

    assert problem.program
    faults = _compare_with_program(problem, lambda program: gradeschool.rederive(program.params))
    if problem.operator != "answers" or faults != ["steps: not what its program gives"]:
        return faults
    gold = problem.model_copy(update={"steps": gradeschool.rederive(problem.program.params)[1]})
    steps = problem.steps or []
    labels = truth.label_steps(gold, "\n".join(step.text for step in steps))
    return [] if labels and all(labels) and steps[-1].value == problem.answer else ["steps: not all are true"]


def _check_lifted(problem: Problem) -> list[str]:
    from stages.lib.procedural import lifting

    faults = lifting.check_program(problem.program.params) if problem.program else []
    return faults + _compare_with_program(problem, lambda program: lifting.render_program(program.params))


def _compare_with_program(problem: Problem, derive: Callable[[Program], tuple]) -> list[str]:
    """The fields that are not what `derive` gives for the program: (question, steps, answer)."""
    assert problem.program
    try:
        derived = dict(zip(("question", "steps", "answer"), derive(problem.program), strict=True))
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        return [f"program: {type(error).__name__}: {error}"]
    return [
        f"{field}: not what its program gives" for field, value in derived.items() if getattr(problem, field) != value
    ]
