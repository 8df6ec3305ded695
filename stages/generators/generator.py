"""Stage generator: fine-tune the base model on gold solutions (Cobbe et al. 2021, arXiv 2110.14168, 4.1), or copy it.

Reads data/base/model, data/selection/train.jsonl, data/benchmarks/dev.jsonl; writes data/generator/{model, prompt.json,
history.csv, metrics.json}. prompt.json is the prompt of this generator in every later stage.

train: true     the loss is on the solution only. After each epoch N solutions are drawn for every dev problem, at the
                temperature of stage samples. The epoch with the highest pass@1 is kept, of equals the one that answers
                most often, then the earlier. pass@N is reported beside it: coverage can collapse while pass@1 still rises
                (figure 3 of the paper), and verifiers need coverage. Greedy accuracy is logged only: it does not show
                what sampling breaks.
train: false    a copy of the base, measured once: for instruction-tuned and other ready-made models

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.generators.generator
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from stages.lib.core.records import Record
from stages.lib.inference.sampling import GREEDY
from stages.lib.inference.sampling_params import SamplingParams
from stages.lib.models.prompts import PromptParams
from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stages.lib.core.records import Problem
    from stages.lib.inference.sampling import Engine
    from stages.lib.models.encoding import Encoder
    from stages.lib.models.prompts import Prompt

VERSION = 1  # part of every key


class Params(TrainingParams, SamplingParams):
    train: bool  # false: the base as it is; then what describes training is not used
    prompt: PromptParams  # how a problem is put to the model
    eval_samples: int = Field(gt=1)  # N solutions of every dev problem, after every epoch

    @model_validator(mode="after")
    def _check_shots(self) -> Params:
        if self.train and self.prompt.shots:
            raise ValueError("prompt.shots must be 0 where train is true: a trained generator gets no examples")
        return self


class OutcomeCounts(Record):
    """How many of a problem's solutions are correct, and how many give an answer."""

    problem_id: str
    num_correct: int
    num_answered: int


def build_prompt(style: PromptParams, problems: list[Problem], seed: int, trained: bool) -> Prompt:
    """The prompt with its examples, drawn by key from `problems`: one more than `shots`, so that no problem is its own
    example. Raises UserError where too few have a gold solution."""
    from stages.lib.core import seeds
    from stages.lib.core.errors import UserError
    from stages.lib.models.prompts import Prompt, Shot
    from stages.lib.training import sft

    prompt = Prompt(**style.model_dump(), marked=trained or style.instruct or style.shots > 0)
    solved, count = [problem for problem in problems if sft.get_steps(problem)], style.shots + bool(style.shots)
    if len(solved) < count:
        raise UserError(
            f"generator.prompt.shots: {style.shots} examples and a spare one are needed, but {len(solved)} "
            f"problems of train (of dev, if there are none) have a gold solution; lower shots, or give more train problems"
        )
    ranked = sorted(solved, key=lambda problem: seeds.key(seed, "generator", VERSION, problem.id, "shot"))
    examples = [
        Shot(
            question=prompt.format_question(problem),
            solution=prompt.step_separator.join(sft.get_steps(problem, prompt)),
        )
        for problem in ranked[:count]
    ]
    return prompt.model_copy(update={"examples": examples})


def count_outcomes(
    run: StageRun[Params], engine: Engine, encoder: Encoder, problems: list[Problem], n: int
) -> Iterator[list[OutcomeCounts]]:
    """The counts of each problem over n solutions; for n = 1 the greedy one."""
    from stages.lib.core import seeds
    from stages.lib.grading.draws import grade_draws
    from stages.lib.models import encoding

    prompts = encoding.encode_prompts(encoder, problems, run.params.max_new_tokens, engine.context_length, "generator")
    keys = [[seeds.key(run.seed, "generator", VERSION, problem.id, i) for i in range(n)] for problem in problems]
    distribution = GREEDY if n == 1 else run.params.distribution
    stream = engine.stream(prompts, keys, distribution, run.params.max_new_tokens, encoder.stops, encoder.calculator)
    for i, draws in grade_draws(stream, encoder, problems):
        correct, answered = sum(draw.correct for draw in draws), sum(draw.answer is not None for draw in draws)
        yield [OutcomeCounts(problem_id=problems[i].id, num_correct=correct, num_answered=answered)]


def measure(
    run: StageRun[Params], name: str, engine: Engine, encoder: Encoder, problems: list[Problem]
) -> dict[str, float]:
    """Figures on dev: accuracy of the greedy solution, and pass@1, pass@N and the share with an answer of N sampled ones.
    The processes share the work, whose finished parts are kept under `name`."""
    from stages.lib.run import distributed

    def count(n: int) -> list[OutcomeCounts]:
        def work(engine: Engine, shard: list[Problem]) -> Iterator[list[OutcomeCounts]]:
            return count_outcomes(run, engine, encoder, shard, n)

        counts = distributed.map_sharded(
            run, workers, f"{name}-{n}", problems, work, OutcomeCounts, lambda problem: problem.id
        )
        return [outcome for (outcome,) in counts.values()]

    workers = distributed.LocalWorkers(lambda: engine)
    n, total = run.params.eval_samples, max(1, len(problems))
    greedy, sampled = count(1), count(n)
    return {
        "dev_greedy": sum(outcome.num_correct for outcome in greedy) / total,
        "dev_pass_at_1": sum(outcome.num_correct for outcome in sampled) / n / total,
        "dev_pass_at_n": sum(outcome.num_correct > 0 for outcome in sampled) / total,
        "dev_answered": sum(outcome.num_answered for outcome in sampled) / n / total,
    }


def selection_key(numbers: dict[str, float]) -> list[float]:
    """The best epoch has the highest of these."""
    return [numbers["dev_pass_at_1"], numbers["dev_answered"]]


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.lib.core import records
    from stages.lib.models.encoding import Encoder

    base = run.input_path("base", "model")
    train = records.read_problems(run.input_path("selection", "train.jsonl"))
    dev = records.read_problems(run.input_path("benchmarks", "dev.jsonl"))
    prompt = build_prompt(run.params.prompt, list_shown(train, dev) or dev, run.seed, run.params.train)
    if run.is_main:
        prompt.write(run.out_dir / "prompt.json")
    plain = Encoder.load(base)
    encoder = Encoder(plain.tokenizer, prompt, plain.stops.token_ids)
    return fine_tune(run, base, encoder, train, dev) if run.params.train else copy_base(run, base, encoder, dev)


def list_shown(train: list[Problem], dev: list[Problem]) -> list[Problem]:
    """The problems that may be worked examples: of train those as published, of the benchmark that is asked."""
    asked = {problem.benchmark for problem in dev or train}
    return [problem for problem in train if problem.benchmark in asked and not problem.operator]


def copy_base(run: StageRun[Params], base: Path, encoder: Encoder, dev: list[Problem]) -> dict[str, Any]:
    """Copy the base model and measure it on dev."""
    from stages.lib.core import files
    from stages.lib.inference.native_engine import NativeEngine
    from stages.lib.models import forward, loading
    from stages.lib.run import distributed

    model: Any = loading.load_causal_lm(base)
    state = distributed.init_processes(run)
    if run.is_main:
        _copy_folder(base, run.out_dir / "model")
        files.write_text(run.out_dir / "history.csv", "")
    engine = NativeEngine(model.to(state.device), run.params.max_rows)
    with forward.autocast(model, run.params.precision):
        return {"examples": 0, "steps": 0, "epoch": 0} | measure(run, "as-it-comes", engine, encoder, dev)


def fine_tune(
    run: StageRun[Params], base: Path, encoder: Encoder, train: list[Problem], dev: list[Problem]
) -> dict[str, Any]:
    """Train on the gold solutions and keep the best epoch on dev. Raises UserError for an empty train or dev split."""
    from stages.lib.core import files, seeds
    from stages.lib.core.errors import UserError
    from stages.lib.inference.native_engine import NativeEngine
    from stages.lib.models import loading, objectives
    from stages.lib.training import loop, sft

    solved = [problem for problem in train if sft.get_steps(problem)]
    if not solved:
        raise UserError(
            "data/selection/train.jsonl: no problem has a gold solution to learn from; give a train split, or set "
            "generator.train: false to use the base unchanged"
        )
    if not dev:
        raise UserError("data/benchmarks/dev.jsonl: no problems, so no epoch can be chosen; raise benchmarks.sizes.dev")
    best = run.checkpoint_dir / "best"
    best_key = best / "rank.json"

    def evaluate(epoch: int, objective: objectives.Objective) -> dict[str, float]:
        numbers = measure(run, f"epoch-{epoch}", NativeEngine(objective.model, run.params.max_rows), encoder, dev)
        if run.is_main and selection_key(numbers) > (json.loads(best_key.read_text()) if best_key.exists() else []):
            loading.save(objective.model, encoder.tokenizer, best / "model")
            files.write_json(best_key, selection_key(numbers))
        return numbers

    key = seeds.key(run.seed, run.name, "adapters")
    model = loading.add_lora(loading.load_causal_lm(base), run.params.lora_rank, key)
    examples = [sft.make_sft_example(encoder, problem) for problem in solved]
    objective = objectives.LanguageModelingObjective(model)
    history = loop.train(run, objective, examples, run.params, on_epoch=evaluate)
    epochs = [row for row in history.rows if "dev_pass_at_1" in row]
    best_epoch = max(epochs, key=lambda row: (selection_key(row), -row["epoch"]))
    if run.is_main:
        if not best_epoch["dev_answered"]:
            print(f"generator: warning: no solution of {len(dev)} dev problems gives an answer", file=sys.stderr)
        files.write_text(run.out_dir / "history.csv", history.to_csv())
        _copy_folder(best / "model", run.out_dir / "model")
    return {
        "examples": len(examples),
        "steps": len(history.rows),
        "epoch": best_epoch["epoch"],
        **{name: value for name, value in best_epoch.items() if name.startswith("dev_")},
        "loss": best_epoch["lm_loss"],
    }


def _copy_folder(source: Path, target: Path) -> None:
    from stages.lib.core import files

    with files.atomic_write_dir(target) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)


def main() -> None:
    run_stage("generator", Params, body)


if __name__ == "__main__":
    main()
