"""The whole stage: models whose behaviour is known give exactly the known result; then tiny models and what stops them."""

import json
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.neighbors import KNeighborsClassifier

from stages.evaluation.many_shot import __main__ as stage
from stages.lib.core import records
from stages.lib.core.errors import UserError
from tests.helpers import chat_server, tiny_models

TRAINING = [
    {"kind": "linear", "sizes": [2], "steps": 3, "batch": 2, "shots": 6},
    {"kind": "modular", "sizes": [3, 5], "steps": 3, "batch": 2, "shots": 6},
]
WORLDS = {"linear_2": {"kind": "linear", "size": 2}, "modular_4": {"kind": "modular", "size": 4}}
NUMERIC = dict(
    worlds=WORLDS,
    model="episodes",
    training=TRAINING,
    functions=2,
    queries=3,
    max_shots=8,
    order_shots=4,
    max_new_tokens=1,
)
SETTINGS = dict(
    arms=["gold", "reinforced", "unsupervised", "answers"],
    pool=12,
    queries=3,
    max_shots=2,
    examples=1,
    order_shots=2,
    sets=2,
    orders=3,
    model="data/generator/model",
    max_new_tokens=6,
    max_rows=64,
    dtype="float32",
    agent={"kind": "rules"},
    turns=False,
    numeric=NUMERIC,
)


def run(root, numeric=None, **changes):
    params = stage.Params(**SETTINGS | {"numeric": NUMERIC | (numeric or {})} | changes)
    return stage.body(tiny_models.make_run(root, "many_shot", params))


def read_results(root):
    return json.loads((root / "data/many_shot/results.json").read_text())


def read_rows(root):
    return pq.read_table(root / "data/many_shot/rows.parquet").to_pylist()


def name_agent(server):
    return {"kind": "openai", "settings": {"model": "m", "base_url": server.url, "key_env": None}}


@pytest.fixture
def ask(tmp_path):
    """Runs the stage with a server that answers by a function of the prompt, on numeric worlds alone."""

    def ask_server(answer, numeric=None, count=lambda prompt: (len(prompt), 0), **changes):
        with chat_server.serve(answer, count=count, all_turns=True) as server:
            return run(tmp_path, numeric, **{"arms": [], "agent": name_agent(server)} | changes), server

    return ask_server


def parse(prompt):
    """(points, labels, query) of a numeric prompt, in one message or in turns."""
    shots = re.findall(r"^([\d ]+) ->\s(\w+)$", prompt, re.MULTILINE)
    points = [tuple(map(int, point.split())) for point, _ in shots]
    return points, [label for _, label in shots], tuple(map(int, prompt.splitlines()[-1].removesuffix(" ->").split()))


def answer_nearest(prompt):
    points, labels, query = parse(prompt)
    if not points:
        return "I refuse."
    model = KNeighborsClassifier(min(5, len(points)), algorithm="brute").fit(np.array(points, float), labels)
    return str(model.predict(np.array([query], float))[0])


@pytest.mark.parametrize("turns", [False, True])
def test_a_model_that_asks_the_nearest_shots_is_exactly_that_oracle(ask, tmp_path, turns):
    worlds = {**WORLDS, "parity_4": {"kind": "parity", "size": 4}}
    _, server = ask(answer_nearest, {"worlds": worlds, "model": "folder", "max_shots": 16}, turns=turns)
    for own in read_results(tmp_path)["worlds"].values():
        assert own["curve"]["0"][0] == 0 and {*own["curve"]} == {*map(str, (0, 1, 2, 4, 8, 16))}
        assert {k: value for k, value in own["curve"].items() if k != "0"} == own["oracles"]["knn"]
        assert own["unfinished"] == 0
    for row in read_rows(tmp_path):
        assert row["order_seed"] or not row["k"] or row["correct"] == ("knn" in row["oracles"])
    talks = [[turn["role"] for turn in body["messages"]] for body in server.requests]
    assert {len(talk) for talk in talks} == ({1, 3, 5, 9, 17, 33} if turns else {1})
    assert all(talk == ["user", "assistant"] * (len(talk) // 2) + ["user"] for talk in talks)


def get_query(prompt):
    return prompt.splitlines()[-1].removesuffix(" ->")


@pytest.mark.parametrize(
    "answer",
    [
        lambda prompt: prompt,
        lambda prompt: f"Sure: {prompt}",
        lambda prompt: "".join(f"> {line}\n" for line in prompt.splitlines()),
        lambda prompt: "I refuse.",
        lambda prompt: f"Sorry, I cannot tell the value of {get_query(prompt)}.",
        lambda prompt: f"I cannot complete {get_query(prompt)} -> A",
        lambda prompt: f"I cannot determine what comes after {get_query(prompt)}",
        lambda prompt: "I cannot decide between A and B, nor between 0 and 1.",
        lambda prompt: f"{get_query(prompt)} -> I cannot decide between 0 and\n1",
        lambda prompt: f"{get_query(prompt)} -> ?\nA\nB\n0\n1",
        lambda prompt: "%$ ?\nA B 1 2",
    ],
)
def test_a_model_that_echoes_refuses_or_raves_is_never_right(ask, tmp_path, answer):
    worlds = {**WORLDS, "parity_4": {"kind": "parity", "size": 4}}
    ask(answer, {"worlds": worlds, "model": "folder", "max_shots": 4})
    rows = read_rows(tmp_path)
    assert rows and not any(row["correct"] or row["answer"] for row in rows), "least of all with a shot's answer"
    for name, own in read_results(tmp_path)["worlds"].items():
        assert own["unreadable"] == own["replies"], name


def test_a_model_that_repeats_the_shots_alone_is_never_right(ask, tmp_path):
    ask(lambda prompt: prompt[: prompt.rindex("\n")] + "\n")
    for row in read_rows(tmp_path):
        assert not row["correct"] or row["seen"] and row["k"] < 4, (
            "a line about the query's own point may be its answer"
        )


def test_random_labels_cannot_be_learned(ask, tmp_path):
    worlds = {"coins": {"kind": "linear", "size": 2, "labels": "random"}}
    ask(answer_nearest, {"worlds": worlds, "functions": 40, "queries": 8, "max_shots": 4}, sets=1, orders=0)
    own = read_results(tmp_path)["worlds"]["coins"]
    for curve in (own["curve"], own["oracles"]["bayes"]):
        mean, low, high = curve["4"]
        assert low < 0.5 < high and abs(mean - 0.5) < 0.1


def test_costs_are_counted_and_answers_kept(ask, tmp_path):
    asked = len(ask(answer_nearest, count=lambda prompt: (len(prompt), len(prompt) // 2))[1].requests)
    rows = read_rows(tmp_path)
    assert all(row["tokens"] > 0 and row["cached"] == row["tokens"] // 2 for row in rows)
    figures = read_results(tmp_path)
    said, sent = figures["requests"], {row["prompt"]: row for row in rows}.values()
    assert said == {
        "temperature": 0.0,
        "max_tokens": 1500,
        "requests": asked,
        "tokens_in": sum(row["tokens"] for row in sent),
        "tokens_reused": sum(row["cached"] for row in sent),
        "tokens_out": 5 * asked,
        "counted": True,
    }
    assert 0 < asked == len(sent) <= len(rows), "equal prompts are sent once"
    for name, own in figures["worlds"].items():
        tokens = [row["tokens"] for row in rows if (row["world"], row["k"], row["order_seed"]) == (name, 4, 0)]
        assert own["tokens"]["4"] == pytest.approx(np.mean(tokens)) and own["cached"]["4"] > 0
    text = (tmp_path / "data/many_shot/report.md").read_text()
    assert f"Chat model: {asked:,} requests, " in text and "| linear_2, cached |" in text


def test_settings_say_how_a_chat_is_asked(ask, tmp_path):
    with chat_server.serve(answer_nearest, all_turns=True) as server:
        agent = name_agent(server)
        agent["settings"] |= {"temperature": 0.3, "max_tokens": 9}
        run(tmp_path, {"worlds": {"m": WORLDS["modular_4"]}}, arms=[], agent=agent)
    assert {(body["temperature"], body["max_tokens"]) for body in server.requests} == {(0.3, 9)}
    assert "temperature 0.3 for 9 tokens" in (tmp_path / "data/many_shot/report.md").read_text()


def test_replies_that_were_cut_off_are_counted_and_wrong_unless_their_answer_is_whole(ask, tmp_path):
    def answer(prompt):
        points, _, _ = parse(prompt)
        nearest = answer_nearest(prompt)
        return {1: f"cut off: {nearest}", 2: f"cut off: The answer is {nearest}.\nand so"}.get(len(points), nearest)

    ask(answer)
    rows = read_rows(tmp_path)
    assert {row["k"] for row in rows if not row["finished"]} == {1, 2}
    for row in rows:
        if not row["order_seed"] and row["k"]:
            assert (row["answer"] is None) == (row["k"] == 1) and row["correct"] == (
                "knn" in row["oracles"] and row["k"] > 1
            )
    own = read_results(tmp_path)["worlds"]["linear_2"]
    assert own["unfinished"] == sum(not row["finished"] for row in rows if row["world"] == "linear_2")
    assert "Replies cut off at the limit of tokens: linear_2" in (tmp_path / "data/many_shot/report.md").read_text()


def test_a_reply_of_the_other_kind_of_world_is_unreadable_and_counted(ask, tmp_path):
    def answer(prompt):
        points, _, _ = parse(prompt)
        nearest = answer_nearest(prompt)
        said = {"A": "1", "B": "0"}.get(nearest, "A") if len(points) == 2 else nearest
        return f"{get_query(prompt)} -> {said}"

    ask(answer)
    rows = read_rows(tmp_path)
    assert all((row["answer"] is None) == (row["k"] == 2) for row in rows if row["k"] and row["world"] == "linear_2")
    for row in rows:
        if row["k"] not in (0, 2) and not row["order_seed"]:
            assert row["correct"] == ("knn" in row["oracles"]), "and the query's own number is no answer"
    own = read_results(tmp_path)["worlds"]["linear_2"]
    assert own["unreadable"] == sum(row["answer"] is None for row in rows if row["world"] == "linear_2") > 0
    assert f"linear_2 {own['unreadable']} of {own['replies']}" in (tmp_path / "data/many_shot/report.md").read_text()


@pytest.mark.parametrize("tokens", [0, 10])
def test_a_server_that_counts_nothing_is_no_server_that_cuts(ask, tmp_path, tokens):
    ask(answer_nearest, count=lambda prompt: (tokens, 0))
    assert not read_results(tmp_path)["requests"]["counted"]
    text = (tmp_path / "data/many_shot/report.md").read_text()
    assert "gives every prompt the same count of tokens, so a prompt that it cut is not seen" in text


def test_a_server_that_cuts_prompts_is_found_out(ask, tmp_path):
    with pytest.raises(UserError, match=r"\d+ shots took 50 tokens and \d+ took 50, so the prompt was cut"):
        ask(lambda prompt: "A", count=lambda prompt: (min(50, len(prompt) // 2), 0), numeric={"max_shots": 16})
    assert not (tmp_path / "data/many_shot/rows.parquet").exists()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    from stages.generators.base.tokenizer import build_tokenizer
    from stages.lib.models import loading
    from stages.lib.models.prompts import Prompt

    folder = tmp_path_factory.mktemp("workspace")
    tokenizer = build_tokenizer()
    loading.save(tiny_models.make_model("qwen2", len(tokenizer)), tokenizer, folder / "data/generator/model")
    Prompt(marked=True).write(folder / "data/generator/prompt.json")
    for split, numbers in (("verifier", range(20)), ("test", range(40, 46))):
        problems = [tiny_models.make_problem(i, split) for i in numbers]
        records.write_problems(folder / f"data/benchmarks/{split}.jsonl", problems)
        pool = [tiny_models.make_sample(problem, i, i % 2) for problem in problems for i in range(2)]
        records.write_samples(folder / f"data/samples/{split}.parquet", pool)
    return folder


def test_the_whole_stage(root):
    metrics = run(root)
    out = root / "data/many_shot"
    figures, rows = read_results(root), read_rows(root)
    assert {*metrics["accuracy"]} == {*WORLDS} == {*metrics["bayes"]} and {*metrics["peak_k"]} == {*SETTINGS["arms"]}
    assert figures["worlds"]["modular_4"]["held_out"] and not figures["worlds"]["linear_2"]["held_out"]
    assert {row["k"] for row in rows if row["world"] == "benchmark"} == {0, 1, 2}
    assert sum(row["order_seed"] > 0 for row in rows) == 2 * 3 + 2 * 3 * 2 * 3, "two shots have two orders"
    for row in rows:
        assert (row["gold_nll"] is None) == bool(row["order_seed"]) and len(row["shots"]) == row["k"]
        assert not {*row["shots"]} & {row["query"]} and not (row["seen"] and row["world"] != "modular_4")
    seen = [row["seen"] for row in rows if row["world"] == "modular_4" and row["k"] == 8 and not row["order_seed"]]
    assert figures["worlds"]["modular_4"]["seen"]["8"] == np.mean(seen) > 0.5
    text = (out / "report.md").read_text()
    assert "resamples the 2 functions of a world and the 3 problems of the benchmark; of fewer than 20 it is" in text
    assert "Queries of the benchmark share 2 sets of shots: its intervals and its best K are those of other" in text
    assert "gold: the shots have only 2 orders, and all were shown" in text and "| 3 orders |" in text
    assert "Shots may hold a query's own point in modular_4, which" in text and "own point is among the K shots" in text
    assert (
        "learned from episodes of 6 values, so at most 5 came before one: an error at K = 8 may be one of length"
        in text
    )
    assert "modular_4 (held out)" in text and "The best K" in text and (out / "curves.png").stat().st_size > 10000
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (root / ".checkpoints").rename(root / "before")
    run(root)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    run(root, max_rows=16)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before, "and with what a killed run has kept"


def test_the_likelihood_of_a_gold_solution_is_that_of_one_forward_pass(root):
    import torch

    from stages.evaluation.many_shot import answering, worlds
    from stages.evaluation.many_shot.episodes import Group
    from stages.lib.inference import engines
    from stages.lib.models.encoding import Encoder
    from stages.lib.models.prompts import Prompt

    folder = root / "data/generator/model"
    engine = engines.make_engine("native", folder, 64)
    reader = answering.FolderReader(Encoder.load(folder, Prompt()), engine, 4, "many_shot")
    episode = worlds.make_episode(worlds.World(kind="linear", size=2), "w", 0, 8, 4, 1)
    group = Group(episode, "gold", 4, 0, 0, episode.pools["gold"][:4])
    for query, nats in zip(episode.queries, reader.measure_nll(group), strict=True):
        ids, gold = reader.encode(group, [query])[0], reader.encoder.encode_texts([f" {query.solution}"])[0]
        with torch.no_grad():
            logprobs = engine.model(torch.tensor([ids + gold])).logits[0].log_softmax(-1)
        expected = -sum(float(logprobs[len(ids) + i - 1, token]) for i, token in enumerate(gold))
        assert nats == pytest.approx(expected, abs=1e-3)


def test_a_prompt_that_does_not_fit_is_an_error(root):
    shutil.rmtree(root / ".checkpoints", ignore_errors=True)
    with pytest.raises(
        UserError, match=r"sums/test/04\d after \d shots: \d+ tokens of prompt and .*prompts are not cut"
    ):
        run(root, numeric={"worlds": {}}, max_shots=8, max_new_tokens=40000)


def test_without_a_limit_k_doubles_while_every_prompt_fits(root):
    shutil.rmtree(root / ".checkpoints", ignore_errors=True)
    config = root / "data/generator/model/config.json"
    whole = config.read_text()
    run(root, numeric={"worlds": {}}, max_shots=8, queries=2, sets=1, orders=0)
    rows = read_rows(root)
    tokens = {
        (row["arm"], row["k"]): max(x["tokens"] for x in rows if (x["arm"], x["k"]) == (row["arm"], row["k"]))
        for row in rows
    }
    room = tokens["answers", 8]
    shutil.rmtree(root / ".checkpoints", ignore_errors=True)
    config.write_text(json.dumps(json.loads(whole) | {"max_position_embeddings": room + SETTINGS["max_new_tokens"]}))
    try:
        run(root, numeric={"worlds": {}}, max_shots=None, queries=2, sets=1, orders=0)
    finally:
        config.write_text(whole)
    expected = {place for place, count in tokens.items() if count <= room}
    assert {(row["arm"], row["k"]) for row in read_rows(root)} == expected
    assert ("answers", 8) in expected and ("gold", 8) not in expected, "shorter shots leave room for more"


def test_a_chat_has_its_own_reinforced_shots(root):
    def answer(prompt):
        question = prompt.rpartition("Question: ")[2]
        a, b = map(int, re.findall(r"\d+", question))
        return f"It is {a + b}.\n#### {a + b if a > 2 else 0}"

    shutil.rmtree(root / ".checkpoints", ignore_errors=True)  # what other parameters kept: here all runs have one key
    with chat_server.serve(answer, count=lambda prompt: (len(prompt), 0)) as server:
        run(root, numeric={"worlds": {}}, agent=name_agent(server), examples=0)
        count, before = len(server.requests), read_results(root)
        own = {
            "requests": count,
            "tokens_out": 5 * count,
            "tokens_in": sum(map(len, chat_server.get_prompts(server.requests))),
        }
        assert own.items() <= before["requests"].items(), "with what was asked for the reinforced arm"
        run(root, numeric={"worlds": {}}, agent=name_agent(server), examples=0)
        assert len(server.requests) == count and read_results(root) == before, "answers are cached, and cost the same"
        prompts = chat_server.get_prompts(server.requests)
    assert any("It is" in prompt for prompt in prompts) and not any("#### 0" in prompt for prompt in prompts)
    figures = read_results(root)["arms"]
    right = [row["correct"] for row in read_rows(root) if row["arm"] == "gold" and not row["k"]]
    assert all(own["curve"][k][0] == np.mean(right) for own in figures.values() for k in own["curve"])


def test_studies_compares_orders_and_its_prompts_fit():
    from ruamel.yaml import YAML

    from stages.commands import preset
    from stages.evaluation.many_shot import benchmark, episodes
    from stages.generators.base.tokenizer import build_tokenizer
    from stages.lib.models.prompts import Prompt
    from stages.lib.procedural import gradeschool

    document = YAML(typ="safe").load(preset.stack_presets(["studies"]))
    params, knobs, tokenizer = (
        stage.Params(**document["many_shot"]),
        document["benchmarks"]["bundled"],
        build_tokenizer(),
    )
    assert params.order_shots <= params.max_shots

    def count(text):
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    longest = []
    for seed in range(5):
        problems = [gradeschool.generate_problems(split, params.pool, seed, **knobs) for split in ("verifier", "test")]
        episode = benchmark.make_episode(*problems, ["gold"], {}, Prompt(marked=True), 0)
        assert max(count(query.solution) for query in episode.queries) < params.max_new_tokens
        query = max(episode.queries, key=lambda item: count(item.question))
        groups = episodes.plan_groups(episode, params.max_shots, params.sets, 0, params.order_shots, seed)
        longest.append(max(count("".join(episodes.write_prompt(group, query))) for group in groups))
    assert 1400 < max(longest) < 2048 - params.max_new_tokens
    assert 2 * min(longest) > 2048, "twice as many do not fit"


def test_the_reinforced_arm_is_for_whoever_solved_its_shots():
    agent = {"kind": "openai", "settings": {}}
    for change in ({"model": "./data/generator/model/"}, {"agent": agent}, {"arms": ["gold"]}):
        stage.Params(**SETTINGS | {"model": "models/other"} | change)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"arms": ["gold", "gold"]}, "arms must differ"),
        ({"numeric": NUMERIC | {"training": TRAINING[:1]}}, "no model learns modular"),
        ({"numeric": NUMERIC | {"training": TRAINING[:1] * 2, "worlds": {}}}, "a kind comes twice"),
        ({"numeric": NUMERIC | {"worlds": {"benchmark": WORLDS["linear_2"]}}}, "is the name of the benchmark's"),
        ({"numeric": NUMERIC | {"worlds": {"m": {"kind": "modular", "size": 1}}}}, "a modulus of 2 or more"),
        ({"numeric": NUMERIC | {"worlds": {"p": {"kind": "parity", "size": 13}}}}, "at most 12 digits"),
        (
            {"numeric": NUMERIC | {"worlds": {"p": {"kind": "parity", "size": 3, "labels": "flipped"}}}},
            "a parity world has true labels",
        ),
        ({"turns": True}, "turns: true is for an agent"),
        ({"max_shots": None, "agent": {"kind": "openai", "settings": {}}}, "max_shots: null is for a model folder"),
        ({"model": "models/other"}, "reinforced shows solutions of data/generator/model, which are not those of model"),
        ({"arms": [], "numeric": NUMERIC | {"worlds": {}}}, "nothing to do"),
    ],
)
def test_settings_that_mean_nothing(change, reason):
    with pytest.raises(ValueError, match=reason):
        stage.Params(**SETTINGS | change)
