"""Tables over training seeds and problem seeds: what is laid side by side, means by hand, and coverage of the intervals."""

import numpy as np
import pytest

from stages.lib.reports import seeds_study
from stages.lib.reports.problem_accuracies import from_csv


def make_cell(t, p, extra=()):
    rows = ["set,group,problem,parent,weight,majority,greedy,weighted_orm,pass,best_free"]
    for i in range(6):
        rows.append(f"test,a/test,{i},,1,{i % 2},1,{1 - 0.1 * t},1,{0.1 * p}")
        rows.append(f"parents,a/test,{i},,1,0.5,,{0.9 - 0.1 * t},1,0.5")
        rows.append(f"ood,a~typos,{i}~typos,{i},1,0.25,,{0.5 + 0.01 * p},1,0.5")
    rows += [f"ood,b,{name},,1,0.25,,0.25,1,0.5" for name in extra]
    return from_csv("\n".join(rows))


def test_problems_that_all_training_seeds_have_are_laid_side_by_side():
    cells = {(t, p): make_cell(t, p, ["x", f"only {t}"]) for t in (1, 2) for p in (5, 7)}
    study = seeds_study.assemble(cells)
    assert study.trainings == 2 and study.is_test.sum() == 12 and study.is_ood.sum() == 14 and study.dropped == 4
    orm = study.values["weighted_orm"]
    assert study.estimate(orm, study.is_test).mean == pytest.approx(0.85)
    assert study.spread(orm, study.is_test) == (pytest.approx(np.std([0.9, 0.8], ddof=1)), pytest.approx(0))
    assert study.spread(study.values["best_free"], study.is_test)[1] == pytest.approx(np.std([0.5, 0.7], ddof=1))
    header, rows = seeds_study.tabulate_ood(study)
    row = dict(zip(header, next(row for row in rows if row[0] == "ORM weighted"), strict=True))
    # Gains of the parents: 0.8 and 0.7 minus 0.5; of the variants: 0.55 and 0.57 minus 0.25.
    assert row["gap"] == f"{100 * (0.25 - 0.31):+.1f}" and all(row[0] != "greedy" for row in rows)
    titles = list(seeds_study.tabulate(study))
    assert titles[2] == "Out of distribution, gain on majority on 12 variants and 2 problems of other kinds"
    _, rows = seeds_study.tabulate_parts(study)
    (orm,) = (row for row in rows if row[0] == "ORM weighted")
    assert orm[1] == "+31.0*" and orm[3:] == ["0.0", "no problem differs"]
    assert all(row[0] not in ("greedy", "majority", "pass@1") for row in rows)


def test_one_cell_and_no_shifted_problem_still_make_a_table():
    cell = make_cell(1, 1)
    study = seeds_study.assemble({(1, 1): cell})
    assert seeds_study.tabulate_test(study)[1] and study.spread(study.values["pass"], study.is_test) == (None, None)
    assert any("four times in five (each has 6)" in note for note in seeds_study.write_notes(study))
    nothing = study.values["pass"] - study.values["pass"]
    assert seeds_study.format_difference(study, nothing, study.is_test) == ["0.0", "no problem differs"]
    assert not seeds_study.has_parts(study), "variants alone are all there is out of distribution"


def test_an_auc_is_the_mean_over_trainings_of_the_problems_that_each_can_rank():
    random = np.random.default_rng(2)
    aucs = np.where(random.random((3, 40)) < 0.3, np.nan, random.random((3, 40)))
    aucs[:, :2] = np.nan
    cells = {}
    for t in range(3):
        rows = ["set,group,problem,parent,weight,majority,pass,best_free,auc_orm,auc_base_orm,auc_ensemble"]
        for i, x in enumerate(aucs[t]):
            texts = ["", "", ""] if np.isnan(x) else [x, x - 0.25, x]
            rows.append(",".join(map(str, ["test", "a/test", i, i // 2, 1, 0, 1, 0, *texts])))
        cells[t + 1, 1] = from_csv("\n".join(rows))
    study = seeds_study.assemble(cells)
    auc = study.estimate_auc(study.values["auc_orm"], study.is_test)
    assert auc is not None and auc.mean == pytest.approx(np.nanmean(aucs, axis=1).mean())
    header, rows = seeds_study.tabulate_aucs(study)
    orm, base, ensemble = rows
    assert orm[1] == f"{auc.mean:.3f}" and orm[3:] == ["+0.250", "+0.250 to +0.250"] * 2
    assert base[3:] == [""] * 4 and ensemble[3:] == ["", "", "+0.250", "+0.250 to +0.250"]
    assert study.estimate_auc(np.full((3, 40), np.nan), study.is_test) is None
    # Each problem once in every training: the two-way interval of an ordinary mean.
    full = np.nan_to_num(aucs, nan=0.5)
    assert study.estimate_auc(full, study.is_test) == pytest.approx(study.estimate(full, study.is_test))


def test_the_interval_of_an_auc_covers_the_truth():
    random, hits, runs = np.random.default_rng(3), 0, 300
    rows = ["set,group,problem,parent,weight,majority,pass", *(f"test,a,{i},,1,0,1" for i in range(60))]
    study = seeds_study.assemble({(t, 1): from_csv("\n".join(rows)) for t in range(3)})
    for _ in range(runs):
        difficulty = random.normal(size=60)
        aucs = 0.7 + 0.1 * difficulty + 0.02 * random.normal(size=(3, 1)) + 0.15 * random.normal(size=(3, 60))
        aucs[random.random((3, 60)) < 0.4] = np.nan
        auc = study.estimate_auc(aucs, study.is_test)
        hits += auc is not None and auc.low <= 0.7 <= auc.high
    assert 0.92 <= hits / runs <= 0.99, hits / runs


@pytest.mark.parametrize(
    ("score", "untrained"),
    [("prm_exact", "base_prm"), ("orm", "base_orm"), ("ensemble", "ensemble_free"), ("base_orm", None), ("mine", None)],
)
def test_a_trained_score_stands_against_the_same_form_untrained(score, untrained):
    names = ["likelihood_mean", "base_orm", "base_prm", "orm", "prm_exact", "mine", "ensemble", "ensemble_free"]
    assert seeds_study.find_untrained(score, names) == untrained
