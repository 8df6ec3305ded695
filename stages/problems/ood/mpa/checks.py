"""Deterministic checks of a variant, before any judge sees it. They hold for any paraphraser.

What they compare is read off both texts: numbers with their units, formulas, denials, superlatives, the quantity asked
for, the conditions; and for options the key, its letter and equal meanings. They let free wording pass; what they
cannot see (an exchanged name, a changed verb) is the judge's part.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from stages.lib.core.records import Problem
from stages.lib.grading import answers, numerals
from stages.problems.ood.mpa import normal, places, spans
from stages.problems.ood.mpa.facts import Facts, asking, counted, facts, head, stem, tokens
from stages.problems.ood.mpa.lexicon import COUNTS, EMPTY, OPPOSITE
from stages.problems.ood.mpa.principles import LETTERS, Draft, draft

CROSSED = 1  # words by which two numbers must stand nearer each other's old places than their own


def question(original: str, text: str) -> list[str]:
    """What is wrong with a question that should say what the original says."""
    ours, theirs, found = facts(original), facts(text), []
    if ours.numbers.keys() - {"1"} != theirs.numbers.keys() - {"1"}:  # `1 week` may be told as `a week`
        found.append(f"the numbers changed ({_change(ours.numbers, theirs.numbers)})")
    if ours.formulas.keys() != theirs.formulas.keys():
        found.append(f"a formula changed ({_change(ours.formulas, theirs.formulas)})")
    if pair := _exchanged(ours, theirs):
        found.append(f"numbers changed places ({', '.join(pair)})")
    if _remeasured(ours, theirs):
        found.append(f"a unit changed ({_change(ours.units, theirs.units) or 'of one number'})")
    if ours.denials != theirs.denials:
        found.append(f"{theirs.denials} denials where the original has {ours.denials}")
    lost, new = ours.classes - theirs.classes, theirs.classes - ours.classes  # as often as they are said
    if ("average" in ours.classes) != ("average" in theirs.classes) or any(OPPOSITE.get(name) in new for name in lost):
        found.append(f"a comparison changed ({_change(ours.classes, theirs.classes)})")
    wanted, asked = head(original), Counter(stem(w) for part in asking(text) for w in tokens(part))
    if wanted and not any(asked[word] for word in wanted):
        found.append(f"the quantity asked for is gone ({', '.join(sorted(wanted))})")
    strange = counted(text) - set(map(stem, tokens(original)))
    strange = {word for word in strange if theirs.stems[word] < 2}  # what is so called all along has another name only
    if strange and counted(original):
        found.append(f"another quantity is asked for ({', '.join(sorted(strange))})")
    if lost := _lost(original, theirs):
        found.append(f"a condition is gone ({lost[:60]!r})")
    return found


def _exchanged(ours: Facts, theirs: Facts) -> tuple[str, str] | None:
    """Two numbers of which each stands among the other's words."""
    both = sorted(ours.beside.keys() & theirs.beside.keys())
    for i, one in enumerate(both):
        for other in both[i + 1 :]:
            mine, yours = ours.beside[one], ours.beside[other]
            mine, yours = mine - yours, yours - mine
            straight = (mine & theirs.beside[one]).total() + (yours & theirs.beside[other]).total()
            crossed = (mine & theirs.beside[other]).total(), (yours & theirs.beside[one]).total()
            if sum(crossed) >= straight + CROSSED and sum(crossed) > 1:
                return one, other
    return None


def _remeasured(ours: Facts, theirs: Facts) -> bool:
    """Whether a number has another unit than before, or one unit of the text gave way to another."""
    if ours.units - theirs.units and theirs.units.keys() - ours.units.keys():
        return True
    before: dict[str, set[str]] = {}
    for number, unit in ours.measures:
        before.setdefault(number, set()).add(unit)
    return any(number in before and unit not in before[number] for number, unit in theirs.measures)


def _lost(original: str, theirs: Facts) -> str | None:
    """A sentence of which less than a quarter of the content words, and no number, is left."""
    masked, kept = spans.mask(original)
    for part, _ in spans.sentences(masked):
        sentence = spans.unmask(part, kept)
        said = facts(sentence)
        left = sum(bool(theirs.stems[word]) for word in said.stems)
        numbers_stay = said.numbers and said.numbers.keys() <= theirs.numbers.keys()
        if len(said.stems) >= 3 and left * 4 < len(said.stems) and not numbers_stay:
            return sentence
    return None


def _change(ours: Counter, theirs: Counter) -> str:
    lost, new = ours - theirs, theirs - ours
    parts = [f"{sign}{' '.join(item) if isinstance(item, tuple) else item}" for sign, side in (("-", lost), ("+", new))
             for item in sorted(side, key=str)[:3]]  # fmt: skip
    return ", ".join(part[:40] for part in parts)


def context(original: Problem, added: str) -> list[str]:
    """What is wrong with context: it may hold no number, no denial, no question and nothing of the answer."""
    found, said = [], facts(added)
    if not said.stems:
        return ["no context was added"]
    if said.numbers or any(char.isdigit() for char in added):
        found.append("the context holds a number")
    if said.formulas or "=" in added:
        found.append("the context holds a formula")
    if said.denials:
        found.append("the context denies something")
    if "?" in added:
        found.append("the context asks something")
    if leaks(original, added):
        found.append("the context holds the answer")
    return found


def leaks(original: Problem, text: str) -> bool:
    """Whether a text says the answer: the key's content words all stand in it."""
    key = original.choices[LETTERS.index(original.answer)] if original.choices else original.answer
    words = [stem(word) for word in tokens(normal.option(key)) if word not in EMPTY]
    said = Counter(stem(word) for word in tokens(text))
    spoken = [name for name, value in COUNTS.items() if value == key.strip()]
    if not words:  # `just.`, `all`: nothing but the words themselves can tell
        bare = " ".join(tokens(normal.option(key)))
        return bool(bare) and f" {bare} " in f" {' '.join(tokens(text))} "
    return all(said[word] for word in words) or any(said[stem(name)] for name in spoken)


def alike(one: str, other: str) -> bool:
    """Whether two options mean the same: equal normal forms, equal numbers, or formulas that Math-Verify equates."""
    ours, theirs = normal.option(one), normal.option(other)
    if ours == theirs or (len(ours) > 2 and ours.lower() == theirs.lower()):
        return True
    numbers = numerals.read(ours), numerals.read(theirs)
    if all(numbers):
        same_unit = re.sub(r"[-0-9.,/ $]+", "", ours) == re.sub(r"[-0-9.,/ $]+", "", theirs)
        return same_unit and numbers[0] == numbers[1]
    tex = ["\\" in text or "$" in text for text in (one, other)]
    if (
        any(tex)
        and max(len(one), len(other)) < 120
        and not re.search(r"[A-Za-z]{4,} [A-Za-z]{2,}", one + " | " + other)
    ):
        return answers.equal(one, other, "latex")
    return False


def origins(original: Problem, choices: Sequence[str]) -> tuple[int | None, ...]:
    """For each option the index of the original option with the same normal form; each is given away once."""
    free = {index: normal.option(choice) for index, choice in enumerate(original.choices or [])}
    found: list[int | None] = []
    for choice in choices:
        form = normal.option(choice)
        index = next((index for index, other in free.items() if other == form), None)
        free.pop(index, None)
        found.append(index)
    return tuple(found)


def told_apart(original: Problem) -> bool:
    """Whether no two options have one normal form, so that a text tells which option it is."""
    return len({normal.option(choice) for choice in original.choices or ()}) == len(original.choices or ())


def options(original: Problem, made: Draft, principles: Sequence[str]) -> list[str]:
    """What is wrong with the options: each accounted for, no two alike, the key where the answer points."""
    before, found = draft(original), []
    kept = [index for index in made.origin if index is not None]
    new = [i for i, index in enumerate(made.origin) if index is None]
    if sorted(kept) != list(range(len(before.choices))):
        return ["an option of the original is gone or doubled"]
    if len(new) != ("newchoice" in principles):
        return [f"{len(new)} new options, expected {int('newchoice' in principles)}"]
    key = LETTERS.index(original.answer)
    if len(made.answer) != 1 or made.answer not in LETTERS[: len(made.choices)]:
        return [f"the answer {made.answer!r} is not the letter of an option"]
    if made.origin[LETTERS.index(made.answer)] != key:
        found.append("the answer's letter does not point to the key")
    for i in new:
        clash = next((j for j, other in enumerate(made.choices) if j != i and alike(made.choices[i], other)), None)
        if clash is not None:
            found.append(f"the new option says the same as {'the key' if made.origin[clash] == key else 'another one'}")
    old = [(index, text) for index, text in zip(made.origin, made.choices, strict=True) if index is not None]
    rewritten = [(before.choices[index], text) for index, text in old if text != before.choices[index]]
    if "choices" in principles:
        found += [fault for pair in rewritten for fault in option(*pair)]
        if not rewritten:
            found.append("no option was rewritten")
        if len({normal.option(text) for _, text in old}) < len({*map(normal.option, before.choices)}):
            found.append("two options came to say the same")
    elif rewritten:
        found.append("an option was rewritten")
    if "permute" not in principles:
        stand = places.ordered(original, made) if new else kept == sorted(kept)
        return found + ["the options were reordered"] * (not stand)
    if kept == sorted(kept) or [text for _, text in old] == [text for _, text in sorted(old)]:
        found.append("the options stand in their old order")
    return found


def option(original: str, text: str) -> list[str]:
    """What is wrong with an option in other words."""
    ours, theirs = facts(normal.option(original)), facts(normal.option(text))
    if ours.numbers != theirs.numbers or ours.formulas != theirs.formulas:
        return [f"the numbers of an option changed ({original[:30]!r}, {text[:30]!r})"]
    if ours.measures != theirs.measures or ours.units != theirs.units:
        return [f"a unit of an option changed ({original[:30]!r}, {text[:30]!r})"]
    if ours.denials != theirs.denials:
        return [f"a denial in an option changed ({original[:30]!r}, {text[:30]!r})"]
    return []


def faults(original: Problem, made: Draft, principles: Sequence[str]) -> list[str]:
    """Everything the checks find in a finished draft, composed of any principles. Empty: it may go to the judge."""
    found = []
    if made.question == original.question and (tuple(made.choices), made.answer) == draft(original)[1::2]:
        return ["the item is unchanged"]
    if {"question", "context"} & set(principles):
        if made.question == original.question:
            found.append("the question is unchanged")
        if "question" in principles and _around(original.question, made.question):
            found.append("no word of the question was changed, some were only added")
        found += question(original.question, made.question)
        if "context" in principles:
            found += context(original, added(original.question, made.question))
    elif made.question != original.question:
        found.append("the question was rewritten")
    if original.choices:
        found += options(original, made, principles)
    elif made.choices or made.answer != original.answer:
        found.append("the answer was changed")
    return found


def _around(original: str, text: str) -> bool:
    """Whether all words of the original stand in the text, in their order: words in front are no rewording."""
    rest = iter(tokens(text))
    return all(word in rest for word in tokens(original))


def added(original: str, text: str) -> str:
    """What stands before the question: the sentences up to the one that says half of what the original's first says."""
    if text.endswith(original.strip()):
        return text.removesuffix(original.strip()).strip()
    parts = [facts(part).stems for part in _sentences(original)]
    opening = next((said for said in parts if len(said) >= 2), None) or next(filter(None, parts), Counter())
    if not opening:  # `How many are there?` shares no word with anything: what stands before as many sentences
        return " ".join(_sentences(text)[: -len(parts)])
    formulas = facts(original).formulas
    leading: list[str] = []
    for sentence in _sentences(text):
        said = facts(sentence)
        of_opening = sum(bool(said.stems[word]) for word in opening) * 2
        if not said.stems or any(formulas[one] for one in said.formulas) or of_opening >= len(opening):
            break
        leading.append(sentence)
    return " ".join(leading)


def _sentences(text: str) -> list[str]:
    masked, kept = spans.mask(text)
    return [spans.unmask(part, kept) for part, _ in spans.sentences(masked)]
