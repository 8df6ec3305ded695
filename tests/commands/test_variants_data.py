"""`python -m stages variants data` on a real DVC repository: cells run over seeds, one fails, tables are read back."""

import sys
from pathlib import Path

import pytest

from stages.commands.variants import data, studies
from stages.lib.core.errors import UserError
from stages.lib.display import tables
from stages.lib.selection.methods import METHODS
from stages.lib.workspace import experiments
from stages.problems.augmentation.__main__ import TRAINED_OPERATORS
from tests.helpers.experiment_project import ROOT, call, create_project

# Answers 40 problems twice, right where a keyed draw is below the skill of the arm; the same draws for all arms.
SCRIPT = """
import json, random, sys
from pathlib import Path
from stages.lib.core import params, records
values = params.to_plain(params.read_yaml())
seed, skill = values["seed"], values["selection"]["skill"]
if skill > 1 and seed == 2:
    sys.exit("samples: params.yaml:2 selection.skill: must be at most 1")
def make_problem(name, operator=None):
    return records.Problem(id=name, benchmark="b", split="test", question="q", answer="1", answer_type="number",
                           operator=operator, licence="MIT", source={"url": "none"})
def make_samples(problems, n):
    return [records.Sample(problem_id=p.id, index=i, text="1", answer="1", finish="stop", logprob=-1.0, min_logprob=-1.0,
                           tokens=1, correct=random.Random(f"{seed}{p.id}{i}").random() < skill)
            for p in problems for i in range(n)]
tests = [make_problem(f"b/test/{i:03}") for i in range(40)]
ood = [make_problem(f"{p.id}~numbers", "numbers") for p in tests]
for folder in ("samples", "ood", "selection"):
    Path("data", folder).mkdir(parents=True, exist_ok=True)
for name, part, n in (("test", tests, 2), ("test_greedy", tests, 1), ("ood", ood, 2)):
    records.write_samples(Path(f"data/samples/{name}.parquet"), make_samples(part, n))
records.write_problems(Path("data/ood/test.jsonl"), ood)
figures = {"items": values["selection"]["size"], "tokens": 1000, "families": 2}
Path("data/selection/metrics.json").write_text(json.dumps(figures))
"""
PIPELINE = """
stages:
  samples:
    cmd: python script.py
    params: [seed, selection]
    outs: [data/samples/test.parquet, data/samples/test_greedy.parquet, data/samples/ood.parquet, data/ood/test.jsonl,
           data/selection/metrics.json]
"""
STUDIES = """
shared: {ood.operators: [numbers]}
toy:
  cells:
    random: {selection.skill: 0.2}
    good: {selection: {skill: 0.9, size: 100}}
    broken: {selection.skill: 1.5}
  compare:
    items: {good: random, broken: random}
    tokens: {good: random}
  trained: {good: [numbers]}
"""


def run_variants(folder, *words, code=0):
    return call(folder, sys.executable, "-m", "stages", "variants", "data", *words, code=code)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A repository whose stage has run, all committed."""
    files = {
        "script.py": SCRIPT,
        "dvc.yaml": PIPELINE,
        "params.yaml": "seed: 1\nselection: {skill: 0.3, size: 80}\nood: {operators: []}\n",
        "stages/commands/variants/data.yaml": STUDIES,
    }
    return create_project(tmp_path_factory.mktemp("data"), files)


@pytest.mark.slow
def test_arms_and_controls_over_seeds_with_one_that_fails(project):
    assert "nothing has run on this commit" in run_variants(project, code=2).stderr
    done = run_variants(project, "--run", "--seeds", "2", "--out", "table.md", code=2)
    assert "data-toy-broken-2 first" in done.stderr and "1 of 6 experiments failed" in done.stderr
    report, notes = tables.parse_report((project / "table.md").read_text(encoding="utf-8"))
    arms, items, tokens, failed = report.values()
    rows = {row[0]: row for row in arms[1]}
    assert [rows[name][1] for name in ("random", "good", "broken")] == ["2", "2", "1"]
    assert rows["good"][2:4] == ["100", "1,000"] and rows["good"][arms[0].index("numbers %")].endswith("†")
    assert [row[0] for row in items[1]] == ["good", "broken"] and [row[0] for row in tokens[1]] == ["good"]
    gains = dict(zip(tokens[0], tokens[1][0], strict=True))
    assert gains["pass@1"].startswith("+") and gains["numbers"].endswith("†")
    assert failed[1] == [["broken", "toy", "2", "samples: params.yaml:2 selection.skill: must be at most 1"]]
    told = " ".join(notes)
    assert "good has 100 items, its control random 80: not of equal size" in told
    assert "better: good on" in told and "numbers† (+" in told and "Smallest detectable difference" in told

    again = run_variants(project, "good", "--run", "--seeds", "2")
    assert "experiment 1 of" not in again.stderr and "broken" not in again.stdout, "what has run is not run again"
    listed = run_variants(project, "--seeds", "2")
    assert "must be at most 1" in listed.stdout, "the reason is kept"
    assert not {path.name for path in (project / "data").iterdir()} - {"samples", "ood", "selection"}


@pytest.mark.slow
def test_an_unknown_name(project):
    message = "variants data none: not in stages/commands/variants/data.yaml; there are toy: random, good, broken"
    assert message in run_variants(project, "none", code=2).stderr


def write_studies(folder: Path, text: str) -> Path:
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    return folder / "data.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shared: {seed: 1}", "holds no study"),
        ("a: {arms: {b: {}}}", "a: must be a study with cells"),
        ("a: 3", "a: must be a study with cells"),
        ("a: {cells: [b]}", "a: each of shared, cells, compare, trained must be a mapping"),
        ("a: {cells: {b: {}}, compare: {items: {b: c}}}", "a: c is not among its cells, b"),
        ("a: {cells: {b: {}}, trained: {c: [numbers]}}", "a: c is not among its cells, b"),
        ("a: {cells: {b: 1}}", "a: b must map parameters to values"),
        ("a: {cells: {b: {}}, compare: {items: [b]}}", "a: compare.items must map cells to cells"),
    ],
)
def test_a_file_of_another_form(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        studies.load_studies(write_studies(tmp_path, text))


def test_cells_of_names_come_with_their_controls(tmp_path):
    known = studies.load_studies(write_studies(tmp_path, STUDIES))
    assert known["toy"].cells["good"] == {"ood.operators": ["numbers"], "selection": {"skill": 0.9, "size": 100}}
    part = data.select_studies(known, ["broken"])["toy"]
    assert [*part.cells] == ["random", "broken"] and part.compare == {"items": {"broken": "random"}}
    cells = data.list_experiments({"toy": part}, 2)
    assert [cell.name for cell in cells] == [f"data-toy-{cell}-{i}" for i in (1, 2) for cell in ("random", "broken")]


def test_the_studies_of_this_repository_compare_equal_budgets():
    """An arm differs from its control in what is compared alone, and trains on no set that it does not name."""
    known = studies.load_studies(ROOT / studies.STUDIES_FILE)
    for kind, pairs in known["selection"].compare.items():
        for cell, control in pairs.items():
            arm, other = (dict(known["selection"].cells[name]) for name in (cell, control))
            assert arm["selection.budget.by"] == kind
            assert arm.pop("selection.method") != "random" and other.pop("selection.method") == "random"
            arm = {key: value for key, value in arm.items() if not key.startswith("+selection.settings.")}
            assert arm == other
    study = known["augmentation"]
    for cell, changes in study.cells.items():
        methods = changes.get("augmentation.methods", []) if changes.get("selection.replay", "none") == "none" else []
        trained = {name for method in methods for name in TRAINED_OPERATORS.get(method, ())}
        trained |= {"numbers"} if "operators" in methods else set()
        assert set(study.trained.get(cell, ())) == trained, cell
    assert all({*pairs} <= {*study.cells} - {"none"} for pairs in study.compare.values())


def test_every_method_of_selection_has_arms_of_equal_items_and_of_equal_tokens():
    """And each arm has settings that its method knows."""
    study = studies.load_studies(ROOT / studies.STUDIES_FILE)["selection"]
    sizes = {name: set() for name in METHODS}
    for kind, pairs in study.compare.items():
        for cell in pairs:
            changes, prefix = study.cells[cell], "+selection.settings."
            settings = {key.removeprefix(prefix): value for key, value in changes.items() if key.startswith(prefix)}
            method = changes["selection.method"]
            METHODS[method].params.model_validate(settings)
            sizes[method].add((kind, changes["selection.budget.share"]))
    assert sizes.pop("all") == sizes.pop("random") == set()
    assert all(size == {("items", 0.1), ("items", 0.3), ("tokens", 0.3)} for size in sizes.values()), sizes


def test_settings_and_reasons():
    changes = {"seed": 1, "ood.operators": ["numbers"], "selection.planted": {"cut_end": 0.1, "duplicates": 0.2}}
    assert [*experiments.format_settings(changes)] == [
        "seed=1",
        'ood.operators=["numbers"]',
        "selection.planted.cut_end=0.1",
        "selection.planted.duplicates=0.2",
    ]
    lines = ["x: started\n", "x: params.yaml:3 a: must be > 0\n", "tracking: off\n", "ERROR: failed to reproduce 'x'\n"]
    assert experiments.find_reason(lines) == "x: params.yaml:3 a: must be > 0"
    assert experiments.find_reason(["WARNING: w\n", "ERROR: no stage y\n"]) == "no stage y"
    assert experiments.find_reason([]) == "it ended without a word"
