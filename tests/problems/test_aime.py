"""Stage aime: the firewall between splits, the cap on answers, published problems, and equal bytes."""

import json
import math
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.datasets import contamination
from stages.lib.procedural import competition
from stages.problems import aime
from tests.helpers import tiny_models
from tests.helpers.chat_server import serve

SETTINGS = {
    "per_family": {"train": 6, "dev": 1, "test": 3, "unseen": 6},
    "unseen_families": ["two_coins", "necklaces"],
    "train_only_families": ["digit_sum"],
    "levels": [1, 2, 3],
    "decontaminate_against": [],
}


def settings(**changes):
    return aime.Params(**{**SETTINGS, **changes})


@pytest.mark.slow
def test_the_splits_share_nothing(tmp_path):
    run = tiny_models.make_run(tmp_path, "aime", settings())
    metrics = aime.body(run)
    items = {split: records.read_problems(run.out_dir / f"{split}.jsonl") for split in aime.SPLITS}
    families = {split: {p.program.params["family"] for p in problems} for split, problems in items.items()}
    assert families["unseen"] == {"two_coins", "necklaces"}
    assert not families["unseen"] & (families["train"] | families["dev"] | families["test"])
    assert "digit_sum" in families["train"] and "digit_sum" not in families["test"] | families["dev"]
    everything = [p for problems in items.values() for p in problems]
    assert len({aime.fingerprint(p) for p in everything}) == len(everything) == sum(metrics["problems"].values())
    assert all(competition.check(p) == [] for p in everything)
    report = json.loads((run.out_dir / "report.json").read_text())
    assert not any(report["firewall"]["items_shared"].values())
    assert set(report["difficulty_of_families"]) == set(competition.FAMILIES)


@pytest.mark.slow
def test_no_answer_is_frequent_in_its_family():
    problems, _ = aime.build_items(
        settings(per_family={"train": 40, "dev": 3, "test": 7, "unseen": 50}, unseen_families=["two_coins"]), 4, 4
    )
    for family in competition.FAMILIES:
        answers = Counter(p.answer for p in problems if p.program.params["family"] == family)
        assert max(answers.values()) <= max(aime.MIN_ANSWER_COUNT, aime.MAX_ANSWER_SHARE * answers.total()), family
    assert {p.program.params["level"] for p in problems} == {1, 2, 3}


@pytest.mark.slow
def test_difficulty_of_a_family_by_hand():
    items = [p for p in aime.build_items(settings(levels=[3]), 1, 1)[0] if p.program.params["family"] == "codes"]
    (level,) = aime.summarize_difficulty(items).items()
    assert level[0] == "3" and level[1]["items"] == len(items)
    assert level[1]["steps"] == 6 and level[1]["search_digits"] == round(math.log10(4**6), 2)  # words of six letters


@pytest.mark.slow
def test_more_items_change_none():
    few, _ = aime.build_items(settings(), 1, 1)
    more, _ = aime.build_items(settings(per_family={**SETTINGS["per_family"], "test": 4}), 1, 1)
    tests = [{p.id: p for p in items if p.split == "test"} for items in (few, more)]
    assert tests[0].items() <= tests[1].items() and len(tests[1]) > len(tests[0])


@pytest.mark.slow
def test_same_seed_same_bytes_and_adjacent_seeds_share_none(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        aime.body(tiny_models.make_run(tmp_path / name, "aime", settings()))
    for file in ("test.jsonl", "train.jsonl", "report.json"):
        assert (tmp_path / "one/data/aime" / file).read_bytes() == (tmp_path / "two/data/aime" / file).read_bytes()
    fingerprints = [{aime.fingerprint(p) for p in aime.build_items(settings(), seed, seed)[0]} for seed in (42, 43)]
    assert not fingerprints[0] & fingerprints[1]


@pytest.mark.slow
def test_another_test_seed_changes_the_tests_alone():
    items = [aime.build_items(settings(), 42, test_seed)[0] for test_seed in (42, 43)]
    one, two = ({split: [p for p in x if p.split == split] for split in aime.SPLITS} for x in items)
    assert one["train"] == two["train"] and one["dev"] == two["dev"]
    assert all(
        {p.question for p in one[split]}.isdisjoint(p.question for p in two[split]) for split in ("test", "unseen")
    )


@pytest.mark.slow
def test_a_repeated_published_problem_stops_the_stage(tmp_path):
    problems, _ = aime.build_items(settings(), 1, 1)
    leaked = tmp_path / "published.jsonl"
    leaked.write_text(json.dumps({"problem": "Well known. " + problems[0].question}) + "\n")
    with pytest.raises(UserError, match="repeats a problem of"):
        aime.build_report(problems, settings(decontaminate_against=[str(leaked)]))
    leaked.write_text(json.dumps({"nothing": 1}) + "\n")
    with pytest.raises(UserError, match="published.jsonl:1: no question"):
        aime.build_report(problems, settings(decontaminate_against=[str(leaked)]))


def test_no_item_repeats_a_real_aime_problem():
    root = os.environ.get("ASSAY_BENCHMARKS")
    if not root:
        pytest.skip("ASSAY_BENCHMARKS is not set: the real AIME problems are not here")
    files = [str(Path(root) / "aime" / name) for name in ("aime24.jsonl", "aime25.jsonl", "aime_1983_2024.csv")]
    problems, _ = aime.build_items(settings(), 1, 1)
    account = aime.build_report(problems, settings(decontaminate_against=files))
    assert account["published"]["repeated"] == 0 and account["published"]["compared_with"] > 900


def test_the_easiest_level_has_its_own_families():
    sizes = {"train": 8, "dev": 1, "test": 4, "unseen": 8}
    section = settings(levels=[0], per_family=sizes, unseen_families=["two_coins", "necklaces"])
    problems, _ = aime.build_items(section, 1, 1)
    assert aime.describe_shortages(problems, section) == []
    assert all(competition.check(problem) == [] for problem in problems)
    families = {p.program.params["family"] for p in problems}
    assert families == {name for name, family in competition.FAMILIES.items() if 0 in family.levels}
    assert "necklaces" not in families and section.list_families("unseen") == ["two_coins"]
    assert max(int(n) for p in problems for n in re.findall(r"\d+", p.question)) <= 999
    mixed, _ = aime.build_items(settings(levels=[0, 3]), 1, 1)
    assert {p.program.params["level"] for p in mixed if p.program.params["family"] == "necklaces"} == {3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unseen_families": ["astrology"]}, "'astrology' is no family; allowed: remainder_system"),
        ({"train_only_families": ["two_coins"]}, "both unseen and train_only"),
    ],
)
def test_wrong_settings_raise(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_a_family_too_small_is_a_remark(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(aime, "MAX_CANDIDATES_PER_ITEM", 1)  # so that whatever is drawn twice is missing
    sizes = {"train": 60, "dev": 0, "test": 0, "unseen": 0}
    others = [name for name in competition.FAMILIES if name not in ("gamblers_ruin", "codes")]
    aime.body(
        run := tiny_models.make_run(
            tmp_path, "aime", settings(per_family=sizes, unseen_families=others, train_only_families=[])
        )
    )
    items = Counter(p.program.params["family"] for p in records.read_problems(run.out_dir / "train.jsonl"))
    remarks = json.loads((run.out_dir / "report.json").read_text())["remarks"]
    assert items["gamblers_ruin"] < 60
    remark = f"family gamblers_ruin gives {items['gamblers_ruin']} different items for train, 60 are wanted"
    assert remark in remarks and f"aime: warning: {remark}\n" in capsys.readouterr().err


SCENE = "On a rainy evening by the sea an old lighthouse keeper tells stories."


def writer(server):
    settings = {"model": "scripted", "base_url": server.url, "key_env": None, "backoff": 0.01}
    return {"kind": "openai", "settings": settings}


@pytest.mark.slow
def test_a_models_sentence_stands_in_front_and_the_item_still_reads_back(tmp_path):
    sizes = {"train": 1, "dev": 0, "test": 1, "unseen": 1}
    with serve(f"<<<{SCENE}>>>") as server:
        aime.body(run := tiny_models.make_run(tmp_path, "aime", settings(per_family=sizes, writer=writer(server))))
        assert len(server.requests) == sum(
            len(records.read_problems(run.out_dir / f"{split}.jsonl")) for split in aime.SPLITS
        )
    items = [p for split in aime.SPLITS for p in records.read_problems(run.out_dir / f"{split}.jsonl")]
    front = [p for p in items if p.question.startswith(SCENE + " ")]
    report = json.loads((run.out_dir / "report.json").read_text())["written_sentences"]
    assert report["kept"] == len(front) > 0 and sum(report["refused"].values()) == len(items) - len(front)
    assert all(competition.check(p) == [] for p in items)
    bad = front[0].program.model_copy(
        update={"params": front[0].program.params | {"frame": "Every die has six faces."}}
    )
    spoilt = front[0].model_copy(
        update={"program": bad, "question": front[0].question.replace(SCENE, "Every die has six faces.")}
    )
    assert competition.check(spoilt)


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("In the harbor 7 ships wait.", "not one sentence of plain words"),
        ("In the harbor seven ships wait.", "a number in words (seven)"),
        ("Ships wait while Ann sings.", "a name"),
        ("A calm sea is not always silent.", "a denial (not)"),
        ("Under the moon every wave glitters.", "a quantity (every)"),
        ("The waves sing if storms come.", "a condition (if)"),
        ("Old coins from the sea glitter.", "speaks of what the problem speaks of (coins)"),
        ("The answer lies under the waves.", "a remark on the answer (answer)"),
        ("Is the sea calm at night?", "not one sentence of plain words"),
        ("Waves sing.", "not 4 to 30 words"),
    ],
)
def test_a_sentence_that_could_change_the_problem_is_refused(sentence, reason):
    core = "In a certain country the only coins are worth 7 and 9 dollars. Find the largest amount."
    assert competition.intros.find_fault(sentence, core).startswith(reason)
    assert competition.intros.find_fault(SCENE, core) is None


@pytest.mark.slow
def test_a_refused_sentence_leaves_the_item_as_it_was(tmp_path):
    sizes = {"train": 1, "dev": 0, "test": 0, "unseen": 0}
    with serve("no mark", "<<<Everything costs seven dollars today.>>>") as server:
        aime.body(run := tiny_models.make_run(tmp_path, "aime", settings(per_family=sizes, writer=writer(server))))
    plain, _ = aime.build_items(settings(per_family=sizes), 1, 1)
    assert records.read_problems(run.out_dir / "train.jsonl") == sorted(plain, key=lambda p: p.id)
    report = json.loads((run.out_dir / "report.json").read_text())["written_sentences"]
    assert report["kept"] == 0 and report["refused"]["not one marked sentence"] == 1


def test_overlap_by_hand():
    long = "the quick brown fox jumps over the lazy dog and then runs far away home"
    other = long.replace("over", "above")
    assert contamination.find_shared_ngrams([long, other, "short"], [long.upper()]) == [0]
    assert contamination.find_shared_ngrams([other], [long], n=5) == [0]
    assert contamination.find_similar([long, other, "nothing like it at all, really nothing"], [long]) == [(0, 0)]
