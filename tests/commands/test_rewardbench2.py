"""`rewardbench2`: any verifier orders the completions of a prompt; predictions instead of a model, and mistakes."""

import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.commands.rewardbench2 import rewardbench2
from stages.lib.core.errors import UserError
from stages.lib.verifiers import published_models, registry
from tests.helpers import saved_verifiers, tiny_models
from tests.lib.labels.test_rewardbench2 import make_row

FILE, OUT = Path("test-00000-of-00001.parquet"), Path("figures.json")
ROWS = [
    make_row("0", "Math", ["It is 2."], ["It is 3.", "It is 4.\nSo 5.", ""]),
    make_row("1", "Math", ["2"], ["3", "2", "5"]),
    make_row("2", "Safety", ["No. " * 900], ["Yes.", "a", "b"]),
    make_row("3", "Safety", ["No."], ["Yes.", "a", "b"]),
    make_row("ref:0", "Ties", ["red"], ["tree", "sky"]),
    make_row("tied:0", "Ties", ["red", "blue", "green"], ["tree", "sky"]),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return saved_verifiers.save_all(tmp_path_factory.mktemp("models"), 40.0)  # rewards whose sigmoid is 0 or 1


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.Table.from_pylist([{**row, "additional_metadata": "{}"} for row in ROWS]), FILE)
    return tmp_path


def run(**options):
    rewardbench2(FILE, out=OUT, **options)
    return json.loads(OUT.read_text(encoding="utf-8"))


def write_predictions(scores):
    Path("said.jsonl").write_text("".join(json.dumps({"id": k, "scores": v}) + "\n" for k, v in scores.items()))
    return Path("said.jsonl")


SCORES = {
    "0": [2.5, 1, 0, -3],
    "1": [1, 0, 1, 0],
    "2": [0, 1, 0, 0],
    "3": [9, 8, 7, 6],
    "ref:0": [5, 1, 0],
    "tied:0": [3, 2, 2.5, 0, -1],
}


def test_predictions_by_hand(folder, capsys):
    """Ties: accurate on both, distances 4 and 2 to the wrong ones, 1 among the right ones."""
    figures = run(predictions=write_predictions(SCORES))
    ties = 1.0 + 0.01 * math.tanh(2 / 1 - 1)
    assert figures["subsets"] == {"Math": 0.75, "Safety": 0.5, "Ties": pytest.approx(ties)}
    assert figures["mean"] == pytest.approx((0.75 + 0.5 + ties) / 3) and figures["left_out"] == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Math", "2", "75.0"] in rows and ["mean", "6", "75.3"] in rows


@pytest.mark.parametrize("name", ["orm", "prm", "genrm"])
def test_a_verifier_of_the_pipeline(folder, models, capsys, name):
    figures = run(model=str(models / name), save=Path("kept.jsonl"))
    assert figures["left_out"] == 1 and "row 3: the solution is longer than the model reads" in capsys.readouterr().err
    verifier = registry.load(models / name)
    problem = tiny_models.make_problem(0).model_copy(update={"question": "What is 1 + 1?"})
    samples = [
        tiny_models.make_sample(problem, index, 0).model_copy(update={"text": text})
        for index, text in enumerate(["It is 2.", "It is 3.", "It is 4.\nSo 5.", ""])
    ]
    kept = {row["id"]: row["scores"] for row in map(json.loads, Path("kept.jsonl").read_text().splitlines())}
    expected = [math.log(x.score / (1 - x.score)) for x in verifier.score(problem, samples) if 0 < x.score < 1]
    assert kept["0"][: len(expected)] == pytest.approx(expected, abs=1e-4), "log-odds"
    assert set(kept) == set(SCORES) - {"2"}
    run(model=str(models / name), save=Path("kept.jsonl"))
    figures_again = run(predictions=write_predictions({**kept, "2": [0, 1, 0, 0]}))
    assert figures_again["subsets"]["Math"] == figures["subsets"]["Math"]


def test_a_reward_model_is_read_raw(folder, models):
    figures = run(model=str(models / "reward"), form="reward", save=Path("kept.jsonl"))
    kept = {row["id"]: row["scores"] for row in map(json.loads, Path("kept.jsonl").read_text().splitlines())}
    model = published_models.load("reward", models / "reward", "reward")
    solutions = [("What is 1 + 1?", [text]) for text in ("red", "tree", "sky")]
    raw = [rewards[0] for rewards in model.score_solutions(solutions, raw=True)]
    assert kept["ref:0"] == pytest.approx(raw, abs=1e-3) and max(map(abs, raw)) > 20
    shares = [rewards[0] for rewards in model.score_solutions(solutions)]
    assert shares == pytest.approx([1 / (1 + math.exp(-x)) for x in raw]), "elsewhere a probability"
    assert set(figures["subsets"]) == {"Math", "Safety", "Ties"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"predictions": FILE, "model": "prm"}, "rewardbench2: --model describes a model, but --predictions"),
        ({"form": "none"}, "--form none: must be one of assay, classes, words, separator, reward"),
        ({"model": "."}, "no verifier.json"),
        ({"out": Path(".")}, r"rewardbench2 --out \.: is a folder"),
    ],
)
def test_mistakes_are_told(folder, options, message):
    with pytest.raises(UserError, match=message):
        rewardbench2(FILE, **{"out": OUT, **options})
    assert not OUT.exists()


def test_predictions_that_do_not_match_are_told(folder):
    for change, message in (
        ({"1": [1, 2, 3]}, "1 has 3 scores for 4 completions"),
        ({"1": None}, "no line for 1"),
    ):
        scores = {key: value for key, value in {**SCORES, **change}.items() if value is not None}
        with pytest.raises(UserError, match=message):
            run(predictions=write_predictions(scores))
    path = write_predictions({key: value for key, value in SCORES.items() if key != "1"})
    path.write_text(path.read_text() + json.dumps({"id": "1", "first_error": 2}) + "\n")
    with pytest.raises(UserError, match="1 has no scores; RewardBench 2 needs one for each completion"):
        run(predictions=path)
