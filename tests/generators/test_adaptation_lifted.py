"""Stage adaptation from end to end on published GSM8K, whose solutions are lifted to programs, with a tiny model."""

import json

import pytest

from stages.generators.adaptation import __main__ as adaptation
from stages.generators.adaptation import arms, measures
from stages.lib.core import records
from stages.lib.models import loading
from stages.lib.models.prompts import Prompt
from stages.lib.operators import registry
from tests.generators.test_adaptation import SETTINGS, TOKENIZER, find_file, make_params, plant_accuracies
from tests.helpers import tiny_models
from tests.lib.procedural.test_lifting import published, real

KINDS = {"numbers": ["numbers"], "reversed": ["reversed"], "steps": ["steps"]}


def read_published(split, part, step):
    """Published problems of a file, as a split of this project."""
    return [
        problem.model_copy(update={"id": f"gsm8k/{split}/{problem.id.rpartition('/')[2]}", "split": split})
        for problem in published(part, step)
    ]


def write_inputs(root):
    loading.save(
        tiny_models.make_model("lfm2", len(TOKENIZER), max_position_embeddings=2048),
        TOKENIZER,
        root / "data/generator/model",
    )
    Prompt().write(root / "data/generator/prompt.json")
    rows = read_published("verifier", "train", 30)
    held = read_published("test", "test", 60)
    variants, _ = registry.make_variants(held, ["numbers", "reversed", "typos"], 1)
    sets = {"verifier": rows, "dev": read_published("dev", "test", 301), "test": held, "ood": variants}
    for name, problems in sets.items():
        records.write_problems(find_file(root, name), problems, keep_order=True)
    old = [
        problem
        for problem in read_published("train", "train", 301)
        if problem.question not in {r.question for r in rows}
    ]
    records.write_problems(root / "data/selection/train.jsonl", old)
    for name in ("aime/test", "aime/unseen"):
        records.write_problems(root / f"data/{name}.jsonl", [])


@real
@pytest.mark.slow
def test_lifted_problems_are_probed_taught_and_reported(tmp_path, monkeypatch):
    """A model of random weights solves nothing, so what is weak is planted; training and the report's draws are real."""
    write_inputs(tmp_path)
    measure = measures.measure
    plant_accuracies(monkeypatch)
    planted, drawn = measures.measure, []

    def measure_report(run, name, *rest):
        if not name.startswith("report"):
            return planted(run, name, *rest)
        drawn.append(name)
        return measure(run, name, *rest)

    monkeypatch.setattr(measures, "measure", measure_report)
    params = make_params(kinds=KINDS, rounds=1, sizes={**SETTINGS["sizes"], "probe": 14, "test": 3, "ood": 2})
    run = tiny_models.make_run(tmp_path, "adaptation", params)
    metrics = adaptation.body(run)
    results = json.loads((run.out_dir / "results.json").read_text())
    [about] = results["rounds"]
    assert about["confirmed"][0] == "kind=reversed" and metrics["rounds"] == 1
    assert {lesson["new"] + lesson["replay"] for lesson in about["lessons"].values()} == {12}
    assert set(about["lessons"]["uniform"]["kinds"]) == set(KINDS)
    assert drawn == ["report-start", *(f"report-{arm}-1" for arm in arms.ARMS)]
    assert results["models"]["start"]["test"]["problems"] == 3
    taught = [json.loads(line) for line in (run.out_dir / "train.jsonl").read_text().splitlines()]
    new = [records.Problem(**{key: row[key] for key in row if key not in ("round", "arms")}) for row in taught]
    made = [problem for problem in new if problem.operator]
    assert {problem.operator for problem in made} == set(KINDS) and {problem.benchmark for problem in made} == {"gsm8k"}
    assert [fault for problem in made for fault in registry.check(problem)] == []
    assert {problem.program.generator for problem in made if problem.program} == {"operators"}
    assert (run.out_dir / "model/model.safetensors").is_file() and (run.out_dir / "curve.png").stat().st_size > 10_000
