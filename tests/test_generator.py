"""The generator learns gold solutions, loss on the solution alone, and keeps the epoch that is best on dev."""

import csv

import pytest

from stages import generator
from stages.lib import gold, models, records
from stages.lib.encoding import Encoder
from stages.lib.errors import UserError
from stages.lib.prompts import Prompt
from stages.lib.tokenizer import build
from tests import tiny

TOKENIZER = build()
ENCODER = Encoder(TOKENIZER)
SETTINGS = {**tiny.OPTIMISATION, "train": True, "prompt": {}, "competition": 2,
            "epochs": 3.0, "global_batch": 8, "lr": 1e-2, "eval_problems": 4,
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
    found = gold.example(ENCODER, tiny.problem(3))
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
    fresh = generator.accuracy(run, "fresh", NativeEngine(model), ENCODER, [of], 1)
    losses = training.Losses(model)
    training.train(run, losses, [gold.example(ENCODER, of)] * 8, tiny.optimisation(epochs=60.0, lr=1e-2))
    assert fresh == {"greedy": 0.0}
    assert generator.accuracy(run, "taught", NativeEngine(model), ENCODER, [of], 1) == {"greedy": 1.0}
    many = generator.accuracy(run, "many", NativeEngine(model), ENCODER, [of], 4)
    assert many["any"] == 1.0 and many["single"] > 0.5


def test_without_a_gold_solution_it_cannot_be_trained(tmp_path):
    program = {"steps": None, "answer_type": "code", "answer": "", "tests": {"public": {"input": [], "output": []}}}
    world(tmp_path, [tiny.problem(0).model_copy(update=program)])
    with pytest.raises(UserError, match="no problem has a gold solution to learn from; .*generator.train: false"):
        generator.body(tiny.execution(tmp_path, "generator", generator.Params(**SETTINGS)))


def test_an_answer_alone_is_a_gold_solution(tmp_path):
    letters = {"steps": None, "answer_type": "choice", "choices": ["1", "2"], "answer": "B"}
    world(tmp_path, [tiny.problem(i).model_copy(update=letters) for i in range(8)])
    run = tiny.execution(tmp_path, "generator", generator.Params(**SETTINGS | {"epochs": 1.0, "competition": 0}))
    assert generator.body(run)["examples"] == 8


@pytest.mark.parametrize("shots", [0, 2])
def test_a_model_that_comes_ready_made_is_taken_as_it_is(tmp_path, shots):
    world(tmp_path, [tiny.problem(i) for i in range(4)])
    settings = SETTINGS | {"train": False, "prompt": {"shots": shots}}
    run = tiny.execution(tmp_path, "generator", generator.Params(**settings))
    metrics = generator.body(run)
    assert metrics["steps"] == metrics["examples"] == 0 and {"dev_greedy", "test_greedy", "test_any"} <= set(metrics)
    base, copied = ({f.name: f.read_bytes() for f in folder.iterdir()}
                    for folder in (tmp_path / "data/base/model", run.out / "model"))  # fmt: skip
    assert copied == base
    kept = Prompt.read(run.out / "prompt.json")
    questions = {tiny.problem(i).question for i in range(4)}
    assert len(kept.examples) == shots + bool(shots) and {shot.question for shot in kept.examples} <= questions
    with pytest.raises(ValueError, match="shots must be 0 where train is true"):
        generator.Params(**SETTINGS | {"prompt": {"shots": 1}})


def test_an_example_is_never_shown_before_itself(tmp_path):
    """Without a train split the examples come from dev."""
    world(tmp_path, [])
    settings = SETTINGS | {"train": False, "prompt": {"shots": 3}, "eval_problems": 6}
    run = tiny.execution(tmp_path, "generator", generator.Params(**settings))
    generator.body(run)
    encoder = Encoder.load(run.out / "model", run.out / "prompt.json")
    for problem in records.read_problems(tmp_path / "data/benchmarks/dev.jsonl"):
        text = encoder.tokenizer.decode(encoder.prompt_ids(problem, shots=True))
        assert text.count(problem.question) == 1 and text.count("Question: ") == 4


def test_without_dev_no_epoch_can_be_chosen_and_long_prompts_are_told(tmp_path):
    world(tmp_path, [tiny.problem(i) for i in range(4)])
    run = tiny.execution(tmp_path, "generator", generator.Params(**SETTINGS | {"max_new_tokens": 500}))
    with pytest.raises(UserError, match="tokens of prompt and generator.max_new_tokens=500 exceed the 512"):
        generator.body(run)
    records.write_problems(tmp_path / "data/benchmarks/dev.jsonl", [])
    with pytest.raises(UserError, match="dev.jsonl: no problems, so no epoch can be chosen"):
        generator.body(run)
