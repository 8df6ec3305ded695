"""Stage adaptation: what can be made, what streams share, what arms learn, and rounds in a world whose truth is planted."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.generators.adaptation import __main__ as adaptation
from stages.generators.adaptation import arms, measures, report, rounds, streams, world
from stages.generators.base.tokenizer import build_tokenizer
from stages.lib.adaptation.slices import Slice
from stages.lib.core import records, seeds
from stages.lib.core.errors import UserError
from stages.lib.datasets import eval_sets
from stages.lib.metrics import intervals
from stages.lib.models import loading
from stages.lib.models.encoding import Encoder
from stages.lib.models.prompts import Prompt
from stages.lib.operators import registry
from stages.lib.procedural import dyval, gradeschool
from stages.lib.training import sft
from tests.helpers import tiny_models
from tests.lib.procedural.test_lifting import published, real

TOKENIZER = build_tokenizer()
KINDS = {"numbers": ["numbers"], "reversed": ["reversed"], "steps": ["steps@0.25", "steps"], "arithmetic": [0, 1]}
SETTINGS = {
    **tiny_models.TRAINING_PARAMS,
    **{
        "kinds": KINDS,
        "paraphraser": {"kind": "rules"},
        "rounds": 2,
        "samples": 2,
        "report_samples": 1,
        "smallest_slice": 8,
    },
    **{"sizes": {"probe": 12, "confirm": 12, "train": 6, "dev": 4, "test": 4, "ood": 4}},
    **{"proposals": 3, "false_discovery": 0.1, "significance": 0.05, "permutations": 499},
    **{"replay": 0.5, "train_from": "start", "retention_loss": 1.0, "epochs": 1.0, "lr": 1e-3},
    **{"temperature": 0.7, "top_k": 0, "top_p": 1.0, "max_new_tokens": 8, "max_rows": 64},
}
HEADLINE = 15  # figures in metrics.json at most
QUICK = settings(max_examples=40, deadline=None)


def make_params(**changes: Any) -> adaptation.Params:
    return adaptation.Params(**{**SETTINGS, **changes})


def make_parents(split, count):
    return gradeschool.generate_problems(split, count, 1, steps=[2, 4], max_value=60, inverse_share=0.25)


def open_world(parents, part="train-1", seen=()):
    return world.World({part: parents}, KINDS, 1, set(seen))


# What can be made.


def test_problems_are_proven_new_and_each_of_a_parent_of_its_own():
    parents = make_parents("verifier", 60)
    own = open_world(parents)
    items = own.open("train-1").draw_world(dict.fromkeys(KINDS, 0), 9)
    assert {kind: sum(item.kind == kind for item in items) for kind in KINDS} == dict.fromkeys(KINDS, 9)
    assert len({item.unit for item in items}) == len(items) == len({world.normalise(item.problem) for item in items})
    for item in items:
        check = dyval.check if item.kind == "arithmetic" else registry.check
        assert check(item.problem) == []
        assert item.attributes == world.describe(item.problem, world.find_kind(item.problem, KINDS))
    again = open_world(parents[::-1]).open("train-1").draw_world(dict.fromkeys(KINDS, 0), 9)
    assert again == items  # the order of the file changes nothing
    known = {world.normalise(item.problem) for item in items}
    others = open_world(parents, seen=known).open("train-1").draw_world(dict.fromkeys(KINDS, 0), 9)
    assert not known & {world.normalise(item.problem) for item in others}


def test_a_slice_is_drawn_with_the_kinds_as_frequent_as_in_the_world():
    supply = open_world(make_parents("verifier", 200)).open("train-1")
    target = Slice((("magnitude", "2 digits"),))
    items = list(supply.draw_slice(target, {"numbers": 0, "reversed": 0, "arithmetic": 0}, 45))
    assert len(items) == 45 and all(target.holds(item.attributes) for item in items)
    counts = [sum(item.kind == kind for item in items) for kind in ("numbers", "reversed", "arithmetic")]
    assert min(counts) >= 9
    alone = list(supply.draw_slice(Slice((("kind", "reversed"),)), dict.fromkeys(KINDS, 0), 5))
    assert [item.kind for item in alone] == ["reversed"] * 5


@real
def test_published_problems_are_lifted_and_changed():
    parents = [
        problem.model_copy(update={"id": problem.id.replace("/test/", "/verifier/"), "split": "verifier"})
        for problem in published("train", 60)
    ]
    kinds = {"numbers": ["numbers"], "steps": ["steps"], "reversed": ["reversed"]}
    items = world.World({"probe-1": parents}, kinds, 1, set()).open("probe-1").draw_world(dict.fromkeys(kinds, 0), 8)
    assert [sum(item.kind == kind for item in items) for kind in kinds] == [8, 8, 8]
    assert all(registry.check(item.problem) == [] and sft.get_steps(item.problem) for item in items)
    assert all({"kind", "task", "steps", "magnitude"} <= set(item.attributes) for item in items)
    assert {item.attributes["task"] for item in items} == {"gsm8k"}


def test_a_kind_that_fits_no_parent_does_not_end_a_slice():
    kinds = {"unknowns": ["unknowns"], "numbers": ["numbers"]}  # the first fits competition problems alone
    supply = world.World({"train-1": make_parents("verifier", 20)}, kinds, 1, set()).open("train-1")
    target = Slice((("task", "gradeschool"),))
    assert [item.kind for item in supply.draw_slice(target, dict.fromkeys(kinds, 0), 5)] == ["numbers"] * 5
    assert len(list(supply.draw_slice(target, dict.fromkeys(kinds, 0), 99))) <= 15  # ends with the parents


def test_attributes_of_a_problem():
    [problem] = make_parents("verifier", 1)
    [variant], _ = registry.make_variants([problem], ["steps@0.25"], 1)
    own = world.describe(variant, "steps")
    assert own["task"] == "gradeschool" and own["kind"] == "steps" and own["steps"] in ("3-4", "5-6", "7-9")
    numbered = problem.model_copy(update={"question": "Is 0 or 1024 more?", "steps": None, "difficulty": None})
    assert world.describe(numbered, None) == {"kind": "as published", "task": "gradeschool", "magnitude": "4 digits"}
    assert [world.find_bin(n) for n in (1, 2, 3, 6, 9, 10, 99)] == [
        *("1-2", "1-2", "3-4", "5-6", "7-9"),
        *["10 or more"] * 2,
    ]
    names = ["steps", "order@0.5", "order+typos@0.5", "arithmetic", "reachability", None]
    kinds = [world.find_kind(problem.model_copy(update={"operator": name}), KINDS) for name in names]
    assert kinds == ["steps", "order", "order+typos", "arithmetic", "reachability", None]


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        ({}, "empty"),
        ({"numbers": []}, "must name different forms"),
        ({"numbers": ["numbers", "numbers"]}, "must name different forms"),
        ({"numbers": ["numbres"]}, "'numbres' is no operator"),
        ({"premise": ["premise"]}, "has no solution to learn"),
        ({"sums": [0, 1]}, "levels of a DyVal task"),
        ({"arithmetic": [0, 9]}, "level 9 does not exist, only 0, 1, 2, 3, 4"),
        ({"arithmetic": [0, "numbers"]}, "not both"),
    ],
)
def test_a_kind_that_cannot_be_made_is_refused(kinds, reason):
    with pytest.raises(ValidationError, match=reason):
        make_params(kinds=kinds)


# What streams share.


def test_a_root_falls_into_one_stream_with_all_that_is_made_of_it():
    parents = make_parents("verifier", 300)
    variants, _ = registry.make_variants(parents[:50], ["numbers"], 1)
    parts = streams.split_parents([*parents, *variants], 2, 1)
    assert set(parts) == {f"{part}-{number}" for part in ("probe", "confirm", "train") for number in (1, 2)}
    owner = {problem.id: name for name, part in parts.items() for problem in part}
    assert len(owner) == 350 and all(owner[variant.id] == owner[str(variant.parent)] for variant in variants)
    sizes = {name: len(part) for name, part in parts.items()}
    assert sizes["train-1"] > 1.4 * sizes["probe-1"] > 20
    streams.check_disjoint(parts)
    for name, part in parts.items():  # planted: the problem, what it was made of, what was made of it, its question
        other = next(each for each in parts if each != name)
        [child], _ = registry.make_variants(part[:1], ["reversed"], 3) if name else ([], [])
        planted = [
            part[0],
            child,
            part[0].model_copy(update={"id": "gradeschool/verifier/x", "parent": part[0].id, "question": "Other?"}),
            part[0].model_copy(update={"id": "gradeschool/verifier/y", "question": f" {part[0].question}\n"}),
        ]
        for problem in planted:
            with pytest.raises(UserError, match=f"streams .*{name}.*share|streams .* and {name} share"):
                streams.check_disjoint({**parts, other: [*parts[other], problem]})
        break


def test_a_stream_has_one_digest_in_any_order():
    parents = make_parents("test", 5)
    assert streams.digest(parents) == streams.digest(parents[::-1]) != streams.digest(parents[:4])


# What arms learn.


@pytest.fixture(scope="module")
def encoder():
    return Encoder(TOKENIZER, Prompt())


def test_all_arms_learn_equally_many_problems_and_tokens(encoder):
    own = open_world(make_parents("verifier", 150))
    levels = dict.fromkeys(KINDS, 0)
    confirmed = {Slice((("kind", "steps"),)): 0.3, Slice((("kind", "reversed"), ("steps", "3-4"))): 0.02}
    tested = [*confirmed, *(Slice((("magnitude", f"{n} digits"),)) for n in (2, 3)), Slice((("kind", "numbers"),))]
    tested += [
        Slice((("steps", "3-4"),)),
        Slice((("kind", "steps"), ("magnitude", "2 digits"))),
    ]  # share terms with them
    plans = arms.make_plans(confirmed, tested, list(KINDS), 5)
    assert plans["targeted"] == {each: pytest.approx(w) for each, w in zip(confirmed, (0.7, 0.49), strict=True)}
    assert set(plans["random"]) < set(tested[2:5]) and len(plans["random"]) == 2 and arms.list_overlaps(plans) == []
    for key in range(40):
        assert set(arms.make_plans(confirmed, tested, list(KINDS), key)["random"]) < set(tested[2:5])
    alone = arms.make_plans(confirmed, [*confirmed, *tested[5:]], list(KINDS), 5)  # none that shares no term
    assert set(alone["random"]) == set(tested[5:]) and set(arms.list_overlaps(alone)) == {x.name for x in tested[5:]}
    assert plans["none"] == {}

    def count_tokens(problem):
        return int(sum(sft.make_sft_example(encoder, problem).lm_weight))

    old = make_parents("train", 120)
    library = arms.Library(own, "train-1", levels, levels)
    lessons = arms.make_lessons(plans, library, old, count_tokens, 24, 0.5, 7)
    assert set(lessons) == set(arms.ARMS)
    for arm, lesson in lessons.items():
        assert len(lesson.problems) == 48 and len(lesson.new) == (0 if arm == "none" else 24)
        assert lesson.tokens == sum(map(count_tokens, lesson.problems))
        assert len({problem.id for problem in lesson.problems}) == 48
        assert all(any(each.holds(item.attributes) for each in plans[arm]) for item in lesson.new)
    tokens = [lesson.tokens for lesson in lessons.values()]
    assert max(tokens) - min(tokens) <= 0.01 * min(tokens)
    kinds = [item.kind for item in lessons["targeted"].new]
    assert (kinds.count("steps"), kinds.count("reversed")) == (14, 10)
    kinds = [item.kind for item in lessons["uniform"].new]
    assert {kinds.count(kind) for kind in KINDS} == {6}


def test_a_new_level_is_made_where_it_lies_in_the_slice_and_the_old_one_elsewhere():
    own = open_world(make_parents("verifier", 80))
    probed, raised = {"steps": 0}, {"steps": 1}
    library = arms.Library(own, "train-1", probed, raised)
    whole = library.collect(Slice((("kind", "steps"),)), 4)
    assert {item.problem.operator for item in whole} == {"steps"}
    short = library.collect(Slice((("kind", "steps"), ("steps", "3-4"))), 4)
    assert {item.problem.operator for item in short} == {"steps@0.25"}
    assert library.collect(Slice((("kind", "steps"),)), 6)[:4] == whole


@QUICK
@given(st.lists(st.integers(10, 60), min_size=1, max_size=12), st.integers(1, 8), st.integers(0, 500))
def test_exchanges_bring_the_total_nearer_and_count_right(lengths, kept, target):
    pool = [tiny_models.make_problem(i) for i in range(len(lengths))]
    size = {problem.id: length for problem, length in zip(pool, lengths, strict=True)}
    first = pool[:kept]
    total = sum(size[problem.id] for problem in first)
    after, counted = arms.balance(first, pool, size, total, target)
    assert len(after) == len(first) == len({problem.id for problem in after})
    assert counted == sum(size[problem.id] for problem in after)
    assert abs(target - counted) <= abs(target - total)


# The stage.


def find_file(root, name):
    [parts] = eval_sets.SET_FILES[name]
    return root.joinpath("data", *parts)


def write_inputs(root, reverse=False):
    loading.save(tiny_models.make_model("lfm2", len(TOKENIZER)), TOKENIZER, root / "data/generator/model")
    Prompt().write(root / "data/generator/prompt.json")
    sets = {split: make_parents(split, count) for split, count in (("verifier", 260), ("dev", 6), ("test", 20))}
    variants, _ = registry.make_variants(sets["test"][:8], ["numbers", "reversed", "typos"], 1)
    sets["ood"] = variants
    for name, problems in sets.items():
        records.write_problems(find_file(root, name), problems[::-1] if reverse else problems, keep_order=True)
    records.write_problems(root / "data/selection/train.jsonl", make_parents("train", 30))
    for name in ("aime/test", "aime/unseen"):
        records.write_problems(root / f"data/{name}.jsonl", [])
    return root


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("adaptation"))


def plant_accuracies(patch):
    """Problems are solved with known probabilities, whatever the model: `reversed` hardly ever, arithmetic always."""
    rates = {"reversed": 0.15, "arithmetic": 1.0}

    def measure(run, name, folder, encoder, problems, n):
        assert (folder / "model.safetensors").is_file()
        return np.array(
            [
                np.mean(
                    seeds.uniforms(run.seed, problem.id, n=n) < rates.get(str(world.find_kind(problem, KINDS)), 0.8)
                )
                for problem in problems
            ]
        )

    patch.setattr(measures, "measure", measure)


def read_outputs(run):
    files = sorted(path for path in run.out_dir.rglob("*") if path.is_file())
    return {path.relative_to(run.out_dir).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_a_planted_weak_kind_is_found_taught_and_reported(inputs, monkeypatch):
    plant_accuracies(monkeypatch)
    run = tiny_models.make_run(inputs, "adaptation", make_params())
    metrics = adaptation.body(run)
    assert len(metrics) <= HEADLINE
    results = json.loads((run.out_dir / "results.json").read_text())
    assert [each["confirmed"][0] for each in results["rounds"]] == ["kind=reversed"] * 2
    assert results["stop"] == "2 of 2 rounds are done"
    assert results["rounds"][0]["levels"]["arithmetic"] == 1  # always solved, so it becomes harder
    assert results["rounds"][1]["kinds"]["arithmetic"]["form"] == 1
    for each in results["rounds"]:
        lessons = each["lessons"].values()
        assert {lesson["new"] + lesson["replay"] for lesson in lessons} == {12}
        kinds = each["lessons"]["targeted"]["kinds"]
        assert max(kinds, key=kinds.get) == "reversed"
    names = ["start", *(f"{arm}-{number}" for number in (1, 2) for arm in arms.ARMS)]
    assert set(results["models"]) == set(names)
    sets = results["models"]["start"]
    parts = [sets[name]["problems"] for name in ("weak", "untouched") if name in sets]
    assert sets["ood"]["problems"] == 12 == sum(parts) and parts[0] >= 4  # the reversed ones at least
    assert sets["unmade"]["problems"] == 4 == sets["test"]["problems"]  # typos
    assert [(row["first"], row["second"], row["set"]) for row in results["comparisons"]] == [
        (f"targeted-{number}", other, name)  # no row for parts of fewer than 30 problems
        for number in (1, 2)
        for other in (f"uniform-{number}", f"random-{number}", f"none-{number}", "start")
        for name in ("ood", "test")
    ]
    rows = results["comparisons"]
    assert [row["p_holm"] for row in rows] == intervals.holm([row["p"] for row in rows])
    last = {(row["second"], row["set"]): row["difference"] for row in rows[8:]}
    assert metrics["gain_start"] == last["start", "ood"] and metrics["gain_none"] == last["none-2", "ood"]
    assert results["kinds"] == {}
    slices = [json.loads(line) for line in (run.out_dir / "slices.jsonl").read_text().splitlines()]
    assert {"slice", "n", "acc", "rest", "gap_probe", "p", "q", "gap_confirm", "ci", "parent"} <= set(slices[0])
    taught = [json.loads(line) for line in (run.out_dir / "train.jsonl").read_text().splitlines()]
    assert all(row["split"] in ("train", "verifier", "adaptation-train-1", "adaptation-train-2") for row in taught)
    lines = (run.out_dir / "rounds.csv").read_text().splitlines()
    assert lines[0] == ",".join(report.COLUMNS) and len(lines) == 1 + 9 * len(sets)
    text = (run.out_dir / "report.md").read_text()
    assert "kind=reversed" in text and "Targeted minus the others" in text and "steps from" not in text
    assert (run.out_dir / "curve.png").stat().st_size > 10_000
    history = (run.out_dir / "history.csv").read_text().splitlines()
    assert history[0].startswith("step,targeted_1_loss,uniform_1_loss,random_1_loss")
    assert len(history) == 1 + 3 and history[3].startswith(
        "3,,,,,"
    )  # 12 problems in round 1, 24 of both rounds in round 2
    before = read_outputs(run)
    assert adaptation.body(run) == metrics and read_outputs(run) == before  # everything was kept


@pytest.mark.slow
def test_a_drop_on_dev_ends_the_rounds(inputs, monkeypatch):
    """The targeted arm solves 3 of 4 dev problems less than the generator; a loss that is allowed ends nothing."""
    plant_accuracies(monkeypatch)
    planted = measures.measure

    def measure(run, name, folder, encoder, problems, n):
        if name.startswith("dev-"):
            return np.array([1.0, 1.0, 1.0, 0.0]) * (name == "dev-start-1")
        return planted(run, name, folder, encoder, problems, n)

    monkeypatch.setattr(measures, "measure", measure)
    run = tiny_models.make_run(inputs, "adaptation", make_params(retention_loss=0.02))
    run.key = "drop"
    metrics = adaptation.body(run)
    results = json.loads((run.out_dir / "results.json").read_text())
    assert metrics["rounds"] == 1 == len(results["rounds"])  # two were allowed
    dev = results["rounds"][0]["dev"]
    assert (dev["start"], dev["targeted"], dev["loss"]) == (0.75, 0.0, 0.75) and dev["low"] <= 0.75 <= dev["high"]
    assert results["stop"] == f"round 1 lost 75.0 [{100 * dev['low']:+.1f}, {100 * dev['high']:+.1f}] points on dev"
    assert f"Stopped: {results['stop']}." in (run.out_dir / "report.md").read_text()
    assert "targeted-2" not in results["models"] and metrics["ood_targeted"] is not None


@pytest.mark.slow
def test_a_killed_round_and_another_order_of_rows_give_the_same_bytes(inputs, tmp_path, monkeypatch):
    plant_accuracies(monkeypatch)
    params = make_params(train_from="last")
    whole = tiny_models.make_run(inputs, "adaptation", params)
    whole.key = "one"
    adaptation.body(whole)
    other = tiny_models.make_run(write_inputs(tmp_path, reverse=True), "adaptation", params)
    train, trained = rounds.Study.train, []

    def train_and_die(study, arm, number):
        if trained:
            raise KeyboardInterrupt
        train(study, arm, number)
        trained.append(arm)

    monkeypatch.setattr(rounds.Study, "train", train_and_die)
    with pytest.raises(KeyboardInterrupt):
        adaptation.body(other)
    assert trained == ["targeted"] and list(other.out_dir.iterdir()) == []  # nothing half-written
    monkeypatch.setattr(rounds.Study, "train", train)
    adaptation.body(other)
    assert read_outputs(other) == read_outputs(whole)


@pytest.mark.slow
def test_where_nothing_is_solved_nothing_is_weak_and_the_generator_stays(inputs):
    """A model of random weights: with real draws."""
    params = make_params(sizes={**SETTINGS["sizes"], "probe": 6, "dev": 2, "test": 2, "ood": 1}, smallest_slice=4)
    run = tiny_models.make_run(inputs, "adaptation", params, seed=2)
    run.key = "none"
    metrics = adaptation.body(run)
    results = json.loads((run.out_dir / "results.json").read_text())
    assert results["stop"] == "no slice was confirmed in round 1" and results["comparisons"] == []
    assert metrics["confirmed"] == 0 == metrics["rounds"] and metrics["ood_start"] == 0.0
    assert "Stopped: no slice was confirmed in round 1." in (run.out_dir / "report.md").read_text()
    start = (inputs / "data/generator/model/model.safetensors").read_bytes()
    assert (run.out_dir / "model/model.safetensors").read_bytes() == start


def test_nothing_is_learned_from_an_evaluation_problem_its_parent_or_its_family(inputs):
    run = tiny_models.make_run(inputs, "adaptation", make_params(), seed=3)
    run.key = "planted"
    file = find_file(inputs, "verifier")
    old_file = inputs / "data/selection/train.jsonl"
    clean, old = records.read_problems(file), records.read_problems(old_file)
    [test, *_], [variant, *_] = (records.read_problems(find_file(inputs, name)) for name in ("test", "ood"))
    planted = [
        test,
        variant.model_copy(update={"question": "Another?"}),  # of the family of a test problem
        test.model_copy(update={"id": "gradeschool/verifier/900", "question": f" {test.question}\n"}),
        clean[0].model_copy(update={"id": "gradeschool/verifier/901", "parent": variant.parent}),
    ]
    before = sorted(run.out_dir.rglob("*"))
    try:
        for problem in planted:
            records.write_problems(file, [*clean, problem])
            with pytest.raises(UserError, match="cannot be learned from, for the evaluation sets hold"):
                adaptation.body(run)
        records.write_problems(file, clean, keep_order=True)
        for problem in planted:  # among the old problems, which every arm learns again
            records.write_problems(old_file, [*old, problem])
            with pytest.raises(UserError, match="cannot be learned from, for the evaluation sets hold"):
                adaptation.body(run)
    finally:
        records.write_problems(file, clean, keep_order=True)
        records.write_problems(old_file, old, keep_order=True)
    assert sorted(run.out_dir.rglob("*")) == before
