"""Surface features: what can be counted in a question without understanding it, and a shallow tree over them.

They are length, numbers, negations, names that occur once, and for the names asked for: where and how often they occur,
on which side of a sentence, beside which connectives. A name is a word that occurs in few questions of the set, so the
features are the same for graphs, stories and real text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from stages.lib.core.records import Problem

MAX_NAME_SHARE = 0.25  # a word in more of the questions than this is no name
_WORD = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)*")
_SENTENCE_BREAK = re.compile(r"\n|(?<=[.!?])\s+")
_NEGATIONS = frozenset(str.split("not no never none nothing neither nor fails without false cannot"))


def build_feature_table(problems: Sequence[Problem], classes: Sequence[str]) -> tuple[list[str], list[list[float]]]:
    """(names of the features, their values for every problem). classes: the answers to be predicted."""
    split = [_split_sentences(problem.question) for problem in problems]
    question_counts = Counter(word for units in split for word in {word for unit in units for word in unit})
    names = {
        word
        for word, count in question_counts.items()
        if count <= MAX_NAME_SHARE * len(problems) and not word[0].isdigit()
    }
    rows = [_extract_features(problem, units, names, classes) for problem, units in zip(problems, split, strict=True)]
    return list(rows[0]), [list(row.values()) for row in rows]


def _split_sentences(text: str) -> list[list[str]]:
    """The words of every line; of every sentence where the text is one line."""
    parts = text.split("\n") if "\n" in text else _SENTENCE_BREAK.split(text)
    return [words for part in parts if (words := _WORD.findall(part.casefold()))]


def _extract_features(
    problem: Problem, units: list[list[str]], names: set[str], classes: Sequence[str]
) -> dict[str, float]:
    question_at = next((at for at in reversed(range(len(units))) if names & {*units[at]}), len(units) - 1)
    asked_names = [word for word in units[question_at] if word in names] if units else []
    body, words = units[:question_at], [word for unit in units for word in unit]
    counts = Counter(word for unit in body for word in unit if word in names)
    numbers = [min(float(word.replace(",", "")), 1e9) for word in words if re.fullmatch(r"\d[\d,]*\.?\d*", word)]
    features: dict[str, float] = {
        "characters": len(problem.format_prompt()),
        "sentences": len(units),
        "numbers": len(numbers),
        "largest number": max(numbers, default=-1),
        "negations": sum(word in _NEGATIONS for word in words),
        "names that occur once": sum(count == 1 for count in counts.values()),
        "names that are asked for and not told": sum(word not in counts for word in {*asked_names}),
    }
    for answer in classes:
        features[f"how often `{answer}` is said"] = problem.question.casefold().count(answer.casefold())
    ends = {"first": asked_names[0], "last": asked_names[-1]} if asked_names else dict.fromkeys(("first", "last"), "")
    for which, name in ends.items():
        for feature, value in _extract_name_features(name, body, names).items():
            features[f"{feature} the {which} name asked for"] = value
    positions = [next((at for at, unit in enumerate(body) if unit[0] == name), -1) for name in ends.values()]
    features["order of the names asked for"] = (positions[0] > positions[1]) - (positions[0] < positions[1])
    features["sentences with both names"] = sum({*ends.values()} <= {*unit} for unit in body)
    if problem.choices:
        lengths = [len(choice) for choice in problem.choices]
        shared = [len({*_WORD.findall(choice.casefold())} & {*words}) for choice in problem.choices]
        features |= {
            "longest option": lengths.index(max(lengths)),
            "shortest option": lengths.index(min(lengths)),
            "option nearest to the question": shared.index(max(shared)),
        }
    return features


def _extract_name_features(name: str, body: list[list[str]], names: set[str]) -> dict[str, float]:
    """Features of one name: where, how often and beside what it occurs."""
    size = max(1, len(body))
    mentions = [at for at, unit in enumerate(body) if name in unit]
    openings = [at for at in mentions if body[at][0] == name]
    other_mentions = [unit for unit in (body[at] for at in mentions) if unit[0] != name]
    after = [unit[unit.index(name) + 1 :] for unit in other_mentions]
    return {
        "first place of": mentions[0] / size if mentions else -1,
        "last place of": mentions[-1] / size if mentions else -1,
        "place of the sentence that begins with": openings[0] / size if openings else -1,
        "width of the sentence that begins with": sum(word in names for at in openings for word in body[at]),
        "uses of": len(other_mentions),
        "`and` beside": sum("and" in unit for unit in other_mentions),
        "`or` beside": sum("or" in unit for unit in other_mentions),
        "`not` before": sum(unit[unit.index(name) - 1] in _NEGATIONS for unit in other_mentions),
        "`not` after": sum(word in _NEGATIONS for rest in after for word in rest),
    }


def build_tree(problems: int) -> Any:
    """A tree of depth 3 without leaves of a handful of problems."""
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(
        max_depth=3, min_samples_leaf=max(3, problems // 50), class_weight="balanced", random_state=0
    )
