"""An episode: queries, pools of items that may be shown before them, and how both are written.

Shots are nested: a set is an order of the pool, drawn by key, and K shots are its first K, so 2K shots begin with the K.
No shot has the question of a query, or its root (two variants of one problem are no two problems).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from stages.lib.core import seeds
from stages.lib.core.problem_ids import get_root

VERSION = 1  # part of every key
# What may stand before a repeated opening: "> ", "Question: ".
LINE_START = r"^[ \t>#*`\"']*(?:- +)?(?:\w+:)?[ \t*`\"']*"


class Item(NamedTuple):
    """question: as the prompt shows it. solution: what a shot shows after it. gold: the canonical answer."""

    id: str
    question: str
    solution: str
    gold: str


class Form(NamedTuple):
    """instruction: the first lines of a prompt. opening: of an item, with `{question}`. gap: between opening and solution.
    end: after the solution."""

    instruction: str
    opening: str
    gap: str
    end: str


class Episode(NamedTuple):
    """pools: arm -> the items that may be shots. examples: shown after the shots of an arm that shows no solutions, so that
    the form of an answer is known. leaks: items of pools that were dropped, since a query has their question or root."""

    world: str
    name: str
    form: Form
    pools: Mapping[str, Sequence[Item]]
    queries: Sequence[Item]
    examples: Sequence[Item] = ()
    leaks: int = 0


class Group(NamedTuple):
    """A prompt's shots, in order, for all queries of an episode. order_seed: 0 is the order in which shots were drawn."""

    episode: Episode
    arm: str
    k: int
    set_seed: int
    order_seed: int
    shots: Sequence[Item]

    @property
    def id(self) -> str:
        parts = (self.episode.world, self.episode.name, self.arm, self.k, self.set_seed, self.order_seed)
        return "/".join(map(str, parts))


def drop_leaks(pool: Sequence[Item], queries: Sequence[Item]) -> list[Item]:
    """The pool without items that have the question or the root of a query."""
    roots = {get_root(item.id) for item in queries}
    questions = {_hash_question(item) for item in queries}
    return [item for item in pool if get_root(item.id) not in roots and _hash_question(item) not in questions]


def _hash_question(item: Item) -> str:
    return hashlib.sha256(" ".join(item.question.split()).casefold().encode()).hexdigest()


def rank_pool(episode: Episode, arm: str, seed: int, set_seed: int) -> list[Item]:
    """A set: the pool of an arm in an order drawn by key; the order in which the pool came changes nothing."""
    place = _name_set(episode, seed, set_seed)
    return sorted(episode.pools[arm], key=lambda item: seeds.key(*place, item.id))


def draw_orders(episode: Episode, shots: Sequence[Item], seed: int, set_seed: int, count: int) -> list[list[Item]]:
    """The same shots in `count` orders that all differ, or in all K! where these are fewer. More orders add to them."""
    place, orders, number = _name_set(episode, seed, set_seed), [], 0
    while len(orders) < min(count, math.factorial(len(shots))):
        number += 1
        order = sorted(shots, key=lambda item: seeds.key(*place, "order", number, item.id))
        if order not in orders:
            orders.append(order)
    return orders


def _name_set(episode: Episode, seed: int, set_seed: int) -> tuple[seeds.KeyPart, ...]:
    return seed, "many_shot", VERSION, episode.world, episode.name, set_seed


def list_counts(most: int) -> list[int]:
    """0, 1, 2, 4, ... up to `most`."""
    return [0, *(2**i for i in range(most.bit_length()))]


def plan_groups(episode: Episode, most: int, sets: int, orders: int, order_shots: int, seed: int) -> list[Group]:
    """All prompts of an episode: every arm, K up to `most` or what the pool holds, `sets` sets (one without shots), then
    `orders` orders, or all, of the first set with `order_shots` shots of the first arm."""
    groups = []
    for arm, pool in episode.pools.items():
        for set_seed in range(sets):
            ranked = rank_pool(episode, arm, seed, set_seed)
            for k in list_counts(min(most, len(pool))):
                if k or not set_seed:
                    groups.append(Group(episode, arm, k, set_seed, 0, ranked[:k]))
    arm = next(iter(episode.pools))
    if 2 <= order_shots <= min(most, len(episode.pools[arm])):
        shots = rank_pool(episode, arm, seed, 0)[:order_shots]
        for number, order in enumerate(draw_orders(episode, shots, seed, 0, orders), 1):
            groups.append(Group(episode, arm, order_shots, 0, number, order))
    return groups


def write_opening(form: Form, item: Item) -> str:
    return form.opening.format(question=item.question)


def write_prompt(group: Group, query: Item) -> tuple[str, str]:
    """(instruction and shots, the query's opening), which the prompt joins. Nothing is ever cut."""
    form = group.episode.form
    parts = [form.instruction]
    is_answered = group.arm != "unsupervised"
    for shot in group.shots:
        parts.append(
            write_opening(form, shot) + form.gap + shot.solution + form.end if is_answered else _write_bare(form, shot)
        )
    if not is_answered:
        parts += [write_opening(form, shot) + form.gap + shot.solution + form.end for shot in group.episode.examples]
    return "".join(parts), write_opening(form, query)


def write_turns(group: Group, query: Item) -> tuple[str, ...]:
    """The same as turns of user and assistant in alternation: every shot that shows a solution is a question and its
    answer; instruction, and questions without answers, stand before the first question."""
    form, is_answered = group.episode.form, group.arm != "unsupervised"
    lead = form.instruction + ("" if is_answered else "".join(_write_bare(form, shot) for shot in group.shots))
    shown = group.shots if is_answered else group.episode.examples
    turns = [text for shot in shown for text in (write_opening(form, shot), shot.solution)] + [
        write_opening(form, query)
    ]
    return tuple(text.strip() for text in (lead + turns[0], *turns[1:]))


def _write_bare(form: Form, item: Item) -> str:
    """A question without the cue for its answer."""
    return form.opening.partition("{question}")[0] + item.question + form.end


def remove_echo(text: str, query: str, shots: Sequence[str]) -> str:
    """What a reply says itself: what follows the last copy of the query's opening at the start of a line, and precedes the
    first of a shot's. A model that repeats its prompt has not answered, least of all with a shot's answer. Shots may have
    the query's opening too: in a reply that also repeats other shots, only a copy beyond theirs is the query's."""
    copies = [*re.finditer(LINE_START + _match_whole(query), text, re.MULTILINE)]
    if copies and (len(copies) > shots.count(query) or _find_first(text, {*shots} - {query}) is None):
        text = text[copies[-1].end() :]
    return text[: _find_first(text, shots)]


def _match_whole(opening: str) -> str:
    """A pattern of an opening that is no part of a longer number, word or row of numbers."""
    return rf"(?<![\w.-])(?<!\d ){re.escape(opening)}(?:(?<!\w)|(?!\w))"


def _find_first(text: str, openings: Iterable[str]) -> int | None:
    """Where the first of the openings begins."""
    found = [re.search(_match_whole(opening), text) for opening in {*openings} if opening in text]
    return min((match.start() for match in found if match), default=None)
