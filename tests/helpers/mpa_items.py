"""Small multiple-choice and free-answer items, the published ones, and a model that rewords them by a script."""

import os
import re
from pathlib import Path

import pytest

from stages.lib import chat
from stages.lib.core import seeds
from stages.lib.core.records import Problem, Source
from stages.problems.ood.mpa import agents, pipeline
from tests.helpers.chat_server import serve

ROOT = Path(os.environ.get("ASSAY_BENCHMARKS", ""))
requires_files = pytest.mark.skipif(
    "ASSAY_BENCHMARKS" not in os.environ, reason="ASSAY_BENCHMARKS is not set; it names the folder of published files"
)
RULE_AGENTS = agents.make_agents()  # no model: permutes alone
TREE_NAMES = ("beech", "oak", "maple", "willow", "cedar", "pine", "birch", "alder", "hazel", "rowan", "elm", "ash")


def make_item(number=0, question="Which of the following is the tallest here?", choices=None, answer=None, **more):
    draw = seeds.rng("test", number)
    *three, fourth, fifth = draw.sample(TREE_NAMES, 5)
    choices = choices or [*(f"the height of the {name}" for name in three), f"the {fourth} and the {fifth}"]
    answer = answer or "ABCD"[draw.randrange(4)]
    return Problem(
        id=f"quiz/test/trees/{number:04}",
        benchmark="quiz",
        split="test",
        question=question,
        choices=choices,
        answer=answer,
        answer_type="choice",
        licence="MIT",
        source=Source(url="none"),
        **more,
    )


def make_open_item(question, answer="4", kind="number", number=0):
    return Problem(
        id=f"sums/test/{number:04}",
        benchmark="sums",
        split="test",
        question=question,
        answer=answer,
        answer_type=kind,
        licence="MIT",
        source=Source(url="none"),
    )


def paraphrase(prompt):
    """A paraphraser and judge that does as it is told, in the few words of these items."""
    if "examination item" in prompt:
        return "Fine. <<<Yes>>>"
    if "Say each option" in prompt:
        listed = prompt.split("Options:\n")[1].split("\n\n")[0]
        return f"<<<{re.sub(r': the ', ': that ', listed)}>>>"
    if "one more option" in prompt:
        return "<<<a tree made of glass>>>"
    if "one sentence of context" in prompt:
        return "<<<A gardener walked through the park.>>>"
    question = prompt.split("Question:\n")[1].split("\n\nWrite the new question")[0]
    for old, new in (
        ("Which of the following", "Out of these, which"),
        ("ow many", "ow great a number of"),
        ("what is", "tell me"),
        ("find", "determine"),
    ):
        question = question.replace(old, new)
    return f"<<<{question}>>>"


def open_chat(server, folder, **settings):
    return chat.create("openai", folder, model="m", base_url=server.url, key_env=None, backoff=0.01, **settings)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Agents over a server that answers by `paraphrase`."""
    with serve(paraphrase) as server:
        chatting = open_chat(server, tmp_path_factory.mktemp("chat"))
        yield agents.make_agents(chatting, chatting)


def make_variant(problem, names, by=RULE_AGENTS, seed=1):
    kept, rejects = pipeline.make_variants([problem], names, by, seed)
    assert not rejects, rejects
    return kept[0]


def load_published(name, count):
    from stages.problems.benchmarks.__main__ import Params, build_problems

    file = {"gsm8k": "gsm8k/test.jsonl", "math": "math/math500.jsonl", "aime": "aime/aime24.jsonl"}.get(
        name, "mmlu/test"
    )
    sizes = dict.fromkeys(("train", "verifier", "dev", "test"))
    params = {"name": name, "source": "path", "sizes": sizes, "shares": None, "path": {"test": [str(ROOT / file)]}}
    problems, _ = build_problems(Params.model_validate(params), 1, 1)
    return sorted(problems, key=lambda problem: seeds.key("sample", problem.id))[:count]
