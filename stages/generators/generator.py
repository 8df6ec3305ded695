"""Stage generator: fine-tune the base model on gold solutions (Cobbe et al. 2021, arXiv 2110.14168, section 4.1), or take
it as it comes.

Reads data/base/model, data/benchmarks/{train,dev}.jsonl, data/aime/train.jsonl; writes data/generator/{model, prompt.json,
history.csv, metrics.json}. prompt.json is how this generator is asked, from here to the last stage.

train: true     the loss falls on the solution only. After each epoch N solutions are drawn for every dev problem, at the
                temperature of the sampling to come. The epoch with the highest pass@1 is kept, of equals the one that
                answers most often, then the earlier. pass@N stands beside it: coverage can collapse while pass@1 still
                rises (figure 3 of the paper), and verifiers live on coverage. Greedy accuracy is logged alone: it does
                not see what sampling breaks.
train: false    a copy of the base, measured once: for models that come ready-made

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.generators.generator
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from stages.lib.core.records import Record
from stages.lib.models.prompts import PromptParams
from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.lib.core.records import Problem
    from stages.lib.inference.sampling import Engine
    from stages.lib.models.encoding import Encoder
    from stages.lib.models.prompts import Prompt

VERSION = 1  # part of every key


class Params(TrainingParams):
    train: bool  # false: the base as it is; then what describes training is not used
    prompt: PromptParams  # how a problem is put to the model
    competition_problems: int = Field(ge=0)  # gold solutions of competition problems that join those of the benchmark
    eval_samples: int = Field(gt=1)  # N solutions of every dev problem, after every epoch
    temperature: float = Field(gt=0)  # of these solutions
    max_new_tokens: int = Field(gt=0)  # tokens of a solution at most
    max_rows: int = Field(ge=16)  # solutions decoded at a time on each process; changes speed and memory, no draw

    @model_validator(mode="after")
    def _check_shots(self) -> Params:
        if self.train and self.prompt.shots:
            raise ValueError(
                "prompt.shots must be 0 where train is true: a trained generator is asked without examples"
            )
        return self


class OutcomeCounts(Record):
    """How many of the solutions drawn for a problem are right, and how many give an answer at all."""

    problem_id: str
    num_correct: int
    num_answered: int


def build_prompt(style: PromptParams, problems: list[Problem], seed: int, trained: bool) -> Prompt:
    """The prompt with its examples, drawn by key from `problems`, one more than asked: none is shown before itself. Raises
    UserError where too few have a gold solution."""
    from stages.lib.core import seeds
    from stages.lib.core.errors import UserError
    from stages.lib.models.prompts import Prompt, Shot
    from stages.lib.training import sft

    prompt = Prompt(**style.model_dump(), marked=trained or style.instruct or style.shots > 0)
    worked = [problem for problem in problems if sft.get_steps(problem)]
    if len(worked) < style.shots + bool(style.shots):
        raise UserError(
            f"generator.prompt.shots: {style.shots} examples are asked, and one more to choose from, but {len(worked)} "
            f"problems of train (of dev, if there are none) have a gold solution; lower shots, or give more train problems"
        )
    ranked = sorted(worked, key=lambda problem: seeds.key(seed, "generator", VERSION, problem.id, "shot"))
    shots = [
        Shot(
            question=prompt.format_question(problem),
            solution=prompt.step_separator.join(sft.get_steps(problem, prompt)),
        )
        for problem in ranked[: style.shots + bool(style.shots)]
    ]
    return prompt.model_copy(update={"examples": shots})


def count_outcomes(
    run: StageRun[Params], engine: Engine, encoder: Encoder, problems: list[Problem], n: int
) -> Iterator[list[OutcomeCounts]]:
    """One Outcome a problem, of n solutions: the greedy one for n = 1."""
    from stages.lib.core import seeds
    from stages.lib.grading import grader
    from stages.lib.models import encoding

    prompts = encoding.encode_prompts(encoder, problems, run.params.max_new_tokens, engine.context_length, "generator")
    keys = [[seeds.key(run.seed, "generator", VERSION, problem.id, i) for i in range(n)] for problem in problems]
    temperature = 0.0 if n == 1 else run.params.temperature
    stream = engine.stream(prompts, keys, temperature, run.params.max_new_tokens, encoder.stops)
    ended = (
        (problems[i], [encoder.decode_solution(draw.ids) for draw in draws if draw.finish == "stop"])
        for i, draws in stream
    )
    for (problem, _), grades in grader.grade_each(ended, lambda solutions: solutions, encoder.prompt.marked):
        right, answered = sum(grade.correct for grade in grades), sum(grade.answer is not None for grade in grades)
        yield [OutcomeCounts(problem_id=problem.id, num_correct=right, num_answered=answered)]


def measure(
    run: StageRun[Params], name: str, engine: Engine, encoder: Encoder, problems: list[Problem]
) -> dict[str, float]:
    """On dev: accuracy of the greedy solution; of N sampled ones pass@1, pass@N and the share that gives an answer. The
    processes share the work; `name` is that of its unfinished parts."""
    from stages.lib.run import distributed

    def drawn(n: int) -> list[OutcomeCounts]:
        def work(mine: list[Problem]) -> Iterator[list[OutcomeCounts]]:
            return count_outcomes(run, engine, encoder, mine, n)

        found = distributed.map_sharded(run, f"{name}-{n}", problems, work, OutcomeCounts, lambda problem: problem.id)
        return [outcome for (outcome,) in found.values()]

    n, total = run.params.eval_samples, max(1, len(problems))
    greedy, sampled = drawn(1), drawn(n)
    return {
        "dev_greedy": sum(each.num_correct for each in greedy) / total,
        "dev_pass_at_1": sum(each.num_correct for each in sampled) / n / total,
        "dev_pass_at_n": sum(each.num_correct > 0 for each in sampled) / total,
        "dev_answered": sum(each.num_answered for each in sampled) / n / total,
    }


def selection_key(measured: dict[str, float]) -> list[float]:
    """What makes one epoch better than another."""
    return [measured["dev_pass_at_1"], measured["dev_answered"]]


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.lib.core import files, records, seeds
    from stages.lib.core.errors import UserError
    from stages.lib.inference.native_engine import NativeEngine
    from stages.lib.models import forward, loading, objectives
    from stages.lib.models.encoding import Encoder
    from stages.lib.run import distributed
    from stages.lib.training import loop, sft

    base = run.input_path("base", "model")
    sets = {split: records.read_problems(run.input_path("benchmarks", f"{split}.jsonl")) for split in ("train", "dev")}
    prompt = build_prompt(run.params.prompt, sets["train"] or sets["dev"], run.seed, run.params.train)
    if run.is_main:
        prompt.write(run.out_dir / "prompt.json")
    plain = Encoder.load(base)
    encoder = Encoder(plain.tokenizer, prompt, plain.stops.token_ids)
    model = loading.load_causal_lm(base)

    if not run.params.train:
        state = distributed.init_processes(run)
        if run.is_main:
            with files.atomic_write_dir(run.out_dir / "model") as folder:
                shutil.copytree(base, folder, dirs_exist_ok=True)
            files.write_text(run.out_dir / "history.csv", "")
        engine = NativeEngine(model.to(state.device), run.params.max_rows)
        with forward.autocast(model, run.params.precision):
            return {"examples": 0, "steps": 0, "epoch": 0} | measure(run, "as-it-comes", engine, encoder, sets["dev"])

    worked = [problem for problem in sets["train"] if sft.get_steps(problem)]
    if not worked:
        raise UserError(
            "data/benchmarks/train.jsonl: no problem has a gold solution to learn from; give a train split, or set "
            "generator.train: false for a model that comes ready-made"
        )
    if not sets["dev"]:
        raise UserError("data/benchmarks/dev.jsonl: no problems, so no epoch can be chosen; raise benchmarks.sizes.dev")
    best = run.checkpoint_dir / "best"
    kept = best / "rank.json"

    def evaluate(epoch: int, losses: objectives.LossModule) -> dict[str, float]:
        measured = measure(run, f"epoch-{epoch}", NativeEngine(losses.model, run.params.max_rows), encoder, sets["dev"])
        before = json.loads(kept.read_text()) if kept.exists() else []
        if run.is_main and selection_key(measured) > before:
            loading.save(losses.model, encoder.tokenizer, best / "model")
            files.write_json(kept, selection_key(measured))
        return measured

    losses = objectives.LossModule(
        loading.add_lora(model, run.params.lora_rank, seeds.key(run.seed, run.name, "adapters"))
    )
    competition = records.read_problems(run.input_path("aime", "train.jsonl"))[: run.params.competition_problems]
    examples = [sft.make_sft_example(encoder, problem) for problem in worked + competition]
    history = loop.train(run, losses, examples, run.params, on_epoch=evaluate)
    chosen = max(
        (row for row in history.rows if "dev_pass_at_1" in row), key=lambda row: (selection_key(row), -row["epoch"])
    )
    if run.is_main:
        if not chosen["dev_answered"]:
            print(
                f"generator: warning: no solution of {len(sets['dev'])} dev problems gives an answer", file=sys.stderr
            )
        files.write_text(run.out_dir / "history.csv", history.to_csv())
        with files.atomic_write_dir(run.out_dir / "model") as folder:
            shutil.copytree(best / "model", folder, dirs_exist_ok=True)
    return {
        "examples": len(examples),
        "steps": len(history.rows),
        "epoch": chosen["epoch"],
        **{name: value for name, value in chosen.items() if name.startswith("dev_")},
        "loss": chosen["lm_loss"],
    }


def main() -> None:
    run_stage("generator", Params, body)


if __name__ == "__main__":
    main()
