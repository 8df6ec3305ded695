"""Numeric worlds: a function is drawn for each episode, shots are its values, and the query asks for another.

linear    y = sign(w . (x - c)), x integers below `max_value`, w a random direction, c the centre; labels A and B. With
          probability `prior` the sum of w is positive; `flipped` labels are exchanged, so a model that learned the prior
          has to unlearn it from its shots; `random` labels are coins
modular   y = a x + b mod m, a not 0
parity    y = 1 where an odd number of the digits at hidden places is 1, else 0; x are `size` digits of 0 and 1. No shot
          is like another: near points say nothing about each other

Sources: Agarwal et al. 2024 (arXiv 2404.11018, section 4: flipped labels, linear classification; its parity is that of all
digits, which nothing has to be learned for), Garg et al. 2022 (2208.01066, section 2: functions drawn anew for each
prompt), Bhattamishra et al. 2023 (2310.03016: parities of hidden places).
"""

from __future__ import annotations

import re
from random import Random
from typing import Any, Literal

from pydantic import Field, model_validator

from stages.evaluation.many_shot.episodes import VERSION, Episode, Form, Item
from stages.lib.core import seeds
from stages.lib.core.params import Params as Section

LABELS = ("A", "B")
FORMS = {
    "linear": Form("Each line gives numbers and then their letter.\n", "{question} ->", " ", "\n"),
    "modular": Form("Each line gives a number and then its value.\n", "{question} ->", " ", "\n"),
    "parity": Form("Each line gives digits and then their value, 0 or 1.\n", "{question} ->", " ", "\n"),
}
Kind = Literal["linear", "modular", "parity"]
LABEL, NUMBER = "[AB]", r"-?\d+(?:\.\d+)?"
ANSWERS = {"linear": LABEL, "modular": NUMBER, "parity": NUMBER}  # what an answer is
MARKS = " \t*_`$\"'()[]"  # that may stand around an answer
NOUNS = r"(?:the |my )?(?:final )?(?:answer|label|letter|number|value|digit)"
LINK = rf"[{re.escape(MARKS)}]*(?:is:?|:|=|->)"
MARKER = rf"(?i:->|=>|→|=|(?:so |thus |therefore,? )?(?:{NOUNS}|it){LINK})"  # what may stand before it
FINAL = rf"(?i:(?:the |my )?(?:final )?answer{LINK})"  # what has to, in a line that is not the first
MAX_DIGITS = 12  # of a parity, whose functions the Bayes rule enumerates
ARM = "gold"  # the only arm: a value has no rationale


class World(Section):
    """One kind of function."""

    kind: Kind
    size: int = Field(ge=1, le=100)  # of linear: dimensions; of modular: the modulus; of parity: digits
    labels: Literal["true", "flipped", "random"] = "true"  # of linear: exchanged, or coins
    prior: float = Field(0.5, ge=0, le=1)  # of linear: share of the functions whose weights have a positive sum
    max_value: int = Field(10, ge=2, le=100)  # of linear: coordinates are below it

    @model_validator(mode="after")
    def _check(self) -> World:
        if self.kind != "linear" and self.labels != "true":
            raise ValueError(f"a {self.kind} world has true labels; flipped and random are those of linear ones")
        if self.kind == "modular" and self.size < 2:
            raise ValueError("a modular world has a modulus of 2 or more")
        if self.kind == "parity" and self.size > MAX_DIGITS:
            raise ValueError(
                f"a parity has at most {MAX_DIGITS} digits, because the Bayes rule tries all its functions"
            )
        return self


def draw_function(world: World, random: Random) -> Any:
    """The weights (d,) of linear, (a, b) of modular, or of parity 1 at each place that counts (size,), at least one."""
    if world.kind == "modular":
        return random.randrange(1, world.size), random.randrange(world.size)
    if world.kind == "parity":
        places = random.randrange(1, 2**world.size)
        return [places >> i & 1 for i in range(world.size)]
    weights = [random.gauss(0, 1) for _ in range(world.size)]
    sign = 1 if random.random() < world.prior else -1
    return [sign * w for w in weights] if sum(weights) > 0 else [-sign * w for w in weights]


def count_points(world: World) -> int:
    if world.kind == "modular":
        return world.size
    return (2 if world.kind == "parity" else world.max_value) ** world.size


def draw_point(world: World, random: Random) -> tuple[int, ...]:
    if world.kind == "modular":
        return (random.randrange(world.size),)
    if world.kind == "parity":
        return tuple(random.randrange(2) for _ in range(world.size))
    return tuple(random.randrange(world.max_value) for _ in range(world.size))


def compute_value(world: World, function: Any, point: tuple[int, ...], random: Random) -> str:
    if world.kind == "modular":
        a, b = function
        return str((a * point[0] + b) % world.size)
    if world.kind == "parity":
        return str(sum(w & x for w, x in zip(function, point, strict=True)) % 2)
    if world.labels == "random":
        return random.choice(LABELS)
    centre = (world.max_value - 1) / 2
    side = sum(w * (x - centre) for w, x in zip(function, point, strict=True)) > 0
    return LABELS[side if world.labels == "flipped" else not side]


def draw_items(world: World, function: Any, name: str, count: int, random: Random, avoid: set[tuple]) -> list[Item]:
    """Items of one function. avoid: points that no item has; not all."""
    items = []
    for i in range(count):
        point = draw_point(world, random)
        while point in avoid:
            point = draw_point(world, random)
        value = compute_value(world, function, point, random)
        items.append(Item(f"{name}/{i}", " ".join(map(str, point)), value, value))
    return items


def make_episode(world: World, name: str, number: int, shots: int, queries: int, seed: int) -> Episode:
    """Function `number` of the world `name`: `shots` items for its pool, and queries at points that none of these has.
    Where the pool leaves fewer points than queries, as with a small modulus, queries are drawn from all points, and shots
    may answer them. Flipped labels have the functions and points of true ones."""
    kind = f"{world.kind}/{world.size}"
    random = seeds.rng(seed, "many_shot", VERSION, kind, number, "function")
    function = draw_function(world, random)
    labels = seeds.rng(seed, "many_shot", VERSION, name, number, "labels")
    pool = draw_items(
        world, function, f"{name}/{number}/pool", shots, random if world.labels != "random" else labels, set()
    )
    shown = {parse_point(item.question) for item in pool}
    avoid = shown if count_points(world) - len(shown) >= queries else set()
    asked = draw_items(world, function, f"{name}/{number}/query", queries, random, avoid)
    return Episode(name, str(number), FORMS[world.kind], {ARM: pool}, asked)


def parse_point(question: str) -> tuple[int, ...]:
    return tuple(map(int, question.split()))


def read_answer(kind: Kind, text: str, is_finished: bool = True) -> str | None:
    """A label in a linear world, else a number, where the first line that says something is nothing but that; "->", "The
    answer is" and their like may stand before it, marks around it and a full stop after it. Else the last line is read, if
    it begins with "Answer:". Anything else is None: a refusal, or a sentence that repeats the query, holds labels and
    numbers that are no answer. One at the very end of a reply that was cut off may be the beginning of another: None."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    for line, marker in ((lines[0], f"(?:{MARKER})?"), (lines[-1], FINAL)):
        pattern = f"{marker}[{re.escape(MARKS)}]*({ANSWERS[kind]})"
        found = re.fullmatch(pattern, line.strip(MARKS).rstrip(f"{MARKS}."))
        if found and (is_finished or not text.endswith(line)):
            return found[1]
    return None
