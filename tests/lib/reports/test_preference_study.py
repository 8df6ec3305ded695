"""Arms of stage preference over seeds: means, the choice on dev, gains on test, the picture."""

import numpy as np
import pytest

from stages.lib.core import seeds
from stages.lib.metrics import crossed
from stages.lib.reports import preference_study


def make_results(kl, gain, accuracy, dev_gain=0.0, solved=None):
    methods = {name: {"policy": 0.5 + gain, "difference": gain} for name in ("pass_1", "majority_n", "pass_n")}
    dev = {"methods": {"pass_1": {"policy": 0.4 + dev_gain, "difference": dev_gain}}}
    return {
        "dev": dev,
        "test": {"methods": methods, "solved": solved or {"start": {}, "policy": {}}},
        "held_out": {"accuracy": accuracy, "chosen": -kl},
        "kl": {"mean": kl},
    }


def make_points(arms, count=40):
    """arms: name -> (gain on dev, true gain on test); three seeds, `count` problems of four samples each."""
    points = []
    for seed in (1, 2, 3):
        for arm, (dev_gain, gain) in arms.items():
            shares = {"start": 0.5, "policy": 0.5 + gain}
            solved = {
                policy: {
                    f"p/{i}": float(
                        (seeds.uniforms("study", seed, arm * (policy != "start"), policy, i, n=4) < p).mean()
                    )
                    for i in range(count)
                }
                for policy, p in shares.items()
            }
            points.append(
                preference_study.make_point(arm, "fixed", seed, make_results(1.0, gain, 0.6, dev_gain, solved))
            )
    return points


def test_arms_have_their_mean_and_spread_over_seeds_and_a_picture(tmp_path):
    points = [
        preference_study.make_point(
            f"{kind}-{beta}", kind, seed, make_results(1 / beta + seed, 0.01 * seed, 0.6, -0.01 * seed)
        )
        for kind in ("fixed", "soft")
        for beta in (0.5, 0.1)
        for seed in (1, 2, 3)
    ]
    points.append(preference_study.make_point("none", "pairs by random", 1, make_results(0.0, 0.0, None)))
    header, rows = preference_study.tabulate(points)
    assert [len(row) for row in rows] == [len(header)] * 5
    assert rows[0][:5] == ["fixed-0.5", "3", "4.00 (1.00)", "38.0 (1.00)", "-2.0 (1.00)"]
    assert rows[0][5:7] == ["52.0 (1.00)", "+2.0 (1.00)"]
    assert rows[4][1] == "1" and rows[4][9] == "", "held-out pairs that there are none of have no accuracy"
    preference_study.plot(tmp_path / "a.png", points)
    preference_study.plot(tmp_path / "b.png", points)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_dev_chooses_and_test_is_only_reported():
    points = make_points({"best-on-test": (0.01, 0.3), "best-on-dev": (0.05, 0.1), "random": (0.2, 0.0)})
    assert preference_study.choose(points) == "best-on-dev", "neither the best on test nor the control"
    assert preference_study.choose(points[::-1]) == "best-on-dev"
    gains = preference_study.compare_chosen(points)
    assert [(gain.arm, gain.control) for gain in gains] == [("best-on-dev", "start"), ("best-on-dev", "random")]
    solved = {(point.arm, point.seed): point.solved for point in points}
    names = list(points[0].solved["start"])

    def tabulate(arm, policy):
        return np.array([[solved[arm, seed][policy][name] for name in names] for seed in (1, 2, 3)])

    own = tabulate("best-on-dev", "policy")
    for gain, other in zip(gains, (tabulate("best-on-dev", "start"), tabulate("random", "policy")), strict=True):
        expected = crossed.estimate_mean(own - other)
        assert (gain.mean, gain.low, gain.high) == pytest.approx(expected[:3]) and gain.low < 0.1 < gain.high
    _, rows = preference_study.tabulate_choice(points)
    assert [row[:3] for row in rows] == [["best-on-dev", "start", "3"], ["best-on-dev", "random", "3"]]
    first, *_ = preference_study.build_notes(points)
    assert (
        first
        == "Dev chooses best-on-dev of 2 arms: +5.0 points of pass@1 on the start there, the highest mean over seeds."
    )


def test_an_arm_with_fewer_seeds_is_not_chosen_and_equals_go_to_the_first():
    points = make_points({"one": (0.02, 0.0), "two": (0.02, 0.0), "lucky": (0.3, 0.0)})
    lucky = [point for point in points if point.arm == "lucky"]
    assert preference_study.choose([point for point in points if point is not lucky[-1]]) == "one"


def test_what_is_said_without_a_control_a_candidate_or_a_gain():
    alone = make_points({"only": (-0.02, 0.0)})
    notes = preference_study.build_notes(alone)
    assert "-2.0 points of pass@1 on the start there, so it would rather keep the start." in notes[0]
    assert "Without the arm random" in notes[-1] and len(preference_study.compare_chosen(alone)) == 1
    control = make_points({"random": (0.1, 0.0)})
    assert preference_study.choose(control) is None and preference_study.build_notes(control) == []
    assert preference_study.tabulate_choice(control) is None
