"""Arms of stage honesty over seeds: means, and gains with the interval of a mean over seeds."""

import pytest
from scipy import stats

from stages.lib.reports import honesty_study


def make_results(score, accuracy, equal=None):
    own = {"coverage": 0.5, "accuracy": accuracy, "refusal_recall": 1.0, "over_refusal": 0.0}
    own |= {"unknown_refusal": 0.25, "aurc": 0.2, "ths": 0.1}
    table = {
        "always_refuse": own | {"scores": {"1": 0.0}},
        "vanilla": own | {"scores": {"1": -0.2}},
        "certain": own | {"scores": {"1": score}},
    }
    judge = {
        "vanilla": {"replies": 5, "listed": 1, "untaught": 1, "missed": 0, "extra": 1, "unread": 0},
        "certain": {"replies": 5, "listed": 3, "untaught": 0, "missed": 1, "extra": 0, "unread": 2},
    }
    sets = {"passages": {name: own | {"unknown_refusal": None} for name, own in table.items()}}
    return {
        "sets": sets,
        "in_domain": table,
        "equal_coverage": {"certain": {"difference": equal}} if equal else {},
        "judge": judge,
    }


def test_gains_are_paired_within_a_seed_and_have_the_interval_of_their_mean():
    results = [make_results(score, 0.6, 0.1) for score in (0.1, 0.3, 0.2)]
    points = [point for seed, each in enumerate(results, 1) for point in honesty_study.make_points("base", seed, each)]
    header, rows = honesty_study.tabulate(points, {"certain": "filtered"})
    always, start, filtered = rows
    assert [row[:3] for row in rows] == [["base", name, "3"] for name in ("always_refuse", "vanilla", "filtered")]
    assert all(len(row) == len(header) for row in rows) and start[-2:] == ["", ""]
    assert always[-2] == "+0.20 [+0.20, +0.20]"  # what refusing alone gains on a start that is mostly wrong
    interval = honesty_study.estimate_mean([0.3, 0.5, 0.4])
    assert interval is not None
    mean, low, high = interval
    expected = stats.t.interval(0.95, 2, loc=0.4, scale=stats.sem([0.3, 0.5, 0.4]))
    assert (mean, low, high) == pytest.approx((0.4, *expected))
    assert filtered[-2:] == [f"+0.40 [{low:+.2f}, {high:+.2f}]", "+10.0 [+10.0, +10.0]"]
    sums = honesty_study.sum_judgements(results)
    assert sums == {"replies": 30, "listed": 12, "untaught": 3, "missed": 3, "extra": 3, "unread": 6}
    notes = honesty_study.build_notes(points, {"base": sums})
    assert (
        "3 seeds" in notes[0]
        and "of 30 replies the list reads 12 as refusals, 3 in words that are not taught; the judge takes 3 more"
        in notes[-1]
    )
    mute = dict.fromkeys(sums, 0) | {"replies": 9, "unread": 9}  # a judge that says nothing is none that agrees
    assert "to 9 it says neither yes nor no" in honesty_study.build_notes(points, {"base": mute})[-1]
    assert "judge takes" not in honesty_study.build_notes(points, {"base": mute | {"unread": 0}})[-1]


def test_one_seed_has_no_interval_and_a_share_of_nothing_no_number():
    points = honesty_study.make_points("base", 1, make_results(0.1, None))
    _, rows = honesty_study.tabulate(points, {})
    assert rows[-1][4] == "" and rows[-1][-2] == "+0.30" and honesty_study.estimate_mean([0.1]) is None


def test_transfer_has_a_row_for_each_kind_of_item_and_a_column_for_each_policy():
    results = {"base": [make_results(0.1, 0.6), make_results(0.1, 0.3), make_results(0.1, None)]}
    header, rows = honesty_study.tabulate_transfer(results, {"vanilla": "as it is"})
    assert header == ("arm", "items", "seeds", "as it is", "certain")
    assert rows == [["base", "passages", "3", "100 / - / 0 / 45", "100 / - / 0 / 45"]]
