"""Arms: ways to ask for one answer. An instructor writes plans, a reasoner follows them, the interpreter runs them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stages.evaluation.pseudocode import executions, prompts, replies, tasks
from stages.evaluation.pseudocode.programs import Plan
from stages.evaluation.pseudocode.prompts import Arm
from stages.evaluation.pseudocode.tasks import Instance, Task
from stages.lib.chat import Chat, NoAnswerError, Progress
from stages.lib.chat.base import Reply
from stages.lib.core.errors import UserError
from stages.lib.core.records import Record
from stages.lib.interpreter.run import Execution

RULES = "rules"  # the agent of a plan that is written here


class Outcome(Record):
    """What came of one problem in one arm.

    trace: the lines that the program prints before its answer; None where none ran to its end. lines: those of the reply;
    first_error: the index of its first line that leaves the trace, None where none does or nothing is compared. status:
    answered, unreadable (no answer of the kind that was asked for, or a reply that was cut off), or failed (the program, or
    the model, which gave no reply). sandboxed: the program is outside the interpreter's language, and Python ran it in the
    sandbox."""

    id: str
    task: str
    arm: str
    status: str
    final: str | None
    answer: str
    correct: bool
    trace: list[str] | None = None
    lines: list[str] | None = None
    first_error: int | None = None
    error: str | None = None
    sandboxed: bool = False


class TaskPlan(NamedTuple):
    """The plan of a task, the name of the model that wrote it or `RULES`, and the sha256 of all that this was asked."""

    plan: Plan
    agent: str
    prompt_sha: str


def make_plans(some: Sequence[Task], instructor: Chat | None, key: str) -> dict[str, TaskPlan | None]:
    """The plan of every task by name. Without an instructor a task of plans/ has its own; None where each problem has one.

    The instructor sees the shown problems of the task and the plans of other tasks. It is asked once for each task: its
    replies are kept by the prompt. Raises UserError for a task that no plan fits, and where the instructor gives none."""
    written, plans = tasks.list_plans(), {}
    for task in some:
        if instructor is None:
            plan = written.get(task.name)
            if plan is None and any(instance.plan is None for instance in task.instances):
                raise UserError(
                    f"pseudocode.instructor: rules have no plan for {task.name}; name a model, or one of these tasks: "
                    f"{', '.join(written)}"
                )
            plans[task.name] = plan and TaskPlan(plan, RULES, "")
            continue
        if not task.shown:
            raise UserError(
                f"pseudocode.tasks: the instructor of {task.name} sees no problem, because train has none; leave the task "
                "out, or set pseudocode.instructor: {kind: rules}"
            )
        others = {name: plan for name, plan in written.items() if name != task.name}
        questions = [prompts.ask_analysis(task.shown, others)]
        try:
            analysis = instructor.ask(questions[0], key).strip()
            questions += [write(task.shown, analysis, others) for write in (prompts.ask_code, prompts.ask_prose)]
            code, prose = (instructor.ask(question, key) for question in questions[1:])
        except NoAnswerError as error:
            raise UserError(f"pseudocode.instructor: no plan for {task.name} ({error}); run again") from None
        sha = hashlib.sha256("\0".join(questions).encode()).hexdigest()
        plan = Plan(analysis, prose.strip(), prompts.extract_code(code))
        plans[task.name] = TaskPlan(plan, instructor.name, sha)
    return plans


def get_plan(instance: Instance, plan: TaskPlan | None) -> Plan | None:
    return plan.plan if plan else instance.plan


def run_arms(
    task: Task,
    plan: TaskPlan | None,
    arms: Sequence[Arm],
    reasoner: Chat | None,
    key: str,
    progress: Progress | None = None,
) -> list[Outcome]:
    """The outcomes of every problem in every arm; without a reasoner only those of the arm `executed`."""
    own = {instance.id: get_plan(instance, plan) for instance in task.instances}
    by_model = plan is not None and plan.agent != RULES
    runs = {
        instance.id: executions.execute(wanted.code, instance.question, by_model)
        for instance in task.instances
        if (wanted := own[instance.id])
    }
    rows = []
    for arm in arms:
        if arm == "executed":
            rows += [judge_execution(task, instance, runs[instance.id]) for instance in task.instances]
        elif reasoner:
            requests = [
                (prompts.ask_reasoner(arm, x, own[x.id], not (x.id in runs and runs[x.id].is_outside)), key)
                for x in task.instances
            ]
            texts = reasoner.ask_many(requests, progress)
            for instance, request, text in zip(task.instances, requests, texts, strict=True):
                said = text if isinstance(text, NoAnswerError) else reasoner.get_reply(*request)
                rows.append(judge_reply(task, arm, instance, request[0], said, runs))
    return rows


def judge_execution(task: Task, instance: Instance, run: Execution) -> Outcome:
    reply = replies.read_reply("\n".join(run.printed))
    final = None if run.error else reply.final
    readable = replies.is_readable(instance, final)
    return Outcome(
        id=instance.id,
        task=task.name,
        arm="executed",
        status="failed" if run.error else "answered" if readable else "unreadable",
        final=final,
        answer=instance.answer,
        correct=replies.is_right(instance, final),
        trace=None if run.error else reply.lines,
        error=run.error,
        sandboxed=run.is_outside,
    )


def judge_reply(
    task: Task, arm: Arm, instance: Instance, prompt: str, said: Reply | NoAnswerError, runs: Mapping[str, Execution]
) -> Outcome:
    """The outcome of a reply; in the arm `traced_code` its lines are compared with what the program prints. A reply that
    was cut off has no answer: its `Final answer: 1` may have been on the way to 17."""
    common: dict[str, Any] = {"id": instance.id, "task": task.name, "arm": arm, "answer": instance.answer}
    if isinstance(said, NoAnswerError):
        return Outcome(**common, status="failed", final=None, correct=False, error=str(said))
    reply = replies.read_reply(said.text, prompt)
    final, error = (reply.final, None) if said.finish == "stop" else (None, "the reply was cut off")
    common |= {
        "status": "answered" if replies.is_readable(instance, final) else "unreadable",
        "final": final,
        "correct": replies.is_right(instance, final),
        "error": error,
    }
    if arm != "traced_code" or runs[instance.id].error:
        return Outcome(**common)
    trace = replies.read_reply("\n".join(runs[instance.id].printed)).lines
    first = replies.find_divergence(trace, reply.lines)
    lines: dict[str, Any] = {"trace": trace, "lines": reply.lines, "first_error": first}
    return Outcome(**common, **lines)


def summarize(rows: Sequence[Outcome], task: Task) -> dict[str, Any]:
    """Figures of one task: for each arm accuracy, unreadable and failed replies, and of traces how many are exact, how many
    end in a right answer although they are wrong, and where the wrong ones first leave the true one (0 to 1)."""
    figures: dict[str, Any] = {
        "problems": len(task.instances),
        "constant": task.constant_share,
        "left_out": task.left_out,
    }
    for arm in dict.fromkeys(row.arm for row in rows):
        own = [row for row in rows if row.arm == arm]
        figures.setdefault("arms", {})[arm] = {
            "accuracy": sum(row.correct for row in own) / len(own),
            "unreadable": sum(row.status == "unreadable" for row in own),
            "failed": sum(row.status == "failed" for row in own),
            **({"sandboxed": n} if (n := sum(row.sandboxed for row in own)) else {}),
            **summarize_traces(own),
        }
    return figures


def summarize_traces(rows: Sequence[Outcome]) -> dict[str, float | None]:
    """trace_exact and right_answer_wrong_trace, of all compared; first_error, the mean share of true lines before it."""
    compared = [row for row in rows if row.trace is not None and row.lines is not None]
    if not compared:
        return {}
    places = [row.first_error / max(1, len(row.trace or ())) for row in compared if row.first_error is not None]
    return {
        "trace_exact": sum(row.first_error is None for row in compared) / len(compared),
        "right_answer_wrong_trace": sum(row.correct and row.first_error is not None for row in compared)
        / len(compared),
        "first_error": sum(places) / len(places) if places else None,
    }
