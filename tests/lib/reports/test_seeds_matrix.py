"""The matrix over seeds: its rows, gains and gaps by hand, which sets are alive, and its pictures."""

import pytest

from stages.commands import seeds
from stages.lib.reports import curves, seeds_matrix, seeds_study
from stages.lib.reports.problem_accuracies import from_csv

SIZE = 40  # problems of a set; a row has 30 at least in each draw


def make_cell(t, p):
    """roles halves the gain, half of the typos leave none; one answer is right for all of `said`, which few give."""
    rows = ["set,group,problem,parent,weight,pass_1,majority,constant,weighted_orm,pass,best_free"]
    for i in range(SIZE):
        helped = i % 2 if t == 1 else 1
        rows.append(f"test,a/test,{i},,1,0.5,0,{int(i == 0)},{helped},1,0")
        rows.append(f"parents,a/test,{i},,1,0.5,0,{int(i == 0)},{helped},1,0")
        rows.append(f"ood,a~roles,{i}~r,{i},1,0.4,0.25,{int(i == 0)},{0.25 + 0.5 * helped},1,0")
        rows.append(f"ood,a~typos@0.5,{i}~t,{i},1,0.4,0.25,{int(i == 0)},0.25,1,0")
        rows.append(f"ood,a~typos,{i}~u,{i},1,0.4,0.25,{int(i == 0)},{0.25 + helped},1,0")
        rows.append(f"ood,said,{p}/{i},,1,0.4,0.25,1,0.25,1,0")
    rows += [f"ood,small,{p}/s{i},,1,0.4,0.25,0,0.25,1,0" for i in range(5)]
    return from_csv("\n".join(rows))


@pytest.fixture(scope="module")
def cells():
    study = seeds_study.assemble({(t, p): make_cell(t, p) for t in (1, 2) for p in (1, 2)})
    return seeds_matrix.build_cells(study, ["weighted_orm"])


def test_rows_gains_and_gaps(cells):
    own = {cell.group: cell for cell in cells if cell.method == "weighted_orm"}
    pooled = ["all sets", "all variants", "all other kinds"]
    assert list(own) == ["a/test", *pooled, "a~roles", "a~typos@0.5", "a~typos", "said"], (
        "doses rise, `small` has no row"
    )
    # Training 1 helps on half of the problems, training 2 on all: the parents gain 0.75, roles half of it.
    assert own["a/test"].gain == pytest.approx(0.75) and own["a/test"].gap is None
    assert own["a~roles"].gain == pytest.approx(0.375) and own["a~roles"].gap == pytest.approx(0.375)
    assert own["a~typos@0.5"].gain == 0 and own["a~typos@0.5"].p == 1 and own["a~typos"].gap == pytest.approx(0)
    assert own["all variants"].problems == 2 * 3 * SIZE and own["all variants"].gap == pytest.approx(0.75 - 1.125 / 3)
    assert own["said"].gap is None and own["all sets"].gap is None
    assert [cell.p_holm is None for cell in own.values()] == [True] * 4 + [False] * 4


def test_a_set_that_one_answer_solves_better_is_not_alive(cells):
    assert seeds_matrix.write_note(cells).startswith("3 of 4 sets are alive")
    header, rows = seeds_matrix.tabulate(cells, ["weighted_orm"])
    said = dict(zip(header, rows[-1], strict=True))
    assert said["ORM weighted gain"] == "no problem differs" and rows[0][-1].startswith("+75.0 [")
    assert said["one answer to all"] == "100.0" and said["majority"] == "25.0" and said["n"] == str(2 * SIZE)
    assert [row[1] for row in rows[-3:]] == ["0.5", "1", ""]


def test_pictures_of_a_study(cells, tmp_path):
    methods = ("pass", "majority", "best_of_orm", "weighted_orm")
    first, second = (
        curves.to_csv({name: {k: make_point(0.1 * k + shift) for k in (1, 2)} for name in methods})
        for shift in (0, 0.2)
    )
    means = curves.average([first, second, first.replace("majority,2", "other,2")])
    assert means["pass"][2] == {"mean": pytest.approx(0.8 / 3), "low": 0.2, "high": 0.4}
    assert list(means["majority"]) == [1] and "other" not in means
    seeds.draw_pictures(tmp_path / "new", [first, second], cells, ["weighted_orm"])
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"curves.png", "gains.png", "doses.png"}


def make_point(mean):
    return {"mean": mean, "low": 0.0, "high": 1.0, "problems": 5}
