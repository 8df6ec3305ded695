"""What each arm learns: equally many problems and tokens, half of them old ones, so that arms differ by what is new alone.

targeted  new problems of the confirmed slices, by weights that follow their accuracy
uniform   as many of every kind alike
random    as many of slices that share no term with a confirmed one, drawn by key
none      old problems alone
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from stages.generators.adaptation.world import VERSION, Item, Levels, World
from stages.lib.adaptation import allocation
from stages.lib.adaptation.slices import Slice
from stages.lib.core import seeds
from stages.lib.core.records import Problem

ARMS = ("targeted", "uniform", "random", "none")
MAX_MISSES = 60  # problems of a kind in a row that are outside of a slice, until the kind is taken to have none in it
Plan = dict[Slice, float]  # slice -> its weight


class Lesson(NamedTuple):
    """What an arm learns in a round: new problems, old ones, and the tokens of all solutions."""

    new: list[Item]
    replay: list[Problem]
    tokens: int

    @property
    def problems(self) -> list[Problem]:
        return [*(item.problem for item in self.new), *self.replay]


def make_plans(
    confirmed: Mapping[Slice, float], slices: Sequence[Slice], kinds: Sequence[str], key: int
) -> dict[str, Plan]:
    """arm -> its slices with weights. confirmed: the weak slices with their accuracies; slices: all that were tested.

    The random arm has as many slices as the targeted one, or as there are, with the same weights: of those that share no
    term with a confirmed one, since a part or a whole of a weak slice is no control of it. Where every slice shares one,
    it draws of these (`list_overlaps` names them)."""
    weights = [allocation.weigh(accuracy) for accuracy in confirmed.values()]
    others = [each for each in slices if each not in confirmed]
    apart = [each for each in others if not shares_term(each, confirmed)]
    drawn = sorted(apart or others, key=lambda each: seeds.key(key, each.name))[: len(weights)]
    return {
        "targeted": dict(zip(confirmed, weights, strict=True)),
        "uniform": {Slice((("kind", kind),)): 1.0 for kind in kinds},
        "random": dict(zip(drawn, weights, strict=False)),
        "none": {},
    }


def shares_term(target: Slice, others: Iterable[Slice]) -> bool:
    """Whether the slice has an attribute's value in common with one of the others."""
    return bool({*target.terms} & {term for other in others for term in other.terms})


def list_overlaps(plans: Mapping[str, Plan]) -> list[str]:
    """Names of the random arm's slices that share a term with a confirmed one."""
    return [each.name for each in plans["random"] if shares_term(each, plans["targeted"])]


class Library:
    """Training problems of a round, made when a slice first asks for them. Arms may share problems; within an arm each
    counts once."""

    def __init__(self, world: World, stream: str, probed: Levels, levels: Levels):
        self.world = world
        self.levels = [levels, probed]  # where the new level leaves the slice, the level that was probed
        self._supplies = {kind: world.open(stream) for kind in levels}
        self._items: dict[tuple[str, int], list[Item]] = {}

    def collect(self, target: Slice, count: int) -> list[Item]:
        """Up to `count` problems of a slice, kinds in turn. Asked for more, it gives the same and more."""
        kinds = [kind for kind in self.levels[0] if dict(target.terms).get("kind", kind) == kind]
        for levels in self.levels:
            found: list[Item] = []
            streams = [self._iterate(kind, levels[kind], target) for kind in kinds]
            while streams and len(found) < count:
                drawn = [(stream, next(stream, None)) for stream in streams]
                found += [item for _, item in drawn if item]
                streams = [stream for stream, item in drawn if item]
            if found:
                return found[:count]
        return []

    def _iterate(self, kind: str, level: int, target: Slice) -> Iterator[Item]:
        """The problems of a kind at a level that the slice holds, made as far as they are asked for; they end where
        MAX_MISSES in a row are outside."""
        made, misses, i = self._items.setdefault((kind, level), []), 0, 0
        while misses < MAX_MISSES:
            if i == len(made):
                item = self._supplies[kind].draw(kind, level)
                if item is None:
                    return
                made.append(item)
            if target.holds(made[i].attributes):
                misses = 0
                yield made[i]
            else:
                misses += 1
            i += 1


def select_new(plan: Plan, library: Library, budget: int) -> list[Item]:
    """Up to `budget` different problems, divided among the slices by weight; what a slice lacks, the others give."""
    pools = [library.collect(target, budget) for target in plan]
    counts = allocation.allocate(list(plan.values()), [len(pool) for pool in pools], budget)
    chosen: dict[str, Item] = {}
    for pool, count in zip(pools, counts, strict=True):
        free = [item for item in pool if item.problem.id not in chosen]
        chosen |= {item.problem.id: item for item in free[:count]}
    for item in (item for pool in pools for item in pool):  # of slices that overlap, some problems counted for two
        if len(chosen) < budget:
            chosen.setdefault(item.problem.id, item)
    return list(chosen.values())


def make_lessons(
    plans: Mapping[str, Plan],
    library: Library,
    old: Sequence[Problem],
    count_tokens: Callable[[Problem], int],
    budget: int,
    replay: float,
    key: int,
) -> dict[str, Lesson]:
    """arm -> its lesson: equally many problems in all arms, and nearly as many tokens.

    budget: new problems, fewer where an arm cannot have so many. replay: share of old problems (at random, by key). Arms
    begin with the same old problems; then each exchanges some of them for longer or shorter ones, until its tokens are
    those of the mean arm. What cannot be made equal so shows in the lessons' tokens."""
    new = {arm: select_new(plan, library, budget) for arm, plan in plans.items()}
    most = min((len(new[arm]) for arm, plan in plans.items() if plan), default=0)
    share = round(most * replay / (1 - replay))
    ranked = sorted(old, key=lambda problem: (seeds.key(key, VERSION, problem.id, "replay"), problem.id))
    lessons = {}
    for arm, plan in plans.items():
        own = thin(new[arm], plan, most)
        wanted = most + share - len(own)
        cycled = [ranked[i % len(ranked)] for i in range(wanted)] if ranked else []
        lessons[arm] = (own, cycled)
    size = {problem.id: count_tokens(problem) for problem in ranked}
    totals = {
        arm: sum(count_tokens(item.problem) for item in own) + sum(size[p.id] for p in kept)
        for arm, (own, kept) in lessons.items()
    }
    target = round(sum(totals.values()) / len(totals))
    return {arm: Lesson(own, *balance(kept, ranked, size, totals[arm], target)) for arm, (own, kept) in lessons.items()}


def thin(items: Sequence[Item], plan: Plan, count: int) -> list[Item]:
    """`count` of the items, evenly from their whole length, so that every slice keeps its share."""
    if not plan or not items:
        return []
    return [items[i * len(items) // count] for i in range(count)]


def balance(
    kept: Sequence[Problem], pool: Sequence[Problem], size: Mapping[str, int], total: int, target: int
) -> tuple[list[Problem], int]:
    """(problems, total) with some problems exchanged for unused ones of the pool, so that the total nears the target.

    What is to be gained is spread over the problems, so that their lengths shift together. A pass over all of them gives
    each the unused problem of the nearest wanted length; where it would not help, the problem stays."""
    kept, used = list(kept), {problem.id for problem in kept}
    free = sorted((size[problem.id], problem.id) for problem in pool if problem.id not in used)
    by_id = {problem.id: problem for problem in pool}
    for i in range(len(kept)):
        missing = target - total
        if not missing or not free:
            break
        own = size[kept[i].id]
        place = bisect.bisect_left(free, (own + round(missing / (len(kept) - i)), ""))
        nearest = min(
            free[max(0, place - 1) : place + 1], key=lambda pair: abs(own + missing / (len(kept) - i) - pair[0])
        )
        if abs(missing - (nearest[0] - own)) < abs(missing):
            free.remove(nearest)
            bisect.insort(free, (own, kept[i].id))
            kept[i] = by_id[nearest[1]]
            total += nearest[0] - own
    return kept, total
