"""The headline of a stage is a part of its figures, unchanged."""

from hypothesis import given
from hypothesis import strategies as st

from stages.lib.run.headline import select_headline

FIGURES = {
    "dev": {"auc": 0.5, "brier": 0.2, "by_votes": {"1": {"auc": 0.4}}},
    "test": {"auc": 0.6, "brier": None},
    "sweep": {"0.3": {"auc": 0.7}},
    "mode": "cot",
    "empty": {},
}
keys = st.text("ab", min_size=1, max_size=1)
trees = st.recursive(st.integers(), lambda below: st.dictionaries(keys, below, max_size=2), max_leaves=8)
patterns = st.lists(st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3).map(".".join))


def test_a_star_is_one_key():
    assert select_headline(FIGURES, ["*.auc"]) == {"dev": {"auc": 0.5}, "test": {"auc": 0.6}}
    assert select_headline(FIGURES, ["*.*.auc"]) == {"sweep": {"0.3": {"auc": 0.7}}}, "whatever a key holds"


def test_values_are_taken_as_they_are():
    assert select_headline(FIGURES, ["mode", "test.brier", "dev.by_votes"]) == {
        "dev": {"by_votes": {"1": {"auc": 0.4}}},
        "test": {"brier": None},
        "mode": "cot",
    }


def test_what_leads_to_nothing_is_left_out():
    assert select_headline(FIGURES, ["test.ece", "mode.auc", "other", "empty.auc"]) == {}


@given(st.dictionaries(keys, trees), patterns)
def test_every_chosen_figure_is_the_one_at_its_path(figures, wanted):
    def walk(chosen, whole, path=()):
        assert chosen.keys() <= whole.keys()
        for key, value in chosen.items():
            if value != whole[key]:
                walk(value, whole[key], (*path, key))
            else:
                place = [*path, key]
                assert value == {} or any(fits(place, pattern.split(".")) for pattern in wanted)

    def fits(place, pattern):
        """Whether the pattern names this place, or one above or below it."""
        return all(part in ("*", key) for part, key in zip(pattern, place, strict=False))

    walk(select_headline(figures, wanted), figures)


@given(st.dictionaries(keys, trees), patterns)
def test_choosing_again_changes_nothing(figures, wanted):
    once = select_headline(figures, wanted)
    assert select_headline(once, wanted) == once
