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
from stages.problems.ood.mpa import canonical, option_order, protected_spans
from stages.problems.ood.mpa.principles import LETTERS, Draft, start_draft
from stages.problems.ood.mpa.synonyms import NUMBER_WORDS, OPPOSITES, STOPWORDS
from stages.problems.ood.mpa.text_features import (
    TextFeatures,
    extract_features,
    find_asked_nouns,
    find_counted_nouns,
    find_question_sentences,
    stem,
    tokenize,
)

EXCHANGE_MARGIN = 1  # words by which two numbers must stand nearer each other's old places than their own


def check_question(original: str, text: str) -> list[str]:
    """What is wrong with a question that should say what the original says."""
    ours, theirs, found = extract_features(original), extract_features(text), []
    if ours.numbers.keys() - {"1"} != theirs.numbers.keys() - {"1"}:  # `1 week` may be told as `a week`
        found.append(f"the numbers changed ({_describe_change(ours.numbers, theirs.numbers)})")
    if ours.formulas.keys() != theirs.formulas.keys():
        found.append(f"a formula changed ({_describe_change(ours.formulas, theirs.formulas)})")
    if pair := _find_exchanged(ours, theirs):
        found.append(f"numbers changed places ({', '.join(pair)})")
    if _has_changed_unit(ours, theirs):
        found.append(f"a unit changed ({_describe_change(ours.units, theirs.units) or 'of one number'})")
    if ours.negations != theirs.negations:
        found.append(f"{theirs.negations} denials where the original has {ours.negations}")
    lost, new = (
        ours.comparisons - theirs.comparisons,
        theirs.comparisons - ours.comparisons,
    )  # as often as they are said
    if ("average" in ours.comparisons) != ("average" in theirs.comparisons) or any(
        OPPOSITES.get(name) in new for name in lost
    ):
        found.append(f"a comparison changed ({_describe_change(ours.comparisons, theirs.comparisons)})")
    wanted, asked = (
        find_asked_nouns(original),
        Counter(stem(w) for part in find_question_sentences(text) for w in tokenize(part)),
    )
    if wanted and not any(asked[word] for word in wanted):
        found.append(f"the quantity asked for is gone ({', '.join(sorted(wanted))})")
    strange = find_counted_nouns(text) - set(map(stem, tokenize(original)))
    strange = {word for word in strange if theirs.stems[word] < 2}  # what is so called all along has another name only
    if strange and find_counted_nouns(original):
        found.append(f"another quantity is asked for ({', '.join(sorted(strange))})")
    if lost := _find_lost_sentence(original, theirs):
        found.append(f"a condition is gone ({lost[:60]!r})")
    return found


def _find_exchanged(ours: TextFeatures, theirs: TextFeatures) -> tuple[str, str] | None:
    """Two numbers of which each stands among the other's words."""
    both = sorted(ours.neighbours.keys() & theirs.neighbours.keys())
    for i, one in enumerate(both):
        for other in both[i + 1 :]:
            mine, yours = ours.neighbours[one], ours.neighbours[other]
            mine, yours = mine - yours, yours - mine
            straight = (mine & theirs.neighbours[one]).total() + (yours & theirs.neighbours[other]).total()
            crossed = (mine & theirs.neighbours[other]).total(), (yours & theirs.neighbours[one]).total()
            if sum(crossed) >= straight + EXCHANGE_MARGIN and sum(crossed) > 1:
                return one, other
    return None


def _has_changed_unit(ours: TextFeatures, theirs: TextFeatures) -> bool:
    """Whether a number has another unit than before, or one unit of the text gave way to another."""
    if ours.units - theirs.units and theirs.units.keys() - ours.units.keys():
        return True
    before: dict[str, set[str]] = {}
    for number, unit in ours.measures:
        before.setdefault(number, set()).add(unit)
    return any(number in before and unit not in before[number] for number, unit in theirs.measures)


def _find_lost_sentence(original: str, theirs: TextFeatures) -> str | None:
    """A sentence of which less than a quarter of the content words, and no number, is left."""
    masked, kept = protected_spans.mask(original)
    for part, _ in protected_spans.split_sentences(masked):
        sentence = protected_spans.unmask(part, kept)
        said = extract_features(sentence)
        left = sum(bool(theirs.stems[word]) for word in said.stems)
        numbers_stay = said.numbers and said.numbers.keys() <= theirs.numbers.keys()
        if len(said.stems) >= 3 and left * 4 < len(said.stems) and not numbers_stay:
            return sentence
    return None


def _describe_change(ours: Counter, theirs: Counter) -> str:
    lost, new = ours - theirs, theirs - ours
    parts = [
        f"{sign}{' '.join(item) if isinstance(item, tuple) else item}"
        for sign, side in (("-", lost), ("+", new))
        for item in sorted(side, key=str)[:3]
    ]
    return ", ".join(part[:40] for part in parts)


def check_context(original: Problem, added: str) -> list[str]:
    """What is wrong with context: it may hold no number, no denial, no question and nothing of the answer."""
    found, said = [], extract_features(added)
    if not said.stems:
        return ["no context was added"]
    if said.numbers or any(char.isdigit() for char in added):
        found.append("the context holds a number")
    if said.formulas or "=" in added:
        found.append("the context holds a formula")
    if said.negations:
        found.append("the context denies something")
    if "?" in added:
        found.append("the context asks something")
    if leaks_answer(original, added):
        found.append("the context holds the answer")
    return found


def leaks_answer(original: Problem, text: str) -> bool:
    """Whether a text says the answer: the key's content words all stand in it."""
    key = original.choices[LETTERS.index(original.answer)] if original.choices else original.answer
    words = [stem(word) for word in tokenize(canonical.normalize_option(key)) if word not in STOPWORDS]
    said = Counter(stem(word) for word in tokenize(text))
    spoken = [name for name, value in NUMBER_WORDS.items() if value == key.strip()]
    if not words:  # `just.`, `all`: nothing but the words themselves can tell
        bare = " ".join(tokenize(canonical.normalize_option(key)))
        return bool(bare) and f" {bare} " in f" {' '.join(tokenize(text))} "
    return all(said[word] for word in words) or any(said[stem(name)] for name in spoken)


def are_equivalent(one: str, other: str) -> bool:
    """Whether two options mean the same: equal normal forms, equal numbers, or formulas that Math-Verify equates."""
    ours, theirs = canonical.normalize_option(one), canonical.normalize_option(other)
    if ours == theirs or (len(ours) > 2 and ours.lower() == theirs.lower()):
        return True
    numbers = numerals.parse(ours), numerals.parse(theirs)
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


def match_origins(original: Problem, choices: Sequence[str]) -> tuple[int | None, ...]:
    """For each option the index of the original option with the same normal form; each is given away once."""
    free = {index: canonical.normalize_option(choice) for index, choice in enumerate(original.choices or [])}
    found: list[int | None] = []
    for choice in choices:
        form = canonical.normalize_option(choice)
        index = next((index for index, other in free.items() if other == form), None)
        free.pop(index, None)
        found.append(index)
    return tuple(found)


def are_distinguishable(original: Problem) -> bool:
    """Whether no two options have one normal form, so that a text tells which option it is."""
    return len({canonical.normalize_option(choice) for choice in original.choices or ()}) == len(original.choices or ())


def check_options(original: Problem, made: Draft, principles: Sequence[str]) -> list[str]:
    """What is wrong with the options: each accounted for, no two alike, the key where the answer points."""
    before, found = start_draft(original), []
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
        clash = next(
            (j for j, other in enumerate(made.choices) if j != i and are_equivalent(made.choices[i], other)), None
        )
        if clash is not None:
            found.append(f"the new option says the same as {'the key' if made.origin[clash] == key else 'another one'}")
    old = [(index, text) for index, text in zip(made.origin, made.choices, strict=True) if index is not None]
    rewritten = [(before.choices[index], text) for index, text in old if text != before.choices[index]]
    if "choices" in principles:
        found += [fault for pair in rewritten for fault in check_option(*pair)]
        if not rewritten:
            found.append("no option was rewritten")
        if len({canonical.normalize_option(text) for _, text in old}) < len(
            {*map(canonical.normalize_option, before.choices)}
        ):
            found.append("two options came to say the same")
    elif rewritten:
        found.append("an option was rewritten")
    if "permute" not in principles:
        stand = option_order.is_ring_order_kept(original, made) if new else kept == sorted(kept)
        return found + ["the options were reordered"] * (not stand)
    if kept == sorted(kept) or [text for _, text in old] == [text for _, text in sorted(old)]:
        found.append("the options stand in their old order")
    return found


def check_option(original: str, text: str) -> list[str]:
    """What is wrong with an option in other words."""
    ours, theirs = (
        extract_features(canonical.normalize_option(original)),
        extract_features(canonical.normalize_option(text)),
    )
    if ours.numbers != theirs.numbers or ours.formulas != theirs.formulas:
        return [f"the numbers of an option changed ({original[:30]!r}, {text[:30]!r})"]
    if ours.measures != theirs.measures or ours.units != theirs.units:
        return [f"a unit of an option changed ({original[:30]!r}, {text[:30]!r})"]
    if ours.negations != theirs.negations:
        return [f"a denial in an option changed ({original[:30]!r}, {text[:30]!r})"]
    return []


def find_faults(original: Problem, made: Draft, principles: Sequence[str]) -> list[str]:
    """Everything the checks find in a finished draft, composed of any principles. Empty: it may go to the judge."""
    found = []
    if made.question == original.question and (tuple(made.choices), made.answer) == start_draft(original)[1::2]:
        return ["the item is unchanged"]
    if {"question", "context"} & set(principles):
        if made.question == original.question:
            found.append("the question is unchanged")
        if "question" in principles and _keeps_all_words(original.question, made.question):
            found.append("no word of the question was changed, some were only added")
        found += check_question(original.question, made.question)
        if "context" in principles:
            found += check_context(original, extract_context(original.question, made.question))
    elif made.question != original.question:
        found.append("the question was rewritten")
    if original.choices:
        found += check_options(original, made, principles)
    elif made.choices or made.answer != original.answer:
        found.append("the answer was changed")
    return found


def _keeps_all_words(original: str, text: str) -> bool:
    """Whether all words of the original stand in the text, in their order: words in front are no rewording."""
    rest = iter(tokenize(text))
    return all(word in rest for word in tokenize(original))


def extract_context(original: str, text: str) -> str:
    """What stands before the question: the sentences up to the one that says half of what the original's first says."""
    if text.endswith(original.strip()):
        return text.removesuffix(original.strip()).strip()
    parts = [extract_features(part).stems for part in _split_sentences(original)]
    opening = next((said for said in parts if len(said) >= 2), None) or next(filter(None, parts), Counter())
    if not opening:  # `How many are there?` shares no word with anything: what stands before as many sentences
        return " ".join(_split_sentences(text)[: -len(parts)])
    formulas = extract_features(original).formulas
    leading: list[str] = []
    for sentence in _split_sentences(text):
        said = extract_features(sentence)
        of_opening = sum(bool(said.stems[word]) for word in opening) * 2
        if not said.stems or any(formulas[one] for one in said.formulas) or of_opening >= len(opening):
            break
        leading.append(sentence)
    return " ".join(leading)


def _split_sentences(text: str) -> list[str]:
    masked, kept = protected_spans.mask(text)
    return [protected_spans.unmask(part, kept) for part, _ in protected_spans.split_sentences(masked)]
