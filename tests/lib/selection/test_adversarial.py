"""Adversarial validation: what it finds, what it refuses, and that no row is judged by a model that saw its group."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from stages.lib.core.errors import UserError
from stages.lib.selection.methods import adversarial
from stages.lib.selection.rows import UNBOUNDED, Budget, Labelled
from tests.lib.selection.worlds import get_ids, make_rows

WIDTH = 10


def make_normal(count, seed, shift=0.0):
    vectors = np.random.default_rng(seed).normal(size=(count, WIDTH))
    vectors[:, 0] += shift
    return vectors


EXISTING = Labelled(make_rows(300, "e"), make_normal(300, 1))


def test_a_planted_novel_cluster_is_found():
    rows = make_rows(300)
    vectors = np.concatenate([make_normal(240, 2), make_normal(60, 3, shift=5.0)])
    choices = adversarial.select(rows, vectors, Budget(items=60), EXISTING, 1)
    novel = {row.id for row in rows[240:]}
    assert len({*get_ids(choices)} & novel) >= 0.9 * 60
    values = [choice.value for choice in choices]
    assert values == sorted(values) and values[0] < 0.2, "p near 0: unlike what is there"
    audit = adversarial.measure(rows, vectors, EXISTING, 1)
    assert audit.covered[240:].mean() < 0.4 < 0.8 < audit.covered[:240].mean() and audit.covered.max() <= 1


def test_what_cannot_be_told_apart_is_refused():
    rows, vectors = make_rows(300), make_normal(300, 4)
    audit = adversarial.measure(rows, vectors, EXISTING, 1)
    assert 0.4 < audit.auc < 0.55
    with pytest.raises(UserError, match=r"indistinguishable \(AUC 0\.[45]\d, more than 0.55 is needed\)"):
        adversarial.select(rows, vectors, Budget(items=60), EXISTING, 1)


def test_variants_of_a_problem_do_not_give_each_other_away():
    """Ten variants a problem, of problems that do not differ in kind. Folds by row tell existing from new ones by heart."""
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(40, 60))
    vectors = np.repeat(centres, 10, axis=0) + 0.05 * rng.normal(size=(400, 60))
    rows = make_rows(400, group=lambda i: f"problem{i // 10}")
    is_existing = np.arange(400) < 200
    labelled = Labelled(rows[:200], vectors[:200])
    leaky = adversarial.predict_out_of_fold(vectors, is_existing, np.arange(400) % 5)
    assert roc_auc_score(is_existing, leaky) > 0.95
    with pytest.raises(UserError, match="indistinguishable"):
        adversarial.select(rows[200:], vectors[200:], Budget(items=20), labelled, 1)


def test_no_model_saw_the_group_of_a_row(monkeypatch):
    rows = make_rows(90, group=lambda i: f"g{i % 30}")
    is_existing = np.arange(90) % 30 < 12
    is_existing[5] = False  # a group with both
    folds = adversarial.assign_folds(rows, is_existing, 1, 5)
    for group in {row.group for row in rows}:
        assert len({fold for row, fold in zip(rows, folds.tolist(), strict=True) if row.group == group}) == 1
    for kind in (True, False):
        counts = np.bincount(folds[is_existing == kind], minlength=5)
        assert counts.min() > 0 and counts.max() - counts.min() <= 9
    assert (adversarial.assign_folds(rows, is_existing, 2, 5) != folds).any()

    fits = []

    class Recorded(adversarial.LogisticRegression):
        def fit(self, features, targets):
            fits.append({*np.round(features[:, 0], 6).tolist()})
            return super().fit(features, targets)

        def predict_proba(self, features):
            assert not fits[-1] & {*np.round(features[:, 0], 6).tolist()}
            return super().predict_proba(features)

    monkeypatch.setattr(adversarial, "LogisticRegression", Recorded)
    monkeypatch.setattr(adversarial, "StandardScaler", lambda: "passthrough")
    groups = np.array([[float(row.group[1:])] for row in rows])
    adversarial.predict_out_of_fold(groups, is_existing, folds)
    assert len(fits) == 5


def test_shortcuts_are_audited():
    vectors = make_normal(300, 6)
    long = make_rows(300, answer=lambda i: "x" * (200 + i % 50), source="web")
    audit = adversarial.measure(long, vectors, EXISTING, 1)
    assert audit.auc_length > 0.99 and audit.auc_source > 0.99 > 0.6 > audit.auc
    told = adversarial.describe(audit)
    assert [s.split()[0] for s in told] == [
        "existing",
        "length",
        "source",
        "a",
    ] and f"{audit.covered.mean():.2f}" in told[-1]
    found = audit._replace(auc=1.0, auc_length=0.6, auc_source=0.97)
    assert len(adversarial.describe(found)) == 2, "neither alone is enough"
    plain = adversarial.measure(make_rows(300), vectors, EXISTING, 1)
    assert plain.auc_source == pytest.approx(0.5, abs=0.01) and plain.auc_length < 0.6


def test_the_probability_of_being_covered_is_that_of_elkan_and_noto():
    """Existing rows are a third of one kind, drawn at random; candidates are the rest of it and as many of another. So a
    candidate of the first kind is surely covered, and c is about a third."""
    kind, other = make_normal(900, 7, shift=3.0), make_normal(600, 8, shift=-3.0)
    labelled = Labelled(make_rows(300, "e"), kind[:300])
    audit = adversarial.measure(make_rows(1200), np.concatenate([kind[300:], other]), labelled, 1)
    assert audit.covered[:600].mean() > 0.8 and audit.covered[600:].mean() < 0.1


def test_too_few_groups_are_a_fault():
    few = Labelled(make_rows(40, "e", group=lambda i: f"g{i % 4}"), make_normal(40, 9))
    with pytest.raises(UserError, match="4 groups of existing rows are fewer than folds=5"):
        adversarial.select(make_rows(40), make_normal(40, 9), UNBOUNDED, few, 1)
    with pytest.raises(UserError, match="needs labelled rows to compare with"):
        adversarial.select(make_rows(40), make_normal(40, 9), UNBOUNDED, None, 1)
