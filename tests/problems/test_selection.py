"""Stage selection: the pool is that of the generator before it, faults are where the report says, controls are equal."""

import json
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.core import params, records, seeds
from stages.lib.core.errors import UserError
from stages.lib.selection.methods import METHODS
from stages.problems.selection import __main__ as selection
from stages.problems.selection import faults, pool, report, section
from stages.problems.selection.choice import Chosen
from tests.helpers import tiny_models

ROOT = Path(__file__).parents[2]
SETTINGS = params.to_plain(params.read_yaml(ROOT / "stages/presets/default.yaml"))["selection"] | {
    "competition_problems": 3,
    "dyval_problems": 2,
    "model": str(ROOT / "data/raw/base"),
}


@pytest.fixture
def root(tmp_path):
    """40 train problems, 6 that may join of each kind, of which the new ones are longer, and some for verifiers."""
    for place, first, count in (
        ("benchmarks/train", 0, 40),
        ("benchmarks/verifier", 50, 40),
        ("benchmarks/dev", 100, 30),
        ("aime/train", 200, 6),
        ("ood/train", 300, 6),
        ("augmentation/train", 400, 6),
        ("augmentation/verifier", 500, 2),
    ):
        stage, split = place.split("/")
        problems = [tiny_models.make_problem(first + i, "dev" if split == "dev" else split) for i in range(count)]
        if stage in ("aime", "ood"):
            problems = [
                p.model_copy(update={"question": f"Evaluate modulo {i}, reader"}) for i, p in enumerate(problems)
            ]
        if stage == "augmentation":
            longer = [step.model_copy(update={"text": f"so {step.text}"}) for step in problems[0].steps or ()]
            problems = [
                p.model_copy(update={"id": f"sums/{split}/{i:03}~fobar", "operator": "fobar", "steps": longer})
                for i, p in enumerate(problems)
            ]
        records.write_problems(tmp_path / f"data/{place}.jsonl", problems)
    return tmp_path


def run_stage(root, seed=1, **changes):
    run = tiny_models.make_run(root, "selection", selection.Params(**SETTINGS | changes), seed)
    metrics = selection.body(run)
    chosen = [json.loads(line) for line in (run.out_dir / "selected.jsonl").read_text().splitlines()]
    return metrics, records.read_problems(run.out_dir / "train.jsonl"), chosen


def test_the_default_is_what_the_generator_learned_from_before(root):
    """The order of its examples decides about every bit of its weights."""
    metrics, kept, _ = run_stage(root)
    expected = records.read_problems(root / "data/benchmarks/train.jsonl")
    for stage, n in (("aime", 3), ("ood", 2)):
        joined = records.read_problems(root / f"data/{stage}/train.jsonl")
        ranked = sorted(joined, key=lambda problem: seeds.key(1, "generator", 1, problem.id, "join"))
        expected += sorted(ranked[:n], key=lambda problem: problem.id)
    assert kept == expected and metrics["items"] == metrics["pool_items"] == 45
    verifier = (root / "data/selection/verifier.jsonl").read_bytes()
    assert verifier.startswith((root / "data/benchmarks/verifier.jsonl").read_bytes()), "the new ones come after them"
    assert metrics["verifier"] == 42


@pytest.mark.slow
def test_new_problems_join_or_as_many_copies_do_or_copies_of_as_many_tokens(root):
    plain, before, _ = run_stage(root)
    new, kept, _ = run_stage(root, augmentation_problems="all")
    assert [p.operator for p in kept[45:]] == ["fobar"] * 6 and kept[:45] == before
    assert run_stage(root, augmentation_problems=2)[0]["items"] == 47
    items, kept, _ = run_stage(root, augmentation_problems="all", replay="items")
    assert items["items"] == new["items"] and {p.operator for p in kept[45:]} == {"replay"}
    train = {p.id: p for p in before}
    assert all(train[p.parent].steps == p.steps and p.parent.startswith("sums/train") for p in kept[45:])
    tokens, kept, _ = run_stage(root, augmentation_problems="all", replay="tokens")
    assert len(kept) > 51, "the new ones are longer"
    longest = max(p.tokens for p in pool.read_pool(make_run(root), selection.load_token_counter(make_run(root))))
    assert abs(tokens["tokens"] - new["tokens"]) <= longest / 2
    assert new["tokens"] > plain["tokens"]


def make_run(root, **changes):
    return tiny_models.make_run(root, "selection", selection.Params(**SETTINGS | changes))


@given(n=st.integers(0, 40), count=st.integers(1, 9), seed=st.integers(0, 3))
@settings(max_examples=60)
def test_copies_are_spread_evenly_and_a_larger_number_adds_to_a_smaller(n, count, seed):
    problems = [tiny_models.make_problem(i) for i in range(count)]
    copies = pool.repeat_problems(problems, seed, lambda problem: 5, n=n)
    times = [sum(copy.parent == problem.id for copy in copies) for problem in problems]
    assert len(copies) == n == len({copy.id for copy in copies}) and max(times) - min(times) <= 1
    assert copies == pool.repeat_problems(problems[::-1], seed, lambda problem: 5, n=n + 3)[:n]


@given(tokens=st.integers(0, 400), seed=st.integers(0, 3))
@settings(max_examples=60)
def test_copies_fill_a_number_of_tokens_up_to_half_a_problem(tokens, seed):
    problems = [tiny_models.make_problem(i) for i in range(5)]
    sizes = {problem.id: 3 + 7 * i for i, problem in enumerate(problems)}
    copies = pool.repeat_problems(problems, seed, lambda problem: sizes[problem.id], tokens=tokens)
    assert abs(sum(sizes[copy.parent or ""] for copy in copies) - tokens) <= max(sizes.values()) / 2


@pytest.mark.slow
def test_planted_faults_are_as_many_as_asked_and_the_report_knows_them(root):
    planted = {"wrong_step": 0.1, "wrong_answer": 0.2, "cut_end": 0.1, "duplicates": 0.2}
    metrics, kept, chosen = run_stage(root, planted=planted)
    text = (root / "data/selection/report.md").read_text()
    sound = {problem.id: problem for problem in run_stage(root)[1]}
    counts = {name: sum(row.get("fault") == name for row in chosen) for name in (*faults.NOISE, "duplicate")}
    assert counts == {"wrong_step": 4, "wrong_answer": 9, "cut_end": 4, "duplicate": 9}
    marked = {row["id"] for row in chosen if "fault" in row}
    for problem in kept:
        original = sound[problem.id.removesuffix("~duplicate")]
        is_bad = problem.id in marked and problem.operator != "duplicate"
        assert (problem.steps != original.steps) == is_bad and problem.answer == original.answer
    assert metrics["noise_kept"] == 1.0 and metrics["noise"] == pytest.approx(17 / 54)
    assert [p.id for p in kept[:45]] == [*sound], "faults change no place"
    assert "Of the solutions that were made bad, 100.0 % were kept" in text and "| wrong_answer | 9 | 9 |" in text


@pytest.mark.slow
def test_each_method_chooses_within_its_budget_and_has_controls_of_its_size(root):
    """The settings that each method needs, in the stage's own terms."""
    needs = {
        "car": {"quality": "length", "settings": {"clusters": 2}},
        "one_pass": {"quality": "length", "settings": {"tau": 1.0}},
        "adversarial": {"existing": ["benchmarks"]},
        "uncertain_and_good": {"quality": "faults", "settings": {"precision": 0.5}},
    }
    assert {*METHODS} == {*get_args(section.MethodName)}
    for method in METHODS.keys() - {"all"}:
        changes = {"method": method, "budget": {"by": "items", "number": 3}, **needs.get(method, {})}
        existing = 40 if method == "adversarial" else 0
        metrics, kept, chosen = run_stage(root, **changes)
        assert metrics["items"] == existing + 3 == len(kept) == len(chosen), method
        assert all(row["reason"] for row in chosen)
        again, same, _ = run_stage(root, **changes, control="items", stability_seeds=1)
        assert again["items"] == metrics["items"] and 0 <= again["jaccard"] < 1, "the control depends on the seed"
        assert method != "longest" or same != kept, "the control is another choice"
    tokens, _, _ = run_stage(root, method="longest", budget={"by": "items", "number": 3})
    control, _, _ = run_stage(root, method="longest", budget={"by": "items", "number": 3}, control="tokens")
    assert 0.7 * tokens["tokens"] < control["tokens"] <= tokens["tokens"]
    half, _, _ = run_stage(root, method="random", budget={"by": "tokens", "share": 0.5})
    assert 0.4 * half["pool_tokens"] < half["tokens"] <= 0.5 * half["pool_tokens"]


@pytest.mark.slow
def test_the_audit_of_adversarial_is_in_the_report(root):
    """Existing and other problems come from different files, so the source tells all, and the report says so."""
    changes = {"method": "adversarial", "existing": ["benchmarks"], "settings": {"folds": 2}}
    run_stage(root, **changes, budget={"by": "items", "number": 2})
    audit = json.loads((root / "data/selection/report.json").read_text())["audit"]
    assert audit["auc_source"] == 1.0 and 0.55 < audit["auc"] <= 1 and 0 <= audit["auc_length"] <= 1
    assert 0 <= audit["covered"] <= 1
    text = (root / "data/selection/report.md").read_text()
    assert "told from candidates with AUC" in text and "by their source alone with 1.000" in text
    assert "source alone tells them apart as well" in text and "with a mean probability of" in text
    run_stage(root, method="random", budget={"by": "items", "number": 2})
    assert "audit" not in json.loads((root / "data/selection/report.json").read_text())


@pytest.mark.parametrize("order", ["input", "seeded"])
def test_one_pass_in_another_order_needs_no_quality(root, order):
    changes = {"method": "one_pass", "settings": {"order": order, "tau": 1.0}, "budget": {"by": "items", "number": 3}}
    _, kept, _ = run_stage(root, **changes)
    _, rated, _ = run_stage(root, **changes, quality="length")
    assert len(kept) == len(rated) == 3 and kept != rated, "where there is quality, the best of a cluster is kept"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": {"by": "items", "share": 0.5}}, "method all keeps every problem"),
        ({"budget": {"by": "items"}}, "must have a share or a number, and not both"),
        ({"augmentation_problems": -1}, "must be all or a whole number >= 0"),
        (
            {"planted": {"wrong_step": 0.6, "wrong_answer": 0.6, "cut_end": 0.0, "duplicates": 0.0}},
            "add up to 1 or less",
        ),
    ],
)
def test_settings_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        selection.Params(**SETTINGS | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "car"}, "selection.quality: none, but method car ranks by"),
        ({"method": "adversarial"}, "selection.existing: empty, but method adversarial compares"),
        (
            {"method": "random", "settings": {"tau": 1}},
            "selection.settings: tau: extra .* random has no other",
        ),
        ({"model": "nowhere"}, "selection.model: nowhere is not a folder"),
    ],
)
def test_mistakes_are_one_sentence(root, changes, message):
    changes = {"budget": {"by": "items", "number": 3}, **changes} if "method" in changes else changes
    with pytest.raises(UserError, match=message):
        run_stage(root, **changes)


def test_families_and_their_counts():
    old, new = tiny_models.make_problem(1), tiny_models.make_problem(2).model_copy(update={"operator": "fobar"})
    members = [pool.Member(old, "benchmarks", 3), pool.Member(new, "augmentation", 4)]
    figures = report.compute_figures(members, members[:1], Chosen([]))
    assert figures["families"] == {"sums": [1, 1], "sums~fobar": [1, 0]}
    assert figures["pool"] == {"items": 2, "tokens": 7, "families": 2} and figures["noise_kept"] is None
