"""Solve rate against KL over arms and seeds of stage preference."""

from stages.lib.reports import preference_study


def make_results(kl, gain, accuracy):
    methods = {name: {"policy": 0.5 + gain, "difference": gain} for name in ("pass_1", "majority_n", "pass_n")}
    return {"test": {"methods": methods}, "held_out": {"accuracy": accuracy, "chosen": -kl}, "kl": {"mean": kl}}


def test_arms_have_their_mean_and_spread_over_seeds_and_a_picture(tmp_path):
    points = [
        preference_study.make_point(f"{kind}-{beta}", kind, seed, make_results(1 / beta + seed, 0.01 * seed, 0.6))
        for kind in ("fixed", "soft")
        for beta in (0.5, 0.1)
        for seed in (1, 2, 3)
    ]
    points.append(preference_study.make_point("none", "pairs by random", 1, make_results(0.0, 0.0, None)))
    header, rows = preference_study.tabulate(points)
    assert [len(row) for row in rows] == [len(header)] * 5
    assert rows[0][:5] == ["fixed-0.5", "3", "4.00 (1.00)", "52.0 (1.00)", "+2.0 (1.00)"]
    assert rows[4][1] == "1" and rows[4][7] == "", "held-out pairs that there are none of have no accuracy"
    preference_study.plot(tmp_path / "a.png", points)
    preference_study.plot(tmp_path / "b.png", points)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
