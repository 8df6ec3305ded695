"""The audit of problem sets: what was kept, how far it is from its source, and whether a shortcut gives the answers.

A shortcut is a rule that looks at no question: always the same answer, always the same place, the longest option, the
words of the options, the length of the question; or one that tells distractors by their words. Each has a bound, and a
set over it gets a sentence that says so. What a set has from its source is not its own fault: where the problems have
parents, the bound is at least the parents' figure. Every bound allows for chance: `SIGMAS` standard errors.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from math import log10, sqrt
from typing import Any, NamedTuple

from stages.lib import answers, numerals, seeds
from stages.lib.records import Problem
from stages.ood.rejects import Reject

CONSTANT = {1: 1.0, 2: 0.55, 3: 0.38}  # best constant answer, by the number of different answers
OPEN = 0.25  # with more than CLOSED different answers
CLOSED = 5
MARGIN = 0.05  # above chance, or above the source
UNIQUE = 0.998
MAGNITUDE = 0.05
RAREST = 1e-3  # p-value of the places of the right options
SIGMAS = 2.6
CAP, FEWEST = 2000, 60  # problems that the trained baselines use, and need
FOLDS = 5


class Set(NamedTuple):
    """Problems that later stages evaluate together. parents: id -> the problem a variant was made from.
    sentences: (sentence, whether it is a distractor, id of its problem), where that is known."""

    problems: Sequence[Problem]
    parents: Mapping[str, Problem] = {}
    rejects: Sequence[Reject] = ()
    sentences: Sequence[tuple[str, bool, str]] = ()


def audit(sets: Mapping[str, Set]) -> dict[str, dict[str, Any]]:
    """name -> {kept, rejected, figures, source, bounds, faults, remarks}: plain data, the same for every order."""
    return {name: _audit(name, sets[name]) for name in sorted(sets)}


def faults(audited: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """All sentences that fail the stage."""
    return [fault for entry in audited.values() for fault in entry["faults"]]


def _audit(name: str, one: Set) -> dict[str, Any]:
    problems = sorted(one.problems, key=lambda problem: problem.id)
    parents = [one.parents[problem.parent] for problem in problems if problem.parent in one.parents]
    distinct = list({parent.id: parent for parent in parents}.values())
    figures = shortcuts(problems) if problems else {}
    source = shortcuts(distinct) if distinct else {}
    if problems:
        figures["unsolvable"] = sum(problem.contract == "unsolvable" for problem in problems) / len(problems)
    if one.sentences:
        figures["distractor_detector"] = detector(one.sentences)
    if parents:
        variants = [problem for problem in problems if problem.parent in one.parents]
        figures["magnitude_ks"] = distance(magnitudes(variants), magnitudes(parents))
        figures["length_ks"] = distance([len(p.prompt()) for p in variants], [len(p.prompt()) for p in parents])
    figures = {key: None if value is None else round(value, 6) for key, value in figures.items()}
    bounds = _bounds(problems, one, figures, source)
    found = [_fault(name, figure, figures[figure], bounds[figure], source.get(figure)) for figure in bounds]
    if not problems:
        found.append(f"{name}: no problem was kept ({len(one.rejects)} rejected); an empty set measures nothing")
    far = figures.get("magnitude_ks")
    return {
        "kept": len(problems),
        "rejected": dict(sorted(Counter(reject.reason for reject in one.rejects).items())),
        "figures": figures,
        "source": {key: None if value is None else round(value, 6) for key, value in source.items()},
        "bounds": bounds,
        "faults": [fault for fault in found if fault],
        "remarks": [f"{name}: the numbers are {far:.3f} (KS) from the source's, over {MAGNITUDE}"]
        if far is not None and far > MAGNITUDE
        else [],
    }


# Figures


def shortcuts(problems: Sequence[Problem]) -> dict[str, float | None]:
    """The share of answers that each shortcut gives; None where there are too few problems to train it."""
    figures: dict[str, float | None] = {"unique": len({normal(p.prompt()) for p in problems}) / len(problems)}
    figures["constant"] = max(Counter(map(canonical, problems)).values()) / len(problems)
    options = [problem for problem in problems if problem.choices]
    if options:
        figures["position_p"] = position_p(options)
        figures["longest_option"] = _extreme(options, max)
        figures["shortest_option"] = _extreme(options, min)
        figures["options_only"] = options_only(options)
    elif 1 < len({canonical(problem) for problem in problems}) <= CLOSED:
        figures["length"] = length_only(problems)
    return figures


def normal(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()


def canonical(problem: Problem) -> str:
    """An answer in a form in which equal ones are mostly equal; formulas by their looks."""
    if problem.answer_type in ("number", "integer"):
        value = answers.number(problem.answer)
        return problem.answer if value is None else str(value)
    return normal(problem.answer)


def _key(problem: Problem) -> int | None:
    """The place of the right option."""
    letter = problem.answer.strip().upper()
    place = ord(letter) - ord("A") if len(letter) == 1 else -1
    return place if 0 <= place < len(problem.choices or ()) else None


def position_p(problems: Sequence[Problem]) -> float | None:
    """The chance that right options, were every place as likely, stood as unevenly as they do (chi-square)."""
    from scipy.stats import chi2

    keyed = [problem for problem in problems if _key(problem) is not None]
    if not keyed:
        return None
    expected: Counter[int] = Counter()
    for problem in keyed:
        for place in range(len(problem.choices)):
            expected[place] += 1 / len(problem.choices)
    seen = Counter(map(_key, keyed))
    statistic = sum((seen[place] - mean) ** 2 / mean for place, mean in expected.items())
    return float(chi2.sf(statistic, len(expected) - 1)) if len(expected) > 1 else None


def _extreme(problems: Sequence[Problem], pick: Any) -> float:
    """How often the longest (shortest) option is right; ties are split evenly."""
    total = 0.0
    for problem in problems:
        lengths = [len(choice) for choice in problem.choices]
        ends = [place for place, length in enumerate(lengths) if length == pick(lengths)]
        total += (_key(problem) in ends) / len(ends)
    return total / len(problems)


def chance(problems: Sequence[Problem]) -> float:
    return sum(1 / len(problem.choices) for problem in problems) / len(problems)


def sampled(problems: Sequence[Problem]) -> list[Problem]:
    """At most CAP of them, by a hash of their ids."""
    return sorted(problems, key=lambda problem: (seeds.key("audit", problem.id), problem.id))[:CAP]


def options_only(problems: Sequence[Problem]) -> float | None:
    """Accuracy of a linear classifier of options by their words, which never sees the question; cross-validated.

    Problems of one question (variants of one parent) stay in one fold.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    chosen = [problem for problem in sampled(problems) if _key(problem) is not None]
    texts = [choice for problem in chosen for choice in problem.choices]
    right = [place == _key(problem) for problem in chosen for place in range(len(problem.choices))]
    groups = [problem.parent or problem.id for problem in chosen for _ in problem.choices]
    if len(set(groups)) < FEWEST:
        return None
    scores = _validated(CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), binary=True), texts, right, groups)
    hits, at = 0.0, 0
    for problem in chosen:
        own = scores[at : at + len(problem.choices)]
        best = [place for place, score in enumerate(own) if score >= max(own) - 1e-12]
        hits += (_key(problem) in best) / len(best)
        at += len(problem.choices)
    return hits / len(chosen)


def length_only(problems: Sequence[Problem]) -> float | None:
    """Accuracy of guessing one of a few answers from the length of the question alone; cross-validated."""
    from sklearn.neighbors import KNeighborsClassifier

    chosen = sampled(problems)
    groups = [problem.parent or problem.id for problem in chosen]
    if len(set(groups)) < FEWEST:
        return None
    model = KNeighborsClassifier(n_neighbors=max(1, len(chosen) // 12))
    lengths = [[len(problem.question)] for problem in chosen]
    golds = [canonical(problem) for problem in chosen]
    found = _cross(model, lengths, golds, groups, "predict")
    return sum(str(a) == b for a, b in zip(found, golds, strict=True)) / len(chosen)


def detector(sentences: Sequence[tuple[str, bool, str]]) -> float | None:
    """Balanced accuracy (chance: 0.5) of telling distractors by their words alone, names and numbers included."""
    from sklearn.feature_extraction.text import CountVectorizer

    texts, labels, groups = map(list, zip(*sentences, strict=True))
    if len(set(labels)) < 2 or len(set(groups)) < FEWEST:
        return None
    vectors = CountVectorizer(token_pattern=r"[^\s.,()]+", ngram_range=(1, 2))
    said = [score > 0 for score in _validated(vectors, texts, labels, groups)]
    shares = [
        sum(a == b for a, b in zip(said, labels, strict=True) if b is kind) / labels.count(kind)
        for kind in (True, False)
    ]
    return sum(shares) / 2


def _validated(vectors: Any, texts: list[str], labels: list[bool], groups: list[str]) -> list[float]:
    """The score of every text by a model that was trained on other groups."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(vectors, LogisticRegression(class_weight="balanced", C=0.3, solver="liblinear"))
    return [float(score) for score in _cross(model, texts, labels, groups, "decision_function")]


def _cross(model: Any, inputs: Any, labels: Any, groups: list[str], method: str) -> Any:
    from sklearn.model_selection import GroupKFold, cross_val_predict

    return cross_val_predict(model, inputs, labels, groups=groups, cv=GroupKFold(FOLDS), method=method)


def magnitudes(problems: Sequence[Problem]) -> list[float]:
    """log10(1 + |number|) of the numbers in the questions."""
    found = [numerals.read(text) for problem in problems for _, text in numerals.tokens(problem.question)]
    return [log10(1 + abs(numeral.value)) for numeral in found if numeral]


def distance(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Kolmogorov and Smirnov's: the largest difference of the two distribution functions. None for an empty side."""
    if not left or not right:
        return None
    left, right = sorted(left), sorted(right)
    return max(abs(bisect_right(left, at) / len(left) - bisect_right(right, at) / len(right)) for at in {*left, *right})


# Bounds


def _bounds(
    problems: Sequence[Problem], one: Set, figures: Mapping[str, float | None], source: Mapping[str, float | None]
) -> dict[str, float]:
    """figure -> the most it may be (of `unique` and `position_p`: the least)."""
    if not problems:
        return {}
    options = [problem for problem in problems if problem.choices]
    different = len({canonical(problem) for problem in problems})
    constant = CONSTANT.get(different, 1 / different + MARGIN if different <= CLOSED else OPEN)
    if figures.get("unsolvable") == 1:
        constant = 1.0  # a set of items without an answer; they are told from others by a set that mixes both
    limits = {"constant": constant, "length": constant + MARGIN, "distractor_detector": 0.5 + MARGIN}
    if options:
        limits["constant"] = chance(options) + MARGIN
        limits |= dict.fromkeys(("longest_option", "shortest_option", "options_only"), chance(options) + MARGIN)
    sizes = {
        "distractor_detector": len(one.sentences), "options_only": min(len(options), CAP),
        "length": min(len(problems), CAP),
    }  # fmt: skip
    bounds = {}
    for figure, limit in limits.items():
        if figures.get(figure) is None:
            continue
        if source.get(figure) is not None:
            limit = max(limit, source[figure] + MARGIN)
        size = sizes.get(figure, len(problems))
        bounds[figure] = round(min(1.0, limit + SIGMAS * sqrt(max(0.0, limit * (1 - limit)) / size)), 6)
    bounds["unique"] = round(min(UNIQUE, source.get("unique", 1.0), 1 - 1 / len(problems)), 6)
    if figures.get("position_p") is not None and (source.get("position_p") or 1.0) >= RAREST:
        bounds["position_p"] = RAREST
    return bounds


_SAID = {
    "constant": "one constant answer is right in {0:.1%}, over the bound of {1:.1%}; balance the answers",
    "length": "the length of the question gives {0:.1%} of the answers, over the bound of {1:.1%}",
    "distractor_detector": "a bag of words tells distractors with {0:.1%}, over the bound of {1:.1%}",
    "longest_option": "the longest option is right in {0:.1%}, over the bound of {1:.1%}",
    "shortest_option": "the shortest option is right in {0:.1%}, over the bound of {1:.1%}",
    "options_only": "the words of the options alone give {0:.1%} of the answers, over the bound of {1:.1%}",
    "unique": "only {0:.2%} of the problems are different, under the bound of {1:.2%}",
    "position_p": "the places of the right options are uneven (chi-square p = {0:.1e}, under {1:.1e})",
}


def _fault(name: str, figure: str, value: float, bound: float, source: float | None) -> str | None:
    if value >= bound if figure in ("unique", "position_p") else value <= bound:
        return None
    beside = f" (source: {source:.1%})" if source is not None and figure != "position_p" else ""
    return f"{name}: {figure}: {_SAID[figure].format(value, bound)}{beside}"


def table(audited: Mapping[str, Mapping[str, Any]]) -> str:
    """The audit as Markdown: a line a set, a bound after `/`, then the reasons of rejects, remarks and faults."""
    columns = ["unique", "constant", "options_only", "longest_option", "shortest_option", "position_p", "length",
               "distractor_detector", "magnitude_ks", "length_ks", "unsolvable"]  # fmt: skip
    columns = [c for c in columns if any(entry["figures"].get(c) is not None for entry in audited.values())]
    lines = ["| set | kept | rejected | " + " | ".join(c.replace("_", " ") for c in columns) + " |"]
    lines.append("|---|--:|--:|" + "--:|" * len(columns))
    for name, entry in audited.items():
        cells = [name, str(entry["kept"]), str(sum(entry["rejected"].values()))]
        for column in columns:
            value, bound = entry["figures"].get(column), entry["bounds"].get(column)
            cells.append("" if value is None else f"{value:.3f}" + (f" / {bound:.3f}" if bound is not None else ""))
        lines.append("| " + " | ".join(cells) + " |")
    reasons = [
        f"* {name}: {number} rejected: {reason}"
        for name, entry in audited.items()
        for reason, number in entry["rejected"].items()
    ]
    remarks = [f"* {remark}" for entry in audited.values() for remark in entry["remarks"]]
    over = [f"* **{fault}**" for fault in faults(audited)]
    parts = ["\n".join(part) for part in (lines, reasons, remarks, over) if part]
    return "\n\n".join(parts) + "\n"
