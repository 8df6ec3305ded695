"""The ID -> OOD matrix: gains, gaps and their intervals against hand-made pools."""

import numpy as np
import pytest

from stages.lib import charts, matrix
from stages.lib.pools import Pool

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
