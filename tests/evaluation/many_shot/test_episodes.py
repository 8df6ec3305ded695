"""Shots: nested sets, orders, leaks, what an arm shows, and replies that repeat their prompt."""

import pytest

from stages.evaluation.many_shot import benchmark, episodes
from stages.evaluation.many_shot.episodes import Group, Item
from stages.lib.core.errors import UserError
from stages.lib.models.prompts import Prompt
from tests.helpers import tiny_models

ARMS = ["gold", "reinforced", "unsupervised", "answers"]
POOL = [tiny_models.make_problem(i, "verifier") for i in range(20)]
QUERIES = [tiny_models.make_problem(i, "test") for i in range(40, 44)]
SAMPLES = {
    problem.id: [
        tiny_models.make_sample(problem, 0, 1),
        tiny_models.make_sample(problem, 1, 0, "length" if i % 4 == 1 else "stop"),
        tiny_models.make_sample(problem, 2, -1 if i % 2 else 0),
    ]
    for i, problem in enumerate(POOL)
}


def make_episode(pool=POOL, examples=1):
    return benchmark.make_episode(pool, QUERIES, ARMS, benchmark.choose_own(SAMPLES, 1), Prompt(), examples)


def select(episode, arm, k, set_seed=0, order=0):
    shots = episodes.rank_pool(episode, arm, 1, set_seed)[:k]
    return episodes.draw_orders(episode, shots, 1, set_seed, order)[-1] if order else shots


def write(episode, arm, k):
    shots = select(episode, arm, k)
    return episodes.write_prompt(Group(episode, arm, k, 0, 0, shots), episode.queries[0])


def test_k_shots_are_the_first_of_2k():
    episode = make_episode()
    for arm in ("gold", "reinforced", "answers"):
        texts = [write(episode, arm, k)[0] for k in (0, 1, 2, 4, 8)]
        for fewer, more in zip(texts, texts[1:], strict=False):
            assert more.startswith(fewer) and len(more) > len(fewer)
    sets = [[shot.id for shot in select(episode, "gold", 8, i)] for i in range(5)]
    assert len({tuple(ids) for ids in sets}) == 5


def test_the_order_of_the_pool_does_not_matter():
    items = make_episode().pools["gold"]
    one, other = (episodes.Episode("w", "e", None, {"gold": pool}, []) for pool in (items, items[::-1]))
    for order in (0, 3):
        first, second = (select(x, "gold", 8, 0, order) for x in (one, other))
        assert first == second


def test_another_order_has_the_same_shots():
    episode = make_episode()
    orders = [tuple(x.id for x in select(episode, "gold", 8, 0, order)) for order in range(11)]
    assert len({*orders}) == 11 and len({tuple(sorted(ids)) for ids in orders}) == 1


@pytest.mark.parametrize(("k", "count"), [(1, 1), (2, 2), (3, 6), (4, 10), (8, 10)])
def test_orders_all_differ_and_more_add_to_them(k, count):
    episode = make_episode()
    for set_seed in range(5):
        shots = select(episode, "gold", k, set_seed)
        orders = episodes.draw_orders(episode, shots, 1, set_seed, 10)
        assert len(orders) == len({tuple(x.id for x in order) for order in orders}) == count
        assert all(sorted(order) == sorted(shots) for order in orders)
        assert all(episodes.draw_orders(episode, shots, 1, set_seed, n) == orders[:n] for n in range(count))


@pytest.mark.parametrize("name", ["the query", "its variant", "its question in other spaces"])
def test_a_query_in_the_pool_is_never_a_shot(name):
    query = QUERIES[1]
    planted = {
        "the query": query,
        "its variant": query.model_copy(update={"id": f"{query.id}~numbers", "question": "Another one?"}),
        "its question in other spaces": query.model_copy(
            update={"id": "sums/verifier/900", "question": query.question.upper().replace(" ", "  ")}
        ),
    }[name]
    episode = make_episode([planted, *POOL])
    assert episode.leaks == 1
    for arm in ("gold", "unsupervised", "answers"):
        items = episode.pools[arm]
        assert planted.id not in {item.id for item in items} and len(items) == 19
    last = make_episode([*POOL, planted])
    assert planted.id not in {item.id for item in last.examples}, "nor does it show the form of an answer"


def test_reinforced_shots_are_right_whole_and_one_a_question():
    own = benchmark.choose_own(SAMPLES, 1)
    for problem_id, text in own.items():
        assert any(sample.is_right for sample in SAMPLES[problem_id] if sample.text == text)
    assert {POOL[i].id for i in range(20) if i % 4 != 1} == {*own}, "others have no right and finished sample"
    items = make_episode(examples=0).pools["reinforced"]
    assert len({item.id for item in items}) == len(items) == 15
    assert {item.solution + "\n" for item in items} == {*own.values()}


def test_unsupervised_shots_hold_no_answer():
    episode = make_episode(examples=0)
    text, _ = write(episode, "unsupervised", 8)
    shots = select(episode, "unsupervised", 8)
    assert all(shot.question in text for shot in shots)
    assert "####" not in text and "Answer" not in text and not any(shot.solution in text for shot in shots)
    shown, _ = write(make_episode(examples=1), "unsupervised", 4)
    assert shown.count("####") == 1 and shown.rindex("####") > max(shown.index(x.question) for x in shots[:1])


def test_answers_alone():
    text, opening = write(make_episode(), "answers", 4)
    assert text.count("#### ") == 4 and "<<" not in text and "=" not in text
    assert opening == f"Question: {QUERIES[0].question}\nAnswer:\n"


def test_turns_say_what_one_message_says():
    episode = make_episode()
    for arm, k in (("gold", 4), ("answers", 4), ("unsupervised", 4), ("gold", 0)):
        group = Group(episode, arm, k, 0, 0, select(episode, arm, k))
        turns = episodes.write_turns(group, episode.queries[0])
        text = "".join(episodes.write_prompt(group, episode.queries[0]))
        assert len(turns) == (3 if arm == "unsupervised" else 2 * k + 1) and all(turns)
        assert "".join("".join(turns).split()) == "".join(text.split())
        if arm == "unsupervised":
            assert all(shot.question in turns[0] for shot in group.shots) and "####" in turns[1]
        else:
            assert [turn + "\n" for turn in turns[1::2]] == [shot.solution + "\n" for shot in group.shots]


def test_k_doubles_up_to_what_the_pool_holds():
    assert episodes.list_counts(40) == [0, 1, 2, 4, 8, 16, 32] and episodes.list_counts(1) == [0, 1]
    groups = episodes.plan_groups(make_episode(), 64, sets=3, orders=2, order_shots=4, seed=1)
    assert max(group.k for group in groups if group.arm == "gold") == 16
    assert max(group.k for group in groups if group.arm == "reinforced") == 8
    assert len({group.id for group in groups}) == len(groups)
    assert sum(group.order_seed > 0 for group in groups) == 2


def test_a_repeated_prompt_is_no_answer():
    query, shots = "3 7 ->", ["1 2 ->", "4 4 ->"]
    prompt = "1 2 -> A\n4 4 -> B\n3 7 ->"
    assert episodes.remove_echo(prompt, query, shots) == ""
    assert episodes.remove_echo(prompt + " B\n", query, shots) == " B\n"
    assert episodes.remove_echo("1 2 -> A\n4 4 -> B\n", query, shots) == "", "the shots alone"
    assert episodes.remove_echo(" A\n4 4 -> B", query, shots) == " A\n"
    assert episodes.remove_echo("the letter is B", query, shots) == "the letter is B"
    assert episodes.remove_echo("> 3 7 -> B", query, shots) == " B"
    assert episodes.remove_echo("I cannot complete 3 7 -> B", query, shots) == "I cannot complete 3 7 -> B"
    assert episodes.remove_echo("It is A.\nLike 4 4 -> B", query, shots) == "It is A.\nLike "


def test_another_opening_that_ends_like_the_query_is_no_copy_of_it():
    assert episodes.remove_echo("13 -> 5\n7 -> 2\n", "3 ->", ["13 ->", "7 ->"]) == ""
    assert episodes.remove_echo("-3 -> 5\n0.3 -> 2\n2 3 -> 1", "3 ->", []) == "-3 -> 5\n0.3 -> 2\n2 3 -> 1"
    assert episodes.remove_echo(" 13", "3", ["1"]) == " 13"
    question = "How many are 3 and 4?"
    assert episodes.remove_echo(f"Question: {question}\nAnswer:\n7", question, ["How many?"]) == "\nAnswer:\n7"


def test_shots_at_the_query_itself_are_no_answer_when_they_are_repeated():
    shots = ["13 ->", "3 ->", "7 ->"]
    text = "13 -> 5\n3 -> 2\n7 -> 1\n"
    assert episodes.remove_echo(text, "3 ->", shots) == ""
    assert episodes.remove_echo(f"{text}3 -> 4", "3 ->", shots) == " 4"
    assert episodes.remove_echo("3 -> 4", "3 ->", shots) == " 4"


def test_an_arm_without_items_is_an_error():
    with pytest.raises(
        UserError, match=r"many_shot.arms: reinforced has no items among 19 problems; raise many_shot.pool"
    ):
        benchmark.make_episode(POOL, QUERIES, ARMS, {}, Prompt(), 1)
    item = Item("a/b/1", "q", "s", "1")
    assert episodes.drop_leaks([item], [item._replace(id="c")]) == []
