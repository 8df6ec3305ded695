"""Stage augmentation: what is kept is proven, everything is accounted for, nothing tested is trained on, equal bytes."""

import json
import re

import pytest

from stages.commands import verify_items
from stages.lib.core import records
from stages.lib.core.problem_ids import get_root
from stages.lib.procedural import gradeschool
from stages.lib.procedural.gradeschool import wording
from stages.problems.augmentation.candidate import Candidate
from stages.problems.augmentation.section import Params
from tests.problems.augmentation.stage_runs import METHODS, SETTINGS, augmentation, read, run, write_inputs


@pytest.fixture
def root(tmp_path):
    return write_inputs(tmp_path)


def test_every_problem_is_proven_and_accounted_for(root):
    metrics, problems = run(root)
    parents = {problem.id: problem for problem in records.read_problems(root / "data/benchmarks/train.jsonl")}
    assert metrics["train"] == len(problems) >= 28 and metrics["made"] == len(problems) + len(
        read(root, "rejects.jsonl")
    )
    for problem in problems:
        assert verify_items.verify(problem, parents) == ("verified", [])
        assert problem.steps[-1].value == problem.answer and problem.split == "train"
    lineage = {row["id"]: row for row in read(root, "lineage.jsonl")}
    assert set(lineage) == {problem.id for problem in problems}
    for row in lineage.values():
        assert row["root"] == get_root(row["id"]) == row["parent"] and row["root"] in parents
        assert row["licence"] == "MIT" and row["agent"] == "program" and row["method"] in METHODS
    for row in json.loads((root / "data/augmentation/audit.json").read_text())["methods"]:
        assert row["made"] == row["kept"] + row["rejected"] and sum(row["reasons"].values()) == row["rejected"]


def test_the_words_of_new_problems_are_those_of_their_split(root):
    _, problems = run(root, methods=["rephrase"])
    owned = {
        relation: wording.list_owned_pairs("train", len(forms), len(wording.FRAMES))
        for relation, forms in wording.WORDINGS.items()
    }
    parents = {problem.id: problem for problem in records.read_problems(root / "data/benchmarks/train.jsonl")}
    for problem in problems:
        parent = parents[problem.parent]
        for entry in problem.program.params["quantities"]:
            assert tuple(entry["template"]) in owned[entry["relation"]]
        assert tuple(problem.program.params["question"]) in owned["question"]
        assert sorted(re.findall(r"\d+", problem.question)) == sorted(re.findall(r"\d+", parent.question))
        assert problem.steps == parent.steps and problem.question != parent.question


def test_problems_for_verifiers_come_from_problems_for_verifiers(root):
    run(root, verifier_problems_per_method=3)
    problems = records.read_problems(root / "data/augmentation/verifier.jsonl")
    assert len(problems) >= 10 and {get_root(p.id).split("/")[1] for p in problems} == {"verifier"}
    run(root)
    assert (root / "data/augmentation/verifier.jsonl").read_bytes() == b""


def test_more_problems_add_to_fewer_and_methods_do_not_touch_each_other(root):
    _, few = run(root, problems_per_method=4)
    _, many = run(root, problems_per_method=8)
    assert {p.id: p for p in few}.items() <= {p.id: p for p in many}.items()
    _, alone = run(root, methods=["fobar"], problems_per_method=4)
    assert alone == [p for p in few if p.operator == "fobar"]


def test_a_near_duplicate_of_an_evaluation_problem_is_removed(root):
    metrics, problems = run(root)
    target = next(problem for problem in problems if problem.operator == "fobar")
    planted = target.model_copy(update={"id": "gradeschool/test/99999", "split": "test", "parent": None})
    similar = planted.model_copy(update={"id": "ood/test/1", "question": planted.question.replace("Also, ", "Then ")})
    records.write_problems(root / "data/benchmarks/test.jsonl", [planted])
    records.write_problems(root / "data/ood/test.jsonl", [similar])
    metrics, cleaned = run(root)
    assert target not in cleaned and metrics["near_duplicates"] == 1
    assert any("gradeschool/test/99999" in row["reason"] for row in read(root, "rejects.jsonl"))
    assert "| train | benchmarks/test | 1 |" in (root / "data/augmentation/audit.md").read_text()


def test_what_is_no_longer_out_of_distribution_is_told(root):
    tested = gradeschool.generate_problems("test", 4, 3, steps=(2, 3), max_value=60)
    variants, _ = augmentation.registry.make_variants(tested, ["reversed", "steps", "typos"], 1)
    records.write_problems(root / "data/ood/test.jsonl", variants)
    run(root)
    text = (root / "data/augmentation/audit.md").read_text()
    assert "no longer out of distribution for a generator that learns from these: reversed, steps" in text


def test_new_problems_of_one_split_do_not_repeat_those_of_the_other(root):
    problems = records.read_problems(root / "data/benchmarks/train.jsonl")
    same = [problem.model_copy(update={"id": problem.id.replace("train", "verifier")}) for problem in problems]
    kept = [Candidate(problem, "program", {}) for problem in same]
    count = augmentation.Count("fobar", "verifier", len(kept))
    count.kept += kept
    rows = augmentation.remove_contaminated([count], {"augmentation/train": problems})
    assert not count.kept and len(count.rejected) == 12
    expected = {"split": "verifier", "set": "augmentation/train", "problems": 12, "new_problems": 12}
    assert rows == [{**expected, "shared_13_grams": 12, "removed": 12}]


def test_nothing_made_is_told(root, capsys):
    problems = records.read_problems(root / "data/benchmarks/train.jsonl")
    bare = [problem.model_copy(update={"program": None, "steps": None}) for problem in problems]
    records.write_problems(root / "data/benchmarks/train.jsonl", bare)
    metrics, problems = run(root, methods=["fobar", "rephrase"])
    assert problems == [] and metrics["made"] == 0
    assert "data/augmentation/train.jsonl is empty; fobar fits no problem of train" in capsys.readouterr().err
    metrics, problems = run(root, methods=[])
    assert problems == [] and capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"methods": ["fobar", "fobar"]}, "listed twice"),
        ({"methods": ["paint"]}, "Input should be"),
        ({"operators": ["numbers", "nombers"]}, "is no operator"),
        ({"operators": []}, "name an operator"),
        ({"problems_per_method": 0}, "greater than or equal to 1"),
        ({"solver_samples": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        Params(**{**SETTINGS, **changes})
