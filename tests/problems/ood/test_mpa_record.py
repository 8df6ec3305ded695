"""A reworded item proves itself: its record alone is enough to find a wrong key, number, option or origin."""

import pytest
from typer.testing import CliRunner

from stages.commands import verify_items
from stages.lib import chat
from stages.lib.core import records
from stages.lib.procedural.gradeschool import generate_problems as gradeschool
from stages.problems.ood import mpa
from stages.problems.ood.mpa import agents, pipeline, principles
from tests.helpers import planted_faults
from tests.helpers.chat_server import serve
from tests.helpers.mpa_items import ROOT, load_published, make_item, make_open_item, make_variant, model, requires_files  # noqa: F401


def test_the_record_holds_what_it_was_made_from(model):  # noqa: F811
    parent = make_item(4)
    assert make_variant(parent, "permute").program.params["paraphraser"] == "rules"
    variant = make_variant(parent, "all", model, seed=3)
    params = variant.program.params
    assert (params["seed"], params["paraphraser"]["model"]) == (3, "m")
    assert params["principles"] == list(principles.PRINCIPLES)
    assert mpa.restore_parent(variant) == parent and mpa.check(variant) == []
    key = parent.choices["ABCD".index(parent.answer)]
    assert params["origin"]["ABCDE".index(variant.answer)] == parent.choices.index(key)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*principles.PRINCIPLES, "all"])
def test_a_wrong_key_is_caught_in_every_principle(name, model):  # noqa: F811
    for i in range(12):
        variant = make_variant(make_item(i), name, model)
        for letter in "ABCDE"[: len(variant.choices)]:
            if letter != variant.answer:
                assert mpa.check(variant.model_copy(update={"answer": letter})), (name, i, letter)


def test_what_else_is_changed_after_the_fact_is_caught(model):  # noqa: F811
    story = make_variant(make_open_item("Tom buys 3 pens for $2. How many pens does he have?"), "question", model)
    quiz = make_variant(make_item(1), "newchoice+permute", model)
    params = quiz.program.params
    swapped = [*quiz.choices[1::-1], *quiz.choices[2:]]
    for broken in (
        story.model_copy(update={"answer": "5"}),
        story.model_copy(update={"question": story.question.replace("3", "4")}),
        story.model_copy(update={"question": story.question.replace("$2", "€2")}),
        story.model_copy(update={"operator": "mpa-context"}),
        quiz.model_copy(update={"choices": swapped}),
        quiz.model_copy(update={"choices": quiz.choices[:-1]}),
        quiz.model_copy(update={"program": quiz.program.model_copy(update={"params": {**params, "origin": [0]}})}),
        quiz.model_copy(update={"program": quiz.program.model_copy(update={"params": {}})}),
    ):
        assert mpa.check(broken)


@pytest.mark.parametrize("name", ["newchoice", "permute", "newchoice+permute", "all"])
def test_an_order_that_no_draw_gave_is_caught(name, model):  # noqa: F811
    variant = make_variant(make_item(7), name, model)
    origin, choices = variant.program.params["origin"], variant.choices
    turned = {"choices": [*choices[1:], choices[0]], "answer": "ABCDE"["ABCDE".index(variant.answer) - 1]}
    program = variant.program.model_copy(
        update={"params": variant.program.params | {"origin": [*origin[1:], origin[0]]}}
    )
    if variant.answer != "A":
        faults = mpa.check(variant.model_copy(update={**turned, "program": program}))
        assert faults == ["the options do not stand where their draws put them"]


def test_a_new_option_that_says_what_the_key_says_is_caught(model):  # noqa: F811
    variant = make_variant(make_item(2), "newchoice", model)
    place = variant.program.params["origin"].index(None)
    choices = [*variant.choices]
    choices[place] = "the answer “{}”".format(variant.choices["ABCDE".index(variant.answer)])
    assert mpa.check(variant.model_copy(update={"choices": choices}))


def test_verify_items_names_a_planted_wrong_key_and_a_wrong_parent(tmp_path, model):  # noqa: F811
    parent = gradeschool("test", 1, 1)[0]
    good = [make_variant(parent, "question", model), make_variant(make_item(5), "permute")]
    wrong = good[1].model_copy(update={"answer": next(c for c in "ABCD" if c != good[1].answer)})
    answer = str(int(parent.answer) + 1)  # changed in the variant and in the parent it carries
    params = good[0].program.params
    forged = good[0].model_copy(
        update={
            "answer": answer,
            "program": good[0].program.model_copy(
                update={"params": {**params, "parent": {**params["parent"], "answer": answer}}}
            ),
        }
    )
    assert [verify_items.verify(problem, {})[0] for problem in good] == ["verified", "verified"]
    assert verify_items.verify(wrong, {})[0] == "failed"
    assert "its parent: answer: not what its program gives" in verify_items.verify(forged, {})[1]
    records.write_problems(tmp_path / "items.jsonl", good)
    assert records.read_problems(tmp_path / "items.jsonl") == sorted(good, key=lambda problem: problem.id)


def test_a_model_is_named_without_its_address(tmp_path):
    with serve("<<<Among these, which is the tallest here?>>>", "<<<Yes>>>") as server:
        talking = chat.create("openai", tmp_path, model="m", base_url=server.url, key_env=None)
        (variant,), _ = pipeline.make_variants([make_item()], "question", agents.make_agents(talking, talking), 1)
    assert variant.program.params["paraphraser"]["model"] == "m" and server.url not in variant.model_dump_json()
    assert mpa.check(variant) == []


@requires_files
def test_rephrasings_that_nobody_here_wrote_measure_the_checks():
    problems = sorted(load_published("gsm8k", None), key=lambda problem: problem.id)
    rows = [row["text"] for _, row in records.iter_jsonl(ROOT / "rephrased/gsm8k_test_rephrased.jsonl")]
    pairs = [
        (problem, row.removeprefix("Question: ").partition("\nAnswer:")[0].strip())
        for problem, row in zip(problems, rows, strict=True)
        if row.rpartition("####")[2].strip() == problem.answer
    ]
    figures = planted_faults.measure_checks(pairs[:300], 1)
    assert figures["refused"] / figures["n"] < 0.35 and figures["recall"] > 0.75
    assert figures["by_fault"]["changed number"][0] >= 0.97 * figures["by_fault"]["changed number"][1]


def test_one_runs_the_command(tmp_path):
    import typer

    app = typer.Typer()
    app.command()(verify_items.verify_items)
    variant = make_variant(make_item(5), "permute")
    wrong = variant.model_copy(update={"answer": next(c for c in "ABCD" if c != variant.answer)})
    records.write_problems(tmp_path / "items.jsonl", [wrong])
    result = CliRunner().invoke(app, [str(tmp_path / "items.jsonl")])
    assert result.exit_code == 1 and wrong.id in result.output
