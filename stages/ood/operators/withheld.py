"""A condition of a competition problem that is not told: a clause left out, or a letter for a number.

The proof are two items of the family, whole and checked by both solvers, with different answers and with texts that are
the same but for the holes. Clauses are left out only where no reader would fill the gap by a habit (a fair coin, base
ten, one color); elsewhere a letter stands for the number, as contests do with what they do not fix.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stages.lib import competition
from stages.lib.records import Problem, Step
from stages.ood.operators.asides import sentences
from stages.ood.operators.lawful import LAWS, lawful
from stages.ood.operators.operator import Unfit

Hole = list[Any]  # [start, end, what stands there instead]
_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
    A I a an and any all are as at be but by can do end for from get has how if in is it its let lie lot may new no
    not of off on one or out own put so sum set ten the they to two up use was way who
    As An And Ann Ben Bob Cal Dee Each Find For From How If In Is It Its Let No Of On One Or Put Six So The To Two
    """,
    )
)
# (pattern, what stands for each of its groups): the groups are left out.
CUTS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern), instead)
    for pattern, *instead in (
        (r"(Tickets for children cost \d+ dollars and tickets for adults cost \d+ dollars\. )", ""),
        (r"and pieces of (length \d+), at least", "a second length"),
        (r"(After \d+ hours) the cells are put", "Later"),
        (r"with f\(1\) = (\d+ and )f\(x", ""),
        (r"xy for all [^.]*(, and f\(1\) = \d+)\.", ""),
        (r"(If f\(1\) = \d+, determine)", "Determine"),
        (r"term number \d+ is -?\d+( and term number \d+ is -?\d+)\.", ""),
        (r"equals -?\d+(, and term \d+ equals -?\d+)\.", ""),
        (r"Number \d+ in the row is -?\d+( and number \d+ is -?\d+)\.", ""),
        (r"starts with a_1 = \d+( and a_2 = \d+), and", ""),
        (r"If a_1 = \d+( and a_2 = \d+), find", ""),
        (r"triangle ABC, AB = \d+( and AC = \d+)\.", ""),
        (r"If AB = \d+( and AC = \d+), then", ""),
        (r"(It is rolled \d+ times\. )", ""),
        (r"box (measures) \d+ by \d+( by \d+)\.", "has a base of", ""),
        (r"feet long(, )\d+ feet wide( and \d+ feet high)", " and ", ""),
        (r"triangle has (sides) of length \d+(, )\d+( and \d+)\.", "two sides", " and ", ""),
        (r"satisfy log_\d+\([^)]*\) = \d+( and log_\d+\([^)]*\) = \d+)\.", ""),
        (r"with log_\d+\([^)]*\) = \d+( and log_\d+\([^)]*\) = \d+)\.", ""),
        (r"If [^=]* = \d+\^\d+( and [^=]* = \d+\^\d+) for", ""),
        (r"in each of her turns(, Bob with probability \d+/\d+ in each of his)\.", ""),
        (r"per throw(, the other with probability \d+/\d+)\.", ""),
        (r"consists of \d+ rows( and \d+ columns) of", ""),
        (r"(?:has|with) \d+ rows( and \d+ columns)[.,]", ""),
        (r"gets (one of \d+ colors)\.", "a color"),
        (r"start with \d+( and grow by \d+)\.", ""),
        (r"bag has \d+ tickets( and \d+ of them win)\.", ""),
    )
)  # fmt: skip
LETTERS = "bcdghkmnstuvwxyzBCDKLMNRSTUVW"


def told(question: str, withheld: Mapping[str, Any]) -> tuple[str, list[Step], str]:
    """The question with its holes, the steps that say why it is open, N/A."""
    question, (one, other) = _with_holes(question, withheld["holes"]), withheld["answers"]
    rest = f"the value of {withheld['letter']}" if withheld["letter"] else "a number"
    steps = [
        f"1. The answer depends on {rest} that is not told." if not withheld["letter"] else
        f"1. The answer depends on {rest}, which is not told.",
        f"2. What is told fits a problem with the answer {one} and another one with the answer {other}.",
    ]  # fmt: skip
    return question, [*(Step(text=text, value="N/A") for text in steps), Step(text="#### N/A", value="N/A")], "N/A"


def _with_holes(text: str, holes: list[Hole]) -> str:
    for start, end, instead in sorted(holes, reverse=True):
        text = text[:start] + instead + text[end:]
    return text


def draw(whole: Problem, of: Callable[[Mapping[str, Any]], Problem], rng: random.Random) -> dict[str, Any]:
    """Holes, and the parameters of another item that fits what is still told. Raises Unfit."""
    if whole.program.params["family"] not in LAWS:
        raise Unfit("it is not known which other parameters the family can have")
    cuts = [cut for cut in CUTS if cut[0].search(whole.question)]
    rng.shuffle(cuts)
    for pattern, instead in cuts:
        match = pattern.search(whole.question)
        holes = [[*match.span(i), text] for i, text in enumerate(instead, 1)]
        for params in _others(whole, rng):
            if (other := _fitting(whole, of, params, holes)) is not None:
                return _change(whole, other, holes, None)
    letter = _letter(whole.question, rng)
    for final in (False, True):  # rather a number of a condition than one of what is asked
        for params in _others(whole, rng):
            holes = _numerals(whole, of, params, letter, final)
            if holes and (other := _fitting(whole, of, params, holes)) is not None:
                return _change(whole, other, holes, letter)
    raise Unfit("no condition whose loss leaves two answers")


def _change(whole: Problem, other: Problem, holes: list[Hole], letter: str | None) -> dict[str, Any]:
    return {"holes": holes, "letter": letter, "other": other.program.params["params"],
            "answers": [whole.answer, other.answer]}  # fmt: skip


def _letter(text: str, rng: random.Random) -> str:
    used = {letter for word in re.findall("[A-Za-z]+", text) if len(word) < 4 and word not in _WORDS for letter in word}
    free = [letter for letter in LETTERS if letter not in used]
    if not free:
        raise Unfit("no letter is left for a number")
    return rng.choice(free)


def _others(whole: Problem, rng: random.Random) -> Iterator[dict[str, Any]]:
    """The same parameters with one whole number changed a little, in random order, as far as the family can have them."""
    family, params = whole.program.params["family"], whole.program.params["params"]
    places = list(_leaves(params))
    rng.shuffle(places)
    for path, value in places:
        near = [n for n in range(max(1, value // 2), value + max(8, value // 2)) if n != value]
        for new in rng.sample(near, min(24, len(near))):
            made = copy.deepcopy(dict(params))
            inside: Any = made
            for key in path[:-1]:
                inside = inside[key]
            inside[path[-1]] = new
            if lawful(family, made):
                yield made


def _leaves(inside: Any, path: tuple = ()) -> Iterator[tuple[tuple, int]]:
    if isinstance(inside, int) and inside > 1:
        yield path, inside
    elif isinstance(inside, Mapping):
        for key, value in inside.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(inside, list):
        for key, value in enumerate(inside):
            yield from _leaves(value, (*path, key))


def _item(of: Callable[[Mapping[str, Any]], Problem], params: Mapping[str, Any]) -> Problem | None:
    """The item with these parameters; None where its solvers refuse them."""
    try:
        return of(params)
    except (ValueError, ArithmeticError, LookupError, TypeError, StopIteration):
        return None


def _numerals(
    whole: Problem, of: Callable[[Mapping[str, Any]], Problem], params: Mapping[str, Any], letter: str, final: bool
) -> list[Hole]:
    """The places of the one number in which the text of other parameters differs; [] where more than that differs, or
    (unless `final`) where it is part of what is asked."""
    other = _item(of, params)
    if other is None:
        return []
    old, new = (re.findall(r"\d+|\D+", text) for text in (whole.question, other.question))
    if len(old) != len(new):
        return []
    apart = [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    if len({(old[i], new[i]) for i in apart}) != 1 or not old[apart[0]].isdigit():
        return []
    starts = [sum(map(len, old[:i])) for i in apart]
    asked = len(whole.question) - len(sentences(whole.question)[-1])
    if not final and any(start >= asked for start in starts):
        return []
    return [[start, start + len(old[i]), letter] for start, i in zip(starts, apart, strict=True)]


def _fitting(
    whole: Problem, of: Callable[[Mapping[str, Any]], Problem], params: Mapping[str, Any], holes: list[Hole]
) -> Problem | None:
    other = _item(of, params)
    if other is None or other.answer == whole.answer or not 0 <= int(other.answer) <= competition.items.LARGEST:
        return None
    if not _same_but(whole.question, other.question, holes):
        return None
    return None if _unsound(other) else other


def _unsound(item: Problem) -> list[str]:
    """As `competition.check`; a probability of 0 is no p/q with positive p either."""
    try:
        faults = competition.check(item)
    except (StopIteration, RecursionError) as error:
        return [f"program: {type(error).__name__}"]
    return faults + (["p is 0"] if re.search(r"[pm] \+ [qn] = 0 ", item.steps[-2].text) else [])


def _same_but(one: str, other: str, holes: list[Hole]) -> bool:
    """Whether two texts are the same outside of the holes of the first."""
    pattern, position = "", 0
    for start, end, _ in sorted(holes):
        pattern += re.escape(one[position:start]) + "(.+?)"
        position = end
    return re.fullmatch(pattern + re.escape(one[position:]), other) is not None


def faults(whole: Problem, other: Problem, change: Mapping[str, Any]) -> list[str]:
    """What is wrong with the proof that the answer is open: [] where two sound items tell the same outside the holes and
    have the answers named, which differ."""
    found = [f"a completion: {fault}" for item in (whole, other) for fault in _unsound(item)]
    if [whole.answer, other.answer] != change["answers"] or whole.answer == other.answer:
        found.append(f"the completions have the answers {whole.answer} and {other.answer}")
    if not _same_but(whole.question, other.question, change["holes"]):
        found.append("the completions do not tell the same outside of what is withheld")
    return found
