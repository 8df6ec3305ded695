"""Method answers: other right solutions of a training problem, sampled and selected (MetaMath's answer augmentation,
Yu et al. 2023, arXiv 2309.12284, 3.1; rejection sampling fine-tuning, RFT, Yuan et al. 2023, arXiv 2308.01825, 3.3).

A solution is kept if its answer is right, its equations hold and their sequence is new: neither the gold solution's
nor that of another kept one of the problem. Where a program knows the value of every quantity, every line must be
true, too (`labels/truth.py`): a right answer by a wrong way teaches the wrong way. Elsewhere `checks.steps` says
`unproven`.

Solutions come from `answers.sampler`: a model folder, which continues the plain prompt and needs no chat template, or
the stage's agent `solver`. With a model, every draw is keyed by problem and index, and finished problems survive a
kill.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from stages.lib.chat.base import NoAnswerError
from stages.lib.core import expressions, seeds
from stages.lib.core.records import Problem, Record, Step
from stages.lib.grading import answers as grader_answers
from stages.lib.grading import grader, replies
from stages.lib.inference.sampling_params import SamplingParams
from stages.lib.labels import truth
from stages.lib.models.prompts import PLAIN_TEMPLATE
from stages.lib.operators.rejects import Reject
from stages.problems.augmentation import consensus, equations
from stages.problems.augmentation.candidate import Candidate, Context, derive_problem, hash_prompt, name_agent

if TYPE_CHECKING:
    from stages.lib.inference.sampling import Engine
    from stages.lib.models.encoding import Encoder

NAME = "answers"
VERSION = 1  # part of every key
BATCH = 64  # parents that are sampled together; changes no draw


class AnswersParams(SamplingParams):
    sampler: Literal["model", "solver"] = "model"  # model: a folder, with the plain prompt; solver: the agent
    model: str = "data/raw/base"  # the folder
    samples_per_problem: int = Field(default=8, ge=1)  # solutions drawn of each problem
    max_per_problem: int = Field(default=4, ge=1)  # kept at most, so that easy problems do not crowd out others
    temperature: float = Field(default=0.7, gt=0)  # of every draw
    top_k: int = Field(default=0, ge=0)  # draw from the k likeliest tokens alone; 0: from all
    top_p: float = Field(default=1.0, gt=0, le=1)  # draw from the likeliest tokens that together reach this probability
    max_new_tokens: int = Field(default=256, ge=1)  # tokens of a draw at most
    max_rows: Annotated[int, Field(ge=16)] | Literal["auto"] = 512  # draws at a time; auto: what fits; changes no draw


class Solution(Record):
    """A sampled solution. text: None if it was cut off."""

    problem_id: str
    index: int
    text: str | None
    correct: bool


def fits_parent(parent: Problem, section: Any, context: Context) -> bool:
    """A problem with a number as its answer, so that a solution has equations."""
    return parent.answer_type in ("number", "integer") and not parent.choices and not parent.abstain


def make_candidates(parents: Sequence[Problem], section: Any, context: Context) -> Iterator[Candidate | Reject]:
    """As `candidate.Method`: one for each sampled solution. Raises UserError for a folder without a model, and a
    prompt that is too long for it."""
    sample = _sample_model if section.answers.sampler == "model" else _ask_solver
    for start in range(0, len(parents), BATCH):
        batch = parents[start : start + BATCH]
        solutions = sample(batch, section, context)
        for parent in batch:
            yield from select_solutions(parent, solutions[parent.id], section, context)


def select_solutions(
    parent: Problem, solutions: Sequence[Solution], section: Any, context: Context
) -> Iterator[Candidate | Reject]:
    """A Candidate for each right solution with new equations, a Reject for every other, in their order."""
    gold = "\n".join(step.text for step in parent.steps or ())
    seen = {_get_key(gold)} if gold else set()
    kept = 0
    agent, prompt = _describe_sampler(parent, section, context)
    for solution in solutions:
        reason = explain_wrong(parent, solution)
        key = _get_key(solution.text or "")
        if not reason and key in seen:
            reason = "the same equations as another solution"
        if not reason and kept == section.answers.max_per_problem:
            reason = "enough solutions of this problem"
        if reason:
            yield Reject(f"{parent.id}~{NAME}{solution.index + 1}", NAME, reason)
            continue
        seen.add(key)
        kept += 1
        steps = _make_steps(parent, solution.text or "")
        fields = {"steps": steps, "program": parent.program, "contract": "preserving"}
        problem = derive_problem(parent, NAME, solution.index + 1, **fields)
        is_known = truth.label_steps(parent, solution.text or "") is not None
        checks = {"answer": "equals gold", "steps": "true by the program" if is_known else "unproven"}
        yield Candidate(problem, agent, checks, solution.index + 1, hash_prompt(prompt))


def explain_wrong(parent: Problem, solution: Solution) -> str | None:
    """Why a solution may not be learnt; None if it may."""
    if solution.text is None:
        return "cut off"
    if not solution.correct:
        return "the answer is wrong or missing"
    if reason := equations.explain_unsound(parent.question, solution.text, grader_answers.parse_number(parent.answer)):
        return reason
    labels = truth.label_steps(parent, solution.text)
    return None if labels is None or all(labels) else "a line is not true"


def _get_key(text: str) -> tuple[Any, ...]:
    return tuple((equation.left, equation.value) for equation in equations.find_equations(text))


def _make_steps(parent: Problem, text: str) -> list[Step]:
    """The lines of a solution, with their values where the gold solution has the same line."""
    values = {expressions.strip_annotations(step.text): step.value for step in parent.steps or ()}
    steps = consensus.make_steps(text, parent.answer)
    return [
        Step(text=step.text, value=step.value or values.get(expressions.strip_annotations(step.text))) for step in steps
    ]


# Where solutions come from.


def _ask_solver(parents: Sequence[Problem], section: Any, context: Context) -> dict[str, list[Solution]]:
    """Solutions of the agent `solver`, whole from <<< to >>>."""
    assert context.solver, "section.py refuses the method without its agents"
    count = section.answers.samples_per_problem
    requests = [(_format_prompt(parent), f"{NAME} {context.seed} {i}") for parent in parents for i in range(count)]
    answers = context.solver.ask_many(requests)
    texts = [None if isinstance(reply, NoAnswerError) else replies.extract_delimited(reply) for reply in answers]
    return {parent.id: _grade(parent, texts[i * count : (i + 1) * count]) for i, parent in enumerate(parents)}


def _grade(parent: Problem, texts: Sequence[str | None]) -> list[Solution]:
    grades = grader.grade(parent, texts, marked=True)
    return [
        Solution(problem_id=parent.id, index=i, text=text, correct=grade.correct)
        for i, (text, grade) in enumerate(zip(texts, grades, strict=True))
    ]


def _sample_model(parents: Sequence[Problem], section: Any, context: Context) -> dict[str, list[Solution]]:
    """Solutions of the model in a folder, kept in the stage's checkpoints as soon as a problem's are done."""
    from stages.lib.run import distributed

    run, name = context.run, f"{NAME}-{context.split}"
    folder = run.root / section.answers.model
    workers = distributed.LocalWorkers(partial(load_model, folder, section.answers.max_rows))
    work = partial(draw_solutions, section.answers, context.seed)
    distributed.make_records(run, workers, name, list(parents), work, Solution, lambda parent: parent.id)
    return distributed.load_finished(run.checkpoint_dir, name, Solution)


@cache  # one model for all batches
def load_model(folder: Path, max_rows: int | Literal["auto"]) -> tuple[Engine, Encoder]:
    """Raises UserError for a folder without a model."""
    from stages.lib.inference import engines
    from stages.lib.models import loading
    from stages.lib.models.encoding import Encoder
    from stages.lib.models.prompts import Prompt

    loading.check_folder(folder)
    engine = engines.make_engine("native", folder, max_rows, device=loading.resolve_device("auto"))
    return engine, Encoder.load(folder, Prompt(marked=True))


def draw_solutions(
    params: AnswersParams, seed: int, model: tuple[Engine, Encoder], parents: list[Problem]
) -> Iterator[list[Solution]]:
    """The solutions of each problem, as soon as its last one has ended. Raises UserError for too long a prompt."""
    from stages.lib.grading.draws import grade_draws
    from stages.lib.models import encoding

    (engine, encoder), count, limit = model, params.samples_per_problem, params.max_new_tokens
    prompts = encoding.encode_prompts(encoder, parents, limit, engine.context_length, f"augmentation.{NAME}")
    keys = [[seeds.key(seed, "augmentation", VERSION, parent.id, NAME, i) for i in range(count)] for parent in parents]
    stream = engine.stream(prompts, keys, params.distribution, limit, encoder.stops, encoder.calculator)
    for i, draws in grade_draws(stream, encoder, parents):
        yield [
            Solution(
                problem_id=parents[i].id,
                index=index,
                text=graded.text if graded.draw.finish == "stop" else None,
                correct=graded.correct,
            )
            for index, graded in enumerate(draws)
        ]


def _format_prompt(parent: Problem) -> str:
    return consensus.PROMPT.format(question=parent.format_prompt())


def _describe_sampler(parent: Problem, section: Any, context: Context) -> tuple[str, str]:
    """(agent, prompt) of the solutions of a problem."""
    if section.answers.sampler == "solver":
        return name_agent(context.solver), _format_prompt(parent)
    return f"model:{section.answers.model}", PLAIN_TEMPLATE.format(question=parent.format_prompt())
