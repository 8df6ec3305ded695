"""Method self_instruct with a real server on loopback: filters, rounds, fakes, and a run that was stopped."""

import json
import os
import re
from itertools import combinations, product
from pathlib import Path

import pytest

from stages.lib.core.errors import UserError
from stages.problems.augmentation import seed_tasks, task_filters
from stages.problems.augmentation.methods import self_instruct
from stages.problems.augmentation.similarity import TextPool, compute_rouge_l
from tests.helpers.chat_server import get_prompts, serve
from tests.problems.augmentation.written import FAKES, make_context, make_parents, read_section, solve, split

KNOBS = {"rounds": 2, "requests_per_round": 2, "tasks_per_request": 3, "control_problems": 2}
SECTION = read_section(["self_instruct"], self_instruct=KNOBS)
TASKS = (
    "A harbour master counts {} ships at dawn, and {} by night. What is the total?",
    "Bread takes {} grams of rye and {} of wheat; weigh all flour together.",
    "From the museum it is {} km to Oldham, then {} km on to York: how far altogether?",
    "Dana read {} pages on Monday and on Tuesday {}. Pages read so far?",
    "Old Tom's orchard gave {} pears, his neighbour's {}. How large was their common harvest?",
    "Two trains carry {} and {} people. Find the number of passengers.",
    "Quarry workers moved {} stones before lunch, afterwards another {}; give their sum.",
    "If the chapel has {} benches and lends out no more than it buys, {}, how many stand there at last?",
)


def write_tasks(prompt: str) -> str:
    """A writer that can: three problems for each prompt, which ones depends on the prompt."""
    start = sum(map(ord, prompt))
    tasks = [TASKS[(start + 3 * i) % len(TASKS)].format(start % 7 + i + 2, start % 5 + 11) for i in range(3)]
    return "Here they are.\n" + "\n".join(f"<<<{task}>>>" for task in tasks)


def run_self_instruct(folder, writer, solver, section=SECTION, seed=1, parents=None):
    with serve(writer) as first, serve(solver) as second:
        context = make_context(section, folder, first.url, None, second.url, seed)
        results = split(self_instruct.make_candidates(parents or make_parents(6), section, context))
        return *results, (first.requests, second.requests)


def test_good_agents_give_new_problems(tmp_path):
    kept, rejects, (written, _) = run_self_instruct(tmp_path, write_tasks, solve)
    assert kept and len(kept) + len(rejects) == 12 and len(written) == 4
    for candidate in kept:
        problem = candidate.problem
        numbers = list(map(int, re.findall(r"\d+", problem.question)))
        assert problem.answer == str(sum(numbers)) and problem.answer_type == "number"
        assert problem.id.startswith("self_instruct/train/") and "~" not in problem.id and problem.parent is None
        assert problem.licence == "MIT" and problem.source.url == "written:writer"
        assert candidate.checks == {"answer": "unproven", "agreement": 1.0, "controls": "2/2"}
    new, seeds = [candidate.problem.question for candidate in kept], [parent.question for parent in make_parents(6)]
    pairs = [*combinations(new, 2), *product(new, seeds)]
    assert len(new) >= 3 and max(compute_rouge_l(a, b) for a, b in pairs) <= 0.7
    assert {reject.reason for reject in rejects} <= {"too similar to another task"}


@pytest.mark.parametrize("fake", FAKES)
def test_fake_agents_give_nothing(tmp_path, fake):
    kept, rejects, _ = run_self_instruct(tmp_path, FAKES[fake], FAKES[fake])
    assert not kept and rejects


@pytest.mark.parametrize("fake", FAKES)
def test_a_fake_writer_gives_nothing(tmp_path, fake):
    kept, rejects, _ = run_self_instruct(tmp_path, FAKES[fake], solve)
    assert not kept and rejects


def test_a_solver_that_fails_known_problems_is_not_asked_new_ones(tmp_path):
    kept, rejects, (_, asked) = run_self_instruct(tmp_path, write_tasks, "<<<5 + 3 = 8\n#### 8>>>")
    assert not kept and "the solver fails problems whose answers are known" in {reject.reason for reject in rejects}
    assert len(asked) == 2 * 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Name three rare metals.", None),
        ("Name rare metals.", "too short"),
        ("word " * 151, "too long"),
        ("Describe the image of a cat.", "needs more than text"),
        ("Where must I go to for bread?", "needs more than text"),
        ("Add up the profiles of three towns.", None),  # `file` is inside a word
        ("Write a program that adds two numbers.", "asks for a program"),
        ("- Name three rare metals.", "starts with punctuation"),
        ("Äpfel kosten 3 Euro. Was kosten 4?", "starts with another script"),
        ("What is 3 + 4? The answer is 7.", "gives an answer away"),
        ("A rope of 8 m is cut in two. How long is a piece? How many are there?", "asks several questions"),
    ],
)
def test_filters(text, reason):
    assert task_filters.explain_unfit(text) == reason


def test_letters_keep_their_case_and_a_task_that_was_cut_off_is_dropped():
    reply = "<<<What is 2 times X, if X is the\nage of Ann McDee?>>>\n1. <<<How old is Bob if"
    assert self_instruct.read_tasks(reply) == ["What is 2 times X, if X is the age of Ann McDee?", None]
    assert self_instruct.explain_refused(None, TextPool([], 0.7)) == "cut off"
    assert self_instruct.read_tasks("<think><<<a draft>>>") == []


def test_a_prompt_shows_six_tasks_of_people_and_two_of_models():
    people = [seed_tasks.SeedTask(f"p{i}", f"people {i}", "MIT") for i in range(20)]
    machine = [seed_tasks.SeedTask(f"m{i}", f"machine {i}", "MIT") for i in range(5)]
    for number in (0, 1, 2, 5):
        shown = self_instruct.draw_shown(people, machine[:number], 1, "key")
        assert len(set(shown)) == 8 and sum(text.startswith("machine") for text in shown) == min(number, 2)
    shown = self_instruct.draw_shown(people, machine, 1, "key")
    assert self_instruct.draw_shown(people[::-1], machine[::-1], 1, "key") == shown
    assert self_instruct.draw_shown(people, machine, 2, "key") != shown


def test_later_rounds_show_what_earlier_ones_kept(tmp_path):
    kept, _, (written, _) = run_self_instruct(tmp_path, write_tasks, solve)
    first = [candidate.problem.question for candidate in kept if candidate.round == 1]
    prompts = sorted(get_prompts(written), key=lambda prompt: sum(text in prompt for text in first))
    assert len(first) >= 2 and [sum(text in prompt for text in first) for prompt in prompts] == [0, 0, 2, 2]


def test_a_run_that_was_stopped_pays_for_no_answer_twice(tmp_path):
    whole, rejects, asked = run_self_instruct(tmp_path / "whole", write_tasks, solve)
    with serve(write_tasks) as first, serve(solve) as second:
        context = make_context(SECTION, tmp_path / "cut", first.url, None, second.url)
        stopped = self_instruct.make_candidates(make_parents(6), SECTION, context)
        next(stopped)
        stopped.close()
        again = make_context(SECTION, tmp_path / "cut", first.url, None, second.url)
        assert split(self_instruct.make_candidates(make_parents(6), SECTION, again)) == (whole, rejects)
        assert [len(first.requests), len(second.requests)] == list(map(len, asked))


def test_seed_files(tmp_path):
    path = tmp_path / "seeds.jsonl"
    rows = [
        {"id": "a", "instruction": "Name a metal.", "instances": []},
        {"question": "What is 2 + 2?", "licence": "MIT"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = seed_tasks.read_seed_tasks(path, "Apache-2.0")
    assert [(task.id, task.licence) for task in tasks] == [("a", "Apache-2.0"), ("00002", "MIT")]
    for text, reason in [
        ('{"a": 1}\n', "1: neither"),
        ("", "no tasks"),
        ('{"id": 1, "instruction": "x"}\n{"id": "1", "instruction": "y"}\n', "2: id '1' is already used"),
        ("{", "1: not valid JSON"),
    ]:
        path.write_text(text)
        with pytest.raises(UserError, match=reason):
            seed_tasks.read_seed_tasks(path, "MIT")


@pytest.mark.skipif(
    "ASSAY_BENCHMARKS" not in os.environ, reason="ASSAY_BENCHMARKS is not set; it names published files"
)
def test_the_published_seed_tasks_as_seeds(tmp_path):
    path = Path(os.environ["ASSAY_BENCHMARKS"]) / "car" / "self_instruct_seed_tasks.jsonl"
    texts = [task.text for task in seed_tasks.read_seed_tasks(path, "Apache-2.0")]
    reasons = [reason for text in texts if (reason := task_filters.explain_unfit(text))]
    assert len(texts) == 175 and sorted(reasons) == ["asks for a program", "too short", "too short"]
    section = read_section(["self_instruct"], self_instruct={**KNOBS, "seeds": str(path)})
    kept, _, _ = run_self_instruct(tmp_path, write_tasks, solve, section)
    assert kept and {candidate.problem.licence for candidate in kept} == {"Apache-2.0"}
    assert {candidate.problem.source.revision for candidate in kept} == {path.name}


def test_a_method_that_models_write_wants_models():
    for method, agent in [("self_instruct", "writer"), ("evolve", "judge")]:
        with pytest.raises(ValueError, match=f"{method} wants a model; set {agent}"):
            read_section([method], **{agent: {"kind": "rules"}})


@pytest.mark.parametrize(
    ("answer", "is_class"),
    [("yes", True), ("No.", True), ("Yes, she can", True), ("**False**", True), ("positive", True), ("no one", False)]
    + [("Norway", False), ("12", False), ("a positive number", False), ("true north", False)],
)
def test_an_answer_of_a_few_classes(answer, is_class):
    assert task_filters.is_class(answer) is is_class


def test_tasks_that_are_answered_by_yes_or_no_are_refused(tmp_path):
    """The solver agrees with itself on each; two coins would, too, half of the time."""

    def solve_or_nod(prompt):
        return "<<<Think.\n#### Yes>>>" if "Is it true" in prompt else solve(prompt)

    def write(prompt):
        return f"<<<Is it true that a ferry of {len(prompt)} seats is full?>>>\n" + write_tasks(prompt)

    kept, rejects, _ = run_self_instruct(tmp_path, write, solve_or_nod)
    assert kept and not any(candidate.problem.answer == "Yes" for candidate in kept)
    assert "asks for one of a few classes" in {reject.reason for reject in rejects}
