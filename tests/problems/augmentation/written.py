"""Parents, parameters and scripted agents for the tests of methods that models write."""

from __future__ import annotations

import re
from pathlib import Path

from ruamel.yaml import YAML

from stages.lib import chat
from stages.lib.core.records import Problem, Source, Step
from stages.lib.run.execution import StageRun
from stages.problems.augmentation.candidate import Candidate, Context
from stages.problems.augmentation.section import Params

ROOT = Path(__file__).parents[3]
NAMES = ("Ann", "Ben", "Cid", "Dee", "Eve", "Fay")
THINGS = ("apples", "coins", "stamps", "books", "pens", "shells")


def make_parents(count: int) -> list[Problem]:
    """`Ann has 5 apples. She is given 3 more. ..`, of six people."""
    parents = []
    for i in range(count):
        name, thing, a, b = NAMES[i], THINGS[i], 5 + 7 * i, 3 + 4 * i
        parents.append(
            Problem(
                id=f"made/train/{i}",
                benchmark="made",
                split="train",
                question=f"{name} has {a} {thing}. Then {name} is given {b} more. How many {thing} does {name} have now?",
                answer=str(a + b),
                answer_type="integer",
                steps=[
                    Step(text=f"{a} + {b} = <<{a}+{b}={a + b}>>{a + b}", value=str(a + b)),
                    Step(text=f"#### {a + b}"),
                ],
                licence="MIT",
                source=Source(url="made"),
            )
        )
    return parents


def read_section(methods: list[str], **changes) -> Params:
    """The section of params.yaml with these methods and changes; agents are models."""
    section = YAML(typ="safe").load((ROOT / "params.yaml").read_text())["augmentation"]
    agents = {name: {"kind": "openai"} for name in ("writer", "judge", "solver")}
    return Params.model_validate({**section, **agents, "methods": methods, "solver_samples": 2, **changes})


def make_context(section: Params, folder: Path, writer=None, judge=None, solver=None, seed: int = 1) -> Context:
    """Agents by the addresses of their servers, their answers cached under `folder`."""

    def create(name: str, url: str | None) -> chat.Chat | None:
        settings = {"model": name, "base_url": url, "key_env": None, "backoff": 0.01, "tries": 1, "threads": 4}
        return chat.create("openai", folder / "chat", **settings) if url else None

    agents = {name: create(name, url) for name, url in (("writer", writer), ("judge", judge), ("solver", solver))}
    run = StageRun("augmentation", section, seed, folder, "key", 0, 1)
    return Context(seed, "train", 1000, **agents, run=run)


def split(results):
    """(candidates, rejects)"""
    results = list(results)
    kept = [result for result in results if isinstance(result, Candidate)]
    return kept, [result for result in results if not isinstance(result, Candidate)]


def solve(prompt: str) -> str:
    """A solver that can: all numbers are added in these problems."""
    question = prompt.partition("Problem:\n")[2]
    total, lines = 0, []
    for value in map(int, re.findall(r"\d+", question)):
        if total:
            lines.append(f"{total} + {value} = {total + value}")
        total += value
    return "<<<{}\n#### {}>>>".format("\n".join(lines), total)


def add_sentence(prompt: str) -> str:
    """A writer that can: the problem with a sentence more."""
    question = prompt.partition("Here is a problem.\n\n")[2].partition("\n\n")[0]
    story, _, asked = question.rpartition(". ")
    return f"<<<{story}. Later there are {2 + len(story) % 7} more. And in the end, {asked[0].lower() + asked[1:]}>>>"


ECHO = str  # the prompt itself
GARBAGE = "%% ;; <<< ... !!! >>> zzzz ???"
REFUSAL = "I'm sorry, but I can't help with that."
DELIMITED_REFUSAL = f"<<<{REFUSAL}>>>"
LIE = "<<<Ann has 3 apples and gets 4 more. How many does she have? Yes, same, different.\n3 + 4 = 8\n#### 8>>>"
FAKES = {"echo": ECHO, "garbage": GARBAGE, "refuser": REFUSAL, "delimited refuser": DELIMITED_REFUSAL, "liar": LIE}
