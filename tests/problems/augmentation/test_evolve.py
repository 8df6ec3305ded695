"""Method evolve with a real server on loopback: what is eliminated, what is kept, and a kill in the middle."""

import pytest

from stages.problems.augmentation import evolution_prompts, similarity
from stages.problems.augmentation.methods import evolve
from tests.helpers.chat_server import get_prompts, serve
from tests.problems.augmentation.written import (
    FAKES,
    REFUSAL,
    add_sentence,
    make_context,
    make_parents,
    read_section,
    solve,
    split,
)

SECTION = read_section(["evolve"], evolve={"rounds": 2, "changes": list(evolution_prompts.UPWARD)}, max_tries=2)
DIFFERENT, SAME = "They differ. <<<different>>>", "<<<Same.>>>"


def run_evolve(folder, writer, judge, solver, parents=None, section=SECTION, seed=1):
    with serve(writer) as first, serve(judge) as second, serve(solver) as third:
        context = make_context(section, folder, first.url, second.url, third.url, seed)
        results = split(evolve.make_candidates(make_parents(2) if parents is None else parents, section, context))
        return *results, (first.requests, second.requests, third.requests)


def test_good_agents_give_a_child_each_round(tmp_path):
    kept, rejects, (written, judged, _) = run_evolve(tmp_path, add_sentence, DIFFERENT, solve)
    parents = {parent.id: parent for parent in make_parents(2)}
    assert [candidate.problem.id for candidate in kept] == [
        f"made/train/{i}~evolve{number}" for number in (1, 2) for i in range(2)
    ]
    assert not rejects and len(written) == len(judged) == 4
    known = dict(parents)
    for candidate in kept:
        problem = candidate.problem
        assert problem.parent in known, "descent is in order: no cycle, the root a problem of train"
        assert problem.question != known[problem.parent].question
        assert problem.steps and problem.steps[-1].text == f"#### {problem.answer}" and problem.answer_type == "number"
        assert problem.operator == "evolve" and problem.licence == "MIT" and problem.program is None
        assert candidate.checks["answer"] == "unproven" and candidate.prompt_sha and candidate.round in (1, 2)
        known[problem.id] = problem
    first = next(candidate.problem for candidate in kept if candidate.problem.id == "made/train/0~evolve1")
    added = int(first.question.split("Later there are ")[1].split()[0])
    assert first.answer == str(8 + added)


@pytest.mark.parametrize("fake", FAKES)
def test_fake_agents_in_every_role_give_nothing(tmp_path, fake):
    kept, rejects, _ = run_evolve(tmp_path, FAKES[fake], FAKES[fake], FAKES[fake])
    assert not kept and len(rejects) == 2


@pytest.mark.parametrize("fake", FAKES)
def test_a_fake_writer_gives_nothing(tmp_path, fake):
    kept, rejects, _ = run_evolve(tmp_path, FAKES[fake], DIFFERENT, solve)
    assert not kept and len(rejects) == 4


@pytest.mark.parametrize("fake", FAKES)
def test_a_fake_judge_lets_nothing_through(tmp_path, fake):
    kept, rejects, _ = run_evolve(tmp_path, add_sentence, FAKES[fake], solve)
    assert not kept and {reject.reason for reject in rejects} == {"the judge gives no verdict"}


@pytest.mark.parametrize("fake", [*FAKES.values(), "<<<5 + 3 = 8\n#### 8>>>"], ids=[*FAKES, "one answer to all"])
def test_a_fake_solver_is_found_out_on_the_parents(tmp_path, fake):
    kept, rejects, _ = run_evolve(tmp_path, add_sentence, DIFFERENT, fake, make_parents(3)[1:])
    assert not kept and {reject.reason for reject in rejects} == {"the solver does not solve the parent"}


def test_each_rule_of_elimination_has_its_counter(tmp_path):
    def refuse_child(prompt):
        return REFUSAL if "Later there" in prompt else solve(prompt)

    def stop_words(prompt):
        return "So, and then?" if "Later there" in prompt else solve(prompt)

    def leak(prompt):
        return add_sentence(prompt).replace("Later", "In the rewritten prompt")

    cases = [
        (add_sentence, SAME, solve, "no information gain"),
        (add_sentence, DIFFERENT, refuse_child, "the solver refuses"),
        (add_sentence, DIFFERENT, stop_words, "the response is only punctuation and stop words"),
        (leak, DIFFERENT, solve, "repeats words of the prompt"),
    ]
    for number, (writer, judge, solver, reason) in enumerate(cases):
        kept, rejects, _ = run_evolve(tmp_path / str(number), writer, judge, solver)
        assert not kept and len(rejects) == 4 and {reject.reason for reject in rejects} == {reason}


def test_what_is_eliminated_is_tried_again_from_its_parent(tmp_path):
    def judge(prompt):
        return SAME if prompt.count("Later there are") == 1 and "Ann" in prompt else DIFFERENT

    kept, rejects, _ = run_evolve(tmp_path, add_sentence, judge, solve, make_parents(1))
    assert not kept and [reject.id for reject in rejects] == ["made/train/0~evolve1", "made/train/0~evolve2"]


def test_a_writer_with_one_idea_gives_it_once(tmp_path):
    idea = "<<<Zoe has 4 cats and gets 9 more. How many cats does she have now?>>>"
    section = read_section(["evolve"], evolve={"rounds": 1, "changes": ["broaden"]})
    kept, rejects, _ = run_evolve(tmp_path, idea, DIFFERENT, solve, section=section)
    assert len(kept) == 1 and {reject.reason for reject in rejects} == {"equals another new problem"}


def test_batches_and_order_of_replies_change_nothing(tmp_path, monkeypatch):
    together, *_ = run_evolve(tmp_path / "a", add_sentence, DIFFERENT, solve)
    monkeypatch.setattr(evolve, "BATCH", 1)
    alone, *_ = run_evolve(tmp_path / "b", add_sentence, DIFFERENT, solve)
    assert sorted(together, key=lambda c: c.problem.id) == sorted(alone, key=lambda c: c.problem.id)


def test_a_run_that_was_stopped_pays_for_no_answer_twice(tmp_path):
    whole, _, asked = run_evolve(tmp_path / "whole", add_sentence, DIFFERENT, solve)
    with serve(add_sentence) as first, serve(DIFFERENT) as second, serve(solve) as third:
        context = make_context(SECTION, tmp_path / "cut", first.url, second.url, third.url)
        stopped = evolve.make_candidates(make_parents(2), SECTION, context)
        next(stopped)
        stopped.close()
        again = make_context(SECTION, tmp_path / "cut", first.url, second.url, third.url)
        kept, _ = split(evolve.make_candidates(make_parents(2), SECTION, again))
        counts = [len(server.requests) for server in (first, second, third)]
    assert counts == list(map(len, asked))
    assert [c.problem for c in kept] == [c.problem for c in whole]


def test_another_seed_asks_anew(tmp_path):
    *_, (first, *_) = run_evolve(tmp_path, add_sentence, DIFFERENT, solve)
    *_, (second, *_) = run_evolve(tmp_path, add_sentence, DIFFERENT, solve, seed=2)
    assert len(first) == len(second) == 4


def test_changes_go_up_sideways_and_down():
    question = make_parents(1)[0].question
    prompts = [
        evolution_prompts.format_change(change, question)
        for change in (*evolution_prompts.UPWARD, "broaden", *evolution_prompts.DOWNWARD)
    ]
    assert len(set(prompts)) == 7 and sum("10 to 20 words" in prompt for prompt in prompts) == 4
    assert all(similarity.split_words(question)[0] in similarity.split_words(prompt) for prompt in prompts)
    assert evolution_prompts.read_verdict("Different.") is True and evolution_prompts.read_verdict(None) is None


def test_prompts_hold_one_problem_and_no_answer(tmp_path):
    *_, (written, judged, solved) = run_evolve(tmp_path, add_sentence, DIFFERENT, solve, make_parents(1))
    assert "#### 8" not in "".join(get_prompts([*written, *judged, *solved]))
