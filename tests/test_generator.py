"""The generator learns gold solutions, loss on the solution alone, and keeps the epoch that is best on dev."""

import csv

import pytest

from stages import generator
from stages.lib import gold, models, records
from stages.lib.errors import UserError
from stages.lib.tokenizer import build
from tests import tiny

TOKENIZER = build()
SETTINGS = {**tiny.OPTIMISATION, "competition": 2, "epochs": 3.0, "global_batch": 8, "lr": 1e-2, "eval_problems": 4,
            "eval_samples": 4,
            "temperature": 1.0, "max_new_tokens": 24}  # fmt: skip


def world(root, train):
    models.save(tiny.model("lfm2", len(TOKENIZER)), TOKENIZER, root / "data/base/model")
    for split, count in (("dev", 6), ("test", 6)):
        records.write_problems(
            root / f"data/benchmarks/{split}.jsonl", [tiny.problem(i + 50, split) for i in range(count)]
        )
    records.write_problems(root / "data/benchmarks/train.jsonl", train)
    records.write_problems(root / "data/aime/train.jsonl", [tiny.problem(i + 80) for i in range(3)])


def test_loss_is_on_the_solution_alone_without_annotations():
    found = gold.example(TOKENIZER, tiny.problem(3))
    learnt = [token for token, weight in zip(found.ids, found.lm, strict=True) if weight]
    assert TOKENIZER.decode(learnt) == "4 + 1 = 5\n#### 5\n<eos>"
    assert found.lm == sorted(found.lm), "the prompt first, then the solution"


def test_learns_and_keeps_the_best_epoch(tmp_path):
    world(tmp_path, [tiny.problem(i) for i in range(20)])
    run = tiny.execution(tmp_path, "generator", generator.Params(**SETTINGS))
    metrics = generator.body(run)
    rows = list(csv.DictReader((run.out / "history.csv").read_text().splitlines()))
    epochs = [row for row in rows if row["dev_greedy"]]
    assert len(rows) == 9 and len(epochs) == 3 and {row["test_any"] != "" for row in epochs} == {True}
    assert float(rows[-1]["lm_loss"]) < 0.7 * float(rows[0]["lm_loss"])
    best = max(epochs, key=lambda row: (float(row["dev_greedy"]), -float(row["epoch"])))
    assert metrics["epoch"] == float(best["epoch"]) and metrics["examples"] == 22
    kept = models.load_causal_lm(run.out / "model")
    assert models.load_tokenizer(run.out / "model").eos_token_id == kept.config.eos_token_id == 1


def test_the_kept_epoch_is_the_first_best_on_dev(tmp_path, monkeypatch):
    world(tmp_path, [tiny.problem(i) for i in range(8)])
    dev, snapshots, real = iter([0.25, 0.75, 0.75]), [], models.save
    split = {"n": 0}

    def measured(run, name, engine, tokenizer, problems, n):
        if n > 1:
            return {"single": 0.0, "any": 0.0}
        split["n"] += 1
        return {"greedy": next(dev) if split["n"] % 2 else 1.0 - split["n"] / 10}  # test falls; it must not matter

    monkeypatch.setattr(generator, "accuracy", measured)
    monkeypatch.setattr(models, "save", lambda *a: (snapshots.append(a[2]), real(*a)))
    run = tiny.execution(tmp_path, "generator", generator.Params(**SETTINGS))
    assert generator.body(run)["epoch"] == 2 and len(snapshots) == 2


def test_accuracy_of_a_perfect_and_a_silent_generator(tmp_path):
    """Greedy and any-of-N from real decoding: a model taught one answer by heart, and a fresh one."""
    from stages.lib import training
    from stages.lib.native import NativeEngine

    run = tiny.execution(tmp_path, "generator", generator.Params(**SETTINGS))
    of, model = tiny.problem(3), tiny.model("lfm2", len(TOKENIZER))
    fresh = generator.accuracy(run, "fresh", NativeEngine(model), TOKENIZER, [of], 1)
    losses = training.Losses(model)
    training.train(run, losses, [gold.example(TOKENIZER, of)] * 8, tiny.optimisation(epochs=60.0, lr=1e-2))
    assert fresh == {"greedy": 0.0}
    assert generator.accuracy(run, "taught", NativeEngine(model), TOKENIZER, [of], 1) == {"greedy": 1.0}
    many = generator.accuracy(run, "many", NativeEngine(model), TOKENIZER, [of], 4)
    assert many["any"] == 1.0 and many["single"] > 0.5


def test_no_gold_steps_is_told(tmp_path):
    world(tmp_path, [tiny.problem(0).model_copy(update={"steps": None})])
    with pytest.raises(UserError, match="no problem has gold steps"):
        generator.body(tiny.execution(tmp_path, "generator", generator.Params(**SETTINGS)))
