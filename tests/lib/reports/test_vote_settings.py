"""What is chosen on dev: the middle of what dev cannot tell from the best, with the noise of the choice."""

import numpy as np
import pytest

from stages.lib.reports import curves, pools, vote_settings

HALF = np.repeat([0.0, 1.0], 8)


def test_the_middle_of_the_candidates_that_dev_cannot_tell_from_the_best_is_chosen():
    """Power 8 is best by one problem of 16: noise. 0 loses six problems of 16: not noise."""
    one_more, six_fewer = HALF.copy(), HALF.copy()
    one_more[0], six_fewer[8:14] = 1, 0
    chosen, candidates = vote_settings.pick({8.0: one_more, 2.0: HALF, 1.0: HALF, 4.0: HALF, 0.0: six_fewer})
    assert chosen == 4.0
    assert [candidate.value for candidate in candidates] == [0, 1, 2, 4, 8]
    assert [candidate.is_within_error for candidate in candidates] == [False, True, True, True, True]
    assert candidates[4].accuracy == 9 / 16 and candidates[4].difference == 1 / 16
    assert candidates[4].standard_error == pytest.approx(np.std(np.eye(16)[0], ddof=1) / 4)
    assert candidates[3] == (4.0, 0.5, 0.0, 0.0)


def test_a_clear_best_is_chosen():
    assert vote_settings.pick({0.0: np.zeros(9), 1.0: np.ones(9), 2.0: np.zeros(9)})[0] == 1.0
    assert vote_settings.pick({2.0: np.ones(1)}) == (2.0, ((2.0, 1.0, 0.0, 0.0),))


def test_power_and_share_are_chosen_by_votes():
    classes, correct = np.array([0, 0, 0, 1]), np.array([0.0, 0, 0, 1])
    dev = [pools.Pool("a", classes, correct, {"orm": np.array([0.4, 0.4, 0.4, 0.9])})]
    choice = curves.choose(dev, [0.0, 1.0, 2.0], [1.0, 0.25], seed=1)["orm"]
    assert (choice.power, choice.share) == (2.0, 0.25)


def test_the_noise_is_shown():
    one_more = HALF.copy()
    one_more[0] = 1
    chosen, candidates = vote_settings.pick({1.0: HALF, 4.0: one_more})
    header, rows = vote_settings.format_table({"orm": vote_settings.VoteSettings(chosen, 0.25, candidates)}, "powers")
    assert header == ["power of the weight", "1", "4"]
    assert rows == [["ORM", "-6.2 ±6.2", "chosen: 56.2"]]
    text = "4 (56.2 % on dev, no larger one tried; 1 within one standard error)"
    assert vote_settings.format_choice(chosen, candidates) == text
    _, within = vote_settings.pick({1.0: one_more, 4.0: HALF, 8.0: HALF - HALF})
    assert "no larger" not in vote_settings.format_choice(1.0, within)
    assert vote_settings.format_choice(1.0, ()) == "1"
