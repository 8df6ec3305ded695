"""The headline of best-of-N: few figures, under names that stay the same from run to run."""

from stages.lib.reports import headline

FIGURES = {
    "n": 8,
    "problems": 5,
    "best_free": "top_base_prm",
    "pass_1": {"mean": 0.4},
    "at_n": {name: {"mean": x} for name, x in (("pass", 0.9), ("majority", 0.5), ("top_base_prm", 0.6))}
    | {"weighted_orm": {"mean": 0.7}},
    "versus_majority": {"top_base_prm": {"difference": 0.1}, "weighted_orm": {"difference": 0.2}},
    "matrix": {"all sets": {"weighted_orm": 0.3, "weighted_orm_gain": {"mean": 0.05}}},
    "auc": {"orm": {"test": 0.8, "dev": 0.9}, "base_prm": {"test": 0.6}},
}


def test_figures_of_the_headline():
    assert headline.select(FIGURES, ["orm"]) == {
        "n": 8,
        "problems": 5,
        "accuracy": {"pass_at_1": 0.4, "pass_at_n": 0.9, "majority": 0.5, "best_free": 0.6, "weighted_orm": 0.7},
        "gain_ood": {"weighted_orm": 0.05},
        "auc": {"orm": 0.8},
    }


def test_variants_and_other_kinds_stand_for_the_whole():
    parts = {name: {"weighted_orm_gain": {"mean": x}} for name, x in (("all variants", 0.1), ("all other kinds", -0.1))}
    found = headline.select(FIGURES | {"matrix": FIGURES["matrix"] | parts}, ["orm"])
    assert found["gain_variants"] == {"weighted_orm": 0.1} and found["gain_other_kinds"] == {"weighted_orm": -0.1}
    assert "gain_ood" not in found


def test_without_sets_out_of_distribution_and_without_a_verifier():
    found = headline.select(FIGURES | {"matrix": {}}, [])
    assert not any(name.startswith("gain") for name in found) and found["auc"] == {}


def test_curves_rise_in_k_and_end_in_the_headline():
    intervals = {
        "weighted_orm": {8: {"mean": 0.7}, 1: {"mean": 0.4}},
        "pass": {1: {"mean": 0.4}, 2: {"mean": 0.6}},
        "weighted_other": {1: {"mean": 0.1}},
    }
    assert list(headline.iter_curves(intervals, "top_base_prm", ["orm"])) == [
        (1, {"accuracy/pass_at_k": 0.4, "accuracy/weighted_orm": 0.4}),
        (2, {"accuracy/pass_at_k": 0.6}),
        (8, {"accuracy/weighted_orm": 0.7}),
    ]
