"""The generator learns gold solutions, loss on the solution alone, and keeps the epoch that is best on dev."""

import csv

import pytest

from stages.generators import generator
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.models.prompts import Prompt
from stages.lib.training import sft
from tests.helpers import tiny_models

TOKENIZER = build_tokenizer()
ENCODER = Encoder(TOKENIZER)
SETTINGS = {
    **tiny_models.TRAINING_PARAMS,
    **{"train": True, "prompt": {}, "epochs": 3.0, "lr": 1e-2},
    **{"eval_samples": 4, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 24, "max_rows": 16},
}


def world(root, train):
    loading.save(tiny_models.make_model("lfm2", len(TOKENIZER)), TOKENIZER, root / "data/base/model")
    records.write_problems(
        root / "data/benchmarks/dev.jsonl", [tiny_models.make_problem(i + 50, "dev") for i in range(6)]
    )
    records.write_problems(root / "data/selection/train.jsonl", train)


def test_loss_is_on_the_solution_alone_without_annotations():
    example = sft.make_sft_example(ENCODER, tiny_models.make_problem(3))
    learnt = [token for token, weight in zip(example.ids, example.lm_weight, strict=True) if weight]
    assert TOKENIZER.decode(learnt) == "4 + 1 = 5\n#### 5\n<eos>"
    assert example.lm_weight == sorted(example.lm_weight), "the prompt first, then the solution"


@pytest.mark.slow
def test_learns_and_keeps_the_best_epoch(tmp_path):
    world(tmp_path, [tiny_models.make_problem(i) for i in range(20)])
    run = tiny_models.make_run(tmp_path, "generator", generator.Params(**SETTINGS))
    metrics = generator.body(run)
    rows = list(csv.DictReader((run.out_dir / "history.csv").read_text().splitlines()))
    epochs = [row for row in rows if row["dev_pass_at_1"]]
    assert len(rows) == 9 and len(epochs) == 3
    assert all(float(row["dev_pass_at_n"]) >= float(row["dev_pass_at_1"]) for row in epochs)
    assert float(rows[-1]["lm_loss"]) < 0.7 * float(rows[0]["lm_loss"])
    best = max(epochs, key=lambda row: (float(row["dev_pass_at_1"]), -float(row["epoch"])))
    assert metrics["epoch"] == float(best["epoch"]) and metrics["examples"] == 20
    kept = loading.load_causal_lm(run.out_dir / "model")
    assert loading.load_tokenizer(run.out_dir / "model").eos_token_id == kept.config.eos_token_id == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("passed", "share", "epoch", "saved"),
    [
        ([0.25, 0.75, 0.75], [1.0, 1.0, 1.0], 2, 2),  # the first of equals
        ([0.0, 0.0, 0.0], [0.1, 0.4, 0.3], 2, 2),  # where none is right, the one that answers
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 1, 1),
    ],
)
def test_the_kept_epoch_is_the_best_by_sampling_on_dev(tmp_path, monkeypatch, capsys, passed, share, epoch, saved):
    world(tmp_path, [tiny_models.make_problem(i) for i in range(8)])
    snapshots, real = [], loading.save
    dev, answered, greedy = iter(passed), iter(share), iter([0.9, 0.1, 0.1])

    def measured(run, name, engine, encoder, problems):
        assert len(problems) == 6, "all of dev"
        return {"dev_pass_at_1": next(dev), "dev_greedy": next(greedy), "dev_answered": next(answered)}

    monkeypatch.setattr(generator, "measure", measured)
    monkeypatch.setattr(loading, "save", lambda *a: (snapshots.append(a[2]), real(*a)))
    run = tiny_models.make_run(tmp_path, "generator", generator.Params(**SETTINGS))
    assert generator.body(run)["epoch"] == epoch and len(snapshots) == saved
    assert ("no solution of 6 dev problems gives an answer" in capsys.readouterr().err) == (not any(share))


@pytest.mark.slow
def test_accuracy_of_a_perfect_and_a_silent_generator(tmp_path):
    """From real decoding: a model taught one answer by heart, a fresh one, and one that was taught to break off."""
    from stages.lib.inference.native_engine import NativeEngine
    from stages.lib.models import objectives
    from stages.lib.training import loop

    def taught(name, problem):
        run = tiny_models.make_run(tmp_path / name, "generator", generator.Params(**SETTINGS))
        model = tiny_models.make_model("lfm2", len(TOKENIZER))
        examples = [sft.make_sft_example(ENCODER, problem)] * 8
        loop.train(
            run,
            objectives.LanguageModelingObjective(model),
            examples,
            tiny_models.make_training_params(epochs=60.0, lr=1e-2),
        )
        return generator.measure(run, name, NativeEngine(model), marked, [whole])

    run = tiny_models.make_run(tmp_path, "generator", generator.Params(**SETTINGS))
    whole, marked = tiny_models.make_problem(3), Encoder(TOKENIZER, Prompt(marked=True))
    fresh = generator.measure(
        run, "fresh", NativeEngine(tiny_models.make_model("lfm2", len(TOKENIZER))), marked, [whole]
    )
    assert fresh["dev_greedy"] == fresh["dev_pass_at_1"] == 0.0
    perfect = taught("whole", whole)
    assert perfect["dev_greedy"] == perfect["dev_pass_at_n"] == 1.0
    assert perfect["dev_pass_at_1"] > 0.5 and perfect["dev_answered"] > 0.5
    broken = taught("broken", whole.model_copy(update={"steps": whole.steps[:1]}))
    assert broken["dev_greedy"] == broken["dev_pass_at_1"] == broken["dev_answered"] == 0.0, "5 is no answer yet"


def test_without_a_gold_solution_it_cannot_be_trained(tmp_path):
    program = {"steps": None, "answer_type": "code", "answer": "", "tests": {"public": {"input": [], "output": []}}}
    world(tmp_path, [tiny_models.make_problem(0).model_copy(update=program)])
    with pytest.raises(UserError, match="no problem has a gold solution to learn from; .*generator.train: false"):
        generator.body(tiny_models.make_run(tmp_path, "generator", generator.Params(**SETTINGS)))


@pytest.mark.slow
def test_an_answer_alone_is_a_gold_solution(tmp_path):
    letters = {"steps": None, "answer_type": "choice", "choices": ["1", "2"], "answer": "B"}
    world(tmp_path, [tiny_models.make_problem(i).model_copy(update=letters) for i in range(8)])
    run = tiny_models.make_run(
        tmp_path,
        "generator",
        generator.Params(**SETTINGS | {"epochs": 1.0}),
    )
    assert generator.body(run)["examples"] == 8


@pytest.mark.slow
@pytest.mark.parametrize("shots", [0, 2])
def test_a_model_that_comes_ready_made_is_taken_as_it_is(tmp_path, shots):
    world(tmp_path, [tiny_models.make_problem(i) for i in range(4)])
    settings = SETTINGS | {"train": False, "prompt": {"shots": shots}}
    run = tiny_models.make_run(tmp_path, "generator", generator.Params(**settings))
    metrics = generator.body(run)
    assert metrics["steps"] == metrics["examples"] == 0 and {"dev_greedy", "dev_pass_at_1", "dev_answered"} <= set(
        metrics
    )
    base, copied = (
        {f.name: f.read_bytes() for f in folder.iterdir()}
        for folder in (tmp_path / "data/base/model", run.out_dir / "model")
    )
    assert copied == base
    kept = Prompt.read(run.out_dir / "prompt.json")
    questions = {tiny_models.make_problem(i).question for i in range(4)}
    assert kept.marked == (shots > 0), "examples show how an answer is marked"
    assert len(kept.examples) == shots + bool(shots) and {shot.question for shot in kept.examples} <= questions
    with pytest.raises(ValueError, match="shots must be 0 where train is true"):
        generator.Params(**SETTINGS | {"prompt": {"shots": 1}})


def test_worked_examples_are_published_problems_of_the_benchmark_that_is_asked():
    plain, dev = tiny_models.make_problem(1), [tiny_models.make_problem(2, "dev")]
    joined = [plain.model_copy(update=change) for change in ({"benchmark": "competition"}, {"operator": "fobar"})]
    assert generator.list_shown([*joined, plain], dev) == [plain]


@pytest.mark.slow
def test_an_example_is_never_shown_before_itself(tmp_path):
    """Without a train split the examples come from dev."""
    world(tmp_path, [])
    settings = SETTINGS | {"train": False, "prompt": {"shots": 3}}
    run = tiny_models.make_run(tmp_path, "generator", generator.Params(**settings))
    generator.body(run)
    encoder = Encoder.load(run.out_dir / "model", run.out_dir / "prompt.json")
    for problem in records.read_problems(tmp_path / "data/benchmarks/dev.jsonl"):
        text = encoder.tokenizer.decode(encoder.prompt_ids(problem, shots=True))
        assert text.count(problem.question) == 1 and text.count("Question: ") == 4


def test_without_dev_no_epoch_can_be_chosen_and_long_prompts_are_told(tmp_path):
    world(tmp_path, [tiny_models.make_problem(i) for i in range(4)])
    run = tiny_models.make_run(tmp_path, "generator", generator.Params(**SETTINGS | {"max_new_tokens": 500}))
    with pytest.raises(UserError, match="tokens of prompt and generator.max_new_tokens=500 exceed the 512"):
        generator.body(run)
    records.write_problems(tmp_path / "data/benchmarks/dev.jsonl", [])
    with pytest.raises(UserError, match="dev.jsonl: no problems, so no epoch can be chosen"):
        generator.body(run)
