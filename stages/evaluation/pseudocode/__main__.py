"""Stage pseudocode: does a model reason better along a program, and is its trace the program's own?

An instructor writes one plan for a task; a reasoner follows it for every problem, and says what the program prints. The
interpreter (lib/interpreter) runs the same program, so the true trace is known, and with it the first wrong line.

arms     direct, chain_of_thought, prose (the plan in words), code (pseudocode without prints), traced_code (with prints),
         executed (the interpreter runs the program; no model reasons)
tasks    problems of data/benchmarks and data/ood whose program is known (grade school, and those tasks of DyVal that
         ood.dyval.tasks lists), each with a plan of its own, and files of BIG-Bench Hard in data/raw/tasks, with a plan of
         plans/ or one that a model writes
study    the base learns programs from answers, worked steps or traces, from equally many target tokens, and is tested on
         fresh programs, longer ones and such with other names

Reads data/base/model, data/benchmarks/{train,test}.jsonl, data/ood/{train,test}.jsonl and data/raw/tasks. Writes
data/pseudocode/{traces.jsonl, plans.json, results.json, report.md, traces.png, metrics.json}. Source: Chae et al. 2024,
Think-and-Execute (arXiv 2404.02575); unlike its code, no demonstration is of the problems that are asked, and options are
compared whole.

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.evaluation.pseudocode
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from stages.evaluation.pseudocode.prompts import Arm
from stages.lib.chat.agent_params import GREEDY, AgentParams
from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams

if TYPE_CHECKING:
    from stages.evaluation.pseudocode.arms import Outcome
    from stages.evaluation.pseudocode.tasks import Task

HEADLINE = ("executed", "study.sets.*.targets.*.accuracy", "study.sets.*.targets.traces.trace_exact")
Relations = Annotated[int, Field(ge=1, le=12)]
TaskName = Literal[
    "gradeschool",
    "arithmetic",
    "linear_equation",
    "bool_logic",
    "deductive_logic",
    "abductive_logic",
    "reachability",
    "max_sum_path",
]


class Params(TrainingParams):
    tasks: list[TaskName]  # problems with a program: of the benchmark, and of DyVal
    files: list[str]  # of BIG-Bench Hard, in data/raw/tasks
    problems: int = Field(ge=1)  # of each task
    shown: int = Field(ge=1)  # further problems of a task, with answers, that the instructor sees
    arms: list[Arm] = Field(min_length=1)  # ways to ask
    instructor: AgentParams  # who writes plans; rules: those of the programs and of plans/
    reasoner: AgentParams  # who follows them; rules: nobody, programs are executed only
    target_tokens: int = Field(ge=0)  # that each model of the study learns in an epoch; 0: no study
    test_programs: int = Field(ge=1)  # of each set of the study
    relations: list[Relations] = Field(
        min_length=2, max_length=2
    )  # fewest and most relations of a program that is learned
    longer_relations: list[Relations] = Field(min_length=2, max_length=2)  # of the longer programs
    max_value: int = Field(ge=20)  # upper bound of every value
    max_new_tokens: int = Field(ge=1)  # of the study's models
    max_rows: int = Field(ge=1)  # programs worked out at a time; changes none of them

    @model_validator(mode="after")
    def _check_sizes(self) -> Params:
        for key in ("relations", "longer_relations"):
            low, high = getattr(self, key)
            if low > high:
                raise ValueError(f"{key} must be [fewest, most], not [{low}, {high}]")
        if len(set(self.arms)) < len(self.arms) or len(set(self.tasks)) < len(self.tasks):
            raise ValueError("arms and tasks must differ")
        if self.reasoner.kind == "rules" and not self.target_tokens and "executed" not in self.arms:
            raise ValueError("nothing to do: name a reasoner, add executed to arms, or raise target_tokens")
        return self


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.evaluation.pseudocode import study, summary
    from stages.lib.core import files
    from stages.lib.run import distributed

    state = distributed.init_processes(run)
    trained: list[Outcome] = []
    figures: dict[str, Any] = {}
    if run.params.target_tokens:
        trained, training = study.run_study(run, state.device)
        figures = {"training": training, "sets": study.summarize(trained, run.seed)}
    if not run.is_main:
        return {}
    asked, plans, by_task, requests = ask_tasks(run)
    executed = [row for row in asked if row.arm == "executed"]
    results = {
        "executed": sum(row.correct for row in executed) / len(executed) if executed else None,
        "tasks": by_task,
        "study": figures,
        **({"requests": requests} if requests else {}),
    }
    rows = "".join(f"{row.model_dump_json()}\n" for row in sorted(asked + trained, key=lambda x: (x.task, x.arm, x.id)))
    files.write_text(run.out_dir / "traces.jsonl", rows)
    files.write_json(run.out_dir / "plans.json", plans)
    summary.write(run.out_dir, results)
    return results


def load_tasks(run: StageRun[Params]) -> list[Task]:
    """The tasks that have problems to ask; says which have none. Raises UserError for two tasks of one name."""
    from stages.evaluation.pseudocode import tasks
    from stages.lib.core import records
    from stages.lib.core.errors import UserError

    params, loaded = run.params, []
    for name in params.tasks:
        stage = "benchmarks" if name == "gradeschool" else "ood"
        asked, shown = (
            [
                problem
                for problem in records.read_problems(run.input_path(stage, f"{split}.jsonl"))
                if (problem.benchmark if stage == "benchmarks" else problem.operator) == name
            ]
            for split in ("test", "train")
        )
        loaded.append(tasks.make_task(name, asked, shown, params.problems, params.shown, run.seed))
    loaded += [tasks.read_task(run.root / file, params.problems, params.shown, run.seed) for file in params.files]
    names = [task.name for task in loaded]
    if len(set(names)) < len(names):
        raise UserError(f"pseudocode.files: two tasks are called {max(names, key=names.count)}; rename a file")
    empty = [task.name for task in loaded if not task.instances]
    if empty:
        print(f"pseudocode: warning: no problem with a program for {', '.join(empty)}; left out", file=sys.stderr)
    return [task for task in loaded if task.instances]


def ask_tasks(run: StageRun[Params]) -> tuple[list[Outcome], dict[str, Any], dict[str, Any], dict[str, Any]]:
    """(outcomes, the plan of each task that has one for all problems, figures of each task, what each agent was asked)."""
    from stages.evaluation.pseudocode import arms, tasks

    params, key = run.params, f"pseudocode {tasks.VERSION} {run.seed}"
    instructor, reasoner = (agent.create_chat(run.root, **GREEDY) for agent in (params.instructor, params.reasoner))
    loaded, outcomes, figures = load_tasks(run), [], {}
    plans = arms.make_plans(loaded, instructor, key)
    for task in loaded:

        def track(items: Any, total: int, name: str = task.name) -> Any:
            return run.track_progress(items, total, name)

        rows = arms.run_arms(task, plans[task.name], params.arms, reasoner, key, track)
        outcomes += rows
        figures[task.name] = arms.summarize(rows, task)
    agents = {name: chat for name, chat in (("instructor", instructor), ("reasoner", reasoner)) if chat}
    for chat in agents.values():
        run.count(**chat.usage.get_totals())
    written = {
        name: {**plan.plan._asdict(), "agent": plan.agent, "prompt_sha": plan.prompt_sha}
        for name, plan in plans.items()
        if plan
    }
    return outcomes, written, figures, {name: chat.summarize() for name, chat in agents.items()}


def main() -> None:
    run_stage("pseudocode", Params, body, HEADLINE)


if __name__ == "__main__":
    main()
