"""The table of all problems that studies over several runs read, from hand-made pools."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stages.lib.reports import curves, matrix, problem_accuracies
from stages.lib.reports.pools import Pool

CLASSES = np.array([0, 1, 1, 2])


def make_pool(name, right, scores):
    return Pool(name, CLASSES, np.array([float(i in right) for i in range(4)]), {"orm": np.array(scores)})


def test_every_problem_has_its_accuracies_and_the_auc_where_solutions_can_be_ranked():
    test = [
        make_pool("t/0", {0}, [0.9, 0.5, 0.2, 0.1]),
        make_pool("t/1", {0}, [0.2, 0.9, 0.1, 0.2]),
        make_pool("t/2", {}, [0.1] * 4),
    ]
    away = [make_pool("t/0~typos", {0, 3}, [0.9, 0.1, 0.2, 0.1]), make_pool("d/0", {0, 1, 2, 3}, [0.5] * 4)]
    results: Any = SimpleNamespace(
        curves=curves.evaluate(test, {}, 8, 1), k=4, best_free="majority", likelihood="best_of_orm"
    )
    rows = matrix.measure({"t": test, "t~typos": away[:1], "d": away[1:]}, {}, 8, 1)
    table = problem_accuracies.from_csv(problem_accuracies.to_csv(rows, {"t/0~typos": "t/0"}, results))
    assert table.problems == [("test", f"t/{i}") for i in range(3)] + [
        ("parents", "t/0"),
        ("ood", "t/0~typos"),
        ("ood", "d/0"),
    ]
    assert table.parents == ["t/0", "t/1", "t/2", "t/0", "t/0", "d/0"]
    # By pairs of a right and a wrong solution, a tie counting half; of the parent it stands in its row of the test set.
    expected = [1.0, 0.5, np.nan, np.nan, 0.625, np.nan]
    assert table.values["auc_orm"] == pytest.approx(expected, nan_ok=True)
    assert table.values["best_of_orm"][:3] == pytest.approx([1.0, 0.0, 0.0])
    assert table.values["best_free"] == pytest.approx(table.values["majority"])
    assert table.values["best_likelihood"] == pytest.approx(table.values["best_of_orm"])
    assert table.groups == ["t"] * 4 + ["t~typos", "d"]
