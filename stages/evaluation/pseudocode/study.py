"""Training study: three models learn the same kind of programs, from answers alone, from worked steps, or from traces.

All read the same text, a program without `print`s, and learn from equally many target tokens in equally many updates, so
from fewer programs where the target is longer. Tested are fresh programs, longer ones, and the fresh ones with other names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.evaluation.pseudocode import problem_plans, programs, replies
from stages.evaluation.pseudocode.arms import Outcome
from stages.evaluation.pseudocode.tasks import VERSION
from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.core.expressions import strip_annotations
from stages.lib.core.records import Problem, Program, Sample, Source, Step
from stages.lib.interpreter.run import run_program
from stages.lib.procedural import gradeschool
from stages.lib.procedural.gradeschool import Knobs

if TYPE_CHECKING:
    from stages.lib.inference.sampling import Engine
    from stages.lib.models.batch import Example
    from stages.lib.models.encoding import Encoder
    from stages.lib.run.execution import StageRun
    from stages.lib.training.training_params import TrainingParams

TARGETS = ("answers", "steps", "traces")
SETS = ("test", "longer", "renamed")
_LETTERS = "bcdfghjklmnpqrstvwz"
MAX_TRIES = 200_000  # programs drawn before the study says that the target is out of reach


class Item(NamedTuple):
    """A program as each of TARGETS presents it; all have one question and answer."""

    forms: dict[str, Problem]


def make_item(name: str, params: Mapping[str, Any]) -> Item:
    """params: of a grade-school program (procedural/gradeschool), whose people are the names of the variables."""
    # Calculator annotations are for a generator that calls the calculator, and this one does not.
    problem_steps = [
        step.model_copy(update={"text": strip_annotations(step.text)}) for step in gradeschool.rederive(params)[1]
    ]
    plan = problem_plans.write_plan(_make_problem(name, "-", str(problem_steps[-1].value), [], params))
    if plan is None:
        raise ValueError(f"{name}: its people are no names of variables")
    trace = [Step(text=line) for line in run_program(plan.code).printed[:-1]]
    last = problem_steps[-1]
    code = programs.remove_prints(plan.code).replace(f"print('{programs.FINAL}', ", "print(")
    forms = {"answers": [last], "steps": problem_steps, "traces": [*trace, last]}
    return Item({target: _make_problem(name, code, str(last.value), steps, params) for target, steps in forms.items()})


def _make_problem(name: str, question: str, answer: str, steps: list[Step], params: Mapping[str, Any]) -> Problem:
    return Problem(
        id=name,
        benchmark="pseudocode",
        split=name.split("/")[1],
        question=question,
        answer=answer,
        answer_type="integer",
        steps=steps,
        program=Program(generator="gradeschool", version=gradeschool.VERSION, params=dict(params)),
        licence="MIT",
        source=Source(url="procedural:gradeschool"),
    )


def draw_item(name: str, steps: Sequence[int], max_value: int, seed: int) -> Item:
    """The item with this id; it depends on no other."""
    split = "train" if "/train/" in name else "test"
    return make_item(name, gradeschool.sample_program(split, name, seed, Knobs((steps[0], steps[1]), max_value)))


def rename(item: Item, seed: int) -> Item:
    """The same program with three consonants for every name."""
    problem = item.forms["answers"]
    assert problem.program
    name = problem.id.replace("/test/", "/renamed/")
    rng, names = seeds.rng(seed, "pseudocode", VERSION, name, "names"), []
    while len(names) < len(problem.program.params["people"]):
        word = "".join(rng.choice(_LETTERS) for _ in range(3))
        if word not in names:
            names.append(word)
    return make_item(name, {**problem.program.params, "people": names})


def make_sets(run: StageRun[Any]) -> dict[str, list[Item]]:
    """The test sets by name."""
    p, n = run.params, run.params.test_programs
    fresh = [draw_item(f"pseudocode/test/{i:05}", p.relations, p.max_value, run.seed) for i in range(n)]
    longer = [draw_item(f"pseudocode/longer/{i:05}", p.longer_relations, p.max_value, run.seed) for i in range(n)]
    return {"test": fresh, "longer": longer, "renamed": [rename(item, run.seed) for item in fresh]}


def make_examples(run: StageRun[Any], target: str, encoder: Encoder, tested: set[str]) -> list[Example]:
    """Training examples of one target, in the order of their ids, until they have `target_tokens` tokens to learn.

    None is a program of `tested`. Raises UserError where there are too few different programs."""
    from stages.lib.training import sft

    p, examples, total, seen = run.params, [], 0, set(tested)
    for i in range(MAX_TRIES):
        if total >= p.target_tokens:
            return examples
        problem = draw_item(f"pseudocode/train/{i:05}", p.relations, p.max_value, run.seed).forms[target]
        if problem.question in seen:
            continue
        seen.add(problem.question)
        examples.append(sft.make_sft_example(encoder, problem))
        total += count_targets(examples[-1:])
    raise UserError(
        f"pseudocode.target_tokens: {p.target_tokens}, but programs of these relations and values give {total}; lower it, "
        "or raise pseudocode.relations or pseudocode.max_value"
    )


def count_targets(examples: Sequence[Example]) -> int:
    return int(sum(sum(example.lm_weight) for example in examples))


def fit_batch(params: TrainingParams, count: int, traces: int, world_size: int) -> TrainingParams:
    """The parameters with a batch so large that a model of `count` programs takes about as many updates as that of the
    traces, each from as many target tokens. A process computes as many at once as divide its share."""
    share = max(1, round(params.global_batch_size * count / traces / world_size))
    at_once = max(n for n in range(1, min(share, params.device_batch_size) + 1) if share % n == 0)
    return params.model_copy(update={"global_batch_size": share * world_size, "device_batch_size": at_once})


def run_study(run: StageRun[Any], device: Any) -> tuple[list[Outcome], dict[str, Any]]:
    """Train and test a model for each target: the outcome of each test program, and figures of training."""
    from stages.lib.inference.native_engine import NativeEngine
    from stages.lib.models import loading, objectives
    from stages.lib.models.encoding import Encoder
    from stages.lib.models.prompts import Prompt
    from stages.lib.run import distributed
    from stages.lib.training import loop

    folder = run.input_path("base", "model")
    plain = Encoder.load(folder)
    encoder = Encoder(plain.tokenizer, Prompt(marked=True), plain.stops.token_ids)
    sets = make_sets(run)
    tested = {item.forms["answers"].question for items in sets.values() for item in items}
    learned = {target: make_examples(run, target, encoder, tested) for target in TARGETS}
    rows, training = [], {}
    for target, examples in learned.items():
        own = replace(run, key=f"{run.key}/{target}", journal_entry=run.journal_entry if target == "traces" else None)
        objective = objectives.LanguageModelingObjective(loading.load_causal_lm(folder))
        history = loop.train(
            own, objective, examples, fit_batch(run.params, len(examples), len(learned["traces"]), run.world_size)
        )
        training[target] = {
            "programs": len(examples),
            "target_tokens": count_targets(examples),
            "tokens": sum(len(example.ids) for example in examples),
            "updates": len(history.rows),
            "loss": history.rows[-1]["lm_loss"],
        }
        engine = NativeEngine(objective.model.to(device), run.params.max_rows)
        for name, items in sets.items():
            problems = [item.forms[target] for item in items]
            draw, workers = partial(draw_greedily, run, encoder), distributed.LocalWorkers(lambda engine=engine: engine)
            found = distributed.map_sharded(own, workers, name, problems, draw, Sample, lambda problem: problem.id)
            rows += [judge_sample(name, target, problem, found[problem.id][0]) for problem in problems]
    return rows, training


def draw_greedily(
    run: StageRun[Any], encoder: Encoder, engine: Engine, problems: list[Problem]
) -> Iterator[list[Sample]]:
    from stages.lib.grading.draws import make_samples
    from stages.lib.inference.sampling import GREEDY
    from stages.lib.models import encoding

    limit = run.params.max_new_tokens
    prompts = encoding.encode_prompts(encoder, problems, limit, engine.context_length, "pseudocode")
    keys = [[seeds.key(run.seed, "pseudocode", VERSION, problem.id, "draw")] for problem in problems]
    yield from make_samples(engine.stream(prompts, keys, GREEDY, limit, encoder.stops), encoder, problems)


def judge_sample(name: str, target: str, problem: Problem, sample: Sample) -> Outcome:
    """The outcome on one test program; the lines before the answer are compared with the target's own."""
    lines = [line for line in sample.text.splitlines() if line.strip() and not line.startswith("####")]
    trace = [step.text for step in (problem.steps or [])[:-1]]
    compared: dict[str, Any] = {}
    if target != "answers":
        compared = {"trace": trace, "lines": lines, "first_error": replies.find_divergence(trace, lines)}
    return Outcome(
        id=problem.id,
        task=name,
        arm=target,
        status="answered" if sample.answer is not None and sample.finish == "stop" else "unreadable",
        final=sample.answer,
        answer=problem.answer,
        correct=sample.is_right,
        **compared,
    )


def summarize(rows: Sequence[Outcome], seed: int) -> dict[str, Any]:
    """Per set: the accuracy of each target with its interval, its traces, and the paired differences between targets."""
    import numpy as np

    from stages.evaluation.pseudocode.arms import summarize_traces
    from stages.lib.metrics import intervals

    figures: dict[str, Any] = {}
    for name in dict.fromkeys(row.task for row in rows):
        right = {target: [row for row in rows if (row.task, row.arm) == (name, target)] for target in TARGETS}
        values = {target: np.array([float(row.correct) for row in own]) for target, own in right.items()}
        part: dict[str, Any] = {"problems": len(values["answers"]), "targets": {}, "differences": {}}
        for target, own in right.items():
            interval = intervals.estimate_accuracy(values[target])
            part["targets"][target] = {
                "accuracy": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "unreadable": sum(row.status == "unreadable" for row in own),
                **summarize_traces(own),
            }
        for first, second in (("traces", "answers"), ("traces", "steps"), ("steps", "answers")):
            key = seeds.key(seed, "pseudocode", VERSION, name, first, second)
            found = intervals.compare(values[first], values[second], key)
            part["differences"][f"{first} - {second}"] = {
                "difference": found.difference,
                "low": found.low,
                "high": found.high,
                "p": found.p,
            }
        figures[name] = part
    every = [row for part in figures.values() for row in part["differences"].values()]
    for row, p in zip(every, intervals.holm([row["p"] for row in every]), strict=True):
        row["p_holm"] = p
    return figures
