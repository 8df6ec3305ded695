"""The assignment of questions to splits, and the limits on their sizes.

A published test file stays test and a published dev file stays dev. The published train rows are shared out among the
splits by `shares` (without train rows, the test rows can be). The split of a question depends only on a keyed hash of its
normalised text: duplicates stay together, and adding, dropping or renumbering other rows moves nothing. The same
question is never in two splits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from stages.lib.core import seeds
from stages.lib.core.records import Problem

SPLITS = ("train", "verifier", "dev", "test")
VERSION = 1
# White space, dollar signs, and punctuation other than decimal points and thousands commas.
_TYPESETTING = re.compile(r"[\s$]+|(?<!\d)[.,;:!?]|[.,;:!?](?!\d)")


def normalize_question(problem: Problem) -> str:
    """The question, its options included, without case, spacing or typesetting."""
    return _TYPESETTING.sub("", unicodedata.normalize("NFKC", problem.format_prompt())).casefold()


def group_duplicates(problems: Iterable[Problem]) -> list[list[Problem]]:
    """Groups of two or more problems with the same normalised question, each in order of id."""
    groups: dict[str, list[Problem]] = {}
    for problem in sorted(problems, key=lambda problem: problem.id):
        groups.setdefault(normalize_question(problem), []).append(problem)
    return [group for group in groups.values() if len(group) > 1]


def drop_cross_split_duplicates(problems: Iterable[Problem]) -> tuple[list[Problem], dict[str, str]]:
    """(problems to keep, id -> reason of those dropped). Of duplicates, the one in test stays, else the one in dev."""
    dropped = {}
    for group in group_duplicates(problems):
        first = max(group, key=lambda problem: SPLITS.index(problem.split))
        for problem in group:
            if problem.split != first.split:
                dropped[problem.id] = f"the same question is {first.id} of the {first.split} rows"
    return [problem for problem in problems if problem.id not in dropped], dropped


def assign_splits(problems: Iterable[Problem], published: str, shares: Mapping[str, float], seed: int) -> list[Problem]:
    """Problems of a published split, moved to the split in whose share their hash, uniform in [0, 1), falls."""

    def split(problem: Problem) -> str:
        point = seeds.key(seed, "benchmarks", VERSION, normalize_question(problem), "split") / 2**64
        for name in SPLITS:
            point -= shares.get(name, 0)
            if point < 0:
                return name
        return max(shares, key=lambda name: shares[name])  # rounding: shares may sum to 1 - 1e-10

    return [p.model_copy(update={"split": split(p)}) if shares and p.split == published else p for p in problems]


def limit_sizes(
    problems: Iterable[Problem], sizes: Mapping[str, int | None], seed: int, test_seed: int
) -> list[Problem]:
    """At most sizes[split] problems of each split, chosen by keyed hash: a smaller size gives a subset of a larger one.
    The hash of test problems is keyed by test_seed."""

    def order(problem: Problem) -> tuple[int, str]:
        key = test_seed if problem.split == "test" else seed
        return seeds.key(key, "benchmarks", VERSION, normalize_question(problem), "order"), problem.id

    kept = []
    for split in SPLITS:
        members = [problem for problem in problems if problem.split == split]
        size = sizes.get(split)
        kept += members if size is None or size >= len(members) else sorted(members, key=order)[:size]
    return kept
