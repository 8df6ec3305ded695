"""The ID -> OOD matrix: gains, gaps, drops and their intervals against hand-made pools."""

import csv

import numpy as np
import pytest
from scipy.stats import binomtest

from stages.evaluation import best_of_n
from stages.lib.core import records
from stages.lib.display import charts
from stages.lib.metrics import intervals
from stages.lib.reports import evaluation, matrix, matrix_tables
from stages.lib.reports.pools import Pool
from tests.helpers import tiny_models

RIGHT = np.array([1.0, 0, 0, 0])
CLASSES = np.array([0, 1, 1, 2])  # majority is wrong
WON, LOST = [0.9, 0.1, 0.1, 0.1], [0.1, 0.9, 0.9, 0.1]
ALL, VARIANTS, OTHERS = matrix.POOLED_GROUPS


def pools(scores, n, size=4, name="p"):
    return [Pool(f"{name}{i}", CLASSES[:size], RIGHT[:size], {"orm": np.array(scores[:size])}) for i in range(n)]


def solved(votes, name, right=()):
    """A pool for each vote, won or lost; majority is right where `right` says so."""
    results = []
    for i, won in enumerate(votes):
        correct = np.array([0, 1.0, 1.0, 0]) if i in right else RIGHT
        scores = WON if won != (i in right) else LOST
        results.append(Pool(f"{name}{i}", CLASSES, correct, {"orm": np.array(scores)}))
    return results


def cells(unsolvable=frozenset(), parents=None, answers=None, **groups):
    return matrix.compare(matrix.measure(groups, {}, 8, 1, unsolvable, answers or {}), 1, parents or {})


def compared(**groups):
    return {(cell.group, cell.method): cell for cell in cells(**groups)}


def test_gain_and_gap_by_hand():
    results = compared(home=pools(WON, 20), away=pools(LOST, 30))
    home, away = results["home", "weighted_orm"], results["away", "weighted_orm"]
    assert (home.accuracy, home.gain, home.gap, home.problems, home.n) == (1.0, 1.0, None, 20, 4)
    assert (away.accuracy, away.gain, away.gap, away.parents) == (0.0, 0.0, 1.0, 0)
    assert away.gap_low < away.gap <= away.gap_high and away.gain_low < 0 < away.gain_high
    assert results["home", "pass_1"].accuracy == pytest.approx(0.25) and results["home", "pass"].accuracy == 1.0
    assert results["home", "best_of_orm"].auc == 1.0 and results["away", "best_of_orm"].auc == pytest.approx(1 / 6)
    assert results["home", "majority"].gain is None and results["away", "pass_1"].drop is None


def test_n_is_the_smallest_of_all():
    results = compared(home=pools(WON, 5), away=pools([0.9, 0.1], 30, size=2))
    assert {cell.n for (_, method), cell in results.items() if method != "pass_1"} == {2}


def test_a_gap_to_variants_is_paired_with_their_parents():
    """60 problems at home, of which 30 have a variant. The gap is that of the parents, and so is its interval."""
    random = np.random.default_rng(0)
    home = solved(random.random(60) < 0.6, "h")
    wins = [pool.scores["orm"][0] > 0.5 for pool in home[:30]]
    away = solved([won and i % 5 > 0 for i, won in enumerate(wins)], "v")
    parents = {f"v{i}": f"h{i}" for i in range(30)}
    vote = compared(home=home, away=away, parents=parents)["away", "weighted_orm"]
    lost = sum(won for won in wins[::5])
    assert vote.gap == pytest.approx(lost / 30) and vote.parents == 30
    expected = intervals.compare(np.r_[np.ones(lost), np.zeros(30 - lost)], np.zeros(30), key=1)
    assert (vote.gap_low, vote.gap_high) == pytest.approx(expected[1:3])
    apart = compared(home=home, away=away)["away", "weighted_orm"]
    assert apart.parents == 0 and apart.gap_high - apart.gap_low > 1.3 * (vote.gap_high - vote.gap_low)


def test_a_drop_is_mcnemars():
    """Majority is right on 20 of 40 parents; of their variants on 8 of those, and on 2 others."""
    home = solved([True] * 40, "h", right=range(20))
    away = solved([True] * 40, "v", right=[*range(8), 38, 39])
    results = compared(home=home, away=away, parents={f"v{i}": f"h{i}" for i in range(40)})
    vote = results["away", "majority"]
    assert (vote.before, vote.accuracy, vote.drop, vote.lost, vote.won) == (0.5, 0.25, 0.25, 12, 2)
    assert vote.drop_p == pytest.approx(binomtest(2, 14).pvalue) and vote.drop_low > 0
    assert results["away", "pass_1"].drop == pytest.approx((20 * 2 + 20 - 10 * 2 - 30) / 160)
    header, rows = matrix_tables.tabulate_drops(list(results.values()))
    assert dict(zip(header[4:], rows[0][4:], strict=True))["lost / won"] == "12 / 2"
    assert rows[0][4] == "50.0 to 25.0"


def test_a_majority_is_not_right_on_a_tie():
    tie = Pool("v0", np.array([0, 0, 1, 1]), np.array([1.0, 1, 0, 0]), {"orm": np.array(WON)})
    home = solved([True] * 30, "h", right=range(30))
    away = [tie, *solved([True] * 30, "v", right=range(30))[1:]]
    vote = compared(home=home, away=away, parents={f"v{i}": f"h{i}" for i in range(30)})["away", "majority"]
    assert (vote.accuracy, vote.drop, vote.lost, vote.drop_p) == (29.5 / 30, pytest.approx(1 / 30), 1, 1)


def test_several_variants_of_a_parent_are_one_pair():
    """Each of 6 parents that majority solves has five variants, which it does not: 6 losses, not 30."""
    home = solved([True] * 6, "h", right=range(6))
    away = solved([True] * 30, "v")
    vote = compared(home=home, away=away, parents={f"v{i}": f"h{i // 5}" for i in range(30)})["away", "majority"]
    assert (vote.drop, vote.lost, vote.won, vote.parents, vote.drop_p) == (1, 6, 0, 6, 2 / 64)


def test_all_sets_are_pooled_by_parent():
    """Four variants of each of 12 parents, all alike: as four sets they look like 48 problems, but 12 is all there are."""
    wins = [i < 5 for i in range(12)]
    groups = {f"away{k}": solved(wins, f"v{k}/") for k in range(4)}
    parents = {f"v{k}/{i}": f"h{i}" for k in range(4) for i in range(12)}
    results = compared(home=pools(LOST, 12, name="h"), parents=parents, **groups)
    vote = results[ALL, "weighted_orm"]
    expected = intervals.compare(np.array(wins, float), np.zeros(12), key=1)
    assert (vote.problems, vote.gain, vote.p) == (48, pytest.approx(5 / 12), expected.p) and expected.p > 0.05
    assert vote.gain_low == 0 and vote.gain_high == pytest.approx(expected.high, abs=1e-6)
    assert vote.gap == pytest.approx(-5 / 12) and vote.parents == 12
    assert ("away0", "pass") not in results  # a set of 12 has no row, but counts
    assert compared(home=pools(LOST, 12, name="h"), **groups)[ALL, "weighted_orm"].p < 0.001


def test_variants_and_other_kinds_are_pooled_apart():
    """A verifier that wins all variants of one set and half of another's, and loses where problems are of another kind."""
    groups = {
        "wins": pools(WON, 30, name="v"),
        "mixed": [*pools(WON, 15, name="w"), *pools(LOST, 15, name="x")],
        "other": [*pools(LOST, 30, name="o")],
    }
    parents = {f"{name}{i}": f"h{i}" for name in "vw" for i in range(30)}
    results = compared(home=pools(WON, 30, name="h"), parents=parents, **groups)
    assert list(dict.fromkeys(group for group, _ in results)) == [
        ALL,
        VARIANTS,
        OTHERS,
        "home",
        "wins",
        "mixed",
        "other",
    ]
    whole, variants, others = (results[name, "weighted_orm"] for name in (ALL, VARIANTS, OTHERS))
    assert (whole.problems, variants.problems, others.problems) == (90, 45, 45)
    assert (whole.gain, variants.gain, others.gain) == pytest.approx((0.5, 1.0, 0.0))
    assert (variants.gap, variants.parents, others.parents, whole.gap) == (0.0, 30, 0, None)
    header, rows = matrix_tables.tabulate_transfer(list(results.values()), ["weighted_orm"])
    row = dict(zip(header, (cell.split()[0] for cell in rows[0]), strict=True))
    assert (row["out of distribution"], row["variants"], row["other kinds"]) == ("+50.0", "+100.0", "+0.0")
    notes = " ".join(matrix_tables.write_notes(list(results.values()), ["orm"], {}))
    assert "over 45 variants (p <0.001)" in notes and "over 45 others (p 1.000)" in notes


def test_pooled_rows_count_every_problem_and_say_what_is_never_solved():
    never = [pool._replace(correct=np.zeros(4)) for pool in pools(WON, 30, name="n")]
    results = compared(home=pools(WON, 6), few=pools(WON, 10, name="f"), many=pools(LOST, 40, name="m"), never=never)
    assert list(dict.fromkeys(group for group, _ in results)) == [ALL, "home", "many", "never"]
    assert results[ALL, "weighted_orm"].gain == pytest.approx(10 / 80)
    _, rows = matrix_tables.tabulate_gains(list(results.values()), ["orm"])
    assert rows[-1][-2:] == rows[-2][-2:] == ["none solved", ""] and rows[0][-1] == "0.002"
    assert matrix.count_sets(list(results.values())) == {"sets": 2, "solved": 1, "alive": 1}
    assert "1 of 2 sets are alive" in " ".join(matrix_tables.write_notes(list(results.values()), ["orm"], {}))
    alone = compared(home=pools(WON, 6), many=pools(LOST, 40, name="m"))
    assert list(dict.fromkeys(group for group, _ in alone)) == ["home", "many"]


def test_a_set_is_not_alive_where_one_answer_to_all_does_better():
    """Half of the solutions are right, as if the generator said `true` to all; 20 of 30 gold answers are `true`."""
    halves = [
        pool._replace(problem_id=f"b{i}", correct=np.full(4, float(i % 2))) for i, pool in enumerate(pools(WON, 30))
    ]
    answers = {f"b{i}": "true" if i % 3 else "false" for i in range(30)} | {f"h{i}": str(i) for i in range(30)}
    results = compared(home=pools(WON, 30, name="h"), said=halves, answers=answers)
    told = {name: results["said", name].accuracy for name in ("pass", "pass_1", "majority", "constant")}
    assert told == pytest.approx({"pass": 0.5, "pass_1": 0.5, "majority": 0.5, "constant": 2 / 3})
    assert not matrix.is_alive(told) and matrix.is_alive(told | {"constant": 0.4})
    assert results["home", "constant"].accuracy == pytest.approx(1 / 30)
    assert (
        matrix.repeat_answer(["a", None, "b", "a"]).tolist() == [1, 0, 0, 1] and not matrix.repeat_answer([None]).any()
    )


def test_holm_is_over_sets_within_a_method():
    groups = {f"s{k}": solved([i < won for i in range(30)], f"s{k}/") for k, won in enumerate((6, 8, 0))}
    results = compared(home=pools(WON, 30, name="h"), **groups)
    ps = [results[name, "weighted_orm"].p for name in groups]
    assert ps == pytest.approx([2 / 64, 2 / 256, 1])
    adjusted = [results[name, "weighted_orm"].p_holm for name in groups]
    assert adjusted == pytest.approx([4 / 64, 6 / 256, 1])
    assert results["home", "weighted_orm"].p_holm is None and results[ALL, "weighted_orm"].p_holm is None
    _, rows = matrix_tables.tabulate_gains(list(results.values()), ["orm"])
    assert [row[-1] for row in rows] == ["<0.001", "<0.001", "0.031 (0.062)", "0.008 (0.023)*", ""]
    (note,) = [
        note for note in matrix_tables.write_notes(list(results.values()), ["orm"], {}) if note.startswith("ORM")
    ]
    assert "over all 90 problems" in note and note.endswith("1 of 3 sets survive Holm's correction: s1 (+26.7).")


@pytest.mark.slow
def test_order_of_the_problems_changes_nothing():
    random = np.random.default_rng(5)
    groups = {k: solved(random.random(40) < 0.5, k, right=range(5)) for k in ("h", "v", "w")}
    parents = {f"{k}{i}": f"h{i}" for k in "vw" for i in range(40)}
    turned = {k: own[::-1] for k, own in groups.items()}
    assert matrix_tables.to_csv(cells(parents=parents, **groups)) == matrix_tables.to_csv(
        cells(parents=parents, **turned)
    )


@pytest.mark.slow
def test_tables_csv_and_picture(tmp_path):
    names = ["base_prm", "likelihood_mean", "orm", "prm_exact"]
    groups = {
        "home": pools(WON, 6),
        'a|way, "far" $x$': [p._replace(scores=dict.fromkeys(names, p.scores["orm"])) for p in pools(LOST, 30)],
    }
    groups["home"] = [pool._replace(scores=dict.fromkeys(names, pool.scores["orm"])) for pool in groups["home"]]
    results = cells(**groups)
    header, rows = matrix_tables.tabulate_gains(results, ["orm"])
    assert header[-2:] == ["ORM gain", "p (Holm)"] and [row[0] for row in rows] == list(groups)
    assert rows[0][1:5] == ["6", "25.0", "0.0", "100.0"] and rows[0][5].startswith("+100.0 [")
    assert rows[1][-2:] == ["none solved", ""]  # by majority or by the vote
    methods = matrix_tables.list_methods(results, ["orm", "prm_exact"], "best_of_likelihood_mean")
    assert methods == ["best_of_likelihood_mean", "weighted_base_prm", "weighted_orm", "weighted_prm_exact"]
    header, rows = matrix_tables.tabulate_aucs(results, methods)
    assert header[-1] == "PRM (exact labels, oracle)" and rows[0][1:] == ["1.00"] * 4 and rows[1][1:] == ["0.17"] * 4
    header, rows = matrix_tables.tabulate_accuracies(results, methods)
    assert header[1] == "one answer to all" and rows[0][1] == rows[1][1] == "0.0"  # these pools have no gold answers
    assert rows[0][2:] == ["25.0", "0.0", *["100.0"] * 5] and rows[1][2:] == ["25.0", "0.0", *["0.0"] * 4, "100.0"]
    notes = matrix_tables.write_notes(results, ["orm", "prm_exact"], {})
    assert sum(note.startswith("PRM (exact labels, oracle): trained on labels") for note in notes) == 1
    header, rows = matrix_tables.tabulate_gaps(results, ["orm"])
    assert [row[1] for row in rows] == ["independent"] and rows[0][2].startswith("+100.0 [")
    lines = list(csv.DictReader(matrix_tables.to_csv(results).splitlines()))
    assert tuple(lines[0]) == matrix.Cell._fields and len(lines) == len(results)
    assert {line["group"] for line in lines} == set(groups)
    for name in ("a.png", "b.png"):
        charts.plot_gains(tmp_path / name, results, ["weighted_orm", "weighted_prm_exact"], "t")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("wins", [0, 1])
def test_the_picture_shows_gain_and_gap_and_counts_groups_without_a_right_solution(tmp_path, monkeypatch, wins):
    shown = []
    monkeypatch.setattr(charts, "save_figure", lambda path, figure: shown.extend(figure.axes))
    nothing = [pool._replace(correct=np.zeros(4)) for pool in pools(WON, 30)]
    groups = {"home": pools(WON, 6) if wins else nothing, "away": pools(LOST, 30) if wins else nothing, "far": nothing}
    charts.plot_gains(tmp_path / "a.png", cells(**groups), ["weighted_orm"], "t")
    ticks = [tick.get_text() for tick in shown[0].get_yticklabels()]
    assert ticks == [ALL, "home", "away"] * wins  # one solved set is no pool of solved sets
    assert shown[0].get_ylabel() == f"sets never solved, not shown: {1 if wins else 2}"
    marks = [line.get_xdata() for axes in shown for line in axes.lines if line.get_marker() == "^"]
    assert [len(own) for own in marks] == [3 * wins, 2 * wins]


def test_all_sets_are_the_first_table():
    """Majority solves nothing; at home the verifier wins 6 of 12 problems, on their three variants 4, 3 and 2."""
    wins = {"away0": 4, "away1": 3, "away2": 2}
    groups = {name: solved([i < won for i in range(12)], f"{name}/") for name, won in wins.items()}
    parents = {f"{name}/{i}": f"h{i}" for name in groups for i in range(12)}
    home = solved([i < 6 for i in range(12)], "h")
    results = cells(home=home, parents=parents, **groups)
    title, (header, rows) = next(iter(matrix_tables.tabulate(results, ["orm"]).items()))
    row = dict(zip(header, rows[0], strict=True))
    assert title.endswith("all sets together") and row["gain on majority"] == "ORM weighted"
    assert row["in distribution"].startswith("+50.0 [") and row["out of distribution"].startswith("+25.0 [")
    assert row["gap on variants"].startswith("+25.0 [")
    vote, best = (
        next(c for c in results if (c.group, c.method) == (ALL, name)) for name in ("weighted_orm", "best_of_orm")
    )
    totals = np.array([sum(i < won for won in wins.values()) / 3 for i in range(12)])
    expected = intervals.compare(totals, np.zeros(12), key=1)
    assert vote.detectable == pytest.approx(expected.detectable)
    aucs = [within(pool) for own in groups.values() for pool in own]
    auc = intervals.estimate_accuracy(np.array(aucs).reshape(3, 12).mean(axis=0))
    assert (best.auc, best.auc_low, best.auc_high) == pytest.approx(auc, abs=1e-6)
    assert matrix_tables.tabulate_transfer(cells(home=home, far=pools(WON, 30)), [])[1] == []


def within(pool):
    """The AUC of one pool, pair by pair."""
    right, wrong = (pool.scores["orm"][pool.correct == value] for value in (1, 0))
    return np.mean([(a > b) + (a == b) / 2 for a in right for b in wrong])


def test_doses_of_an_operator_stand_together_in_order(tmp_path, monkeypatch):
    names = ("b~typos", "b~names", "b~typos@0.25", "b~typos@0.5")
    groups = {name: solved([i < 3 * place for i in range(30)], f"{name}/") for place, name in enumerate(names)}
    results = cells(**{"b/test": pools(WON, 12, name="h")}, **groups)
    header, rows = matrix_tables.tabulate_gains(results, ["orm"])
    assert header[:2] == ["problems from", "dose"] and [row[:2] for row in rows[1:]] == [
        ["b/test", ""],
        ["b~typos", "0.25"],
        ["b~typos", "0.5"],
        ["b~typos", "1"],
        ["b~names", ""],
    ]
    assert matrix.find_doses(["b~names"]) == {"b~names": ("b~names", None)}
    shown = []
    monkeypatch.setattr(charts, "save_figure", lambda path, figure: shown.append(figure))
    charts.plot_gains(tmp_path / "a.png", results, ["weighted_orm"], "t")
    charts.plot_doses(tmp_path / "b.png", results, ["weighted_orm"])
    assert [tick.get_text() for tick in shown[0].axes[0].get_yticklabels()] == [ALL, "b/test", "b~typos", "b~names"]
    _, gain = shown[1].axes
    assert [line.get_ydata().tolist() for line in gain.lines[:1]] == [pytest.approx([100, 20, 30, 0])]
    assert [tick.get_text() for tick in gain.get_xticklabels()] == ["0", "0.25", "0.5", "1"]
    charts.plot_doses(tmp_path / "c.png", cells(home=pools(WON, 6)), ["weighted_orm"])
    assert "no operator" in shown[2].texts[0].get_text()


def test_a_small_group_has_no_row_but_the_first():
    few, many = pools(WON, 29), pools(WON, 30)
    assert matrix.find_small_groups({"home": few, "few": few, "many": many}) == {"few": 29}


def test_a_mixed_group_is_balanced_and_both_parts_are_told():
    """30 solvable problems of which half are won, 10 unsolvable of which all are: (1/2 + 1) / 2, not 25/40."""
    away = [*pools(WON, 15), *pools(LOST, 15), *pools(WON, 10)]
    away = [pool._replace(problem_id=f"a{i}") for i, pool in enumerate(away)]
    groups = {"home": pools(WON, 30), "away": away}
    unsolvable = {f"a{i}" for i in range(30, 40)}
    by = compared(unsolvable=unsolvable, **groups)
    vote = by["away", "weighted_orm"]
    assert (vote.accuracy, vote.solvable, vote.unsolvable) == (pytest.approx(0.75), 0.5, 1.0)
    assert vote.gain == pytest.approx(0.75) and vote.low <= vote.accuracy <= vote.high
    assert by["home", "weighted_orm"].solvable is None and by["away", "pass_1"].accuracy == pytest.approx(0.25)
    header, rows = matrix_tables.tabulate_parts(list(by.values()), ["orm"])
    assert header[-1] == "ORM weighted" and rows == [
        ["away", "25.0 / 25.0", "0.0 / 0.0", "100.0 / 100.0", "50.0 / 100.0"]
    ]
    always = [pool._replace(correct=np.full(4, float(i >= 30))) for i, pool in enumerate(away)]  # who always abstains
    results = cells(unsolvable=unsolvable, home=groups["home"], away=always)
    told = [cell for cell in results if cell.group == "away" and cell.method != "constant"]  # no gold answers here
    assert told and all(cell.accuracy == pytest.approx(0.5) for cell in told)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [{"names": 40, "order": 5, "premise": 30}, {}])
def test_the_matrix_is_written_and_says_what_has_no_row(tmp_path, capsys, sizes):
    run = tiny_models.make_run(
        tmp_path, "best_of_n", best_of_n.Params(draws=4, resamples=100, vote_powers=[1.0], top_vote_shares=[0.5])
    )
    test = [tiny_models.make_problem(i, "test") for i in range(4)]
    away = []
    for name, size in sizes.items():
        for i in range(size):
            contract = "unsolvable" if name == "premise" and i % 2 else "preserving"
            parent = test[i % 4]
            changed = {"id": f"sums/test/{i:03}~{name}", "operator": name, "contract": contract, "parent": parent.id}
            away.append(parent.model_copy(update=changed))
    files = {"benchmarks/test": test, "ood/test": away, "aime/test": [], "aime/unseen": []}
    for name, problems in files.items():
        records.write_problems(tmp_path / f"data/{name}.jsonl", problems)
    for name, problems in (("test", test), ("ood", away), ("aime", [])):
        samples = [tiny_models.make_sample(problem, k, k % 2) for problem in problems for k in range(2)]
        scores = [
            records.Score(problem_id=s.problem_id, index=s.index, verifier="orm", score=float(s.correct))
            for s in samples
        ]
        records.write_samples(tmp_path / f"data/samples/{name}.parquet", samples)
        records.write_scores(tmp_path / f"data/scores/{name}.parquet", scores)
    data = evaluation.Evaluation({name: evaluation.load_set(run, name) for name in ("test", "ood", "aime")}, {})
    metrics = best_of_n.write_transfer_report(run, data, best_of_n.measure_rows(run, data, {}))
    results = metrics["matrix"]
    report = (run.out_dir / "matrix.md").read_text()
    assert report.count("| sums/test | 4 |") == 1 and (run.out_dir / "matrix.png").exists()
    if not sizes:
        assert list(results) == ["sums/test"] and "No row" not in report
        return
    assert list(results) == [ALL, "sums/test", "sums~names", "sums~premise"] and "| sums~order |" not in report
    assert (
        report.endswith("No row, since fewer than 30 problems: sums~order (5).\n")
        and "data/best_of_n/matrix.md" in capsys.readouterr().out
    )
    assert "| sums~premise | 50.0 / 50.0 |" in report and f"| {ALL} | 75 |" in report and f"| {ALL} | 4 |" in report
    assert results["sums~premise"]["pass_1_unsolvable"] == 0.5 and "pass_1_solvable" not in results["sums~names"]
    assert (
        set(results[ALL]["weighted_orm_gain"]) == set(results[ALL]["weighted_orm_gap"]) == {"mean", "low", "high"}
        and "pass_1_solvable" not in results[ALL]
    )
