"""Uncertain rows, with and without a threshold on quality."""

import numpy as np
import pytest

from stages.lib.core.errors import UserError
from stages.lib.selection.methods import uncertain_and_good, uncertainty
from stages.lib.selection.rows import Budget, Labelled, Values
from tests.lib.selection.worlds import get_ids, make_rows


def make_world(count, seed):
    """15 % of the rows are mislabelled; these are more uncertain, and of lower quality, both with noise."""
    rng = np.random.default_rng(seed)
    is_wrong = rng.random(count) < 0.15
    return is_wrong, rng.normal(size=count) + 2 * is_wrong, rng.normal(size=count) - 3 * is_wrong


def test_a_threshold_on_quality_keeps_mislabelled_rows_out():
    rows = make_rows(2000)
    is_wrong, unsure, quality = make_world(2000, 1)
    dev_wrong, _, dev_quality = make_world(500, 2)
    labelled = Labelled(make_rows(500, "d"), quality=dev_quality, is_good=~dev_wrong)
    values, budget = Values(quality, unsure), Budget(items=200)
    plain = uncertainty.select(rows, None, budget, None, 1, values=values)
    params = uncertain_and_good.Params(precision=0.98)
    careful = uncertain_and_good.select(rows, None, budget, labelled, 1, params, values)
    wrong, careful_wrong = (sum(is_wrong[int(i[1:])] for i in get_ids(chosen)) for chosen in (plain, careful))
    assert len(plain) == len(careful) == 200 and wrong > 100
    assert careful_wrong < wrong / 3
    assert [choice.value for choice in plain] == sorted(unsure, reverse=True)[:200]
    assert [choice.value for choice in careful] == sorted((choice.value for choice in careful), reverse=True)


def find(quality, is_good, **params):
    settings = uncertain_and_good.Params(**({"min_rows": 1} | params))
    return uncertain_and_good.find_threshold(np.array(quality, float), np.array(is_good, bool), settings)


def test_the_threshold_is_the_smallest_of_that_precision():
    # precision at 5: 1, at 4: 1/2, at 3: 2/3, at 2: 3/4, at 1: 3/5
    quality, is_good = [5, 4, 3, 2, 1], [1, 0, 1, 1, 0]
    assert find(quality, is_good, precision=0.7) == 2
    assert find(quality, is_good, precision=0.9) == 5
    assert find(quality, is_good, precision=0.6) == 1
    assert find(quality[::-1], is_good[::-1], precision=0.7) == 2
    assert find([3, 3, 3, 1], [1, 1, 0, 0], precision=0.6) == 3, "rows of equal quality pass together"


def test_no_threshold_is_a_fault():
    with pytest.raises(
        UserError, match=r"keeps 2 or more labelled rows of which 90% are good \(the best share is 75%\)"
    ):
        find([5, 4, 3, 2, 1], [1, 0, 1, 1, 0], min_rows=2)
    labelled = Labelled(make_rows(20, "d"), quality=np.full(20, 5.0), is_good=np.ones(20))
    values = Values(np.ones(4), np.ones(4))
    with pytest.raises(UserError, match="no row reaches the quality 5"):
        uncertain_and_good.select(make_rows(4), None, Budget(items=2), labelled, 1, values=values)
