"""Stage ood: sets whose labels hold, a ledger of rejects, a firewall that is seen to hold, and equal bytes."""

import importlib
import json

import pytest
from ruamel.yaml import YAML

from stages.commands.preset import stack_presets
from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Source
from stages.lib.operators import registry
from stages.lib.procedural import dyval, gradeschool
from stages.problems import aime
from tests.helpers import tiny_models

ood = importlib.import_module("stages.problems.ood.__main__")
SETTINGS = {
    "max_parents": 6,
    "max_aime_parents": 2,
    "operators": ["names", "numbers", "premise", "order+typos", "preamble"],
    "principles": [],
    "paraphraser": {"kind": "rules"},
    "evaluator": {"kind": "rules"},
    "max_attempts": 3,
    "dyval": {"tasks": ["bool_logic", "arithmetic"], "problems_per_task": 12, "difficulty": 1, "order": "topological"},
}
TRAIN = {"tasks": ["arithmetic", "bool_logic"], "difficulties": [0, 1], "problems_per_task": 3}


@pytest.fixture
def root(tmp_path):
    for split in ("train", "verifier", "dev", "test"):
        problems = gradeschool.generate_problems(split, 10, 3, steps=(3, 4), max_value=60)
        records.write_problems(tmp_path / f"data/benchmarks/{split}.jsonl", problems)
    sizes = {"train": 1, "dev": 1, "test": 1, "unseen": 0}
    variants, _ = aime.build_items(
        aime.Params(per_family=sizes, unseen_families=[], train_only_families=[], levels=[1], decontaminate_against=[]),
        3,
        3,
    )
    for split in ("train", "dev", "test"):
        records.write_problems(tmp_path / f"data/aime/{split}.jsonl", [p for p in variants if p.split == split])
    return tmp_path


def run(root, **changes):
    execution = tiny_models.make_run(root, "ood", ood.Params(**{**SETTINGS, **changes}))
    return ood.body(execution), records.read_problems(execution.out_dir / "test.jsonl")


@pytest.mark.slow
def test_every_variant_names_where_it_comes_from_and_holds(root):
    metrics, variants = run(root)
    assert metrics["problems"] == len(variants) and metrics["operators"]["gradeschool~names"] == 6
    tested = {p.id for name in ("benchmarks", "aime") for p in records.read_problems(root / f"data/{name}/test.jsonl")}
    for problem in variants:
        assert problem.operator and (problem.benchmark == "dyval" or problem.parent in tested)
        if problem.program and problem.program.generator == "operators":
            assert registry.check(problem) == []
        if problem.benchmark == "dyval":
            assert dyval.check(problem) == []
    changed = [p for p in variants if p.benchmark == "gradeschool"]
    parents = {name: {p.parent for p in changed if p.operator == name} for name in ("names", "numbers", "preamble")}
    assert parents["names"] == parents["preamble"] >= parents["numbers"], "the same parents"
    assert all((p.answer == "N/A") == (p.contract == "unsolvable") for p in variants if p.operator == "premise")
    assert {p.operator for p in variants if p.benchmark == "competition"} == {"numbers", "premise", "preamble"}
    audit = json.loads((root / "data/ood/audit.json").read_text())
    assert audit["firewall"]["faults"] == 0 and audit["sets"]["gradeschool~names"]["kept"] == 6
    assert "gradeschool~premise" in (root / "data/ood/audit.md").read_text()


@pytest.mark.slow
def test_problems_with_a_wrong_answer_are_no_parents(root):
    ids = [p.id for p in records.read_problems(root / "data/benchmarks/test.jsonl")]
    (root / "wrong.txt").write_text(f"# by hand\n{ids[1]}  # adds a neighbor\n\ngsm8k/test/9999\n", encoding="utf-8")
    _, variants = run(root, max_parents=None, mislabelled=[ids[0], "wrong.txt"])
    assert {p.parent for p in variants if p.benchmark == "gradeschool"} == set(ids[2:])
    assert "mislabelled lists 3 problems; 2 of them are in the test split" in (root / "data/ood/audit.md").read_text()
    for entry in ("none.txt", "gsm8k/0007"):
        with pytest.raises(UserError, match=f"mislabelled: '{entry}' is no file, nor an id such as gsm8k/test/0007"):
            run(root, mislabelled=[entry])


def published(root, name, question="In # which of the following words was written down first?", **fields):
    """Four splits of ten problems in the shape of a published benchmark; # stands for split and number."""
    for split in ("train", "verifier", "dev", "test"):
        problems = [
            Problem(
                id=f"{name}/{split}/{i:02}",
                benchmark=name,
                split=split,
                question=question.replace("#", f"{split} {i},"),
                licence="MIT",
                source=Source(url="here"),
                **fields,
            )
            for i in range(10)
        ]
        records.write_problems(root / f"data/benchmarks/{split}.jsonl", problems)


FORMS = {
    "math": {"answer": "7", "answer_type": "latex"},
    "aime": {"answer": "7", "answer_type": "integer"},
    "gsm8k": {"answer": "7", "answer_type": "number"},  # without steps that lift
    "mmlu": {"answer": "B", "answer_type": "choice", "choices": ["alpha one", "beta two", "gamma three", "delta four"]},
    "gpqa": {"answer": "B", "answer_type": "choice", "choices": ["alpha one", "beta two", "gamma three", "delta four"]},
    "humaneval": {
        "answer": "    return 1\n",
        "answer_type": "code",
        "question": 'def f() -> int:\n    """Return the number that stands before those of #"""\n',
        "tests": {"entry_point": "f", "test": "def check(candidate):\n    assert candidate() == 1\n"},
    },
    "codeforces": {
        "answer": "print(1)",
        "answer_type": "code",
        "question": "Somebody wants to know the number that stands before those of #\n\nOutput\n\nIt.",
        "tests": {"public": {"input": ["1\n"], "output": ["1\n"]}, "private": {"input": [], "output": []}},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("preset", ["default", "gsm8k", "nano"])
def test_every_benchmark_passes_with_every_shipped_list_of_operators(root, name, preset):
    published(root, name, **FORMS[name])
    shipped = YAML(typ="safe").load(stack_presets([preset]))["ood"]
    metrics, variants = run(root, operators=shipped["operators"], principles=shipped["principles"], max_aime_parents=0)
    audit = (root / "data/ood/audit.md").read_text()
    changed = {problem.operator for problem in variants if problem.benchmark == name}
    fitting = ("typos",) if "code" in FORMS[name].values() else ("typos", "preamble")
    assert changed == {label for label in shipped["operators"] if label.partition("@")[0] in fitting}
    assert f"since they change no {name} problem: " in audit or name == "gsm8k"
    assert metrics["problems"] == len(variants)


@pytest.mark.slow
def test_a_small_set_is_a_remark_and_an_empty_file_is_told_loudly(root, capsys):
    run(root)
    assert (
        "under 30 problems, so without a row in the matrix: competition~numbers (2)"
        in (root / "data/ood/audit.md").read_text()
    )
    published(root, "math", **FORMS["math"])
    nothing = SETTINGS["dyval"] | {"problems_per_task": 0}
    metrics, variants = run(root, operators=["names"], max_aime_parents=0, dyval=nothing)
    assert variants == [] and metrics["problems"] == 0
    assert capsys.readouterr().err == (
        "warning: data/ood/test.jsonl is empty: nothing out of distribution is measured; "
        "not asked for, since they change no math problem: names\n"
    )


@pytest.mark.slow
def test_a_test_problem_in_training_stops_the_stage(root):
    leaked = run(root)[1][0].model_copy(update={"id": "leaked", "parent": None})
    train = root / "data/benchmarks/train.jsonl"
    records.write_problems(train, [*records.read_problems(train), leaked])
    with pytest.raises(UserError, match="leak between training and test; the first: .* is also in a training split"):
        run(root)


@pytest.mark.slow
def test_a_broken_bound_stops_the_stage(root, monkeypatch):
    monkeypatch.setattr(ood.audit, "OPEN_CONSTANT_BOUND", -1.0)
    monkeypatch.setattr(ood.audit, "MARGIN", -1.0)
    monkeypatch.setattr(ood.audit, "MIN_PROBLEMS", 1)
    with pytest.raises(UserError, match="bounds broken in all; data/ood/audit.md shows them"):
        run(root)


@pytest.mark.slow
def test_same_seed_same_bytes_and_more_parents_change_none(root):
    first = run(root)[1]
    assert run(root)[1] == first
    more = {p.id: p for p in run(root, max_parents=10)[1]}
    assert all(more[p.id].parent == p.parent for p in first)
    same = [p for p in first if p.operator in ("names", "premise", "order+typos", "preamble")]
    assert same and all(more[p.id] == p for p in same)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operators": ["magic"]}, "'magic' is no operator; allowed: names"),
        ({"operators": ["premise@0.5"]}, "'premise@0.5': premise has no dose"),
        ({"operators": ["typos@.5", "typos@0.50"]}, "typos@0.5 is listed twice"),
        ({"dyval": SETTINGS["dyval"] | {"difficulty": 5}}, "bool_logic has no level 5, only 0, 1, 2, 3, 4"),
        (
            {"dyval": SETTINGS["dyval"] | {"train": TRAIN | {"tasks": ["deductive_logic"]}}},
            "deductive_logic has no level 0, only 1, 2, 3, 4",
        ),
        ({"principles": ["magic"]}, "allowed are all, or some of"),
        ({"principles": ["permute", "question"]}, "question wants a model that rewrites and one that judges"),
        ({"principles": ["all"], "paraphraser": {"kind": "openai"}}, "all wants a model"),
    ],
)
def test_wrong_names_are_told(changes, message):
    with pytest.raises(ValueError, match=message):
        ood.Params(**{**SETTINGS, **changes})


def test_a_stem_with_other_options_is_another_question():
    """Hundreds of MMLU's questions share their first sentence with another one's."""
    stem = {"question": "Which of the following is true?", "answer": "A", "answer_type": "choice", "licence": "MIT"}
    fields = {"benchmark": "quiz", "split": "test", "source": Source(url="none")} | stem
    trained = Problem(id="quiz/train/0", **fields | {"split": "train", "choices": ["one", "two"]})
    parent = Problem(id="quiz/test/0", choices=["three", "four"], **fields)
    variant = parent.model_copy(
        update={"id": "quiz/test/0~mpa-permute", "parent": parent.id, "choices": ["four", "three"]}
    )
    assert ood.find_leaks([variant], [trained], [parent.id]) == []
    seen = variant.model_copy(update={"choices": ["two", "one"]})
    assert "is also in a training split" in ood.find_leaks([seen], [trained], [parent.id])[0]


@pytest.mark.slow
def test_sets_carry_their_dose_and_training_problems_are_others(root):
    names = ["typos@0.25", "typos", "order@0.5+typos", "premise"]
    metrics, variants = run(root, operators=names, dyval=SETTINGS["dyval"] | {"train": TRAIN}, max_aime_parents=0)
    trained = records.read_problems(root / "data/ood/train.jsonl")
    assert metrics["train"] == len(trained) == 12 and {p.split for p in trained} == {"train"}
    assert all(dyval.check(problem) == [] for problem in trained)
    assert not {p.question for p in trained} & {p.question for p in variants}
    audited = json.loads((root / "data/ood/audit.json").read_text())
    doses = {name.partition("~")[2]: entry["dose"] for name, entry in audited["sets"].items()}
    assert {name: doses[name] for name in names} == dict(zip(names, ["0.25", "1", "0.5 + 1", ""], strict=True))
    assert audited["remarks"][0] == "6 sets of 54 problems; 0 sets have at least 54"
    share = {name: audited["sets"][f"gradeschool~{name}"]["figures"]["share_changed"] for name in names[:3]}
    assert share["typos@0.25"] < share["typos"] < share["order@0.5+typos"]
