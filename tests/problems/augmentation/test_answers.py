"""Method answers: which sampled solutions are kept, from a server and from the bundled model."""

import json
import shutil
from dataclasses import replace

import pytest

from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.procedural import gradeschool
from stages.problems.augmentation import equations
from stages.problems.augmentation.methods import answers
from stages.problems.augmentation.methods.answers import Solution
from tests.helpers.chat_server import serve
from tests.problems.augmentation.written import FAKES, ROOT, make_context, make_parents, read_section, split

KNOBS = {"sampler": "solver", "samples_per_problem": 3, "max_per_problem": 2}
SECTION = read_section(["answers"], answers=KNOBS)
PARENT = make_parents(1)[0]  # 5 + 3 = 8


def select(texts, parent=PARENT, section=SECTION, folder=ROOT):
    solutions = [Solution(problem_id=parent.id, index=i, text=text, correct=True) for i, text in enumerate(texts)]
    return split(answers.select_solutions(parent, solutions, section, make_context(section, folder)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("10 / 2 = 5\n5 + 3 = 8\n#### 8", None),
        ("3 + 5 = 8\n#### 8", None),  # another order is another way
        ("Now Ann has 5 + 3 = 8 apples.\n#### 8", "the same equations as another solution"),  # as gold
        ("It is eight.\n#### 8", "no equation leads to the answer"),
        ("4 + 4 = 8\n#### 8", "no equation uses a number of the question"),
        ("5 * 2 = 11\n11 - 3 = 8\n#### 8", "an equation does not hold"),
        (None, "cut off"),
    ],
)
def test_what_is_kept(tmp_path, text, reason):
    kept, rejects = select([text], folder=tmp_path)
    assert [reject.reason for reject in rejects] == ([reason] if reason else []) and len(kept) == (not reason)


def test_a_kept_solution_is_the_same_problem_with_other_steps(tmp_path):
    (candidate,), _ = select(["10 / 2 = 5\n\n5 + 3 = 8\n#### 8"], folder=tmp_path)
    problem = candidate.problem
    assert (problem.id, problem.parent, problem.operator) == ("made/train/0~answers1", PARENT.id, "answers")
    assert (problem.question, problem.answer) == (PARENT.question, "8")
    assert [(step.text, step.value) for step in problem.steps or ()] == [
        ("10 / 2 = 5", None),
        ("5 + 3 = 8", "8"),  # known: it is a line of the gold solution
        ("#### 8", "8"),
    ]
    assert candidate.checks == {"answer": "equals gold", "steps": "unproven"}


def test_a_problem_gives_distinct_solutions_and_not_too_many(tmp_path):
    ways = ["3 + 5 = 8", "3 + 5 = 8", "5 + 2 + 1 = 8", "6 + 3 - 1 = 8"]
    kept, rejects = select([f"{way}\n#### 8" for way in ways], folder=tmp_path)
    assert [candidate.problem.id[-1] for candidate in kept] == ["1", "3"]
    assert [reject.reason for reject in rejects] == [
        "the same equations as another solution",
        "enough solutions of this problem",
    ]


def test_a_right_answer_by_a_wrong_way_is_refused_where_a_program_knows_the_values(tmp_path):
    parent = gradeschool.generate_problems("train", 1, 1, steps=(2, 3))[0]
    gold = [step.text for step in parent.steps or ()]
    reordered = "\n".join(gold)
    assert select([reordered], parent, folder=tmp_path)[1][0].reason == "the same equations as another solution"
    wrong = "\n".join(["We know Zoe has 1: 1 + 0 = 1.", *gold])
    assert select([wrong], parent, folder=tmp_path)[1][0].reason == "a line is not true"


def test_a_server_solves(tmp_path):
    def solve(prompt):
        return "<<<3 + 5 = 8\n#### 8>>>" if "Ann" in prompt else "<<<1 + 1 = 2\n#### 2>>>"

    with serve(solve) as server:
        context = make_context(SECTION, tmp_path, solver=server.url)
        kept, rejects = split(answers.make_candidates(make_parents(2), SECTION, context))
        assert len(server.requests) == 6
        again = split(answers.make_candidates(make_parents(2), SECTION, context))
        assert again == (kept, rejects) and len(server.requests) == 6
    assert [candidate.problem.parent for candidate in kept] == ["made/train/0"]
    assert len(kept) + len(rejects) == 6 and kept[0].agent == "solver"


@pytest.mark.parametrize("fake", FAKES)
def test_fake_solvers_give_nothing(tmp_path, fake):
    with serve(FAKES[fake]) as server:
        context = make_context(SECTION, tmp_path, solver=server.url)
        kept, rejects = split(answers.make_candidates(make_parents(3), SECTION, context))
    assert not kept and len(rejects) == 9


def test_sampler_solver_wants_a_solver():
    with pytest.raises(ValueError, match="answers wants a model; set solver"):
        read_section(["answers"], answers=KNOBS, solver={"kind": "rules"})


MODEL = read_section(["answers"], answers={"model": "base", "samples_per_problem": 2, "max_new_tokens": 160})


@pytest.fixture
def context(tmp_path):
    shutil.copytree(ROOT / "data" / "raw" / "base", tmp_path / "base")
    context = make_context(MODEL, tmp_path)
    context.run.checkpoint_dir.mkdir(parents=True)
    return context


@pytest.mark.slow
def test_the_bundled_model_is_sampled_by_key_and_resumed(context, monkeypatch):
    parents = gradeschool.generate_problems("train", 6, 1, steps=(2, 2))
    kept, rejects = split(answers.make_candidates(parents, MODEL, context))
    assert len(kept) + len(rejects) == 12
    for candidate in kept:
        found = equations.find_equations("\n".join(step.text for step in candidate.problem.steps or ()))
        assert found and all(equation.holds for equation in found)
    (path,) = context.run.checkpoint_dir.glob("*.jsonl")
    whole = path.read_bytes()
    lines = sorted(line for line in whole.splitlines() if line)
    path.write_bytes(whole[: len(whole) // 2])  # killed in the middle of a line
    monkeypatch.setattr(answers, "BATCH", 4)
    assert split(answers.make_candidates(parents, MODEL, context)) == (kept, rejects)
    rows = [json.loads(line) for line in path.read_bytes().splitlines() if line in lines]
    assert {row[0]["problem_id"] for row in rows} == {parent.id for parent in parents}


def test_a_folder_without_a_model_is_named(context):
    run = replace(context.run, root=context.run.root / "elsewhere")
    with pytest.raises(UserError, match="elsewhere/base"):
        list(answers.make_candidates(make_parents(1), MODEL, context._replace(run=run)))


def test_only_problems_with_numbers_fit(context):
    fits = {
        kind: answers.fits_parent(PARENT.model_copy(update={"answer_type": kind}), MODEL, context)
        for kind in ("number", "integer", "choice", "code", "text", "latex")
    }
    assert [kind for kind, fit in fits.items() if fit] == ["number", "integer"]
    assert records.Problem.model_validate(PARENT.model_dump()) == PARENT
