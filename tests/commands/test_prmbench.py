"""`prmbench`: figures recounted from the verifier's own scores, predictions instead of a model, and mistakes."""

import json
from pathlib import Path

import pytest
import torch

from stages.commands.prmbench import prmbench
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.core.errors import UserError
from stages.lib.labels import prm_score, published_labels
from stages.lib.models.encoding import Encoder
from stages.lib.verifiers.outcome import OutcomeVerifier
from stages.lib.verifiers.process import ProcessVerifier
from tests.helpers import tiny_models
from tests.lib.labels.test_prm_score import make_row

FILE, OUT = Path("prmbench_preview.jsonl"), Path("figures.json")
ROWS = [
    make_row("circular", 0),
    make_row("circular", 1, errors=(1,)),
    make_row("redundency", 0, steps=("1. p is 2.", "2. p is 2 and so on", "3. p is two"), errors=(2,)),
    make_row("multi_solutions", 0, errors=()),
    make_row("circular", 0, errors=()),  # repeats an id
    make_row("circular", 2, steps=("a", " "), errors=(1,)),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root, tokenizer = tmp_path_factory.mktemp("models"), build_tokenizer()
    model, encoder = tiny_models.make_model("lfm2", len(tokenizer), seed=3), Encoder(tokenizer)
    prm = ProcessVerifier("prm", model, encoder, "scalar", ["Right", "Wrong"])
    torch.nn.init.normal_(prm.head.weight)
    prm.save(root / "prm")
    OutcomeVerifier("orm", model, encoder, "bce").save(root / "orm")
    return root


@pytest.fixture
def folder(tmp_path, monkeypatch):
    FILE_TEXT = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / FILE).write_text(FILE_TEXT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(**options):
    prmbench(FILE, out=OUT, **options)
    return json.loads(OUT.read_text(encoding="utf-8"))


def write_predictions(scores):
    Path("said.jsonl").write_text("".join(json.dumps({"id": k, "scores": v}) + "\n" for k, v in scores.items()))
    return Path("said.jsonl")


def test_figures_as_recounted_and_kept_scores_as_predictions(folder, models, capsys):
    figures = run(model=str(models / "prm"), save=Path("kept.jsonl"), threshold=0.4)
    verifier = ProcessVerifier.load(models / "prm")
    solutions = [x for x in published_labels.read("prmbench", FILE) if isinstance(x, tuple) and len(x) > 2][:4]
    counts = [
        prm_score.count_steps(
            verifier.score_steps(x.problem, [x.sample])[0][:3], [label.value == 1 for label in x.labels], 0.4
        )
        for x in solutions
    ]
    expected = prm_score.measure({"circular": counts[:2], "redundency": counts[2:3], "multi_solutions": counts[3:]})
    assert figures["prm_score"] == expected.overall and figures["groups"] == expected.groups
    assert figures["threshold"] == 0.4 and figures["left_out"] == 2
    kinds = figures["kinds"]
    assert {kind: x["prm_score"] for kind, x in kinds.items()} == expected.scores
    assert sum(kinds["circular"][name] for name in prm_score.StepCounts._fields) == 6
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    assert [row[0] for row in rows[3:6]] == ["redundency", "circular", "multi_solutions"], "in the paper's order"
    assert "left out 1, the first row 5: its id is that of an earlier row" in err and "row 6: step 1 is blank" in err
    assert run(predictions=Path("kept.jsonl"), threshold=0.4) == figures


def test_by_hand_at_the_published_threshold(folder):
    """Rows: circular 100 and 011, redundency 101, multi_solutions 111 (1: right). One right step is missed."""
    scores = {
        "circular_circular_prm_test_p1_0": [0.9, 0.1, 0.2],
        "circular_circular_prm_test_p1_1": [0.3, 0.5, 0.8],
        "redundency_redundency_prm_test_p1_0": [0.9, 0.7, 0.8],
        "multi_solutions_multi_solutions_prm_test_p1_0": [1.0, 1.0, 0.51],
    }
    figures = run(predictions=write_predictions(scores))
    assert figures["threshold"] == 0.5
    assert figures["kinds"]["circular"]["f1_right"] == pytest.approx(4 / 5)
    assert figures["kinds"]["circular"]["f1_wrong"] == pytest.approx(6 / 7)
    assert figures["kinds"]["circular"]["prm_score"] == pytest.approx((4 / 5 + 6 / 7) / 2)
    assert figures["kinds"]["redundency"]["prm_score"] == pytest.approx((4 / 5 + 0) / 2)
    assert figures["kinds"]["multi_solutions"]["prm_score"] == 1.0
    assert figures["groups"]["simplicity"] == pytest.approx(((4 / 5 + 6 / 7) / 2 + 2 / 5) / 2)
    assert figures["groups"]["soundness"] is None
    assert figures["prm_score"] == pytest.approx((14 / 16 + 6 / 8) / 2), "7 right found, 3 wrong found, 1 and 1 not"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"predictions": FILE, "tag": " "}, "prmbench: --tag describes a model, but --predictions replaces it"),
        ({"predictions": Path("none")}, "none: cannot be read"),
        ({"threshold": float("nan")}, "--threshold nan: must be a finite number"),
        ({"model": "."}, "no verifier.json"),
        ({"form": "reward"}, "--form reward: must be one of assay, classes"),
        ({"save": Path(".")}, r"prmbench --save \.: is a folder"),
    ],
)
def test_mistakes_are_told(folder, options, message):
    with pytest.raises(UserError, match=message):
        run(**options)
    assert not OUT.exists()


def test_an_outcome_verifier_and_predictions_without_scores_are_refused(folder, models):
    with pytest.raises(UserError, match="orm: scores no steps; name a process verifier"):
        run(model=str(models / "orm"))
    first = json.dumps({"id": "circular_circular_prm_test_p1_0", "first_error": 1})
    ids = [f"{row['classification']}_{row['idx']}" for row in ROWS[1:4]]
    Path("said.jsonl").write_text("\n".join([first, *(json.dumps({"id": x, "first_error": -1}) for x in ids)]) + "\n")
    with pytest.raises(UserError, match="circular_circular_prm_test_p1_0 has no scores; PRMBench needs one for each"):
        run(predictions=Path("said.jsonl"))
