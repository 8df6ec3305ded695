"""Stage adaptation with a paraphraser: what it may change, what is counted, what the arms share, what is asked again."""

import json

import pytest

from stages.generators.adaptation import __main__ as adaptation
from stages.generators.adaptation import rewording, world
from stages.lib import chat
from stages.lib.core.errors import UserError
from tests.generators.test_adaptation import make_params, make_parents, plant_accuracies, read_outputs, write_inputs
from tests.helpers import tiny_models
from tests.helpers.chat_server import serve


def reword(prompt):
    """Another first sentence and nothing else: numbers and what is asked for stay."""
    return f"<<<Please consider this. {read_question(prompt)}>>>"


def read_question(prompt):
    return prompt.split("\n\n")[1]


def get_settings(server, **more):
    return {"model": "m", "base_url": server.url, "key_env": None, "threads": 1, "tries": 1, "backoff": 0.01, **more}


@pytest.fixture(scope="module")
def items():
    return make_parents("verifier", 8)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("I am sorry, I cannot help with that.", "nothing between <<< and >>>"),
        ("<<<>>>", "nothing between <<< and >>>"),
        ("silent", "no answer"),
        ("broken", "no answer"),
        ("cut off: <<<Please consider this.>>>", "the reply was cut off"),
        (lambda prompt: f"<<<{read_question(prompt)}>>>", "the question is not new"),
        (lambda prompt: f"<<<{read_question(prompt)} There are 9731 of them.>>>", "the numbers changed"),
        (lambda prompt: f"<<<{'Well, ' * 300}{read_question(prompt)}>>>", "the text is far longer"),
        ("<<<Bananas are yellow and taste sweet.>>>", "the numbers changed"),
    ],
)
def test_a_text_that_is_no_rewording_leaves_the_problem_its_words(items, tmp_path, reply, reason):
    with serve(reply) as server:
        talk = chat.create("openai", tmp_path, **get_settings(server))
        told = rewording.reword(items[:2], talk, [])
    assert told.texts == {} and told.kept == {reason: 2}
    assert [told.apply(item) for item in items] == items


def test_a_good_text_replaces_the_question_alone(items, tmp_path):
    with serve(reword) as server:
        talk = chat.create("openai", tmp_path, **get_settings(server))
        told = rewording.reword(items, talk, [])
        taken = [world.normalise(told.apply(items[0]))]
        again = rewording.reword(items[::-1], talk, taken)
        assert len(server.requests) == len(items), "answers are stored"
    assert told.describe() == {"reworded": 8, "kept": {}}
    for item in items:
        changed = told.apply(item)
        assert changed.question == f"Please consider this. {item.question}" and changed.program is None
        assert changed.model_copy(update={"question": item.question, "program": item.program}) == item
    assert again.kept == {"the question is not new": 1} and items[0].id not in again.texts
    options = items[0].model_copy(update={"choices": ["1", "2"]})
    assert rewording.reword([options], talk, []).kept == {"choices or tests belong to the question": 1}


@pytest.mark.slow
def test_arms_learn_the_same_texts_and_a_killed_run_asks_nothing_twice(tmp_path, monkeypatch):
    plant_accuracies(monkeypatch)
    root, asked = write_inputs(tmp_path), []

    def answer(prompt):
        asked.append(prompt)
        return "No." if len(asked) % 3 == 0 else reword(prompt)

    plain = tiny_models.make_run(root, "adaptation", make_params(rounds=1))
    plain.key = "plain"
    adaptation.body(plain)
    unworded = read_outputs(plain)
    with serve(answer) as server:
        run = tiny_models.make_run(
            root,
            "adaptation",
            make_params(rounds=1, paraphraser={"kind": "openai", "settings": get_settings(server)}),
        )
        run.key = "worded"
        adaptation.body(run)
        num_asked, outputs = len(server.requests), read_outputs(run)
        for file in run.checkpoint_dir.glob("rewording-*.json"):
            file.unlink()  # as if killed before it was written
        adaptation.body(run)
        assert len(server.requests) == num_asked and read_outputs(run) == outputs
    results, before = json.loads(outputs["results.json"]), json.loads(unworded["results.json"])
    [about], [other] = results["rounds"], before["rounds"]
    told = about.pop("rewording")
    assert about == other, "what is probed and planned, and the number of tokens, stay"
    assert told["reworded"] + sum(told["kept"].values()) == num_asked > told["reworded"] > 0
    assert told["kept"] == {"nothing between <<< and >>>": num_asked // 3}
    rows = [json.loads(line) for line in outputs["train.jsonl"].splitlines()]
    plain_rows = [json.loads(line) for line in unworded["train.jsonl"].splitlines()]
    assert sum("original" in row for row in rows) == told["reworded"]
    for row, old in zip(rows, plain_rows, strict=True):
        assert (row["id"], row["arms"], row["steps"]) == (old["id"], old["arms"], old["steps"])
        assert row.get("original", row["question"]) == old["question"]
        assert ("original" in row) == row["question"].startswith("Please consider this.")
    assert outputs["model/model.safetensors"] != unworded["model/model.safetensors"]
    assert f"The paraphraser put {told['reworded']} new problems of round 1" in outputs["report.md"].decode()


def test_a_paraphraser_without_a_model_is_refused_before_anything_is_drawn(tmp_path):
    run = tiny_models.make_run(tmp_path, "adaptation", make_params(paraphraser={"kind": "openai"}))
    with pytest.raises(UserError, match="settings of the openai chat"):
        adaptation.body(run)
