"""`python -m stages processbench`: an untrained verifier on rows of the published form, figures against a recount."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stages.lib import first_error
from stages.lib.encoding import Encoder
from stages.lib.human_labels import read_processbench
from stages.lib.stepwise import StepVerifier
from stages.lib.tokenizer import build
from tests import tiny
from tests.small import ENV

ROOT = Path(__file__).parent.parent
TOKENIZER = build()
ENCODER = Encoder(TOKENIZER)


def rows(subset, labels, long=()):
    """Solutions of three steps, of which one number tells them apart; those in `long` do not fit the model."""
    return [
        {"id": f"{subset}-{i}", "problem": f"What is {i} and 1?", "generator": "none", "final_answer_correct": label == -1,
         "steps": [f"We know {i}." + " and so on" * (9000 if i in long else 0), f"{i} + 1 = {i + 1}.", f"It is {i + 1}."],
         "label": label}
        for i, label in enumerate(labels)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("processbench")
    verifier = StepVerifier("prm", tiny.model("lfm2", len(TOKENIZER), seed=3), ENCODER, "head", ["Right", "Wrong"])
    verifier.save(root / "model")
    for name, given in (("one", rows("one", [0, -1, 2, 1, -1, -1], long=[2])), ("two", rows("two", [-1, 1, 0]))):
        (root / f"{name}.json").write_text(json.dumps(given), encoding="utf-8")
    return root


def run(folder, *words, code=0):
    done = subprocess.run([sys.executable, "-m", "stages", "processbench", *words], cwd=folder, capture_output=True,
                          text=True, env=ENV | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_threshold_from_another_file_and_figures_as_recounted(folder):
    run(folder, "one.json", "--dev", "two.json", "--model", "model", "--out", "found.json")
    found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    verifier = StepVerifier.load(folder / "model")

    def cases(name):
        for row in read_processbench(folder / f"{name}.json")[0]:
            if len(row.sample.text) < 1000:
                wrong = [label.step for label in row.labels if not label.value]
                yield verifier.step_scores(row.problem, [row.sample])[0][:3], wrong[0] if wrong else -1

    threshold = first_error.threshold(*zip(*cases("two"), strict=True))
    assert found["threshold"] == pytest.approx(threshold, abs=1e-6)
    scores, places = zip(*cases("one"), strict=True)
    expected = first_error.f1([first_error.located(each, found["threshold"]) for each in scores], places)
    own = found["subsets"]["one"]
    assert (own["solutions"], own["left_out"]) == (5, 1)
    assert (own["error"], own["correct"], own["f1"]) == expected and found["f1"] == expected.f1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["one.json", "--dev", "one.json"], "choose the threshold on another file"),
        (["one.json", "--dev", "two.json", "--threshold", "0.5"], "exclude each other"),
        (["one.json"], "holds no threshold"),
        (["one.json", "--threshold", "0.5", "--form", "none"], "must be one of assay, classes"),
        (["none.json", "--threshold", "0.5"], "cannot be read"),
    ],
)
def test_mistakes_are_one_sentence(folder, words, message):
    error = run(folder, *words, "--model", "model", code=2).stderr.strip()
    assert message in error and len(error.splitlines()) == 1


def test_a_folder_without_a_verifier(folder, tmp_path):
    assert "no verifier.json" in run(folder, "one.json", "--threshold", "0.5", "--model", str(tmp_path), code=2).stderr
