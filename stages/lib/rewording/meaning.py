"""What a rewording changed: numbers with their units, formulas, denials, comparisons, the quantity asked for, conditions.

Free wording passes. An exchanged name or a changed verb cannot be seen here; that takes a program, a judge or a solver.
"""

from __future__ import annotations

from collections import Counter

from stages.lib.rewording import protected_spans
from stages.lib.rewording.synonyms import OPPOSITES
from stages.lib.rewording.text_features import (
    TextFeatures,
    extract_features,
    find_asked_nouns,
    find_counted_nouns,
    find_question_sentences,
    stem,
    tokenize,
)

EXCHANGE_MARGIN = 1  # words by which two numbers must be nearer to each other's old places than to their own


def check_question(original: str, text: str) -> list[str]:
    """Faults of a question that should mean the same as the original."""
    ours, theirs, faults = extract_features(original), extract_features(text), []
    if _has_changed_number(ours.numbers, theirs.numbers):
        faults.append(f"the numbers changed ({_describe_change(ours.numbers, theirs.numbers)})")
    if ours.formulas.keys() != theirs.formulas.keys():
        faults.append(f"a formula changed ({_describe_change(ours.formulas, theirs.formulas)})")
    if pair := _find_exchanged(ours, theirs):
        faults.append(f"numbers changed places ({', '.join(pair)})")
    if _has_changed_unit(ours, theirs):
        faults.append(f"a unit changed ({_describe_change(ours.units, theirs.units) or 'of one number'})")
    if ours.negations != theirs.negations:
        faults.append(f"{theirs.negations} denials where the original has {ours.negations}")
    new, average = theirs.comparisons - ours.comparisons, "average" in ours.comparisons
    is_reversed = any(OPPOSITES.get(name) in new for name in ours.comparisons - theirs.comparisons)
    if is_reversed or average != ("average" in theirs.comparisons):
        faults.append(f"a comparison changed ({_describe_change(ours.comparisons, theirs.comparisons)})")
    asked_nouns = find_asked_nouns(original)
    question_stems = {stem(word) for sentence in find_question_sentences(text) for word in tokenize(sentence)}
    if asked_nouns and not asked_nouns & question_stems:
        faults.append(f"the quantity asked for is gone ({', '.join(sorted(asked_nouns))})")
    new_nouns = find_counted_nouns(text) - set(map(stem, tokenize(original)))
    new_nouns = {word for word in new_nouns if theirs.stems[word] < 2}  # a noun used throughout is only a new name
    if new_nouns and find_counted_nouns(original):
        faults.append(f"another quantity is asked for ({', '.join(sorted(new_nouns))})")
    if lost := _find_lost_sentence(original, theirs):
        faults.append(f"a condition is gone ({lost[:60]!r})")
    return faults


def _has_changed_number(ours: Counter[str], theirs: Counter[str]) -> bool:
    """Whether a number is gone or new, or stands less often while another stands more often, as if written for it.

    Counts alone may change: of 1,319 rephrasings of GSM8K that others published, 34 without another fault say a number once
    that the question says twice, or twice for once; read one by one, nine in ten of them mean the same."""
    ours, theirs = (Counter({number: n for number, n in c.items() if number != "1"}) for c in (ours, theirs))
    return ours.keys() != theirs.keys() or bool(ours - theirs and theirs - ours)  # `1 week` may become `a week`


def _find_exchanged(ours: TextFeatures, theirs: TextFeatures) -> tuple[str, str] | None:
    """Two numbers that have exchanged their neighbouring words."""
    both = sorted(ours.neighbours.keys() & theirs.neighbours.keys())
    for i, first in enumerate(both):
        for second in both[i + 1 :]:
            first_words, second_words = ours.neighbours[first], ours.neighbours[second]
            first_words, second_words = first_words - second_words, second_words - first_words
            straight = (first_words & theirs.neighbours[first]).total() + (
                second_words & theirs.neighbours[second]
            ).total()
            crossed = (
                (first_words & theirs.neighbours[second]).total(),
                (second_words & theirs.neighbours[first]).total(),
            )
            if sum(crossed) >= straight + EXCHANGE_MARGIN and sum(crossed) > 1:
                return first, second
    return None


def _has_changed_unit(ours: TextFeatures, theirs: TextFeatures) -> bool:
    """Whether a number has another unit than before, or a unit of the text was replaced by a new one."""
    if ours.units - theirs.units and theirs.units.keys() - ours.units.keys():
        return True
    before: dict[str, set[str]] = {}
    for number, unit in ours.measures:
        before.setdefault(number, set()).add(unit)
    return any(number in before and unit not in before[number] for number, unit in theirs.measures)


def _find_lost_sentence(original: str, theirs: TextFeatures) -> str | None:
    """A sentence that lost its numbers and more than three quarters of its content words."""
    masked, spans = protected_spans.mask(original)
    for part, _ in protected_spans.split_sentences(masked):
        sentence = protected_spans.unmask(part, spans)
        features = extract_features(sentence)
        num_left = sum(bool(theirs.stems[word]) for word in features.stems)
        numbers_stay = features.numbers and features.numbers.keys() <= theirs.numbers.keys()
        if len(features.stems) >= 3 and num_left * 4 < len(features.stems) and not numbers_stay:
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
