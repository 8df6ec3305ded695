"""The stage and the command on whole pools: published figures, records, and rows that do not fit."""

import csv
import json
import os
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from stages.commands import best_of_n as command
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Sample, Score, Source
from stages.lib.display import tables
from stages.lib.metrics import intervals
from stages.lib.reports import curves, leaderboard, pools
from stages.lib.reports.vote_settings import VoteSettings
from stages.lib.reports.votes import WeightedVote, log_weights


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def row(name="p1", **changes):
    samples = [{"answer": a, "scores": {"rm": s}} for a, s in (("1/2", 0.2), ("0.5", 0.3), ("3", 0.9), (None, 1.0))]
    scales = {"rm": "probability"}
    return {"problem_id": name, "gold": "0.5", "answer_type": "number", "scales": scales, "samples": samples} | changes


def problem(name):
    return Problem(
        id=name,
        benchmark="b",
        split="test",
        question="?",
        answer="7",
        answer_type="number",
        licence="CC0-1.0",
        source=Source(url="made here"),
    )


def sample(name, index, answer, finish="stop", logprob=-2.0):
    return Sample(
        problem_id=name,
        index=index,
        text=f"#### {answer}",
        answer=answer,
        correct=answer == "7",
        finish=finish,
        logprob=logprob,
        min_logprob=logprob / 2,
        tokens=4,
    )


def test_published_figures_of_qwen_math(tmp_path):
    root = os.environ.get("ASSAY_BENCHMARKS")
    if not root:
        pytest.skip("ASSAY_BENCHMARKS is not set: the real pool of 100 x 8 solutions is not here")
    raw = (Path(root) / "samples/qwen_math_cot_100x8.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [
        {
            "problem_id": str(r["idx"]),
            "gold": r["gt"],
            "answer_type": "latex",
            "scales": {"rm": "logit"},
            "samples": [
                {"answer": answer, "correct": right, "scores": {"rm": score[0]}}
                for answer, right, score in zip(r["pred"], r["score"], r["pred_score"], strict=True)
            ],
        }
        for r in map(json.loads, raw)
    ]
    command.best_of_n(write(tmp_path / "qwen.jsonl", rows), tmp_path / "out", draws=20, resamples=200, seed=1)
    found = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert found["pass"]["1"]["mean"] == pytest.approx(0.91)
    assert found["majority"]["8"]["mean"] == pytest.approx(0.925, abs=0.01)  # grouping may move it by one problem
    assert found["best_of_rm"]["8"]["mean"] == pytest.approx(0.94)
    assert found["pass"]["8"]["mean"] == pytest.approx(0.96)
    assert all(each["low"] <= each["mean"] <= each["high"] for curve in found.values() for each in curve.values())
    assert (tmp_path / "out/curve.png").read_bytes().startswith(b"\x89PNG")


def test_answers_are_grouped_by_equivalence_and_blanks_lose(tmp_path):
    each = pools.read(write(tmp_path / "pool.jsonl", [row()]))[0]
    assert each.answer_ids[0] == each.answer_ids[1] != each.answer_ids[2]
    assert each.answer_ids[3] == -1
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
    assert each.answer_ids[0] == -1
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
        ([row(), row()], "pool.jsonl:2: problem_id 'p1' is already used in line 1"),
        ([row(gold=3)], "gold must be a non-empty string"),
        ([row(samples=[])], "samples must be a non-empty list"),
        ([row(extra=1)], "unknown key 'extra'"),
        (
            [row(samples=[{"answer": "1", "score": {"rm": 1}}])],
            "sample 0: unknown key 'score'; allowed: answer, text, correct",
        ),
        ([row(samples=[{"answer": "1", "correct": "yes"}])], "sample 0: correct is 'yes'; it must be true or false"),
        ([row(question=["?"])], "question is ['?']; it must be a string"),
        ([row(samples=[{"answer": "1", "step_scores": [1]}])], "step_scores is [1]; it must be an object of lists"),
        (
            [row(samples=[{"answer": "1", "scores": {"rm": 1}, "step_scores": {"rm": [0.5, None]}}])],
            "sample 0: step_scores 'rm' must be a list of finite numbers",
        ),
        (
            [row(samples=[{"answer": "1", "scores": {"rm": 1}, "step_scores": {"other": [0.5]}}])],
            "sample 0: step_scores 'other' must be a list of finite numbers, of a score of the sample",
        ),
        ([row(answer_type="prose")], "answer_type 'prose'"),
        ([row(samples=[{"scores": {}}])], "sample 0: must be an object with `answer` or `text`"),
        ([row(samples=[{"answer": "1", "scores": {"rm": "high"}}])], "score 'rm' must be a finite number"),
        ([row(samples=[{"answer": "1", "scores": {"rm": 10**400}}])], "score 'rm' must be a finite number"),
        ([row(samples=[{"answer": "1", "scores": {"r\nm": 1}}])], "a name must be one line of printable characters"),
        (
            [row(), row("p2", scales={"rm": "odds"})],
            "pool.jsonl:2: the scale of 'rm' is 'odds'; allowed: probability, log-",
        ),
        ([row(), row("p2", scales={"rm": "logit"})], "pool.jsonl:2: the scale of 'rm' is logit, but line 1 says prob"),
        ([row(scales={"orm": "logit"})], "line 1 gives 'orm' a scale, but the samples have ['rm']"),
        (
            [row(scales={})],
            "pool.jsonl: nothing says what the numbers of score 'rm' are (probability, log-probability, logit)",
        ),
        (
            [row(samples=[{"answer": "1", "scores": {"rm": 1.3}}])],
            "pool.jsonl:1: sample 0: score 'rm' is 1.3, but a prob",
        ),
        (
            [row(samples=[{"answer": "1", "scores": {"rm": -0.1}}])],
            "sample 0: score 'rm' is -0.1, but a probability is from 0",
        ),
        (
            [row(), row("p2", scales={"rm": "log-probability"})][1:],
            "score 'rm' is 0.2, but a log-probability is 0 or less",
        ),
        ([row(samples=[{"answer": "1", "scores": {"rm": 1}}, {"answer": "2"}])], "sample 1: scores"),
        ([row(), row("p2", samples=[{"answer": "1"}])], "pool.jsonl:2: scores"),
    ],
)
def test_rows_that_do_not_fit(tmp_path, rows, message):
    with pytest.raises(UserError, match=re.escape(message)):
        pools.read(write(tmp_path / "pool.jsonl", rows))


def test_programs_of_a_file_are_classed_by_text_and_graded_by_whoever_made_it(tmp_path):
    texts = ["a = 1\nprint(a)", "```python\na = 1  # one\nprint(a)\n```", "print(1)"]
    samples = [{"text": text, "correct": text != texts[2]} for text in texts] + [{"answer": None, "correct": False}]
    rows = [row(gold="-", answer_type="code", samples=samples, scales={})]
    (each,) = pools.read(write(tmp_path / "pool.jsonl", rows))
    assert each.answer_ids.tolist() == [0, 0, 1, -1] and each.correct.tolist() == [1, 1, 0, 0]
    del samples[1]["correct"]
    with pytest.raises(UserError, match="pool.jsonl:1: sample 1: correct is missing; programs are not run here"):
        pools.read(write(tmp_path / "pool.jsonl", rows))


def test_what_a_score_is_comes_from_the_rows_or_the_option_and_never_from_its_range(tmp_path):
    """Numbers that are all negative may be either: 2 sigmoid(-1) > sigmoid(-0.1), but 2 e**-1 < e**-0.1."""
    samples = [{"answer": a, "scores": {"rm": s}} for a, s in (("1", -1.0), ("1", -1.0), ("0.5", -0.1))]
    pool, told = tmp_path / "pool.jsonl", tmp_path / "told.jsonl"
    write(pool, [row(samples=samples, scales={})])
    for kind, right in (("logit", 0), ("log-probability", 1)):
        write(told, [row(samples=samples, scales={"rm": kind})])
        for read in (pools.read(pool, {"rm": kind}), pools.read(told)):
            votes = curves.compute_votes(read, {"rm": WeightedVote("rm", 1.0)}, [3], 2, 1)
            assert votes["rm"].values[0, 0] == right
    assert log_weights(np.array([-30.0]), "logit")[0] == pytest.approx(-30)
    assert log_weights(np.array([0.5, 0.0]), "probability", 2.0).tolist() == [2 * np.log(0.5), -np.inf]
    assert log_weights(np.array([0.5, 0.0]), "probability", 0.0).tolist() == [0, 0]
    with pytest.raises(UserError, match="pool.jsonl:1: the scale of 'rm' is probability, but --scale says logit"):
        pools.read(write(tmp_path / "pool.jsonl", [row()]), {"rm": "logit"})
    assert command.parse_scales(["a=b=logit", "c=probability"]) == {"a=b": "logit", "c": "probability"}
    for wrong in (["rm"], ["rm=odds"], ["=logit"], ["rm=logit", "rm=probability"]):
        with pytest.raises(UserError, match="--scale"):
            command.parse_scales(wrong)


def test_power_0_is_a_plain_majority():
    random = np.random.default_rng(3)
    some = [
        pools.Pool(str(i), random.integers(-1, 3, 8), random.integers(0, 2, 8) * 1.0, {"rm": np.zeros(8)})
        for i in range(9)
    ]
    found = curves.evaluate(some, {"rm": VoteSettings(power=0.0)}, 4, 1)
    vote = found["weighted_rm"]
    assert np.array_equal(vote.values, found["majority"].values[:, vote.ks - 1]) and not vote.standard_error.any()


def test_thinking_is_not_graded(tmp_path):
    texts = {
        "<think>#### 7</think>#### 0.5": True,
        "perhaps #### 7</think>\n#### 0.5": True,
        "#### 0.5 <think>or is it #### 7?": False,
        "<think>#### 0.5": False,
        "#### 0.5": True,
    }
    samples = [{"text": text, "scores": {"rm": 0.5}} for text in texts]
    (each,) = pools.read(write(tmp_path / "pool.jsonl", [row(samples=samples)]))
    assert [right > 0 for right in each.correct] == list(texts.values())
    assert each.answer_ids.tolist() == [0, 0, -1, -1, 0]


def sized(name, n, right):
    """A pool of n solutions of which the first is right or wrong; all answers differ."""
    return pools.Pool(name, np.arange(n), np.eye(n)[0] * right, {"rm": np.linspace(0.9, 0.1, n)})


def test_ragged_pools_keep_all_problems_each_k_over_those_that_have_it(tmp_path):
    short = row("p2", samples=[{"answer": "0.5", "scores": {"rm": 0.1}}, {"answer": "4", "scores": {"rm": 0.2}}])
    pool = write(tmp_path / "pool.jsonl", [row(), short, row("p3")])
    found = curves.evaluate(pools.read(pool), {}, draws=10, seed=1)
    assert found["pass"].values.shape == (3, 4)
    assert found["pass"].values[:, 0].tolist() == [0.5, 0.5, 0.5]
    assert found["pass"].values[0, 1] == pytest.approx(5 / 6)
    assert np.isnan(found["pass"].values[1]).tolist() == [False, False, True, True]
    assert found["weighted_rm"].ks.tolist() == [1, 2, 4] and np.isnan(found["weighted_rm"].values[1, 2])
    command.best_of_n(pool, tmp_path / "out", draws=10, resamples=100, seed=1)
    with (tmp_path / "out/curve.csv").open(encoding="utf-8", newline="") as file:
        counts = {(line["method"], line["k"]): line["problems"] for line in csv.DictReader(file)}
    assert [counts["pass", k] for k in "1234"] == ["3", "3", "2", "2"] == [counts["majority", k] for k in "1234"]
    assert [counts["top_rm", k] for k in "124"] == ["3", "3", "2"]
    text = (tmp_path / "out/table.md").read_text(encoding="utf-8")
    assert "| rm best-of-N | 4 |" in text and "3 at k = 1, 3 at k = 2, 2 at k = 4. The table is at k = 4" in text


def test_methods_are_compared_on_the_problems_that_have_k():
    """Easy problems have many solutions and hard ones few: over all of them every method would seem to rise with k."""
    some = [*(sized(f"easy{i}", 4, 1) for i in range(6)), *(sized(f"hard{i}", 2, 0) for i in range(5))]
    assert curves.median_k(some) == 4 and curves.median_k(some[1:]) == 2
    found = curves.evaluate(some, {}, 4, 1)
    results = curves.compute_intervals(found, 1, 100)
    assert [results["best_of_rm"][k]["mean"] for k in (1, 2, 4)] == pytest.approx([6 * 0.25 / 11, 6 * 0.5 / 11, 1.0])
    gap = leaderboard.compare_to("majority", found, 4, 1)["best_of_rm"]
    assert gap["difference"] == pytest.approx(0.75)  # 1 against 1/4, on the six
    short = sized("short", 2, 1)._replace(correct=np.ones(2))
    found = curves.evaluate([*some[:6], *(short._replace(problem_id=f"short{i}") for i in range(5))], {}, 4, 1)
    turn = leaderboard.measure_overoptimisation(found, found, 4, 1)["best_of_rm"]
    assert turn["k"] == 4 and turn["difference"] == 0  # not 2, where the short pools leave


def test_intervals_of_many_columns_are_those_of_each(monkeypatch):
    some = [sized(str(i), 4, i % 2) for i in range(9)]
    found = curves.evaluate(some, {}, 4, 1)
    whole = curves.compute_intervals(found, 1, 100)
    monkeypatch.setattr(curves, "COLUMNS_PER_BATCH", 1)
    for name, curve in curves.compute_intervals(found, 1, 100).items():
        assert all(curve[k] == pytest.approx(whole[name][k]) for k in whole[name])
    assert list(whole["pass"]) == [1, 2, 3, 4] and whole["pass"][1]["problems"] == 9


NAMES = ("Qwen/PRM[/last]", "prm[bold]", "prm,min", "cost_$a_$b", "a|b", 'say "it"', "_`*<b>&amp;[x](y)", "x" * 80)


@pytest.mark.slow
def test_no_name_of_a_score_breaks_an_output(tmp_path):
    samples = [{"answer": a, "scores": dict.fromkeys(NAMES, s)} for a, s in (("0.5", 0.9), ("7", 0.1))]
    rows = [row(name, samples=samples, scales=dict.fromkeys(NAMES, "probability")) for name in ("p1", "p2")]
    write(tmp_path / "a $b$ | c.jsonl", rows)
    done = subprocess.run(
        [sys.executable, "-m", "stages", "best-of-n", tmp_path / "a $b$ | c.jsonl", "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out/curve.csv").open(encoding="utf-8", newline="") as file:
        methods = [line["method"] for line in csv.DictReader(file, strict=True)]
    assert {f"best_of_{name}" for name in NAMES} < set(methods)
    text = (tmp_path / "out/table.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {9}
    assert r"| cost\_\$a\_\$b weighted |" in text and r"| \_\`\*\<b>\&amp;[x\](y) weighted |" in text
    for name in NAMES:
        assert f"\n{name} weighted  " in done.stdout
    assert (tmp_path / "out/curve.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))["weighted_a|b"]["2"]["mean"] == 1


def test_turning_point_is_found_on_dev_and_measured_on_test():
    def curve(*means):
        return {"best_of_orm": curves.Curve(np.arange(1, 4), np.tile(means, (20, 1)), np.zeros(3))}

    found = leaderboard.measure_overoptimisation(curve(0.4, 0.6, 0.5), curve(0.5, 0.55, 0.5), 3, seed=1)["best_of_orm"]
    assert found["k"] == 2
    assert found["difference"] == pytest.approx(-0.05)


def test_verifiers_are_held_against_the_best_free_method_on_dev():
    def curve(at_n):
        return curves.Curve(np.arange(1, 3), np.tile((0.5, at_n), (20, 1)), np.zeros(2))

    dev = {
        "best_of_orm": curve(0.9),
        "best_of_likelihood_min": curve(0.6),
        "top_likelihood_sum": curve(0.7),
        "best_of_my_likelihood_sum": curve(0.95),
        "weighted_base_prm": curve(0.65),
    }
    test = {"majority": curve(0.55), "weighted_orm": curve(0.8), "top_likelihood_sum": curve(0.65)}
    assert leaderboard.select_best_use(dev, 2) == "top_likelihood_sum"
    better = dev | {"weighted_base_prm": curve(0.75)}
    assert leaderboard.select_best_use(better, 2) == "weighted_base_prm"
    assert leaderboard.select_best_likelihood(better, 2) == "top_likelihood_sum"
    over = leaderboard.compare_to("top_likelihood_sum", test, 2, seed=1)
    assert over["weighted_orm"]["difference"] == pytest.approx(0.15) and over["weighted_orm"]["low"] > 0
    results = {
        **curves.compute_intervals(test, 1, 100),
        "pass": {k: {"mean": 0.5, "low": 0.5, "high": 0.5} for k in (1, 2)},
    }
    order = ["majority", "weighted_orm", "top_likelihood_sum"]
    table = leaderboard.format_rows(results, leaderboard.compare_to("majority", test, 2, 1), order, 2, over)
    assert [row[-2] for row in table[:3]] == ["", "+15.0", ""]
    assert {len(row) for row in table} == {10}


def test_the_free_method_that_others_are_held_against_has_a_row():
    methods = [f"{kind}_{name}" for name in ("orm", "base_prm", "likelihood_sum") for kind in curves.METHOD_KINDS]
    assert leaderboard.order_methods(["pass", "majority", *methods]) == [
        "pass",
        "majority",
        "best_of_likelihood_sum",
        "weighted_likelihood_sum",
        "best_of_base_prm",
        "weighted_base_prm",
        "best_of_orm",
        "weighted_orm",
        "top_orm",
    ]
    assert "top_likelihood_sum" in leaderboard.order_methods(methods, "top_likelihood_sum")
    one = leaderboard.order_methods(methods, "top_base_prm", "top_likelihood_sum")
    assert one[:4] == ["top_likelihood_sum", "best_of_base_prm", "weighted_base_prm", "top_base_prm"]
    assert leaderboard.format_method_at_n(one[0], one[0]).endswith("best use on dev: likelihood (sum) top vote")
    assert leaderboard.format_method_at_n(one[1], one[0]) == "untrained base (as PRM) best-of-N"
    assert tables.format_method("weighted_base_prm") == "untrained base (as PRM) weighted"
    assert curves.parse_score_name("top_best_of_x") == "best_of_x" and curves.parse_score_name("pass") is None


def test_p_values_are_corrected_for_the_table_but_not_for_the_ceiling():
    gaps = {name: {"difference": 0.1, "p": p} for name, p in {"pass": 0.0, "a": 0.01, "b": 0.04, "c": 0.001}.items()}
    adjusted = leaderboard.add_holm(gaps, ["pass", "a", "b", "majority"])
    assert (adjusted["a"]["p_holm"], adjusted["b"]["p_holm"]) == (0.02, 0.04)
    assert "p_holm" not in adjusted["pass"] and adjusted["c"] == gaps["c"]
    assert tables.format_p_values(0.01, 0.02) == "0.010 (0.020)*" and tables.format_p_values(0.01, None) == "0.010"


def test_verifiers_trained_on_other_labels_are_named_and_oracles_come_last():
    assert tables.format_method("weighted_prm_exact") == "PRM (exact labels, oracle) weighted"
    assert tables.format_score_name("prm_mc_hard") == "PRM (hard Monte-Carlo labels)"
    names = ["prm_exact", "ensemble", "zrm", "ensemble_free", "prm", "base_prm"]
    assert pools.sort_score_names(names) == ["base_prm", "prm", "zrm", "ensemble_free", "ensemble", "prm_exact"]
    methods = [f"{kind}_{name}" for name in ("orm", "prm", "prm_exact") for kind in ("best_of", "weighted")]
    assert leaderboard.select_plotted_methods(
        dict.fromkeys(["pass", "majority", *methods], {}), "top_likelihood_sum"
    ) == [
        "pass",
        "majority",
        "weighted_orm",
        "weighted_prm",
        "weighted_prm_exact",
        "top_likelihood_sum",
        "best_of_orm",
    ]


@pytest.mark.slow
def test_same_pool_same_bytes(tmp_path):
    pool = write(tmp_path / "pool.jsonl", [row(), row("p2", gold="3")])
    for name in ("one", "two"):
        command.best_of_n(pool, tmp_path / name, draws=10, resamples=100, seed=1)
    for name in ("metrics.json", "table.md", "curve.csv", "curve.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.slow
def test_memory_of_a_test_does_not_grow_with_problems_times_resamples():
    differences = np.random.default_rng(0).normal(size=4000) / 4
    tracemalloc.start()
    intervals._sign_flip_test(differences, 1, 10000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6  # all signs at once, as floats: 320 MB
