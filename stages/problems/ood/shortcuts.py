"""Shortcut baselines, which ignore what a question means, and the distance of a problem set to its source."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from math import log10
from typing import Any

from stages.lib.core import seeds
from stages.lib.core.records import Problem
from stages.lib.grading import answers, numerals
from stages.problems.ood import surface_features

MAX_CLASSES = 5  # up to this many different answers are treated as classes
MAX_SAMPLED, MIN_PROBLEMS = 2000, 30  # how many problems the trained baselines use at most, and need
FOLDS = 5
_CONTENT_WORD = re.compile(  # words that carry meaning, and numbers
    r"\b(?!(?:an?|the|of|to|in|on|at|for|and|or|is|are|was|were|be|that|this|it|its|with|by|as)\b)[^\W_]+"
)


def measure_all(problems: Sequence[Problem]) -> dict[str, float | None]:
    """The accuracy of each shortcut; None where there are too few problems to train it."""
    figures: dict[str, float | None] = {
        "unique": len({normalize_text(p.format_prompt()) for p in problems}) / len(problems)
    }
    figures["constant"] = max(Counter(map(normalize_answer, problems)).values()) / len(problems)
    options = [problem for problem in problems if problem.choices]
    if options:
        figures["position_p"] = position_p_value(options)
        figures["longest_option"] = _option_length_accuracy(options, max)
        figures["shortest_option"] = _option_length_accuracy(options, min)
        figures["options_only"] = options_only_accuracy(options)
    figures["shallow_tree"] = shallow_tree_accuracy(problems)
    return figures


def normalize_text(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()


def normalize_answer(problem: Problem) -> str:
    """An answer as text, equal for equal numbers; formulas are compared as text."""
    if problem.answer_type in ("number", "integer"):
        value = answers.parse_number(problem.answer)
        return problem.answer if value is None else str(value)
    return normalize_text(problem.answer)


def _count_options(problem: Problem) -> int:
    return len(problem.choices or ())


def _find_key_index(problem: Problem) -> int | None:
    """The index of the right option."""
    letter = problem.answer.strip().upper()
    index = ord(letter) - ord("A") if len(letter) == 1 else -1
    return index if 0 <= index < len(problem.choices or ()) else None


def position_p_value(problems: Sequence[Problem]) -> float | None:
    """p-value of the chi-square test that the right option is equally likely at every position."""
    from scipy.stats import chi2

    keyed = [problem for problem in problems if _find_key_index(problem) is not None]
    if not keyed:
        return None
    expected: defaultdict[int, float] = defaultdict(float)
    for problem in keyed:
        for place in range(_count_options(problem)):
            expected[place] += 1 / _count_options(problem)
    observed = Counter(map(_find_key_index, keyed))
    statistic = sum((observed[place] - mean) ** 2 / mean for place, mean in expected.items())
    return float(chi2.sf(statistic, len(expected) - 1)) if len(expected) > 1 else None


def _option_length_accuracy(problems: Sequence[Problem], pick: Any) -> float:
    """How often the longest (shortest) option is right; ties are split evenly."""
    total = 0.0
    for problem in problems:
        lengths = [len(choice) for choice in problem.choices or ()]
        ends = [place for place, length in enumerate(lengths) if length == pick(lengths)]
        total += (_find_key_index(problem) in ends) / len(ends)
    return total / len(problems)


def chance_accuracy(problems: Sequence[Problem]) -> float:
    return sum(1 / _count_options(problem) for problem in problems) / len(problems)


def subsample(problems: Sequence[Problem]) -> list[Problem]:
    """At most MAX_SAMPLED problems, selected by a hash of their ids."""
    return sorted(problems, key=lambda problem: (seeds.key("audit", problem.id), problem.id))[:MAX_SAMPLED]


def options_only_accuracy(problems: Sequence[Problem]) -> float | None:
    """Cross-validated accuracy of a linear classifier of the options' words, which never sees the question.

    Variants of one parent stay in one fold.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    sampled = [problem for problem in subsample(problems) if _find_key_index(problem) is not None]
    texts = [choice for problem in sampled for choice in problem.choices or ()]
    right = [place == _find_key_index(problem) for problem in sampled for place in range(_count_options(problem))]
    groups = [problem.parent or problem.id for problem in sampled for _ in problem.choices or ()]
    if len(set(groups)) < MIN_PROBLEMS:
        return None
    scores = _cross_validate_texts(
        CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), binary=True), texts, right, groups
    )
    hits, at = 0.0, 0
    for problem in sampled:
        option_scores = scores[at : at + _count_options(problem)]
        best = [i for i, score in enumerate(option_scores) if score >= max(option_scores) - 1e-12]
        hits += (_find_key_index(problem) in best) / len(best)
        at += _count_options(problem)
    return hits / len(sampled)


def label_classes(problems: Sequence[Problem]) -> list[str] | None:
    """The class of each problem: its answer where there are few different ones, else whether it has an answer. None where
    there is one class only, or a class is too small to be learned."""
    labels = [normalize_answer(problem) for problem in problems]
    if len(set(labels)) > MAX_CLASSES:
        labels = ["n/a" if answer.casefold() == "n/a" else "an answer" for answer in labels]
    counts = Counter(labels)
    return labels if len(counts) > 1 and min(counts.values()) >= FOLDS else None


def shallow_tree_accuracy(problems: Sequence[Problem]) -> float | None:
    """Balanced accuracy of a shallow tree that predicts the class (`label_classes`) from surface features."""
    sampled = subsample(problems)
    labels = label_classes(sampled)
    if labels is None or len({problem.parent or problem.id for problem in sampled}) < MIN_PROBLEMS:
        return None
    return tree_accuracy(surface_features.build_feature_table(sampled, sorted(set(labels)))[1], labels, sampled)


def find_first_feature(problems: Sequence[Problem]) -> str:
    """The feature at the root of the tree."""
    sampled = subsample(problems)
    labels = label_classes(sampled) or []
    names, rows = surface_features.build_feature_table(sampled, sorted(set(labels)))
    return names[surface_features.build_tree(len(rows)).fit(rows, labels).tree_.feature[0]]


def tree_accuracy(rows: Sequence[Sequence[float]], labels: Sequence[str], problems: Sequence[Problem]) -> float:
    """Balanced accuracy of a shallow tree, cross-validated. Problems of one parent stay in one fold."""
    groups = [problem.parent or problem.id for problem in problems]
    return balanced_accuracy(
        _cross_validate(surface_features.build_tree(len(rows)), rows, labels, groups, "predict"), labels
    )


def balanced_accuracy(predictions: Sequence[Any], labels: Sequence[Any]) -> float:
    """Recall, averaged over the classes."""
    counts = Counter(labels)
    return sum(1 / counts[b] for a, b in zip(predictions, labels, strict=True) if a == b) / len(counts)


def distractor_detector_accuracy(sentences: Sequence[tuple[str, bool, str]]) -> float | None:
    """Balanced accuracy (chance: 0.5) of a bag-of-words classifier of distractors; names and numbers count as words."""
    from sklearn.feature_extraction.text import CountVectorizer

    texts, labels, groups = map(list, zip(*sentences, strict=True))
    if len(set(labels)) < 2 or len(set(groups)) < MIN_PROBLEMS:
        return None
    vectors = CountVectorizer(token_pattern=r"[^\s.,()]+", ngram_range=(1, 2))
    return balanced_accuracy([score > 0 for score in _cross_validate_texts(vectors, texts, labels, groups)], labels)


def _cross_validate_texts(vectors: Any, texts: list[str], labels: list[bool], groups: list[str]) -> list[float]:
    """The score of every text by a model trained on other groups."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(vectors, LogisticRegression(class_weight="balanced", C=0.3, solver="liblinear"))
    return [float(score) for score in _cross_validate(model, texts, labels, groups, "decision_function")]


def _cross_validate(model: Any, inputs: Any, labels: Any, groups: list[str], method: str) -> Any:
    from sklearn.model_selection import GroupKFold, cross_val_predict

    return cross_val_predict(model, inputs, labels, groups=groups, cv=GroupKFold(FOLDS), method=method)


def measure_word_changes(variants: Sequence[Problem], parents: Sequence[Problem]) -> tuple[float, float]:
    """Means over the variants: (content words added, dropped or replaced, their share of the longer text)."""
    words, shares = [], []
    for variant, parent in zip(variants, parents, strict=True):
        new, old = (_CONTENT_WORD.findall(normalize_text(problem.format_prompt())) for problem in (variant, parent))
        blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        words.append(sum(max(b - a, d - c) for tag, a, b, c, d in blocks if tag != "equal"))
        shares.append(words[-1] / max(len(old), len(new), 1))
    return sum(words) / len(words), sum(shares) / len(shares)


def extract_magnitudes(problems: Sequence[Problem]) -> list[float]:
    """log10(1 + |number|) of the numbers in the questions."""
    parsed = [numerals.parse(text) for problem in problems for _, text in numerals.find_numbers(problem.question)]
    return [log10(1 + abs(numeral.value)) for numeral in parsed if numeral]


def ks_distance(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Kolmogorov-Smirnov statistic: the largest difference of the two distribution functions. None for an empty side."""
    if not left or not right:
        return None
    left, right = sorted(left), sorted(right)
    return max(abs(bisect_right(left, at) / len(left) - bisect_right(right, at) / len(right)) for at in {*left, *right})
