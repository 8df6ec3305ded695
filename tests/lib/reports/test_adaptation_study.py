"""The table and notes of the study of adaptation, on made-up results."""

from scipy import stats

from stages.lib.reports import adaptation_study

SIZES = {"ood": {"problems": 90}, "weak": {"problems": 40}, "unmade": {"problems": 50}, "test": {"problems": 60}}


def make_results(gains, confirmed=("kind=reversed",)):
    """gains: (control, set) -> the difference; without any, nothing was confirmed."""
    rows = [
        {"first": "targeted-1", "second": control if control == "start" else f"{control}-1", "set": part}
        | {"difference": gain, "low": gain - 0.05, "high": gain + 0.05, "p": 0.02, "p_holm": 0.2, "detectable": 0.1}
        for (control, part), gain in gains.items()
    ]
    learned = {"lessons": {"targeted": {"new": 24}}} if gains else {}
    first = {"round": 1, "confirmed": list(confirmed) if gains else [], **learned}
    return {"stop": "1 of 1 rounds are done", "rounds": [first], "models": {"start": SIZES}, "comparisons": rows}


def tabulate(points):
    table = adaptation_study.tabulate(points)
    assert table
    return table


def test_a_seed_has_its_own_interval_and_the_mean_that_over_seeds():
    gains = [0.04, 0.10, 0.01]
    points = [
        point
        for seed, gain in enumerate(gains, 1)
        for point in adaptation_study.make_points(
            "one", seed, make_results({("none", "ood"): gain, ("start", "test"): -gain, ("none", "unmade"): 0.5})
        )
    ]
    header, rows = tabulate(points)
    assert all(len(row) == len(header) for row in rows)
    assert rows[0] == ["one", "out of distribution", "no new problems", "1", "90", "+4.0 [-1.0, +9.0]", rows[0][-1]]
    assert "0.02" in rows[0][-1] and "0.2" in rows[0][-1]
    low, high = stats.t.interval(0.95, 2, loc=0.05, scale=stats.sem(gains))
    assert rows[3][3:6] == ["mean of 3", "270", f"+5.0 [{100 * low:+.1f}, {100 * high:+.1f}]"]
    assert [row[1:3] for row in rows[4:]] == [["test, in distribution", "generator"]] * 4, (
        "kinds never made have no row"
    )
    assert rows[7][5].startswith("-5.0")


def test_points_are_those_of_the_last_round():
    results = make_results({("none", "ood"): 0.04})
    [row], [trained] = results["comparisons"], results["rounds"]
    results["comparisons"].append(row | {"first": "targeted-2", "second": "none-2", "difference": 0.5})
    results["rounds"] += [trained | {"round": 2}, {"round": 3, "confirmed": []}]  # a third round that trained nothing
    assert [point.difference for point in adaptation_study.make_points("one", 1, results)] == [0.5]


def test_one_seed_has_no_mean_and_arms_that_trained_nothing_are_named():
    idle = ("idle", 1, make_results({}))
    busy = ("busy", 1, make_results({("uniform", "weak"): 0.03}))
    points = adaptation_study.make_points(*busy)
    _, [row] = tabulate(points)
    assert row[:5] == ["busy", "confirmed weak slices", "every kind alike", "1", "40"]
    notes = adaptation_study.build_notes([idle, busy], points)
    assert "idle, seed 1: 0 of 1 rounds trained, 0 new problems for targeted; confirmed slices: none" in notes[2]
    assert "busy, seed 1: 1 of 1 rounds trained, 24 new problems" in notes[3] and notes[-1].endswith("trained: idle.")
    assert adaptation_study.make_points(*idle) == [] and adaptation_study.tabulate([]) is None
    assert "no experiment confirmed a weak slice" in adaptation_study.build_notes([idle], [])[-1]
