"""Numeric worlds, their oracles, and the figures of a study."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.evaluation.many_shot import episode_model, episodes, measures, oracles, worlds
from stages.evaluation.many_shot.answering import Row
from stages.evaluation.many_shot.worlds import World
from stages.lib.core import seeds

LINEAR = World(kind="linear", size=2)


def test_linear_labels_are_balanced_and_linear():
    labels = Counter()
    for number in range(40):
        episode = worlds.make_episode(LINEAR, "w", number, 40, 10, 1)
        items = [*episode.pools["gold"], *episode.queries]
        labels.update(item.gold for item in items)
        points = np.array([worlds.parse_point(item.question) for item in items], float)
        plane = np.c_[points - 4.5]
        sides = np.array([1 if item.gold == "A" else -1 for item in items])
        angles = np.linspace(0, 2 * np.pi, 2000)
        directions = np.c_[np.cos(angles), np.sin(angles)]
        assert ((plane @ directions.T > 0) == (sides[:, None] > 0)).all(0).any(), (
            "one line through the centre parts them"
        )
    assert 0.45 < labels["A"] / labels.total() < 0.55


def test_flipped_labels_are_those_of_the_true_world_exchanged():
    true, flipped = (
        worlds.make_episode(World(kind="linear", size=2, prior=0.9, labels=x), x, 3, 20, 5, 1)
        for x in ("true", "flipped")
    )
    for one, other in zip(
        (*true.pools["gold"], *true.queries), (*flipped.pools["gold"], *flipped.queries), strict=True
    ):
        assert one.question == other.question and {one.gold, other.gold} == {"A", "B"}


def test_a_query_is_no_shot_of_a_linear_world():
    for number in range(20):
        episode = worlds.make_episode(LINEAR, "w", number, 32, 6, 1)
        assert not {item.question for item in episode.queries} & {item.question for item in episode.pools["gold"]}
    few = World(kind="linear", size=1)
    for number in range(20):
        episode = worlds.make_episode(few, "w", number, 7, 3, 1)
        asked, shown = ({item.question for item in items} for items in (episode.queries, episode.pools["gold"]))
        assert not asked & shown, "ten points are enough for these"
    crowded = worlds.make_episode(few, "w", 0, 60, 6, 1)
    assert {item.question for item in crowded.queries} <= {item.question for item in crowded.pools["gold"]}


@pytest.mark.parametrize("modulus", [2, 4, 7])
def test_modular_values(modulus):
    episode = worlds.make_episode(World(kind="modular", size=modulus), "m", 0, 30, 5, 1)
    values = {item.question: item.gold for item in episode.pools["gold"]}
    assert all(values[item.question] == item.gold for item in episode.queries if item.question in values)
    fits = [
        (a, b)
        for a in range(1, modulus)
        for b in range(modulus)
        if all((a * int(x) + b) % modulus == int(y) for x, y in values.items())
    ]
    assert len(fits) == 1


def test_the_bayes_rule_knows_a_modular_function_from_two_points():
    world = World(kind="modular", size=7)
    episode = worlds.make_episode(world, "m", 1, 14, 10, 1)
    first = episode.pools["gold"][0]
    other = next(item for item in episode.pools["gold"] if item.question != first.question)
    assert oracles.predict(world, [first, other], episode.queries)["bayes"] == [item.gold for item in episode.queries]
    assert oracles.predict(world, [], episode.queries) == {}


@pytest.mark.parametrize("size", [1, 3, 6])
def test_a_parity_is_the_only_one_that_agrees_with_enough_shots(size):
    world = World(kind="parity", size=size)
    episode = worlds.make_episode(world, "p", 2, 40, 12, 1)
    items = [*episode.pools["gold"], *episode.queries]
    fits = [
        places
        for places in itertools.product((0, 1), repeat=size)
        if all(
            sum(p * x for p, x in zip(places, worlds.parse_point(item.question), strict=True)) % 2 == int(item.gold)
            for item in items
        )
    ]
    assert len(fits) == 1 and any(fits[0])
    answers = oracles.predict(world, episode.pools["gold"], episode.queries)
    assert answers["bayes"] == [item.gold for item in episode.queries] and {*answers} == {"knn", "bayes"}
    if size == 6:
        shown = {item.question for item in episode.pools["gold"]}
        assert not shown & {item.question for item in episode.queries}


def test_the_bayes_rule_of_parities_is_the_share_of_functions_that_say_so():
    known, asked = np.array([[1, 0, 1], [0, 1, 1]], float), np.array([[1, 1, 0], [0, 0, 1]], float)
    said = oracles.predict_parity(known, ["1", "0"], asked)
    left = [
        s for s in itertools.product((0, 1), repeat=3) if any(s) and (s[0] + s[2]) % 2 == 1 and (s[1] + s[2]) % 2 == 0
    ]
    expected = [np.mean([sum(p * int(x) for p, x in zip(s, row, strict=True)) % 2 for s in left]) for row in asked]
    assert said == [str(int(share > 0.5)) for share in expected] and expected[0] == 1.0


def test_oracles_of_a_linear_world_approach_the_truth():
    right = Counter()
    for number in range(20):
        episode = worlds.make_episode(LINEAR, "w", number, 40, 8, 1)
        answers = oracles.predict(LINEAR, episode.pools["gold"], episode.queries)
        for name, own in answers.items():
            right[name] += sum(x == item.gold for x, item in zip(own, episode.queries, strict=True))
    assert right["bayes"] >= right["least_squares"] - 4 and right["bayes"] > 145 and right["knn"] > 125


@settings(max_examples=15)
@given(st.integers(1, 20), st.integers(0, 10**6))
def test_nearest_neighbours_vote(k, key):
    episode = worlds.make_episode(LINEAR, "w", key, k, 6, 1)
    shots, answers = episode.pools["gold"], oracles.predict(LINEAR, episode.pools["gold"], episode.queries)["knn"]
    for query, answer in zip(episode.queries, answers, strict=True):
        here = np.array(worlds.parse_point(query.question))
        distances = np.array([np.linalg.norm(here - worlds.parse_point(shot.question)) for shot in shots])
        order = np.argsort(distances, kind="stable")
        if len(order) <= 5 or distances[order[4]] < distances[order[5]] - 1e-9:  # else who is the fifth is open
            votes = Counter(shots[i].gold for i in order[:5])
            assert votes[answer] == max(votes.values())


@pytest.mark.parametrize(
    ("kind", "text", "answer"),
    [
        ("linear", " A", "A"),
        ("linear", "\nB\nA", "B"),
        ("linear", "The letter is B.", "B"),
        ("linear", "So the letter is: **B**", "B"),
        ("linear", "**Answer:** B.", "B"),
        ("linear", "A line parts them.\nThe points near it are B.\n\nFinal answer: B", "B"),
        ("linear", "A\n4 4 -> B", "A"),
        ("linear", "For 3 5 the letter is A", None),
        ("linear", "A line parts them, so **B**", None),
        ("linear", "I cannot decide between A and B.", None),
        ("linear", "I cannot decide whether\nit is A or\nB", None),
        ("linear", "A or B", None),
        ("linear", "The answer is not A", None),
        ("linear", "", None),
        ("linear", "I refuse.", None),
        ("linear", "ABBA 12x", None),
        ("linear", " 3", None),
        ("modular", " 3", "3"),
        ("modular", "-> 4.", "4"),
        ("modular", "x=3 gives 4.", None),
        ("modular", "3 -> 4", None),
        ("modular", "2*3", None),
        ("modular", "I cannot determine the value for 3.", None),
        ("modular", "The value is 2.5", "2.5"),
        ("modular", "It is -3", "-3"),
        ("modular", "A", None),
        ("parity", "1 0 1 is B, I mean 0", None),
        ("parity", "Sorry, I cannot tell the value of 1 0 1.", None),
        ("parity", "1 0 1", None),
        ("parity", "ABBA 12x", None),
    ],
)
def test_answers_of_replies(kind, text, answer):
    assert worlds.read_answer(kind, text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [(" 1", None), ("1\n", "1"), ("1 2 ->", None), ("It is 12", None), ("A\nAnswer: 1", None), ("", None)],
)
def test_a_number_at_the_end_of_a_reply_that_was_cut_off_may_be_half_of_one(text, answer):
    assert worlds.read_answer("modular", text, is_finished=False) == answer


def test_the_tokenizer_reads_numbers_and_labels_alone():
    tokenizer = episode_model.build_tokenizer()
    ids = tokenizer(worlds.FORMS["linear"].instruction + "23 71 -> A\n4 99 ->")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["23", "71", "A", "4", "99"]


def make_row(query, k, correct, set_seed=0, order_seed=0, episode="0", nll=None):
    fields = dict(
        arm="gold", k=k, set_seed=set_seed, order_seed=order_seed, shots=[], prompt="", tokens=1, cached=0, text=""
    )
    fields |= {"finished": True, "seen": False}
    place = f"w/{episode}/{k}/{set_seed}/{order_seed}"
    return Row(
        problem_id=place, query=query, world="w", episode=episode, answer=None, correct=correct, gold_nll=nll, **fields
    )


def test_the_best_k_and_its_interval():
    def study(chance):
        return [
            make_row(f"q/{i}", k, bool(seeds.uniforms("peak", i, k, n=1)[0] < chance[k]))
            for i in range(200)
            for k in chance
        ]

    clear = measures.find_peak(measures.collect_curve(study({0: 0.1, 1: 0.3, 2: 0.9, 4: 0.3})), 1)
    assert clear["k"] == clear["low"] == clear["high"] == 2 and clear["accuracy"] > 0.8 and clear["first"] < 0.2
    equal = measures.find_peak(measures.collect_curve(study({0: 0.5, 1: 0.5, 2: 0.5, 4: 0.5, 8: 0.5})), 1)
    assert equal["low"] < equal["high"], "noise has no best K"


def make_shared(table):
    """A curve of queries that share their sets, from a table (sets, queries, ks) of 0 and 1."""
    sets, queries, ks = np.nonzero(np.ones(np.shape(table)))
    rows = [
        make_row(f"q/{q}", 2**k, bool(table[s][q][k]), int(s))
        for s, q, k in zip(sets, queries, ks.tolist(), strict=True)
    ]
    return measures.collect_curve(rows)


def test_five_sets_that_decide_everything_decide_no_best_k():
    table = np.zeros((5, 40, 2))
    table[:3, :, 0] = table[3:, :, 1] = 1.0
    curve = make_shared(table)
    assert curve.values.tolist() == table.tolist() and len(curve.units) == 40
    peak = measures.find_peak(curve, 1)
    assert (peak["k"], peak["low"], peak["high"]) == (1, 1, 2)
    for _, low, high in measures.describe_curve(curve).values():
        assert low < 0.2 and high > 0.8, "forty queries are no forty draws of sets"


def test_sets_of_a_function_are_averaged_and_no_shots_are_one_reply():
    rows = [
        make_row(f"{e}/{q}", k, (q + s + k) % 2 == 0, s, episode=e)
        for e in "abc"
        for q in range(2)
        for k in (0, 1, 2)
        for s in range(4 if k else 1)
    ]
    curve = measures.collect_curve(rows)
    assert curve.values.shape == (1, 6, 3) and curve.units == ["a", "a", "b", "b", "c", "c"]
    assert curve.values[0].tolist() == [[1.0, 0.5, 0.5], [0.0, 0.5, 0.5]] * 3
    shared = measures.collect_curve([row for row in rows if row.episode == "a"])
    assert shared.values[:, :, 0].tolist() == [[1.0, 0.0]] * 4 and shared.values.shape == (4, 2, 3)


def test_intervals_of_shared_sets_hold_for_other_sets():
    """Sets and queries have effects: the interval covers the accuracy over all of them about as often as it says. One over
    queries alone, as if other queries had other sets, does not."""
    shared, alone, widths = [], [], []
    for trial in range(300):
        random = np.random.default_rng([7, trial])
        logits = random.normal(0, 1, (5, 1)) + random.normal(0, 1, 60)  # symmetric, so that the truth is 0.5
        table = (random.random((5, 60)) < 1 / (1 + np.exp(-logits))).astype(float)
        units = [str(i) for i in range(60)]
        ((_, low, high),) = measures.describe_curve(measures.Curve([1], table[:, :, None], units)).values()
        shared.append(low < 0.5 < high)
        widths.append(high - low)
        ((_, low, high),) = measures.describe_curve(measures.Curve([1], table.mean(0)[None, :, None], units)).values()
        alone.append(low < 0.5 < high)
    assert 0.91 < np.mean(shared) < 0.99 and np.mean(alone) < 0.75
    assert np.mean(widths) < 0.6


def test_the_interval_of_a_best_k_has_the_true_one_when_sets_are_shared():
    covered = {"together": [], "queries alone": []}
    for trial in range(100):
        random = np.random.default_rng([8, trial])
        chance = np.array([0.45, 0.5, 0.55])[None, None] + random.normal(0, 0.25, (5, 1, 3))
        curve = make_shared(random.random((5, 40, 3)) < chance)
        for name, own in (("together", curve), ("queries alone", curve._replace(values=curve.values.mean(0)[None]))):
            peak = measures.find_peak(own, trial)
            covered[name].append(peak["low"] <= 4 <= peak["high"])
    together, alone = (np.mean(own) for own in covered.values())
    assert together > 0.92 and alone < 0.85


def test_the_accuracy_of_a_best_k_is_not_that_of_the_sets_that_chose_it():
    gains = []
    for trial in range(100):
        random = np.random.default_rng([9, trial])
        chance = 0.5 + random.choice([-0.4, 0.4], (6, 1, 5))  # a set's own, for every K anew: no K is better
        curve = make_shared(random.random((6, 30, 5)) < np.broadcast_to(chance, (6, 30, 5)))
        gains.append((curve.values.mean((0, 1)).max() - 0.5, measures.find_peak(curve, trial)["accuracy"] - 0.5))
    naive, honest = np.mean(gains, axis=0)
    assert naive > 0.12 and abs(honest) < 0.04


def test_the_cross_fitted_accuracy_of_noise_is_not_too_high():
    names = [f"q/{i}" for i in range(30)]
    gains = []
    for trial in range(20):
        rows = [
            make_row(name, k, bool(seeds.uniforms("noise", trial, name, k, n=1)[0] < 0.5))
            for name in names
            for k in (0, 1, 2, 4, 8)
        ]
        peak = measures.find_peak(measures.collect_curve(rows), trial)
        best = max(value[0] for value in measures.describe_curve(measures.collect_curve(rows)).values())
        gains.append((best - 0.5, peak["accuracy"] - 0.5))
    naive, honest = np.mean(gains, axis=0)
    assert naive > 0.06 and abs(honest) < 0.05


def test_spread_by_chance_alone_has_no_excess():
    excesses, ps = [], []
    for trial in range(60):
        tables = [(seeds.uniforms("null", trial, i, n=80).reshape(8, 10) < 0.6).astype(float) for i in range(4)]
        spread = measures.split_spread(tables, trial, resamples=200)
        excesses.append(spread.observed**2 - spread.floor**2)
        ps.append(spread.p)
    assert abs(np.mean(excesses)) < 0.003 and 0.35 < np.mean(ps) < 0.65 and np.mean(np.array(ps) < 0.05) < 0.15


@pytest.mark.parametrize(("k", "count"), [(4, 10), (3, 6), (8, 10)])
def test_orders_that_do_not_matter_have_a_p_value_of_a_half(k, count):
    """A reply depends on the order it is given, by chance. Orders that come twice would agree, and look too alike."""
    items = [episodes.Item(f"i/{i}", "", "", "") for i in range(k)]
    ps = []
    for trial in range(150):
        tables = []
        for number in range(3):
            episode = episodes.Episode("w", str(number), worlds.FORMS["linear"], {}, [])
            orders = episodes.draw_orders(episode, items, trial, 0, 10)
            assert len(orders) == count
            columns = [seeds.uniforms(trial, number, *(x.id for x in order), n=30) < 0.6 for order in orders]
            tables.append(np.array(columns, float).T)
        ps.append(measures.split_spread(tables, trial, resamples=200).p)
    assert 0.44 < np.mean(ps) < 0.57 and np.mean(np.array(ps) < 0.05) < 0.1


def test_spread_of_orders_that_differ():
    table = np.zeros((12, 10))
    table[:, :5] = 1.0
    spread = measures.split_spread([table], 1)
    assert spread.gap == 1.0 and spread.p < 0.01 and spread.excess > 0.4
    still = measures.split_spread([np.tile(np.array([[1.0], [0.0]]), (3, 4))], 1)
    assert still.observed == still.floor == still.gap == 0 and still.p == 1.0


def test_tables_of_sets_and_orders():
    rows = [
        make_row(f"q/{q}", 4, (q + s + o) % 2 == 0, s, o)
        for q in range(3)
        for s, o in ((0, 0), (1, 0), (2, 0), (0, 1), (0, 2))
    ]
    (sets,) = measures.tabulate(rows, 4, "set_seed")
    (orders,) = measures.tabulate(rows, 4, "order_seed")
    assert sets.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]] and orders.shape == (3, 2)
    assert measures.tabulate(rows, 8, "order_seed") == []


def test_crossing():
    curve = {"0": [0.6], "1": [0.4], "2": [0.55], "4": [0.7]}
    assert measures.find_crossing(curve) == 2 and measures.find_crossing({"0": [0.5]}) is None


def test_likelihood_and_accuracy_are_those_of_the_same_replies():
    figures = ((0, False, 3.0), (1, False, 1.0), (2, True, 2.0))
    rows = [make_row("q", k, correct, nll=nll) for k, correct, nll in figures]
    said = measures.compare_nll(rows)
    assert said["nats"] == {"0": 3.0, "1": 1.0, "2": 2.0} and said["accuracy"] == {"0": 0.0, "1": 0.0, "2": 1.0}
    assert (said["best_k"], said["peak_k"], said["agrees"]) == (1, 2, False)
    others = [make_row("q", k, k == 1, set_seed) for k in (1, 2) for set_seed in (1, 2, 3)]
    assert measures.compare_nll(rows + others) == said, "sets without a likelihood decide nothing"
    equal = [make_row("q", k, True, nll=nll) for k, _, nll in figures]
    assert measures.compare_nll(equal)["agrees"], "accuracy is as high there as anywhere"
    assert measures.compare_nll([make_row("q", 1, True)]) == {}
