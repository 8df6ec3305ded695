"""`python -m stages score`: any verifier scores a pool of one's own, and best-of-n reads the result."""

import json
from pathlib import Path

import pytest

from stages.commands import score as command
from stages.commands.best_of_n import best_of_n
from stages.lib.core.errors import UserError
from stages.lib.reports import pools
from stages.lib.verifiers import registry
from tests.helpers import saved_verifiers

POOL, OUT = Path("pool.jsonl"), Path("scored.jsonl")
TEXTS = ["We know it has 3.\nSo it has 3 + 4 = 7.\n#### 7", "It has 8.\n#### 8", "It has 8.\n#### 8", ""]


def make_row(i, texts=TEXTS, **changes):
    samples = [{"text": text, "scores": {"len": -float(len(text))}} for text in texts]
    row = {"problem_id": f"p{i}", "question": f"{i} + 4?", "gold": "7", "answer_type": "number", "samples": samples}
    return row | {"scales": {"len": "log-probability"}} | changes


def write_pool(rows):
    POOL.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read_rows(path=OUT):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return saved_verifiers.save_all(tmp_path_factory.mktemp("models"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "WINDOW", 2)
    write_pool([make_row(i) for i in range(5)])
    return tmp_path


@pytest.mark.parametrize("name", ["orm", "prm", "genrm"])
def test_scores_are_the_verifiers_own_and_the_pool_is_read_again(folder, models, name):
    command.score(POOL, str(models / name), OUT)
    judge = registry.load(models / name)
    for row, before in zip(read_rows(), [make_row(i) for i in range(5)], strict=True):
        expected = judge.score_texts(row["question"], TEXTS)
        assert [x["scores"] for x in row["samples"]] == [
            old["scores"] | {name: pytest.approx(x.score)} for old, x in zip(before["samples"], expected, strict=True)
        ]
        assert row["scales"] == {"len": "log-probability", name: "probability"}
        if name == "prm":
            steps = [sample["step_scores"]["prm"] for sample in row["samples"]]
            assert [len(x) for x in steps] == [4, 3, 3, 1], "one for each line, one for the end"
            assert steps[0] == pytest.approx(expected[0].step_scores)
        else:
            assert not any("step_scores" in sample for sample in row["samples"])
    assert {name, "len"} == set(pools.read(OUT)[0].scores)
    best_of_n(OUT, folder / "results", None, 1.0, 0.25, 50, 100, 1)
    assert f"weighted_{name}" in json.loads((folder / "results/metrics.json").read_text())


def test_two_verifiers_one_after_the_other_and_a_published_one(folder, models):
    command.score(POOL, str(models / "orm"), Path("a.jsonl"))
    command.score(Path("a.jsonl"), str(models / "prm"), Path("b.jsonl"), name="mine")
    command.score(Path("b.jsonl"), str(models / "reward"), OUT, form="reward")
    assert set(pools.read(OUT)[0].scores) == {"len", "orm", "mine", "reward"}
    assert set(read_rows()[0]["samples"][0]["step_scores"]) == {"mine"}


def test_a_killed_run_continues_with_equal_bytes(folder, models, monkeypatch):
    command.score(POOL, str(models / "prm"), Path("whole.jsonl"))
    add, calls = command.add_scores, []

    def fail_at_the_fourth(row, *rest):
        calls.append(row["problem_id"])
        if len(calls) == 4:
            raise KeyboardInterrupt
        return add(row, *rest)

    monkeypatch.setattr(command, "add_scores", fail_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        command.score(POOL, str(models / "prm"), OUT)
    assert not OUT.exists()
    (kept,) = Path(".checkpoints").glob("score-*.jsonl")
    with open(kept, "ab") as file:
        file.write(b'{"problem_id": "cut o')
    command.score(POOL, str(models / "prm"), OUT)
    assert calls == ["p0", "p1", "p2", "p3", "p3", "p4"], "what was scored is not scored again"
    assert OUT.read_bytes() == Path("whole.jsonl").read_bytes() and not kept.exists()


def test_what_is_longer_than_the_model_reads_scores_0(folder, models, capsys):
    write_pool([make_row(0, ["It has 7. " * 3000, "7"]), make_row(1, ["It has 8. " * 3000] * 2)])
    command.score(POOL, str(models / "prm"), OUT)
    first, second = (row["samples"] for row in read_rows())
    assert first[0]["scores"]["prm"] == 0 < first[1]["scores"]["prm"] and "step_scores" not in first[0]
    assert [sample["scores"]["prm"] for sample in second] == [0, 0]
    assert "score: 3 solutions are longer than the model reads; their score is 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "options", "fault"),
    [
        ([make_row(0), make_row(1, question=" ")], {}, "pool.jsonl:2: question is missing"),
        ([{key: x for key, x in make_row(0).items() if key != "question"}], {}, "pool.jsonl:1: question is missing"),
        ([make_row(0, samples=[{"answer": "7"}], scales={})], {}, "pool.jsonl:1: sample 0: text is missing"),
        ([make_row(0), make_row(0)], {}, "pool.jsonl:2: problem_id 'p0' is already used in line 1"),
        ([make_row(0, scales={})], {}, "nothing says what the numbers of score 'len' are"),
        ([make_row(0)], {"name": "len"}, "has a score 'len' already; give the new one another --name"),
        ([make_row(0)], {"name": "a\nb"}, "must be one line of printable characters"),
        ([make_row(0)], {"out": POOL}, "is read by this command; name another file"),
        ([make_row(0)], {"out": POOL / "x.jsonl"}, "is a file, no folder; name another path"),
        ([make_row(0)], {"verifier": "nowhere"}, "nowhere: holds no trained verifier"),
        ([make_row(0)], {"form": "nonsense"}, "--form nonsense: must be one of assay, "),
        ([], {}, "no rows"),
    ],
)
def test_mistakes_are_told_before_anything_is_scored(folder, models, rows, options, fault):
    write_pool(rows)
    settings = {"pool": POOL, "verifier": str(models / "orm"), "out": OUT} | options
    with pytest.raises(UserError) as told:
        command.score(**settings)
    assert fault in str(told.value) and len(str(told.value).splitlines()) == 1
    assert not OUT.exists() and not list(Path(".checkpoints").glob("*")) and POOL.read_text().count("\n") == len(rows)


def test_scales_may_stand_in_an_option(folder, models):
    write_pool([make_row(0, scales={})])
    command.score(POOL, str(models / "orm"), None, scale=["len=log-probability"])
    assert set(pools.read(Path("pool.scored.jsonl"))[0].scores) == {"len", "orm"}


def test_one_question_in_python(models):
    judge = registry.load(models / "prm")
    long, short = judge.score_texts("3 + 4?", TEXTS[:2])
    assert 0 <= long.score <= 1 and len(long.step_scores or ()) == 4 and short.index == 1
    assert judge.score_texts("3 + 4?", []) == []
