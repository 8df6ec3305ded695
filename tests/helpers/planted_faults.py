"""Known faults planted into good MPA variants: recall and precision of the checks and of the judge.

Every planted fault starts from a good variant and breaks it in one way. The checks and the judge see only the problem and
the variant: where each option came from is read off the texts again (unless they were reworded), so a planter cannot give
itself away. A reject of a planted fault is a hit, a reject of an untouched variant a false alarm. Precision = hits /
(hits + false alarms), for as many untouched variants as faults (each counted by its share).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Any

from stages.lib.chat import NoAnswerError
from stages.lib.core import seeds
from stages.lib.core.records import Problem
from stages.lib.rewording import protected_spans, text_features
from stages.problems.ood.mpa import checks, pipeline, principles
from stages.problems.ood.mpa.agents import Agents
from stages.problems.ood.mpa.principles import LETTERS, VERSION, Draft, NotApplicable
from stages.problems.ood.mpa.prompts import Unreadable

_NUMBER = re.compile(r"(?<![\w.\\{])[0-9]+(?:\.[0-9]+)?(?![\w.]*[0-9])")


def _parse_table(text: str) -> dict[str, str]:
    """`old:new` pairs; `_` stands for a space."""
    return dict(pair.replace("_", " ").split(":") for pair in text.split())


_UNIT_SWAPS = _parse_table("""
    dollars:euros $:€ cents:dollars hours:minutes hour:minute minutes:hours minute:hour days:weeks day:week
    weeks:months week:month months:years month:year years:months year:month feet:yards inches:feet miles:kilometers
    meters:feet pounds:kilograms grams:ounces kg:g km:miles cm:mm liters:gallons gallons:liters ounces:pounds
    percent:percentage_points seconds:minutes
""")
_EXTREMES = _parse_table("""
    least:greatest greatest:least smallest:largest largest:smallest most:least maximum:minimum minimum:maximum
    more:fewer fewer:more less:more
""")
_HELPER = re.compile(r"\b(?:is|are|was|were|will|would|can|could|should|has|have|had|may|might|must)\b(?! not|n't)")
_HOW_MANY = re.compile(r"([Hh]ow (?:many|much)|[Nn]umber of) (\w+)")

Origin = Sequence[int | None]
Planter = Callable[[Problem, Draft, Random], Draft | None]


def _plant_in_question(change: Callable[[str, Random], str | None]) -> Planter:
    def plant(problem: Problem, draft: Draft, rng: Random) -> Draft | None:
        text = change(draft.question, rng)
        return draft._replace(question=text) if text and text.strip() and text != draft.question else None

    return plant


def _replace_match(pattern: re.Pattern[str], new: Callable[[re.Match[str]], str], text: str, rng: Random) -> str | None:
    matches = list(pattern.finditer(text))
    if not matches:
        return None
    match = rng.choice(matches)
    return text[: match.start()] + new(match) + text[match.end() :]


def _compile_words(table: dict[str, str]) -> re.Pattern[str]:
    names = "|".join(re.escape(name) if not name.isalpha() else rf"\b{name}\b" for name in table)
    return re.compile(names)


def _change_number(text: str, rng: Random) -> str | None:
    return _replace_match(_NUMBER, lambda match: str(int(float(match[0])) + rng.choice((1, 2, 10))), text, rng)


def _exchange_numbers(text: str, rng: Random) -> str | None:
    pairs = [(a, b) for a, b in pairwise(_NUMBER.finditer(text)) if a[0] != b[0]]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    return text[: a.start()] + b[0] + text[a.end() : b.start()] + a[0] + text[b.end() :]


def _change_unit(text: str, rng: Random) -> str | None:
    masked, spans = protected_spans.mask(text)
    new = _replace_match(_compile_words(_UNIT_SWAPS), lambda match: _UNIT_SWAPS[match[0]], masked, rng)
    return protected_spans.unmask(new, spans) if new else None


def _change_quantity(text: str, rng: Random) -> str | None:
    """Another noun after `how many`, else the opposite extreme."""
    nouns = _replace_match(_HOW_MANY, lambda match: f"{match[1]} customers", text, rng)
    return nouns or _replace_match(_compile_words(_EXTREMES), lambda match: _EXTREMES[match[0]], text, rng)


def _drop_condition(text: str, rng: Random) -> str | None:
    masked, spans = protected_spans.mask(text)
    parts = protected_spans.split_sentences(masked)
    asks = text_features.find_question_sentences(text)
    droppable = [
        i
        for i, (part, _) in enumerate(parts)
        if protected_spans.unmask(part, spans) not in asks and len(re.findall(r"[a-z]{4,}", part)) >= 3
    ][-3:]
    if not droppable:
        match = re.match(r"^((?:If|When|Given)\b[^,]{15,}), (\w)", masked)
        return protected_spans.unmask(match[2].upper() + masked[match.end() :], spans) if match else None
    dropped = rng.choice(droppable)
    return protected_spans.unmask("".join(part + gap for i, (part, gap) in enumerate(parts) if i != dropped), spans)


def _negate(text: str, rng: Random) -> str | None:
    return _replace_match(_HELPER, lambda match: f"{match[0]} not", text, rng)


def _add_number(text: str, rng: Random) -> str:
    people = rng.choice((f"There are {rng.randint(3, 40)} people", "Twelve students are"))
    return f"{people} in the room. {text}"


def _add_question(text: str, rng: Random) -> str:
    return f"{text} How many days does this take?"


def _leak_answer(problem: Problem, draft: Draft, rng: Random) -> Draft:
    key = problem.choices[LETTERS.index(problem.answer)].rstrip(".") if problem.choices else problem.answer
    form = rng.choice(("Many people would say {}. ", "The teacher had just been talking about {}. ", "It is {}. "))
    return draft._replace(question=form.format(key) + draft.question)


def _restore_question(problem: Problem, draft: Draft, rng: Random) -> Draft:
    return principles.start_draft(problem)


def _plant_in_options(change: Callable[[list[str], int, Origin, Random], list[str] | None]) -> Planter:
    def plant(problem: Problem, draft: Draft, rng: Random) -> Draft | None:
        new = change(list(draft.choices), LETTERS.index(draft.answer), draft.origin, rng)
        return draft._replace(choices=tuple(new)) if new is not None and new != list(draft.choices) else None

    return plant


def _change_option_number(options: list[str], key: int, origin: Origin, rng: Random) -> list[str] | None:
    places = [i for i, option in enumerate(options) if _NUMBER.search(option)]
    if not places:
        return None
    i = rng.choice(places)
    options[i] = _change_number(options[i], rng) or options[i]
    return options


def _negate_option(options: list[str], key: int, origin: Origin, rng: Random) -> list[str]:
    # Not a new option: its negation would be another valid new option.
    i = rng.choice([i for i, index in enumerate(origin) if index is not None])
    options[i] = f"not {options[i]}"
    return options


def _duplicate_option(options: list[str], key: int, origin: Origin, rng: Random) -> list[str]:
    i, j = rng.sample(range(len(options)), 2)
    options[i] = options[j].rstrip(".") + rng.choice(("", "."))
    return options


def _replace_key(options: list[str], key: int, origin: Origin, rng: Random) -> list[str]:
    options[key] = "something else altogether"
    return options


def _duplicate_as_new(target: str) -> Planter:
    """The new option says what the key, or another option, says."""

    def plant(problem: Problem, draft: Draft, rng: Random) -> Draft | None:
        origin = draft.origin
        new, key = origin.index(None) if None in origin else None, LETTERS.index(draft.answer)
        if new is None:
            return None
        i = key if target == "key" else rng.choice([i for i in range(len(origin)) if i not in (new, key)])
        options = list(draft.choices)
        options[new] = _disguise(options[i], rng)
        return draft._replace(choices=tuple(options))

    return plant


def _disguise(option: str, rng: Random) -> str:
    """The same option in another form."""
    bare = option.strip().rstrip(".")
    if re.fullmatch(r"-?[0-9]+", bare):
        return rng.choice((f"{bare}.0", f"the value {bare}", f"{int(bare):,}" if len(bare) > 3 else f" {bare}."))
    flipped = bare[0].swapcase() + bare[1:] if bare[1:2].islower() else f"{bare}."
    return rng.choice((f"{bare}.", f"the answer “{bare}”", flipped))


def _point_to_wrong_key(problem: Problem, draft: Draft, rng: Random) -> Draft | None:
    right = draft.choices[LETTERS.index(draft.answer)]
    wrong = [LETTERS[i] for i, choice in enumerate(draft.choices) if choice != right]
    return draft._replace(answer=rng.choice(wrong)) if wrong else None


def _point_to_old_key(problem: Problem, draft: Draft, rng: Random) -> Draft | None:
    """Options moved, letter not."""
    return draft._replace(answer=problem.answer) if draft.answer != problem.answer else None


def _lose_option(options: list[str], key: int, origin: Origin, rng: Random) -> list[str]:
    del options[rng.choice([i for i in range(len(options)) if i != key])]
    return options


FAULT_PLANTERS: dict[str, dict[str, Planter]] = {
    "question": {
        "changed number": _plant_in_question(_change_number),
        "exchanged numbers": _plant_in_question(_exchange_numbers),
        "changed unit": _plant_in_question(_change_unit),
        "changed asked quantity": _plant_in_question(_change_quantity),
        "dropped condition": _plant_in_question(_drop_condition),
        "negation inserted": _plant_in_question(_negate),
        "unchanged": _restore_question,
    },
    "context": {
        "number in context": _plant_in_question(_add_number),
        "answer in context": _leak_answer,
        "another question": _plant_in_question(_add_question),
        "changed number": _plant_in_question(_change_number),
        "dropped condition": _plant_in_question(_drop_condition),
        "unchanged": _restore_question,
    },
    "choices": {
        "changed number": _plant_in_options(_change_option_number),
        "negation inserted": _plant_in_options(_negate_option),
        "duplicate option": _plant_in_options(_duplicate_option),
        "replaced key": _plant_in_options(_replace_key),
        "wrong key": _point_to_wrong_key,
        "unchanged": _restore_question,
    },
    "newchoice": {
        "equal to the key": _duplicate_as_new("key"),
        "equal to another": _duplicate_as_new("other"),
        "wrong key": _point_to_wrong_key,
        "replaced key": _plant_in_options(_replace_key),
        "unchanged": _restore_question,
    },
    "permute": {
        "wrong key": _point_to_wrong_key,
        "old key": _point_to_old_key,
        "duplicate option": _plant_in_options(_duplicate_option),
        "lost option": _plant_in_options(_lose_option),
        "identity": _restore_question,
    },
}


def plant_faults(problem: Problem, draft: Draft, principle: str, seed: int) -> Iterator[tuple[str, Draft]]:
    """(fault, draft) for every fault of the principle that this item can carry."""
    for name, plant in FAULT_PLANTERS[principle].items():
        broken = plant(problem, draft, seeds.rng(seed, "ood", VERSION, problem.id, "planted", principle, name))
        if broken is not None and broken != draft:
            yield name, broken


def measure_judge(problems: Sequence[Problem], agents: Agents, seed: int) -> dict[str, dict]:
    """{principle: {recall, precision, n, good, false_alarms, by_fault: {fault: [caught, planted]}}}.

    n counts planted faults, good the untouched variants.
    """
    return {name: _measure_principle(problems, name, agents, seed) for name in principles.PRINCIPLES}


def _measure_principle(problems: Sequence[Problem], name: str, agents: Agents, seed: int) -> dict:
    good = alarms = 0
    by_fault: dict[str, list[int]] = {fault: [0, 0] for fault in FAULT_PLANTERS[name]}
    for problem in problems:
        try:
            applied = principles.select_applicable((name,), problem)
            draft = pipeline.make_draft(problem, applied, agents, seed, 0)
        except (NotApplicable, Unreadable, NoAnswerError):
            continue
        good += 1
        alarms += _find_reason(problem, draft, applied, agents) is not None
        for fault, broken in plant_faults(problem, draft, name, seed):
            by_fault[fault][1] += 1
            by_fault[fault][0] += _find_reason(problem, broken, applied, agents) is not None
    caught, n = (sum(counts[i] for counts in by_fault.values()) for i in (0, 1))
    recall, alarm = caught / n if n else 0.0, alarms / good if good else 0.0
    precision = recall / (recall + alarm) if recall else 0.0
    return {
        "recall": recall,
        "precision": precision,
        "n": n,
        "good": good,
        "false_alarms": alarms,
        "by_fault": by_fault,
    }


def _find_reason(problem: Problem, draft: Draft, applied: Sequence[str], agents: Agents) -> str | None:
    if "choices" not in applied:  # the origin of a reworded option cannot be read off
        draft = draft._replace(origin=checks.match_origins(problem, draft.choices))
    return pipeline.find_fault(problem, draft, applied, agents, ("measured",))


def measure_checks(pairs: Sequence[tuple[Problem, str]], seed: int) -> dict[str, Any]:
    """(problem, question rephrased elsewhere) pairs -> {n, refused, reasons, recall, by_fault: {fault: [caught, planted]}}.

    No judge is asked. reasons: why the checks refuse untouched rephrasings, by the first words. Recall counts only faults
    in rephrasings that the checks accept when untouched.
    """
    reasons: Counter[str] = Counter()
    by_fault: dict[str, list[int]] = {fault: [0, 0] for fault in FAULT_PLANTERS["question"] if fault != "unchanged"}
    for problem, text in pairs:
        draft = principles.start_draft(problem)._replace(question=text)
        faults = checks.find_faults(problem, draft, ("question",))
        if faults:
            reasons[faults[0].partition(" (")[0]] += 1
            continue
        for fault, counts in by_fault.items():
            rng = seeds.rng(seed, "ood", VERSION, problem.id, "foreign", fault)
            broken = FAULT_PLANTERS["question"][fault](problem, draft, rng)
            if broken is not None:
                counts[0] += bool(checks.find_faults(problem, broken, ("question",)))
                counts[1] += 1
    caught, planted = (sum(counts[i] for counts in by_fault.values()) for i in (0, 1))
    return {
        "n": len(pairs),
        "refused": sum(reasons.values()),
        "reasons": dict(sorted(reasons.items())),
        "recall": caught / planted if planted else None,
        "by_fault": by_fault,
    }
