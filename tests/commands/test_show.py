"""`python -m stages show`: a problem of this run or of a pool, with step scores, truth, votes and winners."""

import json
from pathlib import Path

import pytest

from stages.commands.show import explain_unknown, show
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.core.records import Score
from stages.lib.display import terminal
from stages.lib.models.prompts import Prompt
from tests.helpers import tiny_models


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A run with two test problems and one variant; of the first, two of three solutions agree on a wrong answer."""
    monkeypatch.chdir(tmp_path)
    first, second = tiny_models.make_problem(0, "test"), tiny_models.make_problem(12, "test")
    variant = second.model_copy(update={"id": f"{second.id}~items", "operator": "items", "parent": second.id})
    sets = {"dev": [], "test": [first, second], "ood": [variant], "aime": []}
    for file, name in {"benchmarks/dev": "dev", "benchmarks/test": "test", "ood/test": "ood"}.items():
        records.write_problems(tmp_path / f"data/{file}.jsonl", sets[name])
    for file in ("test", "unseen"):
        records.write_problems(tmp_path / f"data/aime/{file}.jsonl", [])
    for name, problems in sets.items():
        samples = [tiny_models.make_sample(x, i, error) for x in problems for i, error in enumerate((1, 1, 0))]
        samples += [tiny_models.make_sample(x, 3, 0, finish="length") for x in problems]
        values = {"prm": (0.4, 0.3, 0.9, 0.1), "orm": (0.8, 0.7, 0.2, 0.1)}
        scores = [
            Score(problem_id=x.problem_id, index=x.index, verifier=name, score=values[name][x.index], tokens=1)
            for x in samples
            for name in values
        ]
        steps = [0.95, 0.123, 0.5]
        scores = [x.model_copy(update={"step_scores": steps}) if x.verifier == "prm" else x for x in scores]
        for stage in ("samples", "scores"):
            (tmp_path / "data" / stage).mkdir(exist_ok=True)
        records.write_samples(tmp_path / f"data/samples/{name}.parquet", samples)
        records.write_scores(tmp_path / f"data/scores/{name}.parquet", scores)
    (tmp_path / "data/generator").mkdir()
    Prompt().write(tmp_path / "data/generator/prompt.json")
    return tmp_path


def read_block(output, start):
    lines = output.splitlines()
    begin = lines.index(start)
    end = next((i for i in range(begin + 2, len(lines)) if not lines[i]), len(lines))
    return [line.split() for line in lines[begin:end]]


def test_votes_winners_and_step_scores(root, capsys):
    show("sums/test/000")
    output = capsys.readouterr().out
    assert output.startswith("sums/test/000 (sums/test)\n\nAnn has 1 and buys 1. How many?\n")
    assert "Right answer: 2" in output and "  1 + 1 = <<1+1=2>>2" in output
    assert read_block(output, "Answers")[3:] == [
        ["3", "2", "wrong"],
        ["2", "1", "right"],
        ["(no", "answer)", "1", "wrong"],
    ]
    elected = {" ".join(line[:-2]): line[-2:] for line in read_block(output, "Who wins")[3:]}
    assert elected["majority"] == ["3", "wrong"] and elected["ORM best-of-N"] == ["3", "wrong"]
    assert elected["PRM best-of-N"] == ["2", "right"] and elected["PRM weighted"] == ["2", "right"]
    assert read_block(output, "Solution 2: 2, right")[-3:] == [
        ["0.95", "so", "so", "it", "is", "2"],
        ["0.12", "####", "2"],
        ["0.50", "(end)"],
    ]
    assert output.index("Solution 2:") < output.index("Solution 0:") < output.index("Solution 1:"), "the best first"
    assert "Solution 3: no answer, wrong, cut off" in output


def test_the_first_wrong_step_is_marked_and_another_verifier_sorts(root, capsys):
    show("sums/test/000", verifier="orm", most=1)
    output = capsys.readouterr().out
    assert "Solution 0: 3, wrong" in output and "Solution 2" not in output and "--most 4 shows all" in output
    assert "0.95" not in output, "the ORM has no step scores"


def test_variants_are_found_too_and_wrong_ids_are_told_near_ones(root, capsys):
    show("sums/test/012~items")
    assert "(sums~items)" in capsys.readouterr().out
    for wrong, near in (("sums/test/12", "do you mean sums/test/012"), ("sum/test/000", "do you mean sums/test/000")):
        with pytest.raises(UserError, match=near):
            show(wrong)
    with pytest.raises(UserError, match="there are .*orm"):
        show("sums/test/000", verifier="nobody")
    with pytest.raises(UserError, match="--scale: is of --pool"):
        show("sums/test/000", scale=["a=logit"])


def test_without_a_run_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run `dvc repro benchmarks`"):
        show("sums/test/000")
    assert explain_unknown("x", [], "p.jsonl") == "show x: no such problem in p.jsonl; there are none"
    assert explain_unknown("zzz", ["a/1"], "p.jsonl").endswith("the first is a/1")


def test_a_pool_of_ones_own_and_text_that_a_terminal_would_obey(tmp_path, monkeypatch, capsys):
    samples = [
        {"text": "so \x1b[2J\x1b]0;owned\x07 it is\n#### 7", "scores": {"rm": 2.0}, "step_scores": {"rm": [0.9, 0.8]}},
        {"text": "#### 8", "scores": {"rm": -1.0}},
    ]
    row = {"problem_id": "p1", "question": "3 + 4?\x1b[31m", "gold": "7", "scales": {"rm": "logit"}, "samples": samples}
    path = tmp_path / "pool.jsonl"
    path.write_text(json.dumps(row) + "\n")
    monkeypatch.setattr(terminal, "get_width", lambda: 40)
    show("p1", pool=path)
    output = capsys.readouterr().out
    assert "\x1b" not in output and "\x07" not in output and "3 + 4?[31m" in output
    assert ["0.90", "so", "[2J]0;owned", "it", "is"] in [line.split() for line in output.splitlines()]
    assert max(map(len, output.splitlines())) <= 40
    with pytest.raises(UserError, match=f"no such problem in {path}; do you mean p1"):
        show("p01", pool=path)
    assert isinstance(path, Path)
