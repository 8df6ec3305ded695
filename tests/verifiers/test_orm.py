"""The outcome verifier and its scores: from graded samples to a probability for every sample of dev and test."""

import csv
import shutil

import pytest
from ruamel.yaml import YAML

from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.models import loading
from stages.lib.models.prompts import Prompt
from stages.lib.verifiers import data
from stages.verifiers import orm
from tests.helpers import tiny_models

pytestmark = pytest.mark.slow

TOKENIZER = build_tokenizer()
SETTINGS = tiny_models.TRAINING_PARAMS | YAML(typ="safe").load(
    """{epochs: 1.0, device_batch_size: 4, init_from: generator, predict_at: token, loss: bce, lm_weight: 1.0,
    lm_data: gold, head_init_tokens: [], dropout: 0.0, samples_per_problem: 4, dedupe: false, skip_uniform_problems: false,
    eval_problems: 99}"""
)
SCORES_SETTINGS = {
    "verifiers": ["orm"],
    "published": {},
    "dtype": "float32",
    "genrm": {"votes": 1, "temperature": 1.0, "max_new_tokens": 8, "max_rows": 16},
}


def write_inputs(tmp_path):
    """Right and wrong samples that a verifier can tell apart by rote: errors are always +1."""
    loading.save(tiny_models.make_model("lfm2", len(TOKENIZER)), TOKENIZER, tmp_path / "data/generator/model")
    Prompt().write(tmp_path / "data/generator/prompt.json")
    for split, first, count in (("train", 0, 5), ("verifier", 5, 14), ("dev", 5, 5), ("test", 10, 7)):
        problems = [tiny_models.make_problem(first + i, split) for i in range(count)]
        records.write_problems(tiny_models.get_problems_path(tmp_path, split), problems)
        if split != "train":
            pool = [
                tiny_models.make_sample(problem, j, (i + j) % 2) for i, problem in enumerate(problems) for j in range(4)
            ]
            records.write_samples(tmp_path / f"data/samples/{split}.parquet", pool)
    shifted = [
        tiny_models.make_problem(i, "test").model_copy(update={"id": f"sums/test/{i}~names", "operator": "names"})
        for i in (3, 4)
    ]
    records.write_problems(tmp_path / "data/ood/test.jsonl", shifted)
    pool = [
        tiny_models.make_sample(problem, j, j % 2).model_copy(update={"text": "the same", "index": j})
        for problem in shifted
        for j in range(3)
    ]
    records.write_samples(tmp_path / "data/samples/ood.parquet", pool)
    for name in ("test", "unseen"):  # no competition problems
        records.write_problems(tmp_path / f"data/aime/{name}.jsonl", [])
    records.write_samples(tmp_path / "data/samples/aime.parquet", [])
    return tmp_path


@pytest.fixture
def root(tmp_path):
    return write_inputs(tmp_path)


def train(root, **changes):
    run = tiny_models.make_run(root, "orm", orm.Params(**{**SETTINGS, **changes}))
    return orm.body(run), list(csv.DictReader((run.out_dir / "history.csv").read_text().splitlines()))


@pytest.mark.parametrize(
    "changes",
    [{}, {"predict_at": "solution", "loss": "mse", "lm_data": "samples", "dropout": 0.1}, {"lora_rank": 2}],
    ids=str,
)
def test_trains_and_writes(root, changes):
    metrics, rows = train(root, **changes)
    gold = changes.get("lm_data", "gold") == "gold"
    assert metrics["samples"] == 56 and metrics["share_right"] == 0.5
    assert metrics["steps"] == len(rows) == (14 if gold else 7), "an epoch: each example once; gold as many again"
    assert {"lm_loss", "verification_loss"} <= set(rows[0])
    assert set(metrics["dev"]) == {"auc", "brier", "ece", "length_correlation"} and 0 <= metrics["dev"]["auc"] <= 1
    model = root / "data/orm/model"
    assert (model / "head/head.safetensors").exists() and not list(model.glob("*adapter*"))


def test_learns_what_it_is_shown(root):
    metrics, _ = train(root, epochs=25.0, lm_weight=0.0, global_batch_size=14, device_batch_size=14)
    assert metrics["dev"]["auc"] > 0.95 and metrics["dev"]["brier"] < 0.15  # dev repeats problems of the training here


def test_which_samples():
    mixed, uniform = (tiny_models.make_problem(i) for i in range(2))
    pool = [tiny_models.make_sample(mixed, j, j % 2) for j in range(5)]
    pool += [tiny_models.make_sample(uniform, j, 0) for j in range(5)]
    first = data.select_samples(pool, limit=3, skip_uniform=False)
    assert [(s.problem_id, s.index) for s in first] == [(p.id, j) for p in (mixed, uniform) for j in range(3)]
    assert {s.problem_id for s in data.select_samples(pool, limit=4, skip_uniform=True)} == {mixed.id}


def test_nothing_to_tell_apart_is_said_and_nothing_at_all_is_refused(root, capsys):
    """A weak model on hard problems may have no right sample: the pipeline goes on, and says what that means."""
    pool = records.read_samples(root / "data/samples/verifier.parquet")
    records.write_samples(root / "data/samples/verifier.parquet", [s for s in pool if not s.correct])
    metrics, _ = train(root)
    assert metrics["share_right"] == 0 and "cannot tell them apart" in capsys.readouterr().err
    records.write_samples(root / "data/samples/verifier.parquet", [])
    with pytest.raises(UserError, match="nothing to train on"):
        train(root)


def test_scores_of_one_process_two_and_a_killed_run(root, tmp_path_factory):
    train(root)
    outputs = []
    for name, count in (("one", 1), ("two", 2), ("killed", 1)):
        copy = tmp_path_factory.mktemp(name) / "root"
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".checkpoints"))
        if name == "killed":  # left over: two finished problems, and a line cut off by the kill
            part = copy / ".checkpoints/scores/key/orm-test.0.jsonl"
            part.parent.mkdir(parents=True)
            whole = outputs[0][1]["orm-test.0.jsonl"].split(b"\n")
            part.write_bytes(b"\n".join(whole[:3]) + b"\n" + whole[3][: len(whole[3]) // 2])
        tiny_models.run_stages(count, [(copy, "scores", SCORES_SETTINGS)])
        out = {path.name: path.read_bytes() for path in sorted((copy / "data/scores").iterdir())}
        parts = {path.name: path.read_bytes() for path in (copy / ".checkpoints/scores/key").iterdir()}
        outputs.append((out, parts))
    (one, _), (two, parts), (resumed, _) = outputs
    assert one == two == resumed
    assert set(one) == {"metrics.json", *(f"{split}.parquet" for split in ("dev", "test", "ood", "aime"))}
    assert "orm-test.1.jsonl" in parts, "the second process did nothing"
    equal = records.read_scores(copy / "data/scores/ood.parquet")
    assert len(equal) == 6 and len({s.score for s in equal if s.problem_id.endswith("3~names")}) == 1
    scored = {(s.problem_id, s.index) for s in records.read_scores(copy / "data/scores/test.parquet")}
    assert scored == {(s.problem_id, s.index) for s in records.read_samples(root / "data/samples/test.parquet")}
