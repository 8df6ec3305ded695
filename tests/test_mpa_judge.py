"""The judge, measured: planted faults are caught, in bundled, small and published items."""

import json
from collections import Counter

import pytest

from stages.lib import chat
from stages.lib.gradeschool import problems as gradeschool
from stages.ood import mpa
from stages.ood.mpa import agents, checks, faults, pipeline, principles, stock
from tests.chat_server import serve
from tests.quiz import NEW, REAL, RULES, item, real


def measured(problems, floor=0.95):
    report = faults.measure(problems, RULES, 1)
    for name, found in report.items():
        if found["n"]:
            assert found["recall"] >= floor and found["precision"] >= floor, (name, found)
            for fault, (caught, planted) in found["by_fault"].items():
                assert planted < 20 or caught >= 0.9 * planted, (name, fault, caught, planted)
    return report


def test_planted_faults_in_the_bundled_benchmark_are_caught():
    report = measured(gradeschool("test", 25, 1))
    assert report["question"]["good"] == report["context"]["good"] == 25 and report["choices"]["n"] == 0
    planted = report["question"]["by_fault"]
    assert all(
        planted[name][1] > 0 for name in ("changed number", "exchanged numbers", "dropped condition", "unchanged")
    )


def test_planted_faults_in_multiple_choice_are_caught():
    problems = [item(i, *NEW[i % 6][2::-2], NEW[i % 6][1]) if i % 2 else item(i) for i in range(36)]
    report = measured(problems)
    assert all(found["n"] > 60 for found in report.values())


def test_a_judge_who_says_yes_to_all_is_found_out(tmp_path):
    """The measure measures: without the rules judge recall falls to what the checks see alone."""
    with serve("<<<Yes>>>") as server:
        blind = chat.make("openai", tmp_path, model="m", base_url=server.url, key_env=None)
        report = faults.measure(gradeschool("test", 5, 1), agents.of(None, blind), 1)
    assert report["question"]["recall"] < 0.9


def test_a_faulty_composition_is_caught_whole():
    parent = item(3)
    good = principles.draft(parent)
    for name in principles.PRINCIPLES:
        good = RULES.paraphraser.apply(name, parent, good, stock.pool([parent], 1), (0,))
    assert pipeline.fault(parent, good, principles.PRINCIPLES, RULES, (0,)) is None
    for name in principles.PRINCIPLES:
        for fault, broken in faults.planted(parent, good, name, 1):
            seen = broken._replace(origin=checks.origins(parent, broken.choices))
            assert pipeline.fault(parent, seen, principles.PRINCIPLES, RULES, (0,)), (name, fault)


@REAL
@pytest.mark.parametrize("name", ["gsm8k", "math", "aime", "mmlu"])
def test_published_items_are_kept_and_planted_faults_in_them_caught(name):
    every = real(name, 3000 if name == "mmlu" else 24)
    problems = every[:24]
    measured(problems)
    for wanted in ("all", *(principles.PRINCIPLES if name == "mmlu" else principles.FREE)):
        kept, rejects = pipeline.variants(problems, wanted, RULES, 1, others=every)
        reasons = Counter(reject.reason for reject in rejects)
        few = {"all": 0, "choices": 0.05, "newchoice": 0.3} if name == "mmlu" else {}  # what the rules can do at all
        honest = few.get(wanted, 0.75)
        assert len(kept) >= honest * len(problems) and len(kept) + len(rejects) == len(problems), reasons
        for variant in kept:
            assert json.dumps(variant.model_dump()) and mpa.check(variant) == []
