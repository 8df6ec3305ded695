"""Stage generator: fine-tune the base model on gold solutions (Cobbe et al. 2021, arXiv 2110.14168, section 4.1).

Reads data/base/model, data/benchmarks/{train,dev,test}.jsonl, data/aime/train.jsonl; writes data/generator/{model,
history.csv, metrics.json}.
The loss falls on the solution only. After each epoch it measures test@1 (greedy) and test@N (any of N samples right):
coverage collapses while test@1 still rises (figure 3 of the paper), and verifiers live on coverage. The epoch that is
kept is the best on dev; what is logged of test chooses nothing.

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.generator
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from pydantic import Field

from stages.lib.execution import Execution, run
from stages.lib.optimisation import Optimisation
from stages.lib.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.lib.records import Problem
    from stages.lib.sampling import Engine


class Params(Optimisation):
    competition: int = Field(ge=0)  # gold solutions of competition problems that join those of the benchmark
    eval_problems: int = Field(ge=0)  # of dev and of test, after every epoch
    eval_samples: int = Field(gt=0)  # N of test@N
    temperature: float = Field(gt=0)
    max_new_tokens: int = Field(gt=0)


class Outcome(Record):
    """How many of the solutions drawn for a problem are right."""

    problem_id: str
    right: int


def outcomes(
    run: Execution[Params], engine: Engine, tokenizer: Any, problems: list[Problem], n: int
) -> Iterator[list[Outcome]]:
    """One Outcome a problem, of n solutions: the greedy one for n = 1."""
    from stages.lib import answers, seeds
    from stages.lib.encoding import prompt_ids

    prompts = [prompt_ids(tokenizer, problem.prompt()) for problem in problems]
    keys = [[seeds.key(run.seed, "generator", 1, problem.id, i) for i in range(n)] for problem in problems]
    temperature = 0.0 if n == 1 else run.params.temperature
    stream = engine.stream(prompts, keys, temperature, run.params.max_new_tokens, [tokenizer.eos_token_id])
    for i, draws in stream:
        of = problems[i]
        texts = [tokenizer.decode(draw.ids, skip_special_tokens=True) for draw in draws if draw.finish == "stop"]
        found = [answers.extract(text, of.answer_type) for text in texts]
        yield [Outcome(problem_id=of.id, right=sum(answers.equal(of.answer, x, of.answer_type) for x in found))]


def accuracy(
    run: Execution[Params], name: str, engine: Engine, tokenizer: Any, problems: list[Problem], n: int
) -> dict[str, float]:
    """{"greedy": share right at temperature 0} for n = 1, else {"single", "any"}: expected pass@1 and pass@n. The
    processes share the work; `name` is that of its unfinished part."""
    from stages.lib import parts

    def work(mine: list[Problem]) -> Iterator[list[Outcome]]:
        return outcomes(run, engine, tokenizer, mine, n)

    found = parts.shared(run, name, problems, work, Outcome, lambda problem: problem.id).values()
    right, total = [outcome.right for (outcome,) in found], max(1, len(problems))
    if n == 1:
        return {"greedy": sum(right) / total}
    return {"single": sum(right) / n / total, "any": sum(map(bool, right)) / total}


def body(run: Execution[Params]) -> dict[str, Any]:
    from stages.lib import files, gold, models, records, training
    from stages.lib.errors import UserError
    from stages.lib.native import NativeEngine

    model = models.load_causal_lm(run.data("base", "model"))
    tokenizer = models.load_tokenizer(run.data("base", "model"))
    sets = {
        split: records.read_problems(run.data("benchmarks", f"{split}.jsonl")) for split in ("train", "dev", "test")
    }
    worked = [problem for problem in sets["train"] if problem.steps]
    if not worked:
        raise UserError("data/benchmarks/train.jsonl: no problem has gold steps; a generator cannot be trained on it")
    shown = {split: sets[split][: run.params.eval_problems] for split in ("dev", "test")}
    best = run.checkpoints / "best"
    kept = best / "dev_greedy"

    def evaluate(epoch: int, losses: training.Losses) -> dict[str, float]:
        engine = NativeEngine(losses.model)
        name, n = f"epoch-{epoch}", run.params.eval_samples
        measured = {
            f"{split}_greedy": accuracy(run, f"{name}-{split}", engine, tokenizer, shown[split], 1)["greedy"]
            for split in shown
        }
        many = accuracy(run, f"{name}-many", engine, tokenizer, shown["test"], n)
        measured |= {"test_single": many["single"], "test_any": many["any"]}
        before = float(kept.read_text()) if kept.exists() else -1.0
        if run.is_main and measured["dev_greedy"] > before:
            models.save(losses.model, tokenizer, best / "model")
            files.write_text(kept, repr(measured["dev_greedy"]))
        return measured

    losses = training.Losses(models.adapted(model, run.params.lora_rank))
    competition = records.read_problems(run.data("aime", "train.jsonl"))[: run.params.competition]
    examples = [gold.example(tokenizer, problem) for problem in worked + competition]
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
