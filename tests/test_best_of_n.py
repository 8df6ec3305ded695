"""The stage and the command on whole pools: published figures, records, and rows that do not fit."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from stages.commands.best_of_n import best_of_n
from stages.lib import curves, pools, standings
from stages.lib.errors import UserError
from stages.lib.records import Problem, Sample, Score, Source


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def row(name="p1", **changes):
    samples = [{"answer": a, "scores": {"rm": s}} for a, s in (("1/2", 0.2), ("0.5", 0.3), ("3", 0.9), (None, 1.0))]
    return {"problem_id": name, "gold": "0.5", "answer_type": "number", "samples": samples} | changes


def problem(name):
    return Problem(id=name, benchmark="b", split="test", question="?", answer="7", answer_type="number",
                   licence="CC0-1.0", source=Source(url="made here"))  # fmt: skip


def sample(name, index, answer, finish="stop", logprob=-2.0):
    return Sample(problem_id=name, index=index, text=f"#### {answer}", answer=answer, correct=answer == "7",
                  finish=finish, logprob=logprob, min_logprob=logprob / 2, tokens=4)  # fmt: skip


def test_published_figures_of_qwen_math(tmp_path):
    root = os.environ.get("ASSAY_BENCHMARKS")
    if not root:
        pytest.skip("ASSAY_BENCHMARKS is not set: the real pool of 100 x 8 solutions is not here")
    raw = (Path(root) / "samples/qwen_math_cot_100x8.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [
        {"problem_id": str(r["idx"]), "gold": r["gt"], "answer_type": "latex", "samples": [
            {"answer": answer, "correct": right, "scores": {"rm": score[0]}}
            for answer, right, score in zip(r["pred"], r["score"], r["pred_score"], strict=True)]}
        for r in map(json.loads, raw)
    ]  # fmt: skip
    best_of_n(write(tmp_path / "qwen.jsonl", rows), tmp_path / "out", draws=20, resamples=200, seed=1)
    found = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert found["pass"]["1"]["mean"] == pytest.approx(0.91)
    assert found["majority"]["8"]["mean"] == pytest.approx(0.925, abs=0.01)  # grouping may move it by one problem
    assert found["best_of_rm"]["8"]["mean"] == pytest.approx(0.94)
    assert found["pass"]["8"]["mean"] == pytest.approx(0.96)
    assert all(each["low"] <= each["mean"] <= each["high"] for curve in found.values() for each in curve.values())
    assert (tmp_path / "out/curve.png").read_bytes().startswith(b"\x89PNG")


def test_answers_are_grouped_by_equivalence_and_blanks_lose(tmp_path):
    each = pools.read(write(tmp_path / "pool.jsonl", [row()]))[0]
    assert each.classes[0] == each.classes[1] != each.classes[2]
    assert each.classes[3] == -1
    assert each.correct.tolist() == [1, 1, 0, 0]
    found = curves.evaluate([each], {}, draws=10, seed=1)
    few = curves.evaluate([each], {}, draws=10, seed=1, ks=[2])["weighted_rm"]
    assert few.ks.tolist() == [2] and few.values[0, 0] == found["weighted_rm"].values[0, 1]
    assert found["majority"].values[0, -1] == 1
    assert found["best_of_rm"].values[0, -1] == 0  # the blank's score of 1 is not looked at; 0.9 wins
    assert found["weighted_rm"].values[0, -1] == 0


def test_records_with_an_unfinished_solution(tmp_path):
    drawn = [sample("a", 0, "7", finish="length", logprob=-0.1), sample("a", 1, "7"), sample("a", 2, "8")]
    scores = [Score(problem_id="a", index=i, verifier="orm", score=s) for i, s in enumerate((1.0, 0.9, 0.1))]
    each = pools.from_records([problem("a")], drawn, scores)[0]
    assert each.classes[0] == -1
    assert each.correct.tolist() == [0, 1, 0]
    assert each.scores["likelihood_mean"].tolist() == [-0.025, -0.5, -0.5]
    assert curves.evaluate([each], {}, 4, 1)["best_of_orm"].values[0, -1] == 1
    with pytest.raises(UserError, match="orm has no score for problem a sample 2"):
        pools.from_records([problem("a")], drawn, scores[:2])
    with pytest.raises(UserError, match="none for problem b"):
        pools.from_records([problem("b")], drawn, [])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no rows"),
        ([row(), row()], "pool.jsonl:2: problem_id 'p1' stands already in line 1"),
        ([row(gold=3)], "gold must be a non-empty string"),
        ([row(samples=[])], "samples must be a non-empty list"),
        ([row(extra=1)], "unknown key 'extra'"),
        ([row(answer_type="prose")], "answer_type 'prose'"),
        ([row(samples=[{"scores": {}}])], "sample 0: must be an object with `answer` or `text`"),
        ([row(samples=[{"answer": "1", "scores": {"rm": "high"}}])], "score rm must be a finite number"),
        ([row(samples=[{"answer": "1", "scores": {"rm": 1}}, {"answer": "2"}])], "sample 1: scores"),
        ([row(), row("p2", samples=[{"answer": "1"}])], "pool.jsonl:2: scores"),
    ],
)
def test_rows_that_do_not_fit(tmp_path, rows, message):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        pools.read(write(tmp_path / "pool.jsonl", rows))


def test_programs_of_a_file_are_classed_by_text_and_graded_by_whoever_made_it(tmp_path):
    texts = ["a = 1\nprint(a)", "```python\na = 1  # one\nprint(a)\n```", "print(1)"]
    samples = [{"text": text, "correct": text != texts[2]} for text in texts] + [{"answer": None, "correct": False}]
    rows = [row(gold="-", answer_type="code", samples=samples)]
    (each,) = pools.read(write(tmp_path / "pool.jsonl", rows))
    assert each.classes.tolist() == [0, 0, 1, -1] and each.correct.tolist() == [1, 1, 0, 0]
    del samples[1]["correct"]
    with pytest.raises(UserError, match="pool.jsonl:1: sample 1: correct is missing; programs are not run here"):
        pools.read(write(tmp_path / "pool.jsonl", rows))


def test_ragged_pools_end_at_the_smallest(tmp_path):
    short = row("p2", samples=[{"answer": "0.5", "scores": {"rm": 0.1}}, {"answer": "4", "scores": {"rm": 0.2}}])
    read = pools.read(write(tmp_path / "pool.jsonl", [row(), short]))
    found = curves.evaluate(read, {}, draws=10, seed=1)
    assert found["pass"].values.shape == (2, 2)
    assert found["pass"].values[:, 0].tolist() == [0.5, 0.5]
    assert found["pass"].values[0, 1] == pytest.approx(5 / 6)


def test_choices_are_the_best_on_dev():
    classes, correct = np.array([0, 0, 0, 1]), np.array([0.0, 0, 0, 1])
    dev = [pools.Pool("a", classes, correct, {"orm": np.array([0.4, 0.4, 0.4, 0.9])})]
    assert curves.choose(dev, [1.0, 2.0, 4.0], [1.0, 0.25], seed=1)["orm"] == curves.Choice(power=2.0, share=0.25)


def test_turning_point_is_found_on_dev_and_measured_on_test():
    def curve(*means):
        return {"best_of_orm": curves.Curve(np.arange(1, 4), np.tile(means, (20, 1)), np.zeros(3))}

    found = standings.turning(curve(0.4, 0.6, 0.5), curve(0.5, 0.55, 0.5), seed=1)["best_of_orm"]
    assert found["k"] == 2
    assert found["difference"] == pytest.approx(-0.05)


def test_verifiers_are_held_against_the_best_of_the_likelihood_on_dev():
    def curve(at_n):
        return curves.Curve(np.arange(1, 3), np.tile((0.5, at_n), (20, 1)), np.zeros(2))

    dev = {"best_of_orm": curve(0.9), "best_of_likelihood_min": curve(0.6), "weighted_likelihood_sum": curve(0.7)}
    test = {"majority": curve(0.55), "weighted_orm": curve(0.8), "weighted_likelihood_sum": curve(0.65)}
    assert standings.own_choice(dev) == "weighted_likelihood_sum"
    over = standings.against("weighted_likelihood_sum", test, seed=1)
    assert over["weighted_orm"]["difference"] == pytest.approx(0.15) and over["weighted_orm"]["low"] > 0
    results = {**curves.intervals(test, 1, 100), "pass": {1: {"mean": 0.5, "low": 0.5, "high": 0.5}}}
    order = ["majority", "weighted_orm", "weighted_likelihood_sum"]
    table = standings.rows(results, standings.against("majority", test, 1), order, over)
    assert [row[-2:] for row in table[:3]] == [["", ""], ["+15.0", "+15.0 to +15.0"], ["", ""]]
    assert {len(row) for row in table} == {10}


def test_same_pool_same_bytes(tmp_path):
    pool = write(tmp_path / "pool.jsonl", [row(), row("p2", gold="3")])
    for name in ("one", "two"):
        best_of_n(pool, tmp_path / name, draws=10, resamples=100, seed=1)
    for name in ("metrics.json", "table.md", "curve.csv", "curve.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
