"""verify-items: every label that follows from a program is derived again; planted faults are named, exit status 1."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from stages.commands.verify_items import verify_items
from stages.lib.core.errors import UserError
from stages.lib.core.records import Program, write_problems
from stages.lib.operators import registry
from stages.lib.procedural import gradeschool, lifting
from tests.lib.procedural.test_lifting import CAKES, problem

ROOT = Path(__file__).parents[2]
PARENTS = gradeschool.generate_problems("test", 4, 5)
MADE = registry.make_variants(PARENTS, list(registry.OPERATORS), 3, largest=60)[0]
CAKE = problem(*CAKES)
LIFTED = CAKE.model_copy(
    update={"id": "gsm8k/test/0007", "program": Program(generator="lifted", version=1, params=lifting.lift(CAKE))}
)
ITEMS = [*PARENTS, *MADE, LIFTED]


def run(tmp_path, items, capsys):
    """(exit status, output) of the command on a file of items."""
    file = tmp_path / "items.jsonl"
    write_problems(file, items)
    try:
        verify_items([file])
        status = 0
    except typer.Exit as stop:
        status = stop.exit_code
    return status, capsys.readouterr().out


def test_sound_items_pass_and_are_counted(tmp_path, capsys):
    status, output = run(tmp_path, [*ITEMS, CAKE], capsys)
    assert status == 0
    assert output.splitlines()[-1].split() == ["total", str(len(ITEMS)), "0", "1"]


def test_another_solution_is_verified_line_by_line(tmp_path, capsys):
    parent = next(p for p in PARENTS if sum(step.text.startswith("We know") for step in p.steps) > 1)
    lines = sorted(parent.steps[:-1], key=lambda step: not step.text.startswith("We know"))
    steps = [lines[1], lines[0], *lines[2:], parent.steps[-1]]
    other = {"parent": parent.id, "contract": "preserving", "steps": steps}
    item = parent.model_copy(update={**other, "id": f"{parent.id}~answers1", "operator": "answers"})
    assert item.steps != parent.steps and run(tmp_path, [parent, item], capsys)[0] == 0
    wrong = [steps[0].model_copy(update={"text": steps[0].text.replace(steps[0].value, "999")}), *steps[1:]]
    status, output = run(tmp_path, [parent, item.model_copy(update={"steps": wrong})], capsys)
    assert status == 1 and f"{item.id}: steps: not all are true" in output
    status, output = run(tmp_path, [item.model_copy(update={"operator": "rephrase"})], capsys)
    assert status == 1 and "not what its program gives" in output


@pytest.mark.parametrize(
    "item", [PARENTS[0], LIFTED, *{v.operator: v for v in MADE}.values()], ids=lambda item: item.id
)
def test_a_planted_wrong_label_is_named(item, tmp_path, capsys):
    last = item.steps[-1]
    faulty = [
        item.model_copy(update={"answer": "4711"}),
        item.model_copy(update={"question": item.question + " Or not?"}),
        item.model_copy(
            update={"answer": "4711", "steps": [*item.steps[:-1], last.model_copy(update={"value": "4711"})]}
        ),
    ]
    faulty += [
        item.model_copy(
            update={"steps": [*item.steps[:i], step.model_copy(update={"value": "4711"}), *item.steps[i + 1 :]]}
        )
        for i, step in enumerate(item.steps)
    ]
    for wrong in faulty:
        status, output = run(tmp_path, [wrong], capsys)
        assert status == 1 and f"items.jsonl: {wrong.id}: " in output


def test_a_wrong_choice_key_is_named(tmp_path, capsys):
    item = CAKE.model_copy(update={"answer_type": "choice", "answer": "B", "choices": ["1", "2"], "steps": None})
    typo = registry.make_variants([item.model_copy(update={"benchmark": "mmlu"})], ["typos"], 1)[0][0]
    assert run(tmp_path, [typo], capsys)[0] == 0
    assert run(tmp_path, [typo.model_copy(update={"answer": "A"})], capsys)[0] == 1
    assert run(tmp_path, [item.model_copy(update={"answer": "C"})], capsys)[0] == 1


def test_a_variant_must_agree_with_its_parent_in_the_file(tmp_path, capsys):
    variant = next(v for v in MADE if v.contract == "preserving")
    parent = next(p for p in PARENTS if p.id == variant.parent)
    bare = {"program": None}
    assert run(tmp_path, [parent, variant.model_copy(update=bare)], capsys)[0] == 0
    wrong = variant.model_copy(update={**bare, "answer": "4711"})
    assert run(tmp_path, [parent, wrong], capsys)[0] == 1


def test_an_unknown_generator_is_no_pass(tmp_path, capsys):
    item = PARENTS[0].model_copy(update={"program": Program(generator="oracle", version=1, params={})})
    status, output = run(tmp_path, [item], capsys)
    assert status == 1 and "'oracle' has no checker" in output


HOSTILE = [{}, {"base": 1}, {"quantities": []}, {"base": {"generator": "x", "params": {}}, "changes": []}]


@pytest.mark.parametrize("generator", ["gradeschool", "lifted", "operators"])
@pytest.mark.parametrize(
    "params", [{}, {"base": 1}, {"quantities": []}, {"base": {"generator": "x", "params": {}}, "changes": []}]
)
def test_hostile_params_fail_and_do_not_crash(generator, params, tmp_path, capsys):
    item = PARENTS[0].model_copy(update={"program": Program(generator=generator, version=1, params=params)})
    assert run(tmp_path, [item], capsys)[0] == 1


@pytest.mark.slow
def test_a_malformed_file_is_a_users_mistake(tmp_path):
    file = tmp_path / "items.jsonl"
    file.write_text(json.dumps({"id": "x"}) + "\n")
    with pytest.raises(UserError, match=r"items\.jsonl:1: "):
        verify_items([file])
    done = subprocess.run(
        [sys.executable, "-m", "stages", "verify-items", str(file)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and "items.jsonl:1" in done.stderr and "Traceback" not in done.stderr
