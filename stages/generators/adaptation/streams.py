"""Streams of problems that share nothing: probe, confirm and train of every round, dev, and report.

Probe, confirm and train come from problems of the verifiers' split, which the generator has not learned: a root, with all
that is made of it, falls into one stream of one round by its key. Dev and report are the project's own sets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from stages.generators.adaptation.world import VERSION, normalise
from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.core.problem_ids import get_root
from stages.lib.core.records import Problem
from stages.lib.datasets import eval_sets

SLOTS = ("probe", "confirm", "train", "train")  # of the roots of a round: training needs as many as both others


def name_stream(part: str, number: int) -> str:
    return f"{part}-{number}"


def split_parents(problems: Sequence[Problem], rounds: int, seed: int) -> dict[str, list[Problem]]:
    """stream -> its parents. Variants of one problem fall into one stream."""
    parts: dict[str, list[Problem]] = {
        name_stream(part, number): [] for number in range(1, rounds + 1) for part in dict.fromkeys(SLOTS)
    }
    for problem in problems:
        number, slot = divmod(
            seeds.key(seed, "adaptation", VERSION, get_root(problem.id), "stream") % (len(SLOTS) * rounds), len(SLOTS)
        )
        parts[name_stream(SLOTS[slot], number + 1)].append(problem)
    return parts


def check_disjoint(streams: Mapping[str, Sequence[Problem]]) -> None:
    """Raises UserError where two streams share a problem, its root (the problem that it and its parent come from), or a
    question."""
    owners: dict[str, tuple[str, str]] = {}
    for stream, problems in streams.items():
        for problem in problems:
            roots = {get_root(name) for name in (problem.id, problem.parent) if name}
            for key in (*roots, hash_question(problem)):
                other, first = owners.setdefault(key, (stream, problem.id))
                if other != stream:
                    raise UserError(
                        f"adaptation: streams {other} and {stream} share {first} and {problem.id}, which are one problem "
                        "or have one origin; `dvc repro benchmarks` makes splits that share nothing"
                    )


def hash_question(problem: Problem) -> str:
    return "question " + hashlib.sha256(normalise(problem).encode()).hexdigest()


def digest(problems: Sequence[Problem]) -> str:
    """One name for a set of problems, in whatever order."""
    lines = sorted(f"{problem.id} {hash_question(problem)}" for problem in problems)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def select(problems: Sequence[Problem], n: int, seed: int, name: str) -> list[Problem]:
    """n problems of a set in keyed order; a larger n adds to them. Other sets take other origins, so that few problems of
    one origin are looked at together."""
    return sorted(problems, key=lambda p: (seeds.key(seed, "adaptation", VERSION, name, p.id, "report"), p.id))[:n]


def select_ood(problems: Sequence[Problem], n: int, seed: int) -> list[Problem]:
    """n problems of each set out of distribution."""
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(eval_sets.get_group_name(problem), []).append(problem)
    return [problem for name in sorted(groups) for problem in select(groups[name], n, seed, name)]
