"""The ID -> OOD matrix: gains, gaps and their intervals against hand-made pools."""

import numpy as np
import pytest

from stages import best_of_n
from stages.lib import charts, matrix, records
from stages.lib.pools import Pool
from tests import tiny

RIGHT = np.array([1.0, 0, 0, 0])
CLASSES = np.array([0, 1, 1, 2])  # majority is wrong


def pools(scores, n, size=4):
    return [Pool(f"p{i}", CLASSES[:size], RIGHT[:size], {"orm": np.array(scores[:size])}) for i in range(n)]


def found(**groups):
    return {(cell.group, cell.method): cell for cell in matrix.cells(groups, {}, 8, 1)}


def test_gain_and_gap_by_hand():
    cells = found(home=pools([0.9, 0.1, 0.1, 0.1], 20), away=pools([0.1, 0.9, 0.9, 0.1], 10))
    home, away = cells["home", "weighted_orm"], cells["away", "weighted_orm"]
    assert (home.accuracy, home.gain, home.gap, home.problems, home.n) == (1.0, 1.0, None, 20, 4)
    assert (away.accuracy, away.gain, away.gap) == (0.0, 0.0, 1.0)
    assert away.gap_low <= away.gap <= away.gap_high
    assert cells["home", "pass_1"].accuracy == pytest.approx(0.25) and cells["home", "pass"].accuracy == 1.0
    assert cells["home", "best_of_orm"].auc == 1.0 and cells["away", "best_of_orm"].auc == pytest.approx(1 / 6)
    assert cells["home", "majority"].gain is None


def test_n_is_the_smallest_of_all():
    cells = found(home=pools([0.9, 0.1, 0.1, 0.1], 5), away=pools([0.9, 0.1], 5, size=2))
    assert {cell.n for (_, method), cell in cells.items() if method != "pass_1"} == {2}


def test_table_csv_and_picture(tmp_path):
    groups = {"home": pools([0.9, 0.1, 0.1, 0.1], 6), "away": pools([0.1, 0.9, 0.9, 0.1], 6)}
    cells = matrix.cells(groups, {}, 8, 1)
    header, rows = matrix.table(cells, ["orm"])
    assert header[-3:] == ["ORM AUC", "ORM weighted", "gain"] and [row[0] for row in rows] == ["home", "away"]
    assert rows[0][1:5] == ["6", "25.0", "0.0", "100.0"] and rows[0][-2] == "100.0"
    lines = matrix.csv(cells).splitlines()
    assert lines[0].split(",") == list(matrix.COLUMNS) and len(lines) == len(cells) + 1
    charts.gains(tmp_path / "a.png", cells, ["orm"], "t")
    charts.gains(tmp_path / "b.png", cells, ["orm"], "t")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("solved", [0, 1])
def test_the_picture_counts_groups_without_a_right_solution(tmp_path, monkeypatch, solved):
    shown = []
    monkeypatch.setattr(charts, "_save", lambda path, figure: shown.append(figure.axes[0]))
    nothing = [pool._replace(correct=np.zeros(4)) for pool in pools([0.9, 0.1, 0.1, 0.1], 6)]
    groups = {"home": pools([0.9, 0.1, 0.1, 0.1], 6) if solved else nothing, "away": nothing, "farther": nothing}
    charts.gains(tmp_path / "a.png", matrix.cells(groups, {}, 8, 1), ["orm"], "t")
    assert [tick.get_text() for tick in shown[0].get_yticklabels()] == ["home"] * solved
    assert f"not shown: {3 - solved} sets" in shown[0].get_xlabel()


def test_a_small_group_has_no_row_but_the_first():
    few, many = pools([0.9, 0.1, 0.1, 0.1], 29), pools([0.9, 0.1, 0.1, 0.1], 30)
    assert matrix.small({"home": few, "few": few, "many": many}) == {"few": 29}


def test_a_mixed_group_is_balanced_and_both_parts_are_told():
    """30 solvable problems of which half are won, 10 unsolvable of which all are: (1/2 + 1) / 2, not 25/40."""
    won, lost = [0.9, 0.1, 0.1, 0.1], [0.1, 0.9, 0.9, 0.1]
    away = [*pools(won, 15), *pools(lost, 15), *pools(won, 10)]
    away = [pool._replace(problem_id=f"a{i}") for i, pool in enumerate(away)]
    groups = {"home": pools(won, 30), "away": away}
    cells = matrix.cells(groups, {}, 8, 1, {f"a{i}" for i in range(30, 40)})
    by = {(cell.group, cell.method): cell for cell in cells}
    vote = by["away", "weighted_orm"]
    assert (vote.accuracy, vote.solvable, vote.unsolvable) == (pytest.approx(0.75), 0.5, 1.0)
    assert vote.gain == pytest.approx(0.75) and vote.low <= vote.accuracy <= vote.high
    assert by["home", "weighted_orm"].solvable is None and by["away", "pass_1"].accuracy == pytest.approx(0.25)
    header, rows = matrix.halves(cells, ["orm"])
    assert header[-1] == "ORM weighted" and rows == [
        ["away", "25.0 / 25.0", "0.0 / 0.0", "100.0 / 100.0", "50.0 / 100.0"]
    ]
    assert matrix.csv(cells).splitlines()[0].endswith("auc,solvable,unsolvable")
    always = [pool._replace(correct=np.full(4, float(i >= 30))) for i, pool in enumerate(away)]  # who always abstains
    cells = matrix.cells(groups | {"away": always}, {}, 8, 1, {f"a{i}" for i in range(30, 40)})
    assert all(cell.accuracy == pytest.approx(0.5) for cell in cells if cell.group == "away")


@pytest.mark.parametrize("sizes", [{"names": 40, "order": 5, "premise": 30}, {}])
def test_the_matrix_is_written_and_says_what_has_no_row(tmp_path, capsys, sizes):
    run = tiny.execution(
        tmp_path, "best_of_n", best_of_n.Params(draws=4, resamples=100, powers=[1.0], top_shares=[0.5])
    )
    test = [tiny.problem(i, "test") for i in range(4)]
    away = []
    for name, size in sizes.items():
        for i in range(size):
            contract = "unsolvable" if name == "premise" and i % 2 else "preserving"
            changed = {"id": f"sums/test/{i:03}~{name}", "operator": name, "contract": contract, "parent": test[0].id}
            away.append(test[i % 4].model_copy(update=changed))
    files = {"benchmarks/test": test, "ood/test": away, "aime/test": [], "aime/unseen": []}
    for name, problems in files.items():
        records.write_problems(tmp_path / f"data/{name}.jsonl", problems)
    for name, problems in (("test", test), ("ood", away), ("aime", [])):
        samples = [tiny.sample(problem, k, k % 2) for problem in problems for k in range(2)]
        scores = [
            records.Score(problem_id=s.problem_id, index=s.index, verifier="orm", score=float(s.correct))
            for s in samples
        ]
        records.write_samples(tmp_path / f"data/samples/{name}.parquet", samples)
        records.write_scores(tmp_path / f"data/scores/{name}.parquet", scores)
    found = best_of_n.transfer(run, best_of_n._pools(run, "test"), {})
    told = (run.out / "matrix.md").read_text()
    assert told.count("| sums/test | 4 |") == 1 and (run.out / "matrix.png").exists()
    if not sizes:
        assert list(found) == ["sums/test"] and "No row" not in told
        return
    assert list(found) == ["sums/test", "sums~names", "sums~premise"] and "| sums~order |" not in told
    assert (
        told.endswith("No row, since fewer than 30 problems: sums~order (5).\n") and "No row" in capsys.readouterr().out
    )
    assert "| sums~premise | 50.0 / 50.0 |" in told
    assert found["sums~premise"]["pass_1_unsolvable"] == 0.5 and "pass_1_solvable" not in found["sums~names"]
