"""Stage generator: fine-tune the base model on gold solutions (Cobbe et al. 2021, arXiv 2110.14168, section 4.1), or take
it as it comes.

Reads data/base/model, data/benchmarks/{train,dev,test}.jsonl, data/aime/train.jsonl; writes data/generator/{model,
prompt.json, history.csv, metrics.json}. prompt.json is how this generator is asked, from here to the last stage.

train: true     the loss falls on the solution only. After each epoch it measures test@1 (greedy) and test@N (any of N
                samples right): coverage collapses while test@1 still rises (figure 3 of the paper), and verifiers live on
                coverage. The epoch that is kept is the best on dev; what is logged of test chooses nothing.
train: false    a copy of the base, measured once: for models that come ready-made

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.generator
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from stages.lib.execution import Execution, run
from stages.lib.optimisation import Optimisation
from stages.lib.prompts import Style
from stages.lib.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.lib.encoding import Encoder
    from stages.lib.prompts import Prompt
    from stages.lib.records import Problem
    from stages.lib.sampling import Engine

VERSION = 1  # part of every key


class Params(Optimisation):
    train: bool  # false: the base as it is; then what describes training is not used
    prompt: Style
    competition: int = Field(ge=0)  # gold solutions of competition problems that join those of the benchmark
    eval_problems: int = Field(gt=0)  # of dev and of test, after every epoch
    eval_samples: int = Field(gt=0)  # N of test@N
    temperature: float = Field(gt=0)
    max_new_tokens: int = Field(gt=0)

    @model_validator(mode="after")
    def _examples_or_training(self) -> Params:
        if self.train and self.prompt.shots:
            raise ValueError(
                "prompt.shots must be 0 where train is true: a trained generator is asked without examples"
            )
        return self


class Outcome(Record):
    """How many of the solutions drawn for a problem are right."""

    problem_id: str
    right: int


def draw_prompt(style: Style, problems: list[Problem], seed: int) -> Prompt:
    """The prompt with its examples, drawn by key from `problems`, one more than asked: none is shown before itself. Raises
    UserError where too few have a gold solution."""
    from stages.lib import gold, seeds
    from stages.lib.errors import UserError
    from stages.lib.prompts import Prompt, Shot

    prompt = Prompt(**style.model_dump())
    worked = [problem for problem in problems if gold.steps(problem)]
    if len(worked) < style.shots + bool(style.shots):
        raise UserError(
            f"generator.prompt.shots: {style.shots} examples are asked, and one more to choose from, but {len(worked)} "
            f"problems of train (of dev, if there are none) have a gold solution; lower shots, or give more train problems"
        )
    ranked = sorted(worked, key=lambda problem: seeds.key(seed, "generator", VERSION, problem.id, "shot"))
    shots = [
        Shot(question=prompt.ask(problem), solution=prompt.separator.join(gold.steps(problem, prompt)))
        for problem in ranked[: style.shots + bool(style.shots)]
    ]
    return prompt.model_copy(update={"examples": shots})


def outcomes(
    run: Execution[Params], engine: Engine, encoder: Encoder, problems: list[Problem], n: int
) -> Iterator[list[Outcome]]:
    """One Outcome a problem, of n solutions: the greedy one for n = 1."""
    from stages.lib import encoding, grading, seeds

    prompts = encoding.fitting(encoder, problems, run.params.max_new_tokens, engine.context, "generator")
    keys = [[seeds.key(run.seed, "generator", VERSION, problem.id, i) for i in range(n)] for problem in problems]
    temperature = 0.0 if n == 1 else run.params.temperature
    stream = engine.stream(prompts, keys, temperature, run.params.max_new_tokens, encoder.stops)
    ended = ((problems[i], [encoder.decode(draw) for draw in draws if draw.finish == "stop"]) for i, draws in stream)
    for (problem, _), grades in grading.grade_each(ended, lambda solutions: solutions):
        yield [Outcome(problem_id=problem.id, right=sum(grade.correct for grade in grades))]


def accuracy(
    run: Execution[Params], name: str, engine: Engine, encoder: Encoder, problems: list[Problem], n: int
) -> dict[str, float]:
    """{"greedy": share right at temperature 0} for n = 1, else {"single", "any"}: expected pass@1 and pass@n. The
    processes share the work; `name` is that of its unfinished part."""
    from stages.lib import parts

    def work(mine: list[Problem]) -> Iterator[list[Outcome]]:
        return outcomes(run, engine, encoder, mine, n)

    found = parts.shared(run, name, problems, work, Outcome, lambda problem: problem.id).values()
    right, total = [outcome.right for (outcome,) in found], max(1, len(problems))
    if n == 1:
        return {"greedy": sum(right) / total}
    return {"single": sum(right) / n / total, "any": sum(map(bool, right)) / total}


def body(run: Execution[Params]) -> dict[str, Any]:
    from stages.lib import files, gold, models, parts, records, seeds, training
    from stages.lib.encoding import Encoder
    from stages.lib.errors import UserError
    from stages.lib.native import NativeEngine

    base = run.data("base", "model")
    sets = {
        split: records.read_problems(run.data("benchmarks", f"{split}.jsonl")) for split in ("train", "dev", "test")
    }
    prompt = draw_prompt(run.params.prompt, sets["train"] or sets["dev"], run.seed)
    if run.is_main:
        prompt.write(run.out / "prompt.json")
    plain = Encoder.load(base)
    encoder = Encoder(plain.tokenizer, prompt, plain.stops.ids)
    model = models.load_causal_lm(base)
    shown = {split: sets[split][: run.params.eval_problems] for split in ("dev", "test")}

    def measure(name: str, engine: NativeEngine) -> dict[str, float]:
        measured = {
            f"{split}_greedy": accuracy(run, f"{name}-{split}", engine, encoder, shown[split], 1)["greedy"]
            for split in shown
        }
        many = accuracy(run, f"{name}-many", engine, encoder, shown["test"], run.params.eval_samples)
        return measured | {"test_single": many["single"], "test_any": many["any"]}

    if not run.params.train:
        state = parts.joined(run)
        if run.is_main:
            with files.replacing_dir(run.out / "model") as folder:
                shutil.copytree(base, folder, dirs_exist_ok=True)
            files.write_text(run.out / "history.csv", "")
        return {"examples": 0, "steps": 0, "epoch": 0} | measure("as it comes", NativeEngine(model.to(state.device)))

    worked = [problem for problem in sets["train"] if gold.steps(problem)]
    if not worked:
        raise UserError(
            "data/benchmarks/train.jsonl: no problem has a gold solution to learn from; give a train split, or set "
            "generator.train: false for a model that comes ready-made"
        )
    if not shown["dev"]:
        raise UserError("data/benchmarks/dev.jsonl: no problems, so no epoch can be chosen; raise benchmarks.sizes.dev")
    best = run.checkpoints / "best"
    kept = best / "dev_greedy"

    def evaluate(epoch: int, losses: training.Losses) -> dict[str, float]:
        measured = measure(f"epoch-{epoch}", NativeEngine(losses.model))
        before = float(kept.read_text()) if kept.exists() else -1.0
        if run.is_main and measured["dev_greedy"] > before:
            models.save(losses.model, encoder.tokenizer, best / "model")
            files.write_text(kept, repr(measured["dev_greedy"]))
        return measured

    losses = training.Losses(models.adapted(model, run.params.lora_rank, seeds.key(run.seed, run.name, "adapters")))
    competition = records.read_problems(run.data("aime", "train.jsonl"))[: run.params.competition]
    examples = [gold.example(encoder, problem) for problem in worked + competition]
    history = training.train(run, losses, examples, run.params, on_epoch=evaluate)
    epochs = [row for row in history.rows if "dev_greedy" in row]
    chosen = max(epochs, key=lambda row: (row["dev_greedy"], -row["epoch"]))
    if run.is_main:
        files.write_text(run.out / "history.csv", history.csv())
        with files.replacing_dir(run.out / "model") as folder:
            shutil.copytree(best / "model", folder, dirs_exist_ok=True)
    return {
        "examples": len(examples),
        "steps": len(history.rows),
        "epoch": chosen["epoch"],
        **{name: chosen[name] for name in ("dev_greedy", "test_greedy", "test_single", "test_any")},
        "loss": chosen["lm_loss"],
    }


def main() -> None:
    run("generator", Params, body)


if __name__ == "__main__":
    main()
