"""Method self_instruct: a writer invents problems after examples (Self-Instruct, Wang et al. 2023, arXiv 2212.10560).

A prompt shows eight tasks, six that people wrote and two that were kept before (fewer while there are fewer), drawn by
key. What the writer adds is filtered (`task_filters.py`; no task may be more similar than `max_similarity` to one before
it), then answered by the solver, whose sampled solutions must agree (`consensus.py`) on more than a yes, a no or another
of a few classes. In the paper the same model writes
inputs and outputs, too; here a task must be complete in itself.

Requests go out in rounds. All prompts of a round are drawn from what was kept before it and its replies are read in
the order of the prompts, so the order in which they arrive changes nothing. A reply that was cut off lacks its last
>>> and loses the unfinished task. The method first asks the solver `control_problems` parents whose answers are
known; if it solves fewer than half of them, none of its answers is kept.

A new problem is its own root. Its answer is evidence and no proof: `checks.answer` says `unproven`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from stages.lib.chat.base import NoAnswerError
from stages.lib.core import params, seeds
from stages.lib.core.records import Problem, Source
from stages.lib.grading import replies
from stages.lib.operators.rejects import Reject
from stages.problems.augmentation import consensus, seed_tasks, task_filters
from stages.problems.augmentation.candidate import Candidate, Context, hash_prompt, name_agent
from stages.problems.augmentation.consensus import Consensus
from stages.problems.augmentation.seed_tasks import SeedTask
from stages.problems.augmentation.similarity import TextPool

NAME = "self_instruct"
VERSION = 1  # part of every key
SHOWN, SHOWN_MACHINE = 8, 2  # tasks in a prompt, and how many of them a model wrote
CONTROL_SHARE = 0.5  # of the problems with a known answer that a solver must solve
PROMPT = (
    "Here are tasks of many kinds.\n\n{tasks}\n\nWrite {count} further tasks that differ from these and from one another. "
    "Each is complete in itself, needs nothing but text, and has exactly one short answer. Write no answers. "
    "Put each task between <<< and >>>."
)
_TASK = re.compile(r"<<<((?:(?!<<<|>>>).)*)(>>>)?", re.S)


class SelfInstructParams(params.Params):
    seeds: str = ""  # a JSONL file of seed tasks or problems; "": the parents
    seeds_licence: str = "Apache-2.0"  # of tasks in it that name none; Self-Instruct's are under Apache-2.0
    rounds: int = Field(default=4, ge=1)  # a later one is shown what an earlier one kept
    requests_per_round: int = Field(default=8, ge=1)  # prompts
    tasks_per_request: int = Field(default=4, ge=1)  # asked of the writer
    max_similarity: float = Field(default=0.7, gt=0, le=1)  # ROUGE-L with any other task
    agreement: float = Field(default=0.6, gt=0, le=1)  # least share of the sampled solutions that must agree
    control_problems: int = Field(default=8, ge=0)  # parents that the solver must solve half of


class _Task(NamedTuple):
    """A task that the writer wrote. text: None if it was cut off."""

    id: str
    text: str | None
    prompt: str


def fits_parent(parent: Problem, section: Any, context: Context) -> bool:
    """A problem whose text is complete without options or tests."""
    return not parent.choices and not parent.tests and not parent.abstain


def make_candidates(parents: Sequence[Problem], section: Any, context: Context) -> Iterator[Candidate | Reject]:
    """As `candidate.Method`. Raises UserError for a file of seeds that cannot be read."""
    writer, solver, knobs = context.writer, context.solver, section.self_instruct
    assert writer and solver, "section.py refuses the method without its agents"
    path = context.run.root / knobs.seeds if knobs.seeds else None
    people = seed_tasks.read_seed_tasks(path, knobs.seeds_licence) if path else seed_tasks.from_problems(parents)
    pool = TextPool((task.text for task in people), knobs.max_similarity)
    controls = _draw_controls(parents, knobs.control_problems, context.seed)
    is_solved = consensus.count_solved(solver, controls, section.solver_samples, knobs.agreement, context.seed)
    is_trusted = sum(is_solved) >= CONTROL_SHARE * len(controls)
    machine: list[SeedTask] = []
    for number in range(1, knobs.rounds + 1):
        new: list[_Task] = []
        for task in _write(people, machine, section, context, number):
            if isinstance(task, Reject):
                yield task
            elif reason := explain_refused(task.text, pool):
                yield Reject(task.id, NAME, reason)
            else:
                new.append(task)
                pool.add(task.text or "")
        texts = [task.text or "" for task in new] if is_trusted else []
        solved = consensus.solve(solver, texts, section.solver_samples, knobs.agreement, context.seed)
        for task, found in zip(
            new, solved or ["the solver fails problems whose answers are known"] * len(new), strict=True
        ):
            if not isinstance(found, Consensus):
                yield Reject(task.id, NAME, found)
                continue
            if found.answer_type == "text" and task_filters.is_class(found.answer):
                yield Reject(task.id, NAME, "asks for one of a few classes")
                continue
            problem = _make_problem(task, found, context, people, path)
            machine.append(SeedTask(problem.id, problem.question, problem.licence))
            checks = {"answer": "unproven", "agreement": found.share, "controls": f"{sum(is_solved)}/{len(controls)}"}
            yield Candidate(problem, name_agent(writer), checks, prompt_sha=hash_prompt(task.prompt), round=number)


def explain_refused(text: str | None, pool: TextPool) -> str | None:
    """Why a task is not solved; None if it is."""
    if text is None:
        return "cut off"
    if reason := task_filters.explain_unfit(text):
        return reason
    return "too similar to another task" if pool.find_similar(text) else None


def format_prompt(tasks: Sequence[str], count: int) -> str:
    return PROMPT.format(tasks="\n".join(f"{i}. {task}" for i, task in enumerate(tasks, 1)), count=count)


def read_tasks(reply: str) -> list[str | None]:
    """The tasks in a reply after its thinking, with single blanks; None for the one that was cut off."""
    matches = _TASK.finditer(replies.strip_thinking(reply) or "")
    return [task_filters.normalise(match[1]) if match[2] else None for match in matches]


def draw_shown(people: Sequence[SeedTask], machine: Sequence[SeedTask], *key: seeds.KeyPart) -> list[str]:
    """The tasks of a prompt in their order: as many of `machine` as there are up to two, the others of `people`."""

    def draw(tasks: Sequence[SeedTask], count: int) -> list[SeedTask]:
        return sorted(tasks, key=lambda task: seeds.key(*key, "shown", task.id))[:count]

    written = draw(machine, SHOWN_MACHINE)
    shown = written + draw(people, SHOWN - len(written))
    return [task.text for task in sorted(shown, key=lambda task: seeds.key(*key, "order", task.id))]


def _write(
    people: Sequence[SeedTask], machine: Sequence[SeedTask], section: Any, context: Context, number: int
) -> Iterator[_Task | Reject]:
    """What the replies of a round contain, in the order of the prompts."""
    knobs, writer = section.self_instruct, context.writer
    assert writer
    key = (context.seed, "augmentation", VERSION, NAME, context.split, number)
    shown = [draw_shown(people, machine, *key, i) for i in range(knobs.requests_per_round)]
    prompts = [format_prompt(tasks, knobs.tasks_per_request) for tasks in shown]
    keys = [f"self_instruct {context.seed} {context.split} {number} {i}" for i in range(len(prompts))]
    for i, reply in enumerate(writer.ask_many(list(zip(prompts, keys, strict=True)))):
        name = f"{NAME}/{context.split}/{number:02d}{i:03d}"
        tasks = [] if isinstance(reply, NoAnswerError) else read_tasks(reply)
        if not tasks:
            reason = "the writer gives no answer" if isinstance(reply, NoAnswerError) else "no task between <<< and >>>"
            yield Reject(f"{name}00", NAME, reason)
        for j, text in enumerate(tasks[: 2 * knobs.tasks_per_request]):  # a writer that does not end is cut
            yield _Task(f"{name}{j + 1:02d}", text, prompts[i])


def _draw_controls(parents: Sequence[Problem], count: int, seed: int) -> list[Problem]:
    """Parents with a number as their answer."""
    known = [parent for parent in parents if parent.answer_type in ("number", "integer")]
    return sorted(known, key=lambda parent: seeds.key(seed, "augmentation", VERSION, NAME, "control", parent.id))[
        :count
    ]


def _make_problem(
    task: _Task, found: Consensus, context: Context, people: Sequence[SeedTask], path: Path | None
) -> Problem:
    return Problem(
        id=task.id,
        benchmark=NAME,
        split=context.split,
        question=task.text or "",
        answer=found.answer,
        answer_type=found.answer_type,
        steps=found.steps,
        operator=NAME,
        licence=" AND ".join(sorted({seed.licence for seed in people})),
        source=Source(url=f"written:{name_agent(context.writer)}", revision=path.name if path else None),
    )
