"""benchmarks on the published files themselves: set ASSAY_BENCHMARKS to the folder that holds them."""

import os
from pathlib import Path

import pytest

from stages.problems.benchmarks.__main__ import Params, build_problems

ROOT = Path(os.environ.get("ASSAY_BENCHMARKS", ""))
pytestmark = pytest.mark.skipif(
    "ASSAY_BENCHMARKS" not in os.environ, reason="ASSAY_BENCHMARKS is not set; it names the folder of published files"
)
SHARES = {"train": 0.6, "verifier": 0.3, "dev": 0.1}


def build(name, shares=None, **sources):
    where = {split: [str(ROOT / file) for file in files] for split, files in sources.items()}
    sizes = dict.fromkeys(("train", "verifier", "dev", "test"))
    params = {"name": name, "source": "path", "sizes": sizes, "shares": shares, "path": where}
    return build_problems(Params.model_validate(params), 1, 1)


def reasons(account):
    return [reject["reason"] for entry in account["files"] for reject in entry["rejected"]]


def test_gsm8k():
    problems, account = build("gsm8k", SHARES, train=["gsm8k/train.jsonl"], test=["gsm8k/test.jsonl"])
    assert [entry["rows"]["out"] for entry in account["files"]] == [7473, 1319] and not reasons(account)
    assert account["annotations"] == {
        "checked": 27998,
        "faults": [{"id": "gsm8k/test/0319", "annotation": "<<3/4=3/4>>", "fault": "left unevaluated"}],
    }
    assert all(problem.steps[-1].value == problem.answer and len(problem.steps) > 1 for problem in problems)
    assert {problem.licence for problem in problems} == {"MIT"}


@pytest.mark.parametrize(
    ("name", "files", "rows"),
    [
        ("math", ["math/math500.jsonl"], 500),
        ("aime", ["aime/aime24.jsonl"], 30),
        ("aime", ["aime/aime25.jsonl"], 30),
        ("humaneval", ["code/HumanEval.jsonl.gz"], 164),
    ],
)
def test_every_published_row_is_a_problem(name, files, rows):
    problems, account = build(name, test=files)
    assert len(problems) == rows == account["splits"]["test"] and not reasons(account)


def test_problems_with_several_answers_cannot_be_graded():
    problems, account = build("codeforces", test=["code/codeforces_openr_sample.json"])
    assert len(problems) == 86 and {reason.split(",")[0] for reason in reasons(account)} == {
        "any of several answers is right"
    }


def test_the_traps_of_the_aime_csv_are_rejected():
    problems, account = build("aime", {"test": 1.0}, train=["aime/aime_1983_2024.csv"])
    assert len(problems) == 932 and account["licences"] == ["none stated"]
    assert sum("AIMO" in reason for reason in reasons(account)) == 20
    assert sum("is of 2025" in reason for reason in reasons(account)) == 30


def test_aime_test_questions_leave_the_training_csv():
    _, account = build(
        "aime", SHARES, train=["aime/aime_1983_2024.csv"], test=["aime/aime24.jsonl", "aime/aime25.jsonl"]
    )
    # 14 of the 15 problems of AIME II 2024 stand in both forms, six of them in other typesetting (Jaccard 0.38 to 0.95).
    assert sum(reason.startswith("the same question") for reason in reasons(account)) == 8
    near = {item[-2:]: reason for item, reason in account["near_duplicates"].items()}
    assert sorted(near) == ["05", "07", "08", "10", "12", "14"]
    assert all(f"aime/test/aime24-{int(number) - 1:02d} " in reason for number, reason in near.items())
    assert account["splits"]["test"] == 60 and account["licences"] == ["Apache-2.0", "none stated"]


def test_five_mmlu_dev_questions_stand_in_its_test():
    _, account = build("mmlu", dev=["mmlu/dev"], test=["mmlu/test"])
    assert account["splits"] == {"train": 0, "verifier": 0, "dev": 280, "test": 14042}
    assert len(reasons(account)) == 5
