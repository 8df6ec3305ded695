"""DyVal: problems generated from random graphs, so that none was seen in training and all have an exact answer.

Seven tasks with the three orders of description, distractors, deleted descriptions and cycles of Zhu et al. 2024 (arXiv
2309.17167; microsoft/promptbench, MIT). Each task's file says what differs from DyVal and why: labels are balanced by
construction at every depth, distractors depend on the graph and look like it, and a damaged item has the answer N/A. Every
item is a pure function of (seed, split, task, level, number, knobs).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Program, Source, Step
from stages.lib.procedural.dyval import (
    abductive_logic,
    arithmetic,
    bool_logic,
    deductive_logic,
    graphs,
    independent_solver,
    linear_equation,
    max_sum_path,
    reachability,
    unsolvability,
)
from stages.lib.procedural.dyval.levels import DEFAULT_LEVEL, LEVELS, ORDERS, TASKS, Knobs, Order, Task, get_knobs
from stages.lib.procedural.dyval.names import draw_names
from stages.lib.procedural.dyval.statements import arrange_statements, find_dependencies, get_operands, rename_statement

__all__ = [
    "DEFAULT_LEVEL",
    "LEVELS",
    "MODULES",
    "ORDERS",
    "Order",
    "TASKS",
    "Task",
    "VERSION",
    "check",
    "generate_problem",
    "generate_problems",
    "rederive",
    "label_sentences",
]
VERSION = 2
BALANCE_BLOCK = 12  # items among which every answer of a closed task is equally frequent
MAX_ATTEMPTS = 1000
MODULES = {
    "arithmetic": arithmetic,
    "linear_equation": linear_equation,
    "bool_logic": bool_logic,
    "deductive_logic": deductive_logic,
    "abductive_logic": abductive_logic,
    "reachability": reachability,
    "max_sum_path": max_sum_path,
}


def generate_problems(
    task: str, n: int, seed: int, level: int = DEFAULT_LEVEL, order: str = "random", split: str = "test", **knobs: Any
) -> list[Problem]:
    """The first n items of a task at a level; `knobs` override those of the level. Raises UserError for a wrong one."""
    level_knobs = get_knobs(task, level, knobs)
    if order not in ORDERS:
        raise UserError(f"dyval: order {order!r} does not exist; use one of {', '.join(ORDERS)}")
    return [generate_problem(task, number, seed, level, order, split, level_knobs) for number in range(n)]


def generate_problem(task: str, number: int, seed: int, level: int, order: str, split: str, knobs: Knobs) -> Problem:
    """Item `number`, which depends on no other item. `order` changes nothing but the order of its sentences."""
    item = f"dyval/{split}/{task}-l{level}-{number:05d}"
    params = _sample(task, item, number, seed, level, order, knobs)
    question, steps, answer = rederive(params)
    return Problem(
        id=item,
        benchmark="dyval",
        split=split,
        question=question,
        answer=answer,
        answer_type=MODULES[task].ANSWER_TYPE,
        steps=steps,
        operator=task,
        contract="unsolvable" if params["broken"] else None,
        difficulty=float(len(steps) - 1),
        program=Program(generator="dyval", version=VERSION, params=params),
        licence="MIT",
        source=Source(url="procedural:dyval", revision=f"seed={seed}"),
    )


def _sample(task: str, item: str, number: int, seed: int, level: int, order: str, knobs: Knobs) -> dict[str, Any]:
    label, broken = _choose_target(task, item, number, seed, knobs)
    for attempt in range(MAX_ATTEMPTS):

        def draw(field: str, attempt: int = attempt) -> Any:
            return seeds.rng(seed, "ood", "dyval", VERSION, item, attempt, field)

        draft = MODULES[task].sample(draw, knobs, label, broken)
        if draft:
            return {"task": task, "level": level, "order": order, "broken": broken, **_assign_names(draft, order, draw)}
    raise UserError(f"dyval: {item}: {MAX_ATTEMPTS} draws gave no {task} with {knobs}; change a knob")


def _choose_target(task: str, item: str, number: int, seed: int, knobs: Knobs) -> tuple[int, bool]:
    """(class of the answer, whether the item is to be damaged), each equally often in every block of items."""
    ranks = list(range(BALANCE_BLOCK))
    seeds.rng(seed, "ood", "dyval", VERSION, item.rpartition("-")[0], "wish", number // BALANCE_BLOCK).shuffle(ranks)
    rank = ranks[number % BALANCE_BLOCK]
    damage = getattr(knobs, "deleted", 0) or getattr(knobs, "cycles", 0)
    broken = bool(damage) and rank >= BALANCE_BLOCK - round(BALANCE_BLOCK * getattr(knobs, "unsolvable", 0))
    return rank % getattr(MODULES[task], "CLASSES", 1), broken


def _assign_names(draft: dict[str, Any], order: str, draw: Any) -> dict[str, Any]:
    """The draft with words as names and its statements in order."""
    targets = draft["asked"] if isinstance(draft["asked"], list) else [draft["asked"]]
    numbers: list[Any] = [
        name for statement in draft["statements"] for name in (statement[0], *get_operands(statement))
    ]
    words = draw_names(draw("names"), max([*numbers, *targets, -1]) + 1)
    statements = [rename_statement(statement, words) for statement in draft["statements"]]
    targets = [words[name] for name in targets]
    if order == "random" or not statements or statements[0][1] != graphs.LINK:
        statements = arrange_statements(statements, order, draw)
    elif order == "topological":  # graphs keep their hidden order; a topological one would show the path
        statements.reverse()
    named = {**draft, "statements": statements}
    named["asked"] = targets if isinstance(draft["asked"], list) else targets[0]
    if "observed" in draft:
        named["observed"] = [words[draft["observed"][0]], draft["observed"][1]]
    if "coefficients" in draft:
        named["coefficients"] = [[words[name[0]]] if isinstance(name, list) else name for name in draft["coefficients"]]
    return named


def rederive(params: Mapping[str, Any]) -> tuple[str, list[Step], str]:
    """(question, steps, answer) of Problem.program.params; the last step is the `#### answer` line."""
    module = MODULES[params["task"]]
    before, after = module.render_frame(params)
    question = "\n".join([before, *map(module.render_sentence, params["statements"]), after])
    steps, answer = module.solve(params)
    return question, [*steps, Step(text=f"#### {answer}", value=answer)], answer


def label_sentences(problem: Problem) -> list[tuple[str, bool, str]]:
    """[(sentence, whether it is a distractor, id of the problem)] in the order of the text. Empty for graphs, where no
    sentence by itself is a distractor."""
    program: Any = problem.program
    params = program.params
    if program.generator != "dyval" or params["task"] in ("reachability", "max_sum_path"):
        return []
    inside = find_dependencies(params["statements"], _find_roots(params)).names
    render = MODULES[params["task"]].render_sentence
    return [(render(statement), statement[0] not in inside, problem.id) for statement in params["statements"]]


def _find_roots(params: Mapping[str, Any]) -> list[str]:
    """The names from which all needed statements are reached."""
    if "observed" in params:
        return [params["observed"][0]]
    return params["asked"] if isinstance(params["asked"], list) else [params["asked"]]


def check(problem: Problem) -> list[str]:
    """Faults of an item, as sentences; [] if there are none.

    Its program must give its text, steps and answer again, an independent solver must get the answer from the text alone,
    and an unsolvable item must have two completions with different answers.
    """
    program: Any = problem.program
    params, faults = program.params, []
    try:
        question, steps, answer = rederive(params)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return [f"{problem.id}: the program cannot be evaluated ({type(error).__name__}: {error})"]
    if question != problem.question:
        faults.append(f"{problem.id}: the program tells another question")
    if answer != problem.answer:
        faults.append(f"{problem.id}: the program gives {answer}, the item says {problem.answer}")
    if problem.steps != steps:
        faults.append(f"{problem.id}: the program gives other steps")
    try:
        solved = independent_solver.solve(params["task"], problem.question)
    except (ValueError, KeyError, IndexError) as error:
        return [*faults, f"{problem.id}: the question cannot be read back ({error})"]
    if solved != problem.answer:
        faults.append(f"{problem.id}: the question by itself gives {solved}, the item says {problem.answer}")
    if (problem.contract == "unsolvable") != params["broken"] or (params["broken"] and problem.answer != "N/A"):
        faults.append(f"{problem.id}: contract {problem.contract} with answer {problem.answer}")
    if params["broken"] and not find_dependencies(params["statements"], _find_roots(params)).cycle:
        completions = unsolvability.find_completions(
            params, lambda completed: MODULES[params["task"]].solve(completed)[1]
        )
        if completions is None:
            faults.append(f"{problem.id}: no two completions with different answers were found")
    return faults
