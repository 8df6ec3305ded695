"""Stage augmentation with models that write, judge and solve: fakes, liars, a kill, and descent."""

import json
import re
import shutil
import signal
import time

import pytest

from stages.commands import verify_items
from stages.lib.core import records
from stages.lib.core.expressions import strip_annotations
from tests.helpers import chat_server, processes
from tests.problems.augmentation.stage_runs import FILES, METHODS, SETTINGS, augmentation, read, run, write_inputs
from tests.problems.augmentation.written import add_sentence, make_context, make_parents, read_section, solve


@pytest.fixture
def root(tmp_path):
    return write_inputs(tmp_path)


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
        assert (
            len(set(asked)) > 20 and len(asked) - len(set(asked)) <= threads**2
        )  # on their way when it died: of so many
        # parents at a time, the solver is asked for so many solutions at a time
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


def answer_anything(prompt):
    if "Compare two problems" in prompt:
        return "<<<different>>>"
    if "Two mathematics problems" in prompt:
        return "<<<Yes>>>"
    if "Tell it again" in prompt:
        return f"<<<{rephrase(get_question(prompt))}>>>"
    if "Here are tasks" in prompt:
        return "<<<A baker sells 12 rolls in the morning and 9 rolls at noon. How many rolls does the baker sell?>>>"
    return add_sentence(prompt) if "Here is a problem" in prompt else solve(prompt)


@pytest.mark.parametrize("method", ["rephrase", "fobar", "answers", "self_instruct", "evolve"])
@pytest.mark.slow
def test_another_seed_asks_models_for_other_answers(tmp_path, method):
    asked = []
    for seed in (1, 2):
        with chat_server.serve(answer_anything) as server:
            agents = {"writer": server.url, "judge": server.url, "solver": server.url}
            section = read_section([method], answers={"sampler": "solver", "samples_per_problem": 2})
            context = make_context(section, tmp_path / str(seed), **agents, seed=seed)
            list(augmentation.METHODS[method].make_candidates(make_parents(3), section, context))
            asked.append({(body["messages"][-1]["content"], body["seed"]) for body in server.requests})
    assert all(asked) and not asked[0] & asked[1]


def test_a_writer_without_a_solver_is_not_asked(tmp_path):
    with chat_server.serve(answer_anything) as server:
        section = read_section(["rephrase"])
        context = make_context(section, tmp_path, writer=server.url)
        with pytest.raises(AssertionError, match="without a solver"):
            list(augmentation.METHODS["rephrase"].make_candidates(make_parents(1), section, context))
        assert server.requests == []
