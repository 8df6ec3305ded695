"""Small multiple-choice and free-answer items, the published ones, and variants that the rules make of them."""

import os
from pathlib import Path

import pytest

from stages.lib import seeds
from stages.lib.records import Problem, Source
from stages.ood.mpa import agents, pipeline

ROOT = Path(os.environ.get("ASSAY_BENCHMARKS", ""))
REAL = pytest.mark.skipif(
    "ASSAY_BENCHMARKS" not in os.environ, reason="ASSAY_BENCHMARKS is not set; it names the folder of published files"
)
RULES = agents.of()
THINGS = ("beech", "oak", "maple", "willow", "cedar", "pine", "birch", "alder", "hazel", "rowan", "elm", "ash")


def item(number=0, question="Which of the following is the tallest here?", choices=None, answer=None, **more):
    draw = seeds.rng("test", number)
    *three, fourth, fifth = draw.sample(THINGS, 5)
    choices = choices or [*(f"the height of the {name}" for name in three), f"the {fourth} and the {fifth}"]
    answer = answer or "ABCD"[draw.randrange(4)]
    return Problem(
        id=f"quiz/test/trees/{number:04}", benchmark="quiz", split="test", question=question, choices=choices,
        answer=answer, answer_type="choice", licence="MIT", source=Source(url="none"), **more,
    )  # fmt: skip


def free(question, answer="4", kind="number", number=0):
    return Problem(
        id=f"sums/test/{number:04}", benchmark="sums", split="test", question=question, answer=answer,
        answer_type=kind, licence="MIT", source=Source(url="none"),
    )  # fmt: skip


def made(problem, names, seed=1, others=()):
    kept, rejects = pipeline.variants([problem], names, RULES, seed, others=[problem, *others])
    assert not rejects, rejects
    return kept[0]


NEW = [
    (["12", "14", "16", "18"], "B", "How much is it?"),
    (["$1,200", "$1,400", "$1,650", "$1,800"], "B", "How much is it?"),
    (["0.5", "0.25", "0.75", "1.5"], "A", "What is the value of x?"),
    (["about 10", "about 20", "about 30", "about 40"], "C", "About how much is it?"),
    (["Yes, because the oak is tall.", "Yes, because the elm is.", "No, because it is short.", "No, because it was cut."],
     "A", "Will it win?"),
    (["an oak", "an elm", "an ash", "a pine and a fir"], "D", "All of the following are old except"),
]  # fmt: skip


def real(name, count):
    from stages.benchmarks.__main__ import Params, build

    file = {"gsm8k": "gsm8k/test.jsonl", "math": "math/math500.jsonl", "aime": "aime/aime24.jsonl"}.get(
        name, "mmlu/test"
    )
    sizes = dict.fromkeys(("train", "verifier", "dev", "test"))
    params = {"name": name, "source": "path", "sizes": sizes, "shares": None, "path": {"test": [str(ROOT / file)]}}
    problems, _ = build(Params.model_validate(params), 1)
    return sorted(problems, key=lambda problem: seeds.key("sample", problem.id))[:count]
