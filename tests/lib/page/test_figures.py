"""The page's figures are those of the files, and what a page says of its origin is true."""

import pytest

from stages.lib.core import settings
from stages.lib.core.records import Problem, Source
from stages.lib.page import figures, glossary, lineage
from stages.lib.reports import curves, matrix_tables, verifier_pairs
from stages.lib.reports.matrix import Cell
from stages.lib.reports.verifier_pairs import Pair


def point(mean, problems=4.0):
    return {"mean": mean, "low": round(mean - 0.1, 6), "high": round(mean + 0.1, 6), "problems": problems, "se": 0.0}


CURVES = {
    "pass": {1: point(0.4), 2: point(0.8)},
    "majority": {1: point(0.4), 2: point(0.5)},
    **{
        f"{kind}_orm": {1: point(0.4), 2: point(mean)}
        for kind, mean in (("best_of", 0.6), ("weighted", 0.7), ("top", 0.65))
    },
}


def cell(group, method, **values):
    fields = {"n": 2, "problems": 40, "accuracy": 0.5, "low": 0.4, "high": 0.6, "operator": group} | values
    return Cell(group, method, **fields)


CELLS = [
    cell(
        group,
        method,
        **({"gain": gain, "gain_low": gain - 0.01, "gain_high": gain + 0.01, "p": 0.04} | extra if gain else {}),
    )
    for group, gain, extra in (
        ("all sets", 0.02, {"gap": 0.1, "parents": 9}),
        ("sums/test", 0.12, {}),
        ("sums~order", 0.02, {}),
    )
    for method, gain in (
        ("pass_1", None),
        ("pass", None),
        ("majority", None),
        ("best_of_orm", gain),
        ("weighted_orm", gain),
    )
]
CELLS += [cell(group, "constant", accuracy=0.1) for group in ("all sets", "sums/test", "sums~order")]


def test_files_come_back_as_they_were_written():
    assert figures.parse_curves(curves.to_csv(CURVES)) == CURVES
    assert figures.parse_matrix(matrix_tables.to_csv(CELLS)) == [
        cell(**{key: float(f"{x:.6g}") if isinstance(x, float) else x for key, x in old._asdict().items()})
        for old in CELLS
    ]


def test_headline_has_floor_and_ceiling_and_marks_further_uses():
    gap = {"difference": 0.2, "low": 0.1, "high": 0.3, "p": 0.01, "p_holm": 0.02, "detectable": 0.1}
    rows = figures.list_headline(CURVES, 2, {"weighted_orm": gap, "pass": gap}, {"orm": {"power": 4.0, "share": 0.25}})
    assert [(row["label"], row["mean"], row["further"]) for row in rows] == [
        ("pass@1", 0.4, False),
        ("majority", 0.5, False),
        ("ORM best of 2", 0.6, True),
        ("ORM weighted", 0.7, False),
        ("ORM top vote", 0.65, True),
        ("pass@2 (ceiling)", 0.8, False),
    ]
    assert rows[0]["gain"] is None and rows[3]["p"] == "0.010 (0.020)*" and "score ** 4" in rows[3]["meaning"]
    assert all(row["meaning"] for row in rows) and "25 %" in rows[4]["meaning"]


def test_summary_says_what_the_tables_say():
    gap = {"difference": 0.2, "low": 0.1, "high": 0.3, "p": 0.01, "detectable": None}
    rows = figures.list_headline(CURVES, 2, {"weighted_orm": gap}, {})
    found = figures.summarise(rows, figures.list_transfer(CELLS, ["orm"], None), "weighted_orm", 2)
    assert "majority is right on 50.0 % and ORM weighted" in found[0] and "on 70.0 %: +20.0 [+10.0, +30.0]" in found[0]
    assert found[1].endswith("are: ORM weighted +2.0 [+1.0, +3.0].") and figures.summarise(rows, [], None, 2) == []


def test_curves_cost_what_their_verifier_reads():
    drawn = figures.list_curves(CURVES, {"draw": 10.0, "orm": 5.0})
    assert {line["label"]: (line["on"], line["cost"]) for line in drawn} == {
        "pass@k": (True, 1.0),
        "majority": (True, 1.0),
        "ORM weighted": (True, 1.5),
        "ORM best-of-k": (True, 1.5),
        "ORM top vote": (False, 1.5),
    }
    assert drawn[1]["points"] == [[1, 0.4, 0.3, 0.5, 4.0], [2, 0.5, 0.4, 0.6, 4.0]]
    assert (
        figures.list_curves({"greedy": {1: point(0.5)}} | CURVES)[-1]["label"] == "ORM top vote"
    )  # a point is no curve


def test_summary_tells_variants_and_other_kinds_apart():
    parts = [c._replace(group=name) for name in ("all variants", "all other kinds") for c in CELLS[:5]]
    parts = [c._replace(gain=-c.gain) if c.gain and c.group == "all other kinds" else c for c in parts]
    transfer = figures.list_transfer([*CELLS, *parts], ["orm"], None)
    *_, variants, others = figures.summarise([], transfer, None, 8)
    assert "8 solutions each, on variants of the test problems: ORM weighted +2.0 [+1.0, +3.0]." in variants
    assert "on problems of other kinds: ORM weighted -2.0 [" in others
    assert figures.count_pooled([*CELLS, *parts]) == {
        **dict.fromkeys(("all sets", "all variants", "all other kinds"), 40),
        "parents": 9,
    }


def test_the_highest_row_is_in_front_and_no_oracle():
    oracle = {f"{kind}_prm_exact": {2: point(0.75)} for kind in ("best_of", "weighted", "top")}
    found = figures.list_headline(CURVES | oracle | {"best_of_orm": {2: point(0.72)}}, 2, {}, {})
    rows = {row["method"]: row for row in found}
    assert rows["best_of_orm"]["top"] and not rows["best_of_orm"]["further"]
    assert rows["best_of_prm_exact"]["aside"] and rows["pass"]["aside"] and not rows["weighted_orm"]["aside"]
    assert [name for name, row in rows.items() if row.get("top")] == ["best_of_orm"]


def test_pairs_of_a_file_are_a_table():
    pair = Pair("weighted_orm", "weighted_prm", "sums/test", 40, 0.1, 0.05, 0.15, 0.01, 0.02)
    found = figures.list_pairs(verifier_pairs.to_csv([pair]))
    assert found == {
        "header": ["difference", "sums/test"],
        "rows": [["ORM weighted - PRM weighted", "+10.0 [+5.0, +15.0]*"]],
    }
    assert figures.list_pairs(verifier_pairs.to_csv([])) is None


def test_a_score_has_one_colour_and_its_uses_differ():
    lines = {line["label"]: (line["colour"], line["dash"]) for line in figures.list_curves(CURVES)}
    assert lines["ORM weighted"] == (2, 0) and lines["ORM best-of-k"] == (2, 1) and lines["ORM top vote"] == (2, 2)
    assert figures.get_colour("of another") is None and len(set(figures.COLOURS)) == len(figures.COLOURS)


def test_matrix_and_transfer():
    found = figures.list_matrix(CELLS, ["orm"], None)
    assert found["methods"] == ["ORM"] and [row["pooled"] for row in found["rows"]] == [True, False, False]
    assert found["rows"][2]["cells"][0]["gain"] == [0.02, 0.01, 0.03] and "gap" not in found["rows"][2]["cells"][0]
    (row,) = figures.list_transfer(CELLS, ["orm"], None)
    assert row["here"][0] == 0.12 and row["there"][0] == 0.02 and row["gap"][0] == 0.1 and row["p"] == "0.040 (0.040)*"
    assert figures.list_transfer(CELLS[5:10], ["orm"], None) == []  # no set out of distribution


def test_a_long_history_is_averaged_in_bins():
    rows = "".join(f"{step},,{step / 10},0.5\n" for step in range(1, 1001))
    (line,) = figures.list_history("step,dev_auc,lm_loss,lr\n" + rows)
    assert line["label"] == "language-model loss" and len(line["points"]) == 200
    assert line["points"][0] == [5, pytest.approx(0.3)] and line["points"][-1][0] == 1000
    assert figures.list_history("") == figures.list_history("step,lm_loss\n1,0.5\n") == []


def test_first_errors_of_enough_solutions_in_the_order_of_the_matrix():
    row = {"solutions": 30, "error": 0.4, "correct": 0.6, "f1": 0.48}
    metrics = {"threshold": 0.5, "b": row, "a": {"solutions": 40, "error": 0.2}, "few": {"solutions": 3, "error": 1.0}}
    found = figures.list_first_errors(metrics, ["few", "a", "b", "none"])
    assert found["threshold"] == 0.5 and figures.list_first_errors({}, ["a"]) is None
    assert [(name, x["wrong"], x["f1"]) for name, x in found["rows"]] == [("a", 0.2, None), ("b", 0.4, 0.48)]


def test_changes_versions_licences_and_inputs(tmp_path):
    changes = settings.list_changes(
        {"seed": 1, "orm": {"lr": 0.1, "loss": "bce"}}, {"seed": 1, "orm": {"lr": 0.2}, "new": 3}
    )
    assert [(x["key"], x["default"], x["current"]) for x in changes] == [
        ("orm.lr", 0.1, 0.2),
        ("orm.loss", "bce", None),
        ("new", None, 3),
    ]
    assert lineage.list_versions("# lock\ntorch==2.13.0\nzlib==1\nnumpy==2.4.6\n") == [
        ("torch", "2.13.0"),
        ("numpy", "2.4.6"),
    ]
    source = Source(url="made here")
    problem = Problem(
        id="a", benchmark="b", split="s", question="?", answer="7", answer_type="number", licence="MIT", source=source
    )
    assert lineage.count_licences([problem, problem]) == [("b", "MIT", 2)]
    (tmp_path / "data/orm/model").mkdir(parents=True)
    for name in ("params.yaml", "data/orm/metrics.json", "data/orm/model/config.json"):
        (tmp_path / name).write_text("x")
    found = lineage.hash_inputs(tmp_path, ["params.yaml", "data/orm"])
    assert [path for path, _ in found] == ["params.yaml", "data/orm/metrics.json", "data/orm/model"]
    assert found[0][1] == "9dd4e461268c8034f5c8564e155c67a6" and found[2][1].endswith(".dir")  # md5sum of x
    origins = {"problems": {"name": "gsm8k", "files": [{"url": "t.jsonl", "sha256": "ab", "rows": 3}], "twins": []}}
    assert lineage.list_origins(origins) == [("problems", "name gsm8k"), ("problems, file", "url t.jsonl, sha256 ab")]


def test_costs_by_stage():
    metrics = {
        "generator": {"steps": 75},
        "samples": {"parameters": 10, "test": {"tokens": 100}, "dev": {"tokens": 50}},
        "labels": {"dev": {"tokens": 7}, "verifier": {"tokens": 3}},
        "orm": {"steps": 5, "tokens": 20},
        "prm": {"steps": 6, "tokens": 20, "others": {"exact": {"steps": 7, "tokens": 30}}},
        "genrm": {"steps": 8},
        "scores": {"orm": {"parameters": 11}, "prm": {"parameters": 10}},
    }
    cost = {"draw": 1.0, "orm": 2.0}
    rows = [
        (row["stage"], row["steps"], row["tokens"], row["flops"]) for row in lineage.list_costs(metrics, cost, 1000)
    ]
    assert rows == [
        ("generator", 75, None, None),
        ("samples", None, 150, 3000),
        ("labels", None, 10, 200),
        ("orm", 5, 20, 1320),
        ("prm", 6, 20, 1200),
        ("prm", 7, 30, 1800),
        ("genrm", 8, None, None),
        ("scores", None, None, 2000),
    ]


def test_caveats_name_what_is_there_and_nothing_else():
    small = " ".join(glossary.list_caveats({"sets": {"sets": 21, "alive": 16}}, ["prm_exact", "ensemble"], 1_200_304))
    assert all(words in small for words in ("1,200,304", "oracle", "Ensembles", "16 are alive"))
    large = " ".join(glossary.list_caveats({}, ["orm"], 1_500_000_000))
    assert not any(words in large for words in ("tiny", "oracle", "Ensembles", "alive")) and "dev" in large
    assert glossary.explain_operators(["sums/test", "sums~typos", "sums~roles+order", "a~new"]) == [
        (name, glossary.OPERATORS[name]) for name in ("typos", "roles", "order")
    ]
