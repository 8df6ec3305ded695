"""The stage `labels`: what is labelled by which method, and that neither kills nor processes nor chunks change a byte."""

import json
import shutil

import pytest

from stages.lib.core import records, seeds
from stages.lib.core.errors import UserError
from stages.lib.core.expressions import strip_annotations
from stages.lib.core.records import Problem, Sample
from stages.lib.datasets import eval_sets
from stages.lib.labels import label_methods, rollouts, truth
from stages.lib.models.encoding import split_steps
from stages.lib.models.prompts import Prompt
from stages.lib.procedural import gradeschool
from stages.lib.procedural.gradeschool import Fault
from stages.lib.run import distributed
from stages.lib.run.execution import StageRun
from stages.verifiers import labels
from tests.helpers import tiny_models

SETTINGS = dict(
    methods=["exact", "mc_hard", "mc_soft", "binary_search"],
    completer="data/generator/model",
    engine="native",
    completions=2,
    problems=3,
    audit_problems=2,
    audit_completions=3,
    samples_per_problem=3,
    temperature=0.7,
    top_k=0,
    top_p=1.0,
    imported={"prm800k": [], "math_shepherd": []},
    max_new_tokens=40,
    hard_rule="any_success",
    progress_threshold=0.8,
    use_pool=True,
    skip_uniform_problems=False,
    max_rows=64,
    dtype="float32",
)
FAULTS = ({}, {1: Fault("slip", 2)}, {2: Fault("reverse")}, {1: Fault("number", 1), 2: Fault("slip", 1)})


def written(problem: Problem, index: int) -> Sample:
    """A solution by a writer who makes the mistakes FAULTS[index]."""
    made = gradeschool.solve_program(problem.program.params, FAULTS[index])
    text = "".join(strip_annotations(line.text) + "\n" for line in made)
    answer = str(made[-1].value)
    return Sample(
        problem_id=problem.id,
        index=index,
        text=text,
        answer=answer,
        correct=answer == problem.answer,
        finish="stop",
        logprob=-1.0,
        min_logprob=-0.5,
        tokens=len(text),
    )


def by_chance(requests):
    """A completer without a model: a rollout succeeds by its own key with chance 0.4 while all said is right."""
    replies = []
    for one in requests:
        alive = all(truth.label_steps(one.problem, "\n".join(one.steps)))
        name, text = rollouts.make_prefix_key(one.problem, one.steps)
        right = [alive and seeds.rng(name, text, i).random() < 0.4 for i in range(one.start, one.stop)]
        replies.append(rollouts.Reply(right, 10 * len(right)))
    return replies


@pytest.fixture
def root(tmp_path):
    for split, count in (("verifier", 5), ("dev", 4), ("test", 1)):
        problems = gradeschool.generate_problems(split, count, 1, steps=(2, 3), max_value=30)
        records.write_problems(tiny_models.get_problems_path(tmp_path, split), problems)
        pool = [written(problem, index) for problem in problems for index in range(len(FAULTS))]
        records.write_samples(tmp_path / f"data/samples/{split}.parquet", pool)
    return tmp_path


def execution(root, rank=0, world=1, key="key", **changes) -> StageRun:
    run = StageRun("labels", labels.Params(**{**SETTINGS, **changes}), 1, root, key, rank, world)
    run.out_dir.mkdir(parents=True, exist_ok=True)
    return run


def prepared(run):
    problems = {name: eval_sets.load_problems(run, name) for name in labels.SPLITS}
    samples = {
        name: labels.load_samples(run.input_path("samples", f"{name}.parquet"), problems[name])
        for name in labels.SPLITS
    }
    first = {"verifier": run.params.problems, "dev": run.params.audit_problems}
    wanted = {
        name: labels.select_solutions(problems[name][: first[name]], samples[name], run.params, Prompt())
        for name in labels.SPLITS
    }
    return problems, samples, wanted


def finish(run, problems, samples, wanted):
    metrics = {
        name: labels.write_labels(run, name, problems[name], samples[name], wanted[name], Prompt())
        for name in labels.SPLITS
    }
    return metrics, {path.name: path.read_bytes() for path in sorted(run.out_dir.rglob("*")) if path.is_file()}


def stage(run, complete=by_chance):
    found = prepared(run)
    labels.draw_missing_rollouts(run, found[2], distributed.LocalWorkers(lambda: complete))
    return finish(run, *found)


@pytest.mark.slow
def test_labels_of_every_method(root):
    run = execution(root)
    metrics, files = stage(run)
    assert sorted(files) == ["audit.json", "audit.md", "audit.png", "dev.parquet", "verifier.parquet"]
    problems, samples, _ = prepared(run)
    rows = records.read_labels(run.out_dir / "verifier.parquet")
    by_method = {method: [row for row in rows if row.method == method] for method in SETTINGS["methods"]}
    ids = [problem.id for problem in problems["verifier"]]
    assert {(row.problem_id, row.index) for row in by_method["exact"]} == {(i, k) for i in ids for k in range(4)}
    for method in SETTINGS["methods"][1:]:
        assert {(row.problem_id, row.index) for row in by_method[method]} == {(i, k) for i in ids[:3] for k in range(3)}
    for problem in problems["verifier"]:
        for sample in samples["verifier"][problem.id]:
            own = [row.value for row in by_method["exact"] if (row.problem_id, row.index) == (problem.id, sample.index)]
            assert own == list(map(float, truth.label_steps(problem, sample.text)))
    soft = {(row.problem_id, row.index, row.step): row for row in by_method["mc_soft"]}
    for row in by_method["mc_hard"]:
        full = soft[row.problem_id, row.index, row.step]
        assert row.value == float(full.value > 0) and full.rollouts in (0, 2)
        assert full.rollouts == 0 or full.value == full.successes / full.rollouts
    ends = [row for row in by_method["mc_soft"] if row.rollouts == 0]
    correct = {(one.problem_id, one.index): one.correct for pool in samples["verifier"].values() for one in pool}
    assert len(ends) == 9 and all(row.value == correct[row.problem_id, row.index] for row in ends), "the outcome"
    assert metrics["verifier"]["truth_known"] == 1 and metrics["verifier"]["tokens"] > 0
    assert metrics["verifier"]["binary_search"]["completions"] < metrics["verifier"]["mc_soft"]["completions"]
    assert metrics["verifier"]["completions"] == metrics["verifier"]["mc_soft"]["completions"], "all from one store"
    audit = json.loads(files["audit.json"])
    assert {row["n"] for row in audit} == {0, 1, 2, 3} and all(row["solutions"] <= 6 for row in audit)


@pytest.mark.slow
def test_processes_chunks_and_kills_change_nothing(root, monkeypatch):
    _, whole = stage(execution(root))
    shutil.rmtree(root / ".checkpoints")
    monkeypatch.setattr(labels, "CHUNK_PROBLEMS", 1)
    for rank in (1, 0):
        run = execution(root, rank, world=2)
        found = prepared(run)
        labels.draw_missing_rollouts(run, found[2], distributed.LocalWorkers(lambda: by_chance))
    assert finish(run, *found)[1] == whole, "two processes, a problem at a time"
    assert len(list(run.checkpoint_dir.glob("verifier.*.jsonl"))) == 2
    asked = []

    def watched(requests):
        asked.extend(one.problem.id for one in requests)
        return by_chance(requests)

    part = run.checkpoint_dir / "verifier.0.jsonl"
    part.write_bytes(part.read_bytes()[:-40])  # killed in the middle of its last line
    assert stage(execution(root), watched)[1] == whole
    assert set(asked) == {"gradeschool/verifier/00002"}, "only what was lost is drawn again"
    assert stage(execution(root), None)[1] == whole, "nothing left to draw"

    def killed(requests):
        if any(one.problem.id.endswith("2") for one in requests):
            raise KeyboardInterrupt
        return by_chance(requests)

    run = execution(root, key="other")
    with pytest.raises(KeyboardInterrupt):
        stage(run, killed)
    assert len(distributed.load_finished(run.checkpoint_dir, "verifier", labels.PrefixRollouts)) == 2
    assert stage(run)[1] == whole


@pytest.mark.slow
def test_a_real_completer(root):
    """The bundled model, through the whole body, twice: with what the first run kept and without."""
    shutil.copytree(tiny_models.ROOT / "data/raw/base", root / "data/generator/model")
    Prompt().write(root / "data/generator/prompt.json")
    run = execution(root, problems=1, audit_problems=1, samples_per_problem=2)
    metrics = labels.body(run)
    first = {path.name: path.read_bytes() for path in sorted(run.out_dir.rglob("*")) if path.is_file()}
    assert metrics["verifier"]["tokens"] > metrics["verifier"]["completions"] > 0 and run.counts["tokens"] > 0
    assert labels.body(run) == metrics
    shutil.rmtree(run.checkpoint_dir)
    labels.body(run)
    assert {path.name: path.read_bytes() for path in sorted(run.out_dir.rglob("*")) if path.is_file()} == first
    with pytest.raises(UserError, match=r"labels\.completer: nowhere is not a folder"):
        labels.body(execution(root, completer="nowhere"))


@pytest.mark.slow
@pytest.mark.parametrize("hard", ["progress", "agreed"])
def test_hard_labels_by_relative_progress(root, hard):
    run = execution(root, methods=["mc_hard"], hard_rule=hard, completions=4)
    metrics, _ = stage(run)
    rows = records.read_labels(run.out_dir / "verifier.parquet")
    assert {row.method for row in rows} == {"mc_hard"} and {row.value for row in rows} <= {0.0, 1.0}
    solutions = {(row.problem_id, row.index) for row in rows}
    assert metrics["verifier"]["mc_hard"]["solutions"] == len(solutions)
    assert len(solutions) == 9 if hard == "progress" else 0 < len(solutions) < 9
    stage(execution(root, methods=["mc_hard"], completions=4))
    plain = records.read_labels(run.out_dir / "verifier.parquet")
    assert len(plain) >= len(rows) and [row.value for row in plain] != [row.value for row in rows]


def test_exact_labels_alone_need_no_completer(root):
    metrics, _ = stage(execution(root, methods=["exact"]), None)
    assert metrics["dev"]["completions"] == 0 and metrics["dev"]["truth_known"] == 1
    assert {row.method for row in records.read_labels(root / "data/labels/dev.parquet")} == {"exact"}
    assert json.loads((root / "data/labels/audit.json").read_text()) == []


def test_the_pool_labels_all_samples_without_a_completer(root):
    """FAULTS[0] is right; of a problem without it, nothing but the wrong end is known."""
    path = root / "data/samples/verifier.parquet"
    samples = records.read_samples(path)
    unsolved = samples[0].problem_id
    kept = [sample for sample in samples if (sample.problem_id, sample.index) != (unsolved, 0)]
    records.write_samples(path, kept)
    metrics, _ = stage(execution(root, methods=["pool"]), None)
    rows = records.read_labels(root / "data/labels/verifier.parquet")
    labels = {}
    for row in rows:
        labels.setdefault((row.problem_id, row.index), {})[row.step] = row.value
    assert {row.method for row in rows} == {"pool"} and set(labels) == {(s.problem_id, s.index) for s in kept}
    for sample in kept:
        steps, given = split_steps(sample.text), labels[sample.problem_id, sample.index]
        solved = [split_steps(s.text) for s in kept if s.problem_id == sample.problem_id and s.correct]
        if not solved:
            assert sample.problem_id == unsolved and given == {len(steps) - 1: 0.0}
            continue
        shared = [any(steps[: end + 1] == right[: end + 1] for right in solved) for end in range(len(steps))]
        assert given == dict(enumerate(map(float, shared)))
    full = sum(len(given) > 1 for given in labels.values())
    figures = metrics["verifier"]["pool"]
    assert (figures["solutions"], figures["audited"], figures["completions"]) == (len(kept), full, 0)
    assert 0 < figures["micro_f1"] <= 1


def test_the_pool_is_used_or_not(root):
    one = prepared(execution(root))[2]["verifier"]
    other = prepared(execution(root, use_pool=False))[2]["verifier"]
    for with_, without in zip(sum(one.values(), []), sum(other.values(), []), strict=True):
        assert without.last_shared_step == (len(without.steps) - 1 if without.correct else -1) <= with_.last_shared_step
    assert any(
        a.last_shared_step > b.last_shared_step
        for a, b in zip(sum(one.values(), []), sum(other.values(), []), strict=True)
    )


def test_only_mixed_problems_on_request(root):
    problems, samples, _ = prepared(execution(root))
    ids = [problem.id for problem in problems["verifier"]]
    pools = {
        name: [
            one.model_copy(update={"correct": index in right}) for index, one in enumerate(samples["verifier"][name])
        ]
        for name, right in zip(ids, ((0, 1, 2, 3), (), (1,), (), ()), strict=True)
    }
    choose = execution(root, skip_uniform_problems=True).params
    assert list(labels.select_solutions(problems["verifier"][:3], pools, choose, Prompt())) == [ids[2]]
    assert list(labels.select_solutions(problems["verifier"][:3], pools, execution(root).params, Prompt())) == ids[:3]


def test_unknown_problems_are_refused(root):
    problems, samples, _ = prepared(execution(root))
    with pytest.raises(UserError, match="gradeschool/verifier/00004, which is no problem of this set"):
        labels.load_samples(root / "data/samples/verifier.parquet", problems["verifier"][:4])


def test_a_solution_that_was_cut_off_ends_wrong():
    problem = gradeschool.generate_problems("dev", 1, 1, steps=(2, 2), max_value=30)[0]
    cut = written(problem, 0).model_copy(update={"correct": False, "finish": "length", "answer": None})
    (one,) = label_methods.build_solutions(problem, [cut])
    (estimates,), _ = rollouts.run_searches([(problem, one.steps, label_methods.mc_soft(one, 2))], by_chance)
    assert estimates[-1] == label_methods.Estimate(0.0) and len(estimates) == len(split_steps(cut.text))
