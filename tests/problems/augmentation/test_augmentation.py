"""Stage augmentation: what is kept is proven, everything is accounted for, nothing tested is trained on, equal bytes."""

import importlib
import json
import re
import shutil
import signal
import time

import pytest

from stages.commands import verify_items
from stages.lib.core import records
from stages.lib.core.expressions import strip_annotations
from stages.lib.procedural import gradeschool
from stages.lib.procedural.gradeschool import wording
from stages.problems.augmentation.candidate import Candidate, get_root
from stages.problems.augmentation.section import Params
from tests.helpers import chat_server, processes, tiny_models
from tests.problems.augmentation.written import add_sentence, make_parents, solve

augmentation = importlib.import_module("stages.problems.augmentation.__main__")
RULES = {"kind": "rules"}
METHODS = ["operators", "rephrase", "fobar", "self_verification"]
SETTINGS = {
    "methods": METHODS,
    "problems_per_method": 8,
    "verifier_problems_per_method": 0,
    "operators": ["numbers", "steps"],
    "writer": RULES,
    "judge": RULES,
    "solver": RULES,
    "max_tries": 2,
    "solver_samples": 3,
    "answers": {"sampler": "solver", "model": "data/raw/base", "samples_per_problem": 2, "max_per_problem": 2},
    "self_instruct": {"seeds": "", "rounds": 1, "requests_per_round": 1},
    "evolve": {"rounds": 1, "agreement": 0.6},
}
FILES = ("train.jsonl", "verifier.jsonl", "lineage.jsonl", "rejects.jsonl", "audit.json", "audit.md")


@pytest.fixture
def root(tmp_path):
    for split in ("train", "verifier", "dev", "test"):
        problems = gradeschool.generate_problems(split, 12, 3, steps=(2, 4), max_value=60)
        records.write_problems(tmp_path / f"data/benchmarks/{split}.jsonl", problems)
    for path in ("aime/dev", "aime/test", "aime/unseen", "ood/test"):
        records.write_problems(tmp_path / f"data/{path}.jsonl", [])
    return tmp_path


def run(root, **changes):
    execution = tiny_models.make_run(root, "augmentation", Params(**{**SETTINGS, **changes}))
    metrics = augmentation.body(execution)
    return metrics, records.read_problems(execution.out_dir / "train.jsonl")


def read(root, name):
    return [json.loads(line) for line in (root / "data/augmentation" / name).read_text().splitlines()]


def test_every_problem_is_proven_and_accounted_for(root):
    metrics, problems = run(root)
    parents = {problem.id: problem for problem in records.read_problems(root / "data/benchmarks/train.jsonl")}
    assert metrics["train"] == len(problems) >= 28 and metrics["made"] == len(problems) + len(
        read(root, "rejects.jsonl")
    )
    for problem in problems:
        assert verify_items.verify(problem, parents) == ("verified", [])
        assert problem.steps[-1].value == problem.answer and problem.split == "train"
    lineage = {row["id"]: row for row in read(root, "lineage.jsonl")}
    assert set(lineage) == {problem.id for problem in problems}
    for row in lineage.values():
        assert row["root"] == get_root(row["id"]) == row["parent"] and row["root"] in parents
        assert row["licence"] == "MIT" and row["agent"] == "program" and row["method"] in METHODS
    for row in json.loads((root / "data/augmentation/audit.json").read_text())["methods"]:
        assert row["made"] == row["kept"] + row["rejected"] and sum(row["reasons"].values()) == row["rejected"]


def test_the_words_of_new_problems_are_those_of_their_split(root):
    _, problems = run(root, methods=["rephrase"])
    owned = {
        relation: wording.list_owned_pairs("train", len(forms), len(wording.FRAMES))
        for relation, forms in wording.WORDINGS.items()
    }
    parents = {problem.id: problem for problem in records.read_problems(root / "data/benchmarks/train.jsonl")}
    for problem in problems:
        parent = parents[problem.parent]
        for entry in problem.program.params["quantities"]:
            assert tuple(entry["template"]) in owned[entry["relation"]]
        assert tuple(problem.program.params["question"]) in owned["question"]
        assert sorted(re.findall(r"\d+", problem.question)) == sorted(re.findall(r"\d+", parent.question))
        assert problem.steps == parent.steps and problem.question != parent.question


def test_problems_for_verifiers_come_from_problems_for_verifiers(root):
    run(root, verifier_problems_per_method=3)
    problems = records.read_problems(root / "data/augmentation/verifier.jsonl")
    assert len(problems) >= 10 and {get_root(p.id).split("/")[1] for p in problems} == {"verifier"}
    run(root)
    assert (root / "data/augmentation/verifier.jsonl").read_bytes() == b""


def test_more_problems_add_to_fewer_and_methods_do_not_touch_each_other(root):
    _, few = run(root, problems_per_method=4)
    _, many = run(root, problems_per_method=8)
    assert {p.id: p for p in few}.items() <= {p.id: p for p in many}.items()
    _, alone = run(root, methods=["fobar"], problems_per_method=4)
    assert alone == [p for p in few if p.operator == "fobar"]


def test_a_near_duplicate_of_an_evaluation_problem_is_removed(root):
    metrics, problems = run(root)
    target = next(problem for problem in problems if problem.operator == "fobar")
    planted = target.model_copy(update={"id": "gradeschool/test/99999", "split": "test", "parent": None})
    similar = planted.model_copy(update={"id": "ood/test/1", "question": planted.question.replace("Also, ", "Then ")})
    records.write_problems(root / "data/benchmarks/test.jsonl", [planted])
    records.write_problems(root / "data/ood/test.jsonl", [similar])
    metrics, cleaned = run(root)
    assert target not in cleaned and metrics["near_duplicates"] == 1
    assert any("gradeschool/test/99999" in row["reason"] for row in read(root, "rejects.jsonl"))
    assert "| train | benchmarks/test | 1 |" in (root / "data/augmentation/audit.md").read_text()


def test_what_is_no_longer_out_of_distribution_is_told(root):
    tested = gradeschool.generate_problems("test", 4, 3, steps=(2, 3), max_value=60)
    variants, _ = augmentation.registry.make_variants(tested, ["reversed", "steps", "typos"], 1)
    records.write_problems(root / "data/ood/test.jsonl", variants)
    run(root)
    text = (root / "data/augmentation/audit.md").read_text()
    assert "no longer out of distribution, since training has such problems: reversed, steps" in text


def test_new_problems_of_one_split_do_not_repeat_those_of_the_other(root):
    problems = records.read_problems(root / "data/benchmarks/train.jsonl")
    same = [problem.model_copy(update={"id": problem.id.replace("train", "verifier")}) for problem in problems]
    kept = [Candidate(problem, "program", {}) for problem in same]
    count = augmentation.Count("fobar", "verifier", len(kept))
    count.kept += kept
    rows = augmentation.remove_contaminated([count], {"augmentation/train": problems})
    assert not count.kept and len(count.rejected) == 12
    expected = {"split": "verifier", "set": "augmentation/train", "problems": 12, "new_problems": 12}
    assert rows == [{**expected, "shared_13_grams": 12, "removed": 12}]


def test_nothing_made_is_told(root, capsys):
    problems = records.read_problems(root / "data/benchmarks/train.jsonl")
    bare = [problem.model_copy(update={"program": None, "steps": None}) for problem in problems]
    records.write_problems(root / "data/benchmarks/train.jsonl", bare)
    metrics, problems = run(root, methods=["fobar", "rephrase"])
    assert problems == [] and metrics["made"] == 0
    assert "data/augmentation/train.jsonl is empty; fobar fits no problem of train" in capsys.readouterr().err
    metrics, problems = run(root, methods=[])
    assert problems == [] and capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"methods": ["fobar", "fobar"]}, "listed twice"),
        ({"methods": ["paint"]}, "Input should be"),
        ({"operators": ["numbers", "nombers"]}, "is no operator"),
        ({"operators": []}, "name an operator"),
        ({"problems_per_method": 0}, "greater than or equal to 1"),
        ({"solver_samples": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        Params(**{**SETTINGS, **changes})


# Models that write, judge and solve.


def make_agents(url, **settings):
    settings |= {"model": "scripted", "base_url": url, "key_env": None, "tries": 1}
    agent = {"kind": "openai", "settings": settings}
    return {"writer": agent, "judge": agent, "solver": agent}


def get_question(prompt):
    return re.search(r"Problem:\n(.+?)(?:\n\nWrite|$)", prompt, re.S)[1]


def rephrase(question):
    return " ".join(f"It is known: {part}" for part in question.split(". "))


def write_solution(problem):
    lines = [strip_annotations(step.text) for step in problem.steps[:-1]]
    return "\n".join(["<<<" + lines[0], *lines[1:], f"#### {problem.answer}.0>>>"])  # not equal as a string


class Helper:
    """Rephrases by a rule, judges that all is well, and knows the answers of the problems in a file."""

    def __init__(self, root):
        problems = records.read_problems(root / "data/benchmarks/train.jsonl")
        self.solutions = {problem.question: write_solution(problem) for problem in problems}
        self.solutions |= {rephrase(problem.question): write_solution(problem) for problem in problems}

    def __call__(self, prompt):
        if "Tell it again" in prompt:
            return f"<<<{rephrase(get_question(prompt))}>>>"
        if "Two mathematics problems" in prompt:
            return "<<<Yes>>>"
        return self.solutions.get(get_question(prompt), "<<<#### 0>>>")


@pytest.mark.slow
def test_what_a_model_rephrases_is_kept_where_the_solver_agrees(root):
    with chat_server.serve(Helper(root)) as server:
        metrics, problems = run(root, methods=["rephrase"], **make_agents(server.url))
    assert len(problems) == 8 and all(p.question.startswith("It is known") for p in problems)
    for row in read(root, "lineage.jsonl"):
        assert row["agent"] == "scripted" and len(row["prompt_sha"]) == 16 and row["checks"]["agreement"] == 1


FAKES = {
    "echo": lambda prompt: prompt,
    "echo of the question": lambda prompt: f"<<<{prompt.partition('Problem:')[2].partition('Write the')[0].strip()}>>>",
    "garbage": lambda prompt: "<<<7 %%% \x00 ]] 12>>> ####",
    "refuser": lambda prompt: "I am sorry, but I cannot help with that.",
}


@pytest.mark.parametrize("fake", FAKES)
@pytest.mark.slow
def test_fake_agents_give_nothing(root, fake, capsys):
    problems = records.read_problems(root / "data/benchmarks/train.jsonl")
    bare = [problem.model_copy(update={"program": None}) for problem in problems]
    records.write_problems(root / "data/benchmarks/train.jsonl", bare)
    with chat_server.serve(FAKES[fake]) as server:
        metrics, kept = run(root, methods=METHODS[1:], **make_agents(server.url))
    assert kept == [] and metrics["made"] == metrics["rejected"] == 36
    assert "is empty" in capsys.readouterr().err


class Liar(Helper):
    """Says Yes to everything, changes a number or two names of a question, and always answers 17."""

    def __init__(self, root, change):
        super().__init__(root)
        self.change = change

    def __call__(self, prompt):
        if "Tell it again" in prompt:
            return f"<<<{rephrase(self.change(get_question(prompt)))}>>>"
        return "<<<Yes>>>" if "Two mathematics problems" in prompt else "<<<8 + 9 = 17\n#### 17>>>"


def swap_names(question):
    first, second = list(dict.fromkeys(re.findall(r"\b[A-Z][a-z]{2}\b", question)))[:2]
    return question.replace(first, "Q").replace(second, first).replace("Q", second)


@pytest.mark.slow
@pytest.mark.parametrize("change", [lambda text: re.sub(r"\d+", "5", text), swap_names])
def test_a_liar_gives_nothing(root, change):
    with chat_server.serve(Liar(root, change)) as server:
        _, kept = run(root, methods=["rephrase"], **make_agents(server.url))
    answers = {p.id: p.answer for p in records.read_problems(root / "data/benchmarks/train.jsonl")}
    assert [p for p in kept if answers[p.parent] != "17"] == []


@pytest.mark.slow
def test_killed_while_a_server_answers_and_run_again_gives_the_same_bytes_and_pays_no_answer_twice(root, tmp_path):
    helper, threads = Helper(root), 2
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(root / "data", undisturbed / "data")

    def answer(prompt):
        time.sleep(0.05)
        return helper(prompt)

    with chat_server.serve(answer) as server:
        agents = make_agents(server.url, threads=threads)
        settings = {**SETTINGS, "methods": ["fobar", "rephrase"], **agents}
        jobs = json.dumps([[str(root), "augmentation", settings]])
        process = processes.start_module("tests.helpers.stage_script", jobs, output=tmp_path / "output.txt")
        while len(server.requests) < 9 and process.is_alive():
            time.sleep(0.01)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, (tmp_path / "output.txt").read_text()
        assert not (root / "data/augmentation/train.jsonl").exists()
        run(root, methods=["fobar", "rephrase"], **agents)
        asked = [(body["messages"][-1]["content"], body["seed"]) for body in server.requests]
        assert len(set(asked)) > 20 and len(asked) - len(set(asked)) <= threads  # those on their way when it died
        # Every try starts from a problem of the benchmark, never from what a model wrote before.
        assert not any("It is known" in prompt for prompt, _ in asked if "Tell it again" in prompt)
        resumed = {name: (root / "data/augmentation" / name).read_bytes() for name in FILES}
        run(root, methods=["fobar", "rephrase"], **agents)
        assert len(asked) == len(server.requests)  # a third run pays nothing
        run(undisturbed, methods=["fobar", "rephrase"], **agents)
    assert resumed == {name: (undisturbed / "data/augmentation" / name).read_bytes() for name in FILES}


@pytest.mark.slow
def test_what_descends_from_a_removed_problem_is_removed(root):
    parents = make_parents(3)
    records.write_problems(root / "data/benchmarks/train.jsonl", parents)
    changes = {"methods": ["evolve"], "evolve": {"rounds": 2, "changes": ["lengthen"], "agreement": 0.6}}

    def answer(prompt):
        if "Compare two problems" in prompt:
            return "<<<different>>>"
        return add_sentence(prompt) if "Here is a problem" in prompt else solve(prompt)

    with chat_server.serve(answer) as server:
        _, problems = run(root, **changes, **make_agents(server.url))
        assert [problem.id.partition("~")[2] for problem in problems] == ["evolve1", "evolve2"] * 3
        first = problems[0].model_copy(update={"id": "gradeschool/test/0", "parent": None, "split": "test"})
        records.write_problems(root / "data/benchmarks/test.jsonl", [first])
        _, cleaned = run(root, **changes, **make_agents(server.url))
    assert cleaned == problems[2:]
    reasons = {row["id"]: row["reason"] for row in read(root, "rejects.jsonl")}
    assert "gradeschool/test/0" in reasons["made/train/0~evolve1"]
    assert reasons["made/train/0~evolve2"] == "its parent is not kept"
    known = {problem.id: problem for problem in [*parents, *cleaned]}
    assert all(problem.parent in known for problem in cleaned)
    assert [verify_items.verify(problem, known) for problem in cleaned] == [("no program", [])] * 4
