"""AUC within a problem of free scores and verifiers, and the paired difference, by hand."""

import numpy as np
import pytest

from stages.lib.reports import auc_table
from stages.lib.reports.pools import Pool

RIGHT = np.array([1.0, 0, 0])
GOOD, POOR, TIED = np.array([0.9, 0.5, 0.1]), np.array([0.5, 0.9, 0.1]), np.full(3, 0.5)


def pools(n, **scores):
    same = Pool("easy", np.zeros(3, int), np.ones(3), scores)  # no wrong solution: nothing to rank
    return [same, *(Pool(f"p{i}", np.arange(3), RIGHT, scores) for i in range(n))]


def test_verifiers_are_held_against_the_free_score_that_is_best_on_dev():
    dev = pools(4, orm=POOR, likelihood_mean=GOOD, base_prm=POOR)
    test = pools(8, orm=GOOD, likelihood_mean=TIED, base_prm=GOOD)
    aucs = auc_table.measure(dev, test, 1, 100)
    assert list(aucs) == ["likelihood_mean", "base_prm", "orm"]
    assert [aucs[name]["test"] for name in aucs] == [0.5, 1.0, 1.0] and aucs["orm"]["dev"] == 0.5
    assert auc_table.select_best_free(aucs) == "likelihood_mean" and "difference" not in aucs["likelihood_mean"]
    assert aucs["orm"]["difference"] == pytest.approx(0.5) and aucs["orm"]["p"] < 0.05
    assert auc_table.format_heading(aucs).endswith("best free on dev: likelihood (mean)")
    rows = auc_table.format_rows(aucs)
    assert rows[0][:3] == ["likelihood (mean)", "1.000", "0.500"] and rows[0][4:] == ["", "", ""]
    assert rows[1][0] == "untrained base (as PRM)" and rows[2][4] == "+0.500"
    assert {len(row) for row in rows} == {len(auc_table.HEADER)}


def test_without_problems_to_rank_there_is_nothing_to_say():
    assert auc_table.measure(pools(2, orm=GOOD), pools(0, orm=GOOD), 1, 100) == {}
    aucs = auc_table.measure(pools(0, orm=GOOD), pools(2, orm=GOOD), 1, 100)
    assert aucs["orm"]["dev"] is None and auc_table.format_rows(aucs)[0][1] == "" and "difference" not in aucs["orm"]
