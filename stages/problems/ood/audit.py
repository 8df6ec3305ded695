"""The audit of problem sets: what was kept, how far it is from its source, and how baselines without understanding score.

Such a baseline (a shortcut, `shortcuts.py`) gives always the same answer, the same option letter or the longest option,
or is a classifier of option words, of surface features of the question (`surface_features.py`), or of the words of
distractors. Each has a bound, and a set over a bound has a fault. A set may inherit a shortcut: where problems have
parents, the bound is at least the parents' figure. Every bound allows for chance (binomial quantile). A set of fewer than
`MIN_PROBLEMS` problems has no bounds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stages.lib.core.records import Problem
from stages.lib.operators import registry
from stages.lib.operators.rejects import Reject
from stages.problems.ood import shortcuts
from stages.problems.ood.shortcuts import MAX_CLASSES, MAX_SAMPLED, MIN_PROBLEMS

CONSTANT_BOUNDS = {1: 1.0, 2: 0.55, 3: 0.38}  # best constant answer, by the number of different answers
OPEN_CONSTANT_BOUND = 0.25  # with more than MAX_CLASSES different answers
LARGE_SET = 54  # problems, as many as the default gives each set
MARGIN = 0.05  # above chance, or above the source
MIN_UNIQUE = 0.998
MAX_MAGNITUDE_KS = 0.05
MIN_POSITION_P = 1e-3  # p-value of the positions of the right options
FALSE_ALARM_RATE = 0.005  # of a set whose true accuracy is at the limit


class ProblemSet(NamedTuple):
    """Problems that later stages evaluate together. parents: id -> the problem a variant was made from.
    sentences: (sentence, whether it is a distractor, id of its problem), where that is known."""

    problems: Sequence[Problem]
    parents: Mapping[str, Problem] = {}
    rejects: Sequence[Reject] = ()
    sentences: Sequence[tuple[str, bool, str]] = ()


def audit_sets(sets: Mapping[str, ProblemSet]) -> dict[str, dict[str, Any]]:
    """name -> {dose, kept, rejected, figures, source, bounds, faults, remarks}: plain data, for any order of problems."""
    return {name: _audit_set(name, sets[name]) for name in sorted(sets)}


def collect_faults(audited: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The faults of all sets: sentences, each of which fails the stage."""
    return [fault for entry in audited.values() for fault in entry["faults"]]


def _audit_set(name: str, problem_set: ProblemSet) -> dict[str, Any]:
    problems = sorted(problem_set.problems, key=lambda problem: problem.id)
    parents = [problem_set.parents[p.parent] for p in problems if p.parent and p.parent in problem_set.parents]
    distinct_parents = list({parent.id: parent for parent in parents}.values())
    figures = shortcuts.measure_all(problems) if problems else {}
    source = shortcuts.measure_all(distinct_parents) if distinct_parents else {}
    if problems:
        figures["unsolvable"] = sum(problem.contract == "unsolvable" for problem in problems) / len(problems)
    if problem_set.sentences:
        figures["distractor_detector"] = shortcuts.distractor_detector_accuracy(problem_set.sentences)
    if parents:
        variants = [problem for problem in problems if problem.parent in problem_set.parents]
        figures["magnitude_ks"] = shortcuts.ks_distance(
            shortcuts.extract_magnitudes(variants), shortcuts.extract_magnitudes(parents)
        )
        figures["length_ks"] = shortcuts.ks_distance(
            [len(p.format_prompt()) for p in variants], [len(p.format_prompt()) for p in parents]
        )
        figures["words_changed"], figures["share_changed"] = shortcuts.measure_word_changes(variants, parents)
    figures = {key: None if value is None else round(value, 6) for key, value in figures.items()}
    bounds = _compute_bounds(problems, problem_set, figures, source)
    faults = [
        _describe_fault(name, problems, figure, value, bounds[figure], source.get(figure))
        for figure in bounds
        if (value := figures[figure]) is not None
    ]
    shift, remarks = figures.get("magnitude_ks"), []
    if not problems:
        remarks.append(f"{name}: no problem was kept ({len(problem_set.rejects)} rejected), so there is no such set")
    if shift is not None and shift > MAX_MAGNITUDE_KS:
        remarks.append(f"{name}: the numbers are {shift:.3f} (KS) from the source's, over {MAX_MAGNITUDE_KS}")
    if 0 < len(problems) < MIN_PROBLEMS:
        remarks.append(f"{name}: {len(problems)} problems are too few to bound a shortcut; {MIN_PROBLEMS} are needed")
    return {
        "dose": _find_dose(problems),
        "kept": len(problems),
        "rejected": dict(sorted(Counter(_generalize_reason(reject.reason) for reject in problem_set.rejects).items())),
        "figures": figures,
        "source": {key: None if value is None else round(value, 6) for key, value in source.items()},
        "bounds": bounds,
        "faults": [fault for fault in faults if fault],
        "remarks": remarks,
    }


def _find_dose(problems: Sequence[Problem]) -> str:
    """The doses of the operators that made these problems, as `0.5` or `0.5 + 1`; "" where no operator has one."""
    name = next((p.operator for p in problems if p.program and p.program.generator == registry.GENERATOR), None) or ""
    parts = registry.parse_name(name) if name else []
    has_dose = any(change.dose for part in parts for change in registry.OPERATORS[part.operator].changes.values())
    return " + ".join(f"{part.dose:g}" for part in parts) if has_dose else ""


def _generalize_reason(text: str) -> str:
    """A reason without what differs from item to item: numbers, expressions and text in brackets."""
    return re.sub(r"(?<!\w)[0-9]*\.?[0-9]+", "#", re.sub(r"<<.*?>>", "<<...>>", re.sub(r" \([^()]*\)$", "", text)))


# Bounds


def _compute_bounds(
    problems: Sequence[Problem],
    problem_set: ProblemSet,
    figures: Mapping[str, float | None],
    source: Mapping[str, float | None],
) -> dict[str, float]:
    """figure -> its upper bound; of `unique` and `position_p` the lower bound."""
    from scipy.stats import binom

    if not problems:
        return {}
    options = [problem for problem in problems if problem.choices]
    num_answers = len({shortcuts.normalize_answer(problem) for problem in problems})
    constant = CONSTANT_BOUNDS.get(
        num_answers, 1 / num_answers + MARGIN if num_answers <= MAX_CLASSES else OPEN_CONSTANT_BOUND
    )
    if figures.get("unsolvable") == 1:
        constant = 1.0  # only unsolvable items; a set that mixes them with solvable ones tests the difference
    elif source and (share := figures.get("unsolvable")):
        constant = max(constant, share + MARGIN)  # of twins one half is N/A
    limits = {"constant": constant, "distractor_detector": 0.5 + MARGIN}
    sizes = {"distractor_detector": len(problem_set.sentences), "options_only": min(len(options), MAX_SAMPLED)}
    if classes := shortcuts.label_classes(shortcuts.subsample(problems)):
        counts = Counter(classes).values()
        limits["shallow_tree"] = 1 / len(counts) + MARGIN
        # The effective size, as if all classes were equally frequent.
        sizes["shallow_tree"] = int(len(counts) ** 2 / sum(1 / count for count in counts))
    if options:
        names = ("constant", "longest_option", "shortest_option", "options_only")
        limits |= dict.fromkeys(names, shortcuts.chance_accuracy(options) + MARGIN)
    bounds = {}
    for figure, limit in limits.items():
        if figures.get(figure) is None or len(problems) < MIN_PROBLEMS:
            continue
        if (inherited := source.get(figure)) is not None:
            limit = max(limit, inherited + MARGIN)
        size = sizes.get(figure, len(problems))
        bounds[figure] = round(float(binom.ppf(1 - FALSE_ALARM_RATE, size, min(max(limit, 0.0), 1.0))) / size, 6)
    bounds["unique"] = round(min(MIN_UNIQUE, source.get("unique") or 1.0, 1 - 1 / len(problems)), 6)
    if (
        figures.get("position_p") is not None
        and len(problems) >= MIN_PROBLEMS
        and (source.get("position_p") or 1.0) >= MIN_POSITION_P
    ):
        bounds["position_p"] = MIN_POSITION_P
    return bounds


_MESSAGES = {
    "constant": "one constant answer is right in {0:.1%}, over the bound of {1:.1%}; balance the answers",
    "shallow_tree": "a shallow tree that looks at {2} tells {0:.1%} of the answers, over the bound of {1:.1%}",
    "distractor_detector": "a bag of words tells distractors with {0:.1%}, over the bound of {1:.1%}",
    "longest_option": "the longest option is right in {0:.1%}, over the bound of {1:.1%}",
    "shortest_option": "the shortest option is right in {0:.1%}, over the bound of {1:.1%}",
    "options_only": "the words of the options alone give {0:.1%} of the answers, over the bound of {1:.1%}",
    "unique": "only {0:.2%} of the problems are different, under the bound of {1:.2%}",
    "position_p": "the places of the right options are uneven (chi-square p = {0:.1e}, under {1:.1e})",
}


def _describe_fault(
    name: str, problems: Sequence[Problem], figure: str, value: float, bound: float, source: float | None
) -> str | None:
    if value >= bound if figure in ("unique", "position_p") else value <= bound:
        return None
    feature = shortcuts.find_first_feature(problems) if figure == "shallow_tree" else ""
    beside = f" (source: {source:.1%})" if source is not None and figure != "position_p" else ""
    return f"{name}: {figure}: {_MESSAGES[figure].format(value, bound, feature)}{beside}"


_COLUMNS = """
    unique constant options_only longest_option shortest_option position_p shallow_tree distractor_detector magnitude_ks
    length_ks words_changed share_changed unsolvable
"""


def format_table(
    audited: Mapping[str, Mapping[str, Any]], solutions: Mapping[str, Mapping[str, int]] | None = None
) -> str:
    """The audit as Markdown: a row per set with bounds after `/`, then verdicts on published code solutions (`solutions`:
    set -> verdict -> number), reasons of rejects, remarks and faults."""
    columns = [c for c in _COLUMNS.split() if any(entry["figures"].get(c) is not None for entry in audited.values())]
    lines = ["| set | dose | kept | rejected | " + " | ".join(c.replace("_", " ") for c in columns) + " |"]
    lines.append("|---|--:|--:|--:|" + "--:|" * len(columns))
    for name, entry in audited.items():
        cells = [name, entry["dose"], str(entry["kept"]), str(sum(entry["rejected"].values()))]
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
    faults = [f"* **{fault}**" for fault in collect_faults(audited)]
    verdict_lines = [
        f"* {name}: published solutions: " + ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())
        for name, verdicts in (solutions or {}).items()
    ]
    parts = ["\n".join(part) for part in (lines, verdict_lines, reasons, remarks, faults) if part]
    return "\n\n".join(parts) + "\n"
