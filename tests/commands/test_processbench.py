"""`python -m stages processbench`: untrained verifiers on rows of the published form, figures against a recount."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForTokenClassification, Qwen2Config

from stages.commands import processbench as command
from stages.commands.processbench import processbench
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core.errors import UserError
from stages.lib.labels import first_error, published_labels
from stages.lib.labels.labelled_solution import LabelledSolution
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.verifiers import published_models
from stages.lib.verifiers.process import ProcessVerifier
from tests.helpers import tiny_models
from tests.helpers.toy_pipeline import ENV
from tests.lib.verifiers.test_published_models import SHAPE

ROOT = Path(__file__).parents[2]
TOKENIZER = build_tokenizer()
ENCODER = Encoder(TOKENIZER)


def rows(subset, labels, long=()):
    """Solutions of three steps, of which one number tells them apart; those in `long` do not fit the model."""
    return [
        {
            "id": f"{subset}-{i}",
            "problem": f"What is {i} and 1?",
            "generator": "none",
            "final_answer_correct": label == -1,
            "steps": [
                f"We know {i}." + " and so on" * (9000 if i in long else 0),
                f"{i} + 1\n= {i + 1}.",
                f"It is {i + 1}.",
            ],
            "label": label,
        }
        for i, label in enumerate(labels)
    ]


@pytest.fixture(scope="module")
def models_(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    verifier = ProcessVerifier(
        "prm", tiny_models.make_model("lfm2", len(TOKENIZER), seed=3), ENCODER, "scalar", ["Right", "Wrong"]
    )
    verifier.save(root / "model")
    classifier = AutoModelForTokenClassification.from_config(
        Qwen2Config(vocab_size=len(TOKENIZER), num_labels=2, **SHAPE)
    )
    loading.save(classifier.eval(), TOKENIZER, root / "theirs")
    return root


@pytest.fixture
def folder(models_, tmp_path, monkeypatch):
    for name in ("model", "theirs"):
        (tmp_path / name).symlink_to(models_ / name)
    for name, contents in (("one", rows("one", [0, -1, 2, 1, -1, -1], long=[2])), ("two", rows("two", [-1, 1, 0]))):
        (tmp_path / f"{name}.json").write_text(json.dumps(contents), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def get_readable_rows(name) -> list[LabelledSolution]:
    return [row for row in published_labels.read("processbench", Path(f"{name}.json")) if len(row.sample.text) < 1000]


def first_wrong(row):
    return next((label.step for label in row.labels if not label.value), -1)


def run(*files, **options):
    processbench([Path(f"{name}.json") for name in files], out=Path("found.json"), **options)
    return json.loads(Path("found.json").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["assay", "classes"])
def test_threshold_from_another_file_and_figures_as_recounted(folder, form):
    """A published model reads the steps as they were published, their line breaks too."""
    model = {"assay": "model", "classes": "theirs"}[form]
    figures = run("one", dev=Path("two.json"), model=model, form=form, batch=2)
    if form == "assay":
        verifier = ProcessVerifier.load(folder / model)
        scores = {
            row.row_id: verifier.score_steps(row.problem, [row.sample])[0][:3]
            for row in get_readable_rows("one") + get_readable_rows("two")
        }
    else:
        verifier = published_models.load(form, folder / model, "theirs")
        scores = {
            row.row_id: verifier.score_solutions([(row.problem.question, row.steps)])[0]
            for row in get_readable_rows("one") + get_readable_rows("two")
        }
        assert all("\n" in row.steps[1] for row in get_readable_rows("one"))
    threshold = first_error.choose_threshold(
        *zip(*((scores[row.row_id], first_wrong(row)) for row in get_readable_rows("two")), strict=True)
    )
    assert figures["threshold"] == pytest.approx(threshold, abs=1e-6)
    guesses = [first_error.locate(scores[row.row_id], figures["threshold"]) for row in get_readable_rows("one")]
    expected = first_error.f1(guesses, [first_wrong(row) for row in get_readable_rows("one")])
    subset = figures["subsets"]["one"]
    assert (subset["solutions"], subset["left_out"]) == (5, 1)
    assert (subset["error"], subset["correct"], subset["f1"]) == expected and figures["f1"] == expected.f1
    assert not list(folder.glob(".checkpoints/*")), "nothing is left to take up"


@pytest.mark.slow
def test_a_killed_run_goes_on_and_what_it_kept_can_be_read_as_predictions(folder, monkeypatch):
    monkeypatch.setattr(command, "WINDOW_BATCHES", 1)
    options = {"model": "theirs", "form": "classes", "batch": 2, "threshold": 0.5}
    whole = run("two", **options)
    score, scored_ids = command.score_steps, []

    def killed(verifier, rows):
        scored_ids.extend(row.row_id for row in rows)
        if "two-2" in scored_ids:
            raise KeyboardInterrupt
        return score(verifier, rows)

    monkeypatch.setattr(command, "score_steps", killed)
    with pytest.raises(KeyboardInterrupt):
        run("two", **options)
    [kept] = folder.glob(".checkpoints/*")
    kept.write_bytes(kept.read_bytes() + b'{"id": "tw')
    scored_ids.clear()
    monkeypatch.setattr(
        command,
        "score_steps",
        lambda verifier, rows: scored_ids.extend(r.row_id for r in rows) or score(verifier, rows),
    )
    assert run("one", **options)["subsets"]["one"]["solutions"] == 5 and kept.exists(), "another run's scores stay"
    scored_ids.clear()
    Path("folder").mkdir()
    with pytest.raises(UserError, match="--out folder: is a folder; name a file"):
        processbench([Path("two.json")], out=Path("folder"), **options)
    assert kept.exists()
    assert run("two", **options) == whole and scored_ids == ["two-2"] and not kept.exists()
    assert run("two", **options, save=Path("kept.jsonl")) == whole
    scored_ids.clear()
    assert run("two", **options, save=Path("kept.jsonl")) == whole and not scored_ids
    assert run("two", predictions=Path("kept.jsonl"), threshold=0.5) == whole
    run("two", **{**options, "tag": " "}, save=Path("kept.jsonl"))
    assert len(scored_ids) == 3, "another setting is another score"


def test_predictions_of_others(folder, capsys):
    predictions = [
        {"id": "two-0", "first_error": -1},
        {"id": "two-1", "first_error": None},
        {"id": "two-2", "first_error": 0},
    ]
    path = Path("said.jsonl")

    def run_predictions(lines):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return run("two", predictions=path)

    figures = run_predictions(predictions)
    assert figures["threshold"] is None
    assert figures["subsets"]["two"] == {
        "solutions": 3,
        "left_out": 0,
        "error": 0.5,
        "correct": 1.0,
        "f1": pytest.approx(2 / 3),
    }
    predictions.append({"id": "three-1", "first_error": 0})
    assert run_predictions(predictions) == figures
    assert "said.jsonl: 1 ids are in no file, the first three-1" in capsys.readouterr().err
    for line, message in (
        ({"id": "two-1"}, "two-1|needs `scores`"),
        ({"id": "two-0", "first_error": 1}, "said.jsonl:2: two-0 has two predictions"),
        ({"id": "two-1", "scores": [0.1, 0.2]}, "two-1 has 2 scores for 3 steps"),
        ({"id": "two-1", "scores": [0.1, 0.2, "x"]}, r"said.jsonl:2: scores\.2: .*got 'x'"),
        ({"id": "two-1", "scores": [0.1, 0.2, 0.3]}, "holds step scores; give --dev FILE or --threshold"),
        ({"id": "two-9", "first_error": 1}, "no line for two-1"),
        ({"id": "two-1", "first_error": 3}, "two-1 has 3 steps, counted from 0; first_error 3 is none of them"),
        ({"id": "two-1", "first_error": -2}, r"said.jsonl:2: first_error: .*greater than or equal to -1"),
    ):
        with pytest.raises(UserError, match=message):
            run_predictions([predictions[0], line, predictions[2]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dev": Path("one.json")}, "choose the threshold on another file"),
        ({"dev": Path("two.json"), "threshold": 0.5}, "exclude each other"),
        ({"model": command.DEFAULT_MODEL}, "holds no threshold"),
        ({}, "a model other than data/prm/model needs its own threshold"),
        (
            {"predictions": Path("two.json"), "model": command.DEFAULT_MODEL, "tag": " "},
            "--tag describes a model, but --predictions",
        ),
        ({"threshold": 0.5, "save": Path(".")}, r"--save \.: is a folder"),
        ({"threshold": float("nan")}, "must be a finite number"),
        ({"threshold": 0.5, "form": "none"}, "must be one of assay, classes"),
        ({"form": "classes", "model": "theirs"}, "a model other than data/prm/model needs its own threshold"),
        ({"threshold": 0.5, "form": "classes", "model": "no/where"}, "a hub repository needs --revision"),
        ({"threshold": 0.5, "dtype": "int8"}, "must be auto, float32"),
        ({"threshold": 0.5, "device": "cuda:77"}, "device cuda:77: cannot be used"),
        ({"threshold": 0.5, "model": "."}, "no verifier.json"),
    ],
)
def test_mistakes_are_told(folder, options, message):
    with pytest.raises(UserError, match=message):
        run("one", **{"model": "model", **options})


def test_rows_that_do_not_fit_are_told_with_their_reason(folder, capsys):
    contents = rows("bad", [-1, 0, 1])
    contents[1]["steps"][1] = " "
    Path("bad.json").write_text(json.dumps(contents))
    assert run("bad", model="model", threshold=0.5)["subsets"]["bad"]["left_out"] == 1
    assert "bad.json: left out 1, the first row 2: step 1 is blank" in capsys.readouterr().err
    twice = [*contents[:1], {**contents[2], "id": "bad-0"}, contents[2]]
    Path("bad.json").write_text(json.dumps(twice))
    assert run("bad", model="model", threshold=0.5)["subsets"]["bad"]["solutions"] == 2
    assert "left out 1, the first row 2: its id is that of an earlier row" in capsys.readouterr().err
    Path("bad.json").write_text(json.dumps(contents)[:-60])
    with pytest.raises(UserError, match=r"bad\.json: after row 2: not valid JSON \("):
        run("bad", model="model", threshold=0.5)
    Path("bad.json").write_text(json.dumps([{**row, "label": float(row["label"])} for row in contents]))
    with pytest.raises(UserError, match=r"bad\.json: row 1: label: .*integer.*got -1\.0; no row can be used"):
        run("bad", model="model", threshold=0.5)


@pytest.mark.parametrize("text", ["[1]", '{"id": "two-0", "scores": [1.0]}\n', "5\n", "words\n\n"])
def test_a_file_of_another_kind_is_not_written_over(folder, text):
    Path("kept.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"kept\.jsonl: not a file of step scores kept by --save"):
        run("two", model="model", threshold=0.5, save=Path("kept.jsonl"))
    assert Path("kept.jsonl").read_text() == text


@pytest.mark.slow
def test_from_the_command_line(folder):
    done = subprocess.run(
        [sys.executable, "-m", "stages", "processbench", "none.json", "--threshold", "0.5"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=ENV | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2 and done.stderr.strip() == "none.json: cannot be read (no such file)"
