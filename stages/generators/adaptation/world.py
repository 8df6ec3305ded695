"""The world: every kind of problem that can be made anew, its levels, and what is known of a problem.

A kind is a ladder of forms, from the easiest to the hardest: operators of lib/operators (`steps@0.25`, `steps`), which
change a problem of the verifiers' split, its parent, or levels of a DyVal task, which needs none. Programs compute the
answers, so all of it is right by construction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from stages.lib.adaptation.slices import Slice
from stages.lib.core import seeds
from stages.lib.core.records import Problem
from stages.lib.operators import registry
from stages.lib.procedural import dyval

VERSION = 1  # part of every key
ATTRIBUTES = ("kind", "task", "steps", "magnitude", "difficulty", "family")
MAX_TRIES = 100  # at a new problem of a task, and at one of a slice
BINS = ((1, 2), (3, 4), (5, 6), (7, 9), (10, None))  # of steps and difficulty
Ladders = Mapping[str, Sequence[str | int]]
Levels = Mapping[str, int]  # kind -> the place on its ladder


class Item(NamedTuple):
    """A problem made here. unit: what it shares with no other item of its stream: its parent's id, or its own."""

    problem: Problem
    kind: str
    attributes: dict[str, str]
    unit: str


def strip_doses(operator: str) -> str:
    """`order@0.5+typos` -> `order+typos`."""
    return "+".join(part.partition("@")[0] for part in operator.split("+"))


def find_kind(problem: Problem, ladders: Ladders) -> str | None:
    """The kind of a problem of another set: that with its operator on the ladder, else the operator; None: it has none."""
    if problem.operator is None:
        return None
    operator = strip_doses(problem.operator)
    for kind, ladder in ladders.items():
        if operator in ([kind] if is_dyval(ladder) else [strip_doses(str(form)) for form in ladder]):
            return kind
    return operator


def is_dyval(ladder: Sequence[str | int]) -> bool:
    return all(isinstance(form, int) for form in ladder)


def describe(problem: Problem, kind: str | None) -> dict[str, str]:
    """What is known of a problem; what it does not have is left out. Without a kind it is a problem as published."""
    attributes = {"kind": kind or "as published", "task": problem.benchmark}
    if problem.steps:
        attributes["steps"] = find_bin(max(1, sum(not step.text.startswith("####") for step in problem.steps)))
    numbers = re.findall(r"\d+", " ".join([problem.question, *(step.text for step in problem.steps or ())]))
    if numbers:
        digits = max(len(number.lstrip("0")) for number in numbers) or 1
        attributes["magnitude"] = f"{digits} digit{'s' * (digits > 1)}"
    if problem.difficulty is not None:
        attributes["difficulty"] = find_bin(max(1, round(problem.difficulty)))
    family = problem.program.params.get("family") if problem.program else None
    return attributes | ({"family": family} if isinstance(family, str) else {})


def find_bin(number: int) -> str:
    low, high = next((low, high) for low, high in BINS if high is None or number <= high)
    return f"{low} or more" if high is None else f"{low}-{high}"


class World:
    """Makes the items of streams. Nothing is made twice: `seen` are the questions of other sets, and of streams so far."""

    def __init__(self, parents: Mapping[str, Sequence[Problem]], ladders: Ladders, seed: int, seen: set[str]):
        self.parents, self.ladders, self.seed, self.seen = parents, ladders, seed, seen
        self.largest = registry.compute_bound([problem for part in parents.values() for problem in part])
        self.made = self.rejected = 0

    def make(self, stream: str, kind: str, level: int, source: Problem | int) -> Item | None:
        """A new problem of a kind, from a parent or a number; None where the parent cannot be changed so, or the question
        exists already."""
        form = self.ladders[kind][level]
        if isinstance(source, int):
            problem = dyval.generate_problem(
                kind,
                source,
                self.seed,
                int(form),
                "random",
                f"adaptation-{stream}",
                dyval.get_knobs(kind, int(form), {}),
            )
        else:
            if not registry.fits_problem(str(form), source):
                return None
            variants, _ = registry.make_variants([source], [str(form)], self.seed, self.largest)
            if not variants:
                self.rejected += 1
                return None
            [problem] = variants
        question = normalise(problem)
        if question in self.seen:
            self.rejected += 1
            return None
        self.seen.add(question)
        self.made += 1
        return Item(problem, kind, describe(problem, kind), problem.id if isinstance(source, int) else source.id)

    def open(self, stream: str) -> Supply:
        return Supply(self, stream)


def normalise(problem: Problem) -> str:
    """A question without differences of white space."""
    return " ".join(problem.format_prompt().split())


class Supply:
    """The fresh problems of one stream. Every parent and every number is used once."""

    def __init__(self, world: World, stream: str):
        self.world, self.stream = world, stream
        ranked = sorted(
            world.parents[stream], key=lambda p: (seeds.key(world.seed, "adaptation", VERSION, p.id, "order"), p.id)
        )
        self._left = {parent.id: parent for parent in ranked}
        self._numbers = dict.fromkeys(world.ladders, 0)
        self._unfit: dict[tuple[str, int], set[str]] = {}
        self._given: set[str] = set()  # kinds of which there was a problem

    def draw(self, kind: str, level: int) -> Item | None:
        """The next problem of a kind; None where no parent is left that can be changed so."""
        if item := self._draw(kind, level):
            self._given.add(kind)
        return item

    def _draw(self, kind: str, level: int) -> Item | None:
        if is_dyval(self.world.ladders[kind]):
            for _ in range(MAX_TRIES):  # questions that exist already are rare
                self._numbers[kind] += 1
                if item := self.world.make(self.stream, kind, level, self._numbers[kind] - 1):
                    return item
            return None
        unfit = self._unfit.setdefault((kind, level), set())
        for name in [name for name in self._left if name not in unfit]:
            if item := self.world.make(self.stream, kind, level, self._left[name]):
                del self._left[name]
                return item
            unfit.add(name)
        return None

    def draw_world(self, levels: Levels, count: int) -> list[Item]:
        """`count` problems of every kind in turn, fewer where parents are short."""
        items, kinds = [], list(levels)
        for _ in range(count):
            for kind in list(kinds):
                if item := self.draw(kind, levels[kind]):
                    items.append(item)
                else:
                    kinds.remove(kind)
        return items

    def draw_slice(self, target: Slice, levels: Levels, count: int) -> Iterator[Item]:
        """Up to `count` problems of a slice. Kinds take turns, so that they are as frequent in it as in the world; where
        one has no more, it ends, since the others alone are another mixture."""
        kinds = [kind for kind in levels if dict(target.terms).get("kind", kind) == kind]
        found = 0
        for _ in range(MAX_TRIES * count):
            for kind in list(kinds):
                item = self.draw(kind, levels[kind])
                if item is None and kind in self._given:
                    return
                if item is None:
                    kinds.remove(kind)  # it fits no parent, so there is none of it in the world
                elif target.holds(item.attributes):
                    found += 1
                    yield item
                    if found == count:
                        return
