"""Cues: what is seen of a question without understanding it. A shallow tree over them shows what they are worth.

Where the names that are asked for stand and how often, on which side of a sentence and beside which connectives; how
much text, how many numbers, how many names that occur once. Names are not known here: a name is a word that stands in
few questions of the set, so the cues are the same for graphs, stories and real text.
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
_NEGATIONS = frozenset("not no never none nothing neither nor fails without false cannot".split())  # noqa: SIM905


def build_feature_table(problems: Sequence[Problem], classes: Sequence[str]) -> tuple[list[str], list[list[float]]]:
    """(the names of the cues, their values for every problem). classes: the answers that are told apart."""
    split = [_split_sentences(problem.question) for problem in problems]
    seen = Counter(word for units in split for word in {word for unit in units for word in unit})
    names = {word for word, count in seen.items() if count <= MAX_NAME_SHARE * len(problems) and not word[0].isdigit()}
    rows = [_extract_features(problem, units, names, classes) for problem, units in zip(problems, split, strict=True)]
    return list(rows[0]), [list(row.values()) for row in rows]


def _split_sentences(text: str) -> list[list[str]]:
    """The words of every sentence; where there are lines, of every line."""
    parts = text.split("\n") if "\n" in text else _SENTENCE_BREAK.split(text)
    return [words for part in parts if (words := _WORD.findall(part.casefold()))]


def _extract_features(
    problem: Problem, units: list[list[str]], names: set[str], classes: Sequence[str]
) -> dict[str, float]:
    ask = next((at for at in reversed(range(len(units))) if names & {*units[at]}), len(units) - 1)
    asked = [word for word in units[ask] if word in names] if units else []
    body, words = units[:ask], [word for unit in units for word in unit]
    told = Counter(word for unit in body for word in unit if word in names)
    numbers = [min(float(word.replace(",", "")), 1e9) for word in words if re.fullmatch(r"\d[\d,]*\.?\d*", word)]
    found: dict[str, float] = {
        "characters": len(problem.format_prompt()),
        "sentences": len(units),
        "numbers": len(numbers),
        "largest number": max(numbers, default=-1),
        "negations": sum(word in _NEGATIONS for word in words),
        "names that occur once": sum(count == 1 for count in told.values()),
        "names that are asked for and not told": sum(word not in told for word in {*asked}),
    }
    for answer in classes:
        found[f"how often `{answer}` is said"] = problem.question.casefold().count(answer.casefold())
    ends = {"first": asked[0], "last": asked[-1]} if asked else dict.fromkeys(("first", "last"), "")
    for which, name in ends.items():
        for cue, value in _extract_name_features(name, body, names).items():
            found[f"{cue} the {which} name asked for"] = value
    opened = [next((at for at, unit in enumerate(body) if unit[0] == name), -1) for name in ends.values()]
    found["order of the names asked for"] = (opened[0] > opened[1]) - (opened[0] < opened[1])
    found["sentences with both names"] = sum({*ends.values()} <= {*unit} for unit in body)
    if problem.choices:
        lengths = [len(choice) for choice in problem.choices]
        shared = [len({*_WORD.findall(choice.casefold())} & {*words}) for choice in problem.choices]
        found |= {
            "longest option": lengths.index(max(lengths)),
            "shortest option": lengths.index(min(lengths)),
            "option nearest to the question": shared.index(max(shared)),
        }
    return found


def _extract_name_features(name: str, body: list[list[str]], names: set[str]) -> dict[str, float]:
    """Cues about one name: where it is told, how often, and beside what."""
    size = max(1, len(body))
    holding = [at for at, unit in enumerate(body) if name in unit]
    own = [at for at in holding if body[at][0] == name]
    used = [unit for unit in (body[at] for at in holding) if unit[0] != name]
    after = [unit[unit.index(name) + 1 :] for unit in used]
    return {
        "first place of": holding[0] / size if holding else -1,
        "last place of": holding[-1] / size if holding else -1,
        "place of the sentence that begins with": own[0] / size if own else -1,
        "width of the sentence that begins with": sum(word in names for at in own for word in body[at]),
        "uses of": len(used),
        "`and` beside": sum("and" in unit for unit in used),
        "`or` beside": sum("or" in unit for unit in used),
        "`not` before": sum(unit[unit.index(name) - 1] in _NEGATIONS for unit in used),
        "`not` after": sum(word in _NEGATIONS for rest in after for word in rest),
    }


def build_tree(problems: int) -> Any:
    """The model: three questions, none about a handful of problems."""
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(
        max_depth=3, min_samples_leaf=max(3, problems // 50), class_weight="balanced", random_state=0
    )
