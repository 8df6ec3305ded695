"""Deterministic checks of a reworded item, by rules or by a model; the judge sees only what passes.

They compare features of both texts: numbers with their units, formulas, negations, comparisons, the quantity asked for
and the conditions; for options also the key, its letter and equivalence. Free wording passes. What they cannot see (an
exchanged name, a changed verb) is left to the judge.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from stages.lib.core.records import Problem
from stages.lib.grading import answers, numerals
from stages.lib.rewording import protected_spans
from stages.lib.rewording.meaning import check_question
from stages.lib.rewording.synonyms import NUMBER_WORDS, STOPWORDS
from stages.lib.rewording.text_features import extract_features, stem, tokenize
from stages.problems.ood.mpa import canonical, option_order
from stages.problems.ood.mpa.principles import LETTERS, Draft, start_draft


def check_context(original: Problem, added: str) -> list[str]:
    """Faults of added context, which may hold no number, formula, negation or question, and not the answer."""
    faults, features = [], extract_features(added)
    if not features.stems:
        return ["no context was added"]
    if features.numbers or any(char.isdigit() for char in added):
        faults.append("the context holds a number")
    if features.formulas or "=" in added:
        faults.append("the context holds a formula")
    if features.negations:
        faults.append("the context denies something")
    if "?" in added:
        faults.append("the context asks something")
    if leaks_answer(original, added):
        faults.append("the context holds the answer")
    return faults


def leaks_answer(original: Problem, text: str) -> bool:
    """Whether a text contains all content words of the key."""
    key = original.choices[LETTERS.index(original.answer)] if original.choices else original.answer
    words = [stem(word) for word in tokenize(canonical.normalize_option(key)) if word not in STOPWORDS]
    text_stems = Counter(stem(word) for word in tokenize(text))
    key_words = [name for name, value in NUMBER_WORDS.items() if value == key.strip()]
    if not words:  # `just.`, `all`: only stopwords, so compare the words in their order
        key_text = " ".join(tokenize(canonical.normalize_option(key)))
        return bool(key_text) and f" {key_text} " in f" {' '.join(tokenize(text))} "
    return all(text_stems[word] for word in words) or any(text_stems[stem(name)] for name in key_words)


def are_equivalent(text: str, other_text: str) -> bool:
    """Whether two options mean the same: equal normal forms, equal numbers, or formulas that Math-Verify equates."""
    ours, theirs = canonical.normalize_option(text), canonical.normalize_option(other_text)
    if ours == theirs or (len(ours) > 2 and ours.lower() == theirs.lower()):
        return True
    numbers = numerals.parse(ours), numerals.parse(theirs)
    if all(numbers):
        same_unit = re.sub(r"[-0-9.,/ $]+", "", ours) == re.sub(r"[-0-9.,/ $]+", "", theirs)
        return same_unit and numbers[0] == numbers[1]
    both = f"{text} | {other_text}"
    is_formula = ("\\" in both or "$" in both) and not re.search(r"[A-Za-z]{4,} [A-Za-z]{2,}", both)
    return is_formula and max(len(text), len(other_text)) < 120 and answers.equal(text, other_text, "latex")


def match_origins(original: Problem, choices: Sequence[str]) -> tuple[int | None, ...]:
    """For each option the index of the original option with the same normal form, or None; no index occurs twice."""
    free = {index: canonical.normalize_option(choice) for index, choice in enumerate(original.choices or [])}
    origins: list[int | None] = []
    for choice in choices:
        form = canonical.normalize_option(choice)
        index = next((index for index, other in free.items() if other == form), None)
        if index is not None:
            del free[index]
        origins.append(index)
    return tuple(origins)


def are_distinguishable(original: Problem) -> bool:
    """Whether all options have different normal forms, so that `match_origins` is unambiguous."""
    return len({canonical.normalize_option(choice) for choice in original.choices or ()}) == len(original.choices or ())


def check_options(original: Problem, draft: Draft, principles: Sequence[str]) -> list[str]:
    """Faults of the options: none lost, no two equivalent, the letter of the answer at the key."""
    before, faults = start_draft(original), []
    old_indices = [index for index in draft.origin if index is not None]
    new_indices = [i for i, index in enumerate(draft.origin) if index is None]
    if sorted(old_indices) != list(range(len(before.choices))):
        return ["an option of the original is gone or doubled"]
    if len(new_indices) != ("newchoice" in principles):
        return [f"{len(new_indices)} new options, expected {int('newchoice' in principles)}"]
    key = LETTERS.index(original.answer)
    if len(draft.answer) != 1 or draft.answer not in LETTERS[: len(draft.choices)]:
        return [f"the answer {draft.answer!r} is not the letter of an option"]
    if draft.origin[LETTERS.index(draft.answer)] != key:
        faults.append("the answer's letter does not point to the key")
    faults += _check_new_options(draft, new_indices, key) + _check_rewritten(before, draft, principles)
    if "permute" in principles:
        old = [(index, text) for index, text in zip(draft.origin, draft.choices, strict=True) if index is not None]
        is_old_order = old_indices == sorted(old_indices) or [text for _, text in old] == [
            text for _, text in sorted(old)
        ]
        return faults + ["the options stand in their old order"] * is_old_order
    is_kept = option_order.is_ring_order_kept(original, draft) if new_indices else old_indices == sorted(old_indices)
    return faults + ["the options were reordered"] * (not is_kept)


def _check_new_options(draft: Draft, new_indices: Sequence[int], key: int) -> list[str]:
    """Faults of new options: none may be equivalent to another option. key: index of the key in the original."""
    faults = []
    for i in new_indices:
        others = (j for j in range(len(draft.choices)) if j != i and are_equivalent(draft.choices[i], draft.choices[j]))
        if (clash := next(others, None)) is not None:
            equal = "the key" if draft.origin[clash] == key else "another one"
            faults.append(f"the new option says the same as {equal}")
    return faults


def _check_rewritten(before: Draft, draft: Draft, principles: Sequence[str]) -> list[str]:
    """Faults of the old options' texts: reworded without a change of meaning, or not at all."""
    old = [(before.choices[i], text) for i, text in zip(draft.origin, draft.choices, strict=True) if i is not None]
    rewritten = [(choice, text) for choice, text in old if text != choice]
    if "choices" not in principles:
        return ["an option was rewritten"] if rewritten else []
    faults = [fault for pair in rewritten for fault in check_option(*pair)]
    if not rewritten:
        faults.append("no option was rewritten")
    num_before, num_after = (len({canonical.normalize_option(pair[side]) for pair in old}) for side in (0, 1))
    return faults + ["two options came to say the same"] * (num_after < num_before)


def check_option(original: str, text: str) -> list[str]:
    """Faults of a reworded option."""
    ours, theirs = (extract_features(canonical.normalize_option(option)) for option in (original, text))
    if ours.numbers != theirs.numbers or ours.formulas != theirs.formulas:
        return [f"the numbers of an option changed ({original[:30]!r}, {text[:30]!r})"]
    if ours.measures != theirs.measures or ours.units != theirs.units:
        return [f"a unit of an option changed ({original[:30]!r}, {text[:30]!r})"]
    if ours.negations != theirs.negations:
        return [f"a denial in an option changed ({original[:30]!r}, {text[:30]!r})"]
    return []


def find_faults(original: Problem, draft: Draft, principles: Sequence[str]) -> list[str]:
    """All faults of a finished draft under any principles; [] where the judge may see it."""
    faults = []
    if draft.question == original.question and (tuple(draft.choices), draft.answer) == start_draft(original)[1::2]:
        return ["the item is unchanged"]
    if {"question", "context"} & set(principles):
        if draft.question == original.question:
            faults.append("the question is unchanged")
        if "question" in principles and _keeps_all_words(original.question, draft.question):
            faults.append("no word of the question was changed, some were only added")
        faults += check_question(original.question, draft.question)
        if "context" in principles:
            faults += check_context(original, extract_context(original.question, draft.question))
    elif draft.question != original.question:
        faults.append("the question was rewritten")
    if original.choices:
        faults += check_options(original, draft, principles)
    elif draft.choices or draft.answer != original.answer:
        faults.append("the answer was changed")
    return faults


def _keeps_all_words(original: str, text: str) -> bool:
    """Whether all words of the original occur in the text in their order, so that words were only added."""
    rest = iter(tokenize(text))
    return all(word in rest for word in tokenize(original))


def extract_context(original: str, text: str) -> str:
    """The text before the question: sentences up to the one with half of the content words of the original's first."""
    if text.endswith(original.strip()):
        return text.removesuffix(original.strip()).strip()
    parts = [extract_features(part).stems for part in _split_sentences(original)]
    opening = next((features for features in parts if len(features) >= 2), None) or next(filter(None, parts), Counter())
    if not opening:  # `How many are there?` has no content words: count sentences instead
        return " ".join(_split_sentences(text)[: -len(parts)])
    formulas = extract_features(original).formulas
    leading: list[str] = []
    for sentence in _split_sentences(text):
        features = extract_features(sentence)
        of_opening = sum(bool(features.stems[word]) for word in opening) * 2
        if not features.stems or any(formulas[formula] for formula in features.formulas) or of_opening >= len(opening):
            break
        leading.append(sentence)
    return " ".join(leading)


def _split_sentences(text: str) -> list[str]:
    masked, spans = protected_spans.mask(text)
    return [protected_spans.unmask(part, spans) for part, _ in protected_spans.split_sentences(masked)]
