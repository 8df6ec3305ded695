"""`import-steps`: what it prints and copies, what it refuses, and that its parameters train the process verifier."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.commands.import_steps import import_steps
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.verifiers.process import ProcessVerifier
from stages.verifiers import labels, prm
from tests.helpers import tiny_models
from tests.lib.labels.test_imported_labels import lines, prm800k, shepherd, write_workspace
from tests.verifiers import test_labels, test_prm

PARAMS = """labels:
  imported: {prm800k: [data/raw/labels/old/*.jsonl], math_shepherd: []}
scores:
  verifiers: [orm, prm, prm_exact]
"""


def solve(a, b, error=0):
    steps = [f"{a} + {b} = {a + b + error}", f"The answer is: {a + b + error}"]
    return {"prompt": f"What is {a} + {b}?", "completions": steps, "labels": [not error] * 2}


TRL = [solve(a, 2, error) for a in range(3) for error in (0, 4)]


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(PARAMS)
    lines(tmp_path / "mine/steps.jsonl", TRL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def list_copies():
    return sorted(path.as_posix() for path in Path("data/raw/labels").rglob("*") if path.is_file())


def read_printed_params(text):
    return YAML(typ="safe").load(text.partition("`dvc repro`:\n")[2])


def test_prints_what_a_file_holds_and_the_parameters_to_set(root, capsys):
    lines(root / "pub.jsonl", [*shepherd(), {"input": "no tag"}])
    lines(root / "p.jsonl", [prm800k()])
    import_steps([Path("mine/steps.jsonl"), Path("pub.jsonl"), Path("p.jsonl"), Path("pub.jsonl")])
    out, err = capsys.readouterr()
    table = [line.split() for line in out.partition("\n\n")[0].splitlines()]
    assert table[0] == ["file", "form", "rows", "problems", "samples", "finished", "steps", "right", "%", "rejected"]
    assert table[1:] == [
        ["steps.jsonl", "trl", "6", "3", "6", "6", "12", "50.0", "0"],
        ["pub.jsonl", "math_shepherd", "4", "2", "3", "3", "6", "66.7", "1"],
        ["p.jsonl", "prm800k", "1", "1", "2", "1", "3", "66.7", "0"],
    ]
    assert err == "pub.jsonl: 1 rows left out; the first, row 4: label: field required, got {'input': 'no tag'}\n"
    assert list_copies() == [
        "data/raw/labels/math_shepherd/pub.jsonl",
        "data/raw/labels/prm800k/p.jsonl",
        "data/raw/labels/trl/steps.jsonl",
    ]
    assert Path("data/raw/labels/trl/steps.jsonl").read_bytes() == Path("mine/steps.jsonl").read_bytes()
    assert read_printed_params(out) == {
        "labels": {
            "imported": {
                "prm800k": ["data/raw/labels/old/*.jsonl", "data/raw/labels/prm800k/p.jsonl"],
                "math_shepherd": ["data/raw/labels/math_shepherd/pub.jsonl"],
                "trl": ["data/raw/labels/trl/steps.jsonl"],
            }
        },
        "prm": {"labels": ["imported"]},
        "scores": {"verifiers": ["orm", "prm"]},
    }


def test_parameters_read_all_solutions_of_a_problem(root, capsys):
    Path("params.yaml").write_text(PARAMS + "prm:\n  samples_per_problem: 2\n")
    import_steps([Path("mine/steps.jsonl")])
    assert "samples_per_problem" not in read_printed_params(capsys.readouterr().out)["prm"]
    lines(root / "more.jsonl", [solve(1, 2, error) for error in (0, 1, 2)])
    import_steps([Path("mine/steps.jsonl"), Path("more.jsonl")])
    assert read_printed_params(capsys.readouterr().out)["prm"]["samples_per_problem"] == 3


def test_a_file_in_its_place_is_not_copied_and_again_changes_nothing(root, capsys):
    import_steps([Path("mine/steps.jsonl")])
    import_steps([Path("mine/steps.jsonl")])
    lines(root / "data/raw/labels/deep/own [1].jsonl", TRL)
    capsys.readouterr()
    import_steps([Path("data/raw/labels/deep/own [1].jsonl")])
    printed = read_printed_params(capsys.readouterr().out)["labels"]["imported"]["trl"]
    assert list_copies() == ["data/raw/labels/deep/own [1].jsonl", "data/raw/labels/trl/steps.jsonl"]
    assert [path.name for path in root.glob(printed[0])] == ["own [1].jsonl"], "a name is no pattern"


def test_check_copies_nothing_and_needs_no_workspace(root, capsys):
    Path("params.yaml").unlink()
    lines(root / "part.jsonl", [{**row, "completions": row["completions"][:1], "labels": [True]} for row in TRL])
    import_steps([Path("mine/steps.jsonl"), Path("part.jsonl")], check=True)
    out, err = capsys.readouterr()
    assert "params.yaml" not in out and list_copies() == []
    assert (
        err
        == "part.jsonl: no solution states its answer, so the verifier learns steps, but not the end of a solution\n"
    )


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("none.jsonl", None, r"none\.jsonl: cannot be read"),
        ("empty.jsonl", [], r"empty\.jsonl: the file has no rows"),
        (
            "chat.jsonl",
            [{"messages": []}],
            r"chat\.jsonl: row 1 has \['messages'\], which is no form of step labels; allowed",
        ),
        (
            "bad.jsonl",
            [{**TRL[0], "labels": [2, 3]}],
            r"bad\.jsonl: no row of the form trl \(row 1: labels\.0: .*got 2\)",
        ),
        (
            "other/steps.jsonl",
            TRL[:2],
            r"other/steps\.jsonl: mine/steps\.jsonl has the same name and other rows; rename",
        ),
    ],
)
def test_mistakes_are_one_sentence_and_copy_nothing(root, name, rows, message):
    if rows is not None:
        lines(root / name, rows)
    with pytest.raises(UserError, match=message) as error:
        import_steps([Path("mine/steps.jsonl"), Path(name)])
    assert "\n" not in str(error.value) and list_copies() == []


def test_a_file_with_other_rows_is_never_written_over(root):
    import_steps([Path("mine/steps.jsonl")])
    before = Path("data/raw/labels/trl/steps.jsonl").read_bytes()
    lines(root / "mine/steps.jsonl", TRL[:2])
    with pytest.raises(UserError, match="data/raw/labels/trl/steps.jsonl has the same name and other rows"):
        import_steps([Path("mine/steps.jsonl")])
    assert Path("data/raw/labels/trl/steps.jsonl").read_bytes() == before


@pytest.mark.slow
def test_from_a_file_of_trl_to_a_trained_verifier(root, capsys):
    """The printed parameters go through stages labels and prm; the verifier then knows its steps by heart."""
    write_workspace(root)
    import_steps([Path("mine/steps.jsonl")])
    printed = read_printed_params(capsys.readouterr().out)
    patterns = printed["labels"]["imported"] | {"prm800k": []}
    settings = {**test_labels.SETTINGS, "methods": ["exact"], "imported": patterns}
    counts = labels.body(tiny_models.make_run(root, "labels", labels.Params(**settings)))["imported"]
    assert counts["trl"] == {
        "rows": 6,
        "rows_refused": 0,
        "problems_held_out": 0,
        "problems": 3,
        "samples": 6,
        "labels": 12,
    }
    changes = {"init_from": "base", "epochs": 60.0, "lm_weight": 0.0, "lr": 1e-2, **printed["prm"]}
    run = tiny_models.make_run(root, "prm", prm.Params(**{**test_prm.SETTINGS, **changes}))
    assert prm.body(run)["labels"] == 12
    verifier, data = ProcessVerifier.load(root / "data/prm/model"), prm.load_training_data(run)
    for sample in data.samples:
        scores = verifier.score_steps(data.problems[sample.problem_id], [sample])[0]
        known = [*data.labels["imported"][sample.problem_id, sample.index].values(), float(sample.correct)]
        for place, (score, value) in enumerate(zip(scores, known, strict=True)):
            if known[0] or not place:  # what follows a wrong step is not learnt
                assert abs(score - value) < 0.3, (sample.text, scores)
    assert json.loads((root / "data/prm/model/verifier.json").read_text())["kind"] == "process"
    assert {x.method for x in records.read_labels(root / "data/labels/imported/labels.parquet")} == {"imported"}
