"""Changed competition problems, written out as question, steps and answer.

A state is a program of `lib/procedural/competition` (family, level, phrasing, params) with further keys, all optional:
  frame     a sentence that a model wrote before the parent's question
  rename    new names of the people in the text
  aside     {"sentence", "before"}: a distractor (`competition_distractors.py`) and its place among the sentences
  further   {"letter", "times", "modulus"}: one more computation on the answer
  unknowns  {"holes", "letters", "equations"}: a number that two equations determine, or, with {"completions"}, leave
            undetermined (`competition_unknowns.py`)
  edits     typos, made last
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stages.lib.core.records import Problem, Step
from stages.lib.operators.programs import competition_distractors, competition_unknowns
from stages.lib.operators.programs.base import NotApplicable, State, apply_edits
from stages.lib.procedural import competition
from stages.lib.procedural.competition import items

PROGRAM_KEYS = ("family", "level", "phrasing", "params")


def build_plain_problem(state: State, params: Mapping[str, Any] | None = None) -> Problem:
    """The plain item of a state, with other parameters if given."""
    family = competition.FAMILIES[state["family"]]
    return items.build_problem(
        family, state["level"], state["phrasing"], dict(params or state["params"]), "competition/test/0", "test", ""
    )


def find_faults(state: State) -> list[str]:
    """Faults of the plain item: both solvers must agree, every equation hold, and the text read back to the parameters. A
    sentence before it is checked too."""
    plain = build_plain_problem(state)
    framed = items.add_intro(plain, state["frame"]) if "frame" in state else plain
    return [framed] if isinstance(framed, str) else competition.check(framed)


def estimate_difficulty(state: State) -> float:
    return items.estimate_difficulty(competition.FAMILIES[state["family"]], state["params"])


def render(state: State) -> tuple[str, list[Step], str]:
    question, steps, answer = competition.rederive({key: state[key] for key in PROGRAM_KEYS})
    if "unknowns" in state:
        question, steps, answer = competition_unknowns.render_unknowns(question, steps, answer, state["unknowns"])
    if "rename" in state:
        pattern = re.compile(rf"\b({'|'.join(map(re.escape, state['rename']))})\b")
        question = pattern.sub(lambda match: state["rename"][match[0]], question)
        steps = [s.model_copy(update={"text": pattern.sub(lambda m: state["rename"][m[0]], s.text)}) for s in steps]
    if "aside" in state:
        sentences = competition_distractors.split_sentences(question)
        sentences.insert(state["aside"]["before"], state["aside"]["sentence"])
        question = " ".join(sentences)
    if "unknowns" in state:
        question = f"{competition_unknowns.render_sentence(state['unknowns'])} {question}"
    if "further" in state:
        question, steps, answer = _append_step(state["further"], question, steps, answer)
    if "frame" in state:
        question = f"{state['frame']} {question}"
    return apply_edits(question, state.get("edits", [])), steps, answer


def _append_step(
    further: Mapping[str, Any], question: str, steps: list[Step], answer: str
) -> tuple[str, list[Step], str]:
    letter, times, modulus = (further[key] for key in ("letter", "times", "modulus"))
    new_question = f"What is the remainder when {times}{letter} is divided by {modulus}?"
    question = f"{question} Let {letter} be the answer above. {new_question}"
    if answer == "N/A":
        return question, steps, answer
    product, place = times * int(answer), len(steps)
    result = str(product % modulus)
    return (
        question,
        [
            *steps[:-1],
            Step(text=f"{place}. With {letter} = {answer}: {times} * {answer} = {product}.", value=str(product)),
            Step(text=f"{place + 1}. The remainder is {product} mod {modulus} = {result}.", value=result),
            Step(text=f"#### {result}", value=result),
        ],
        result,
    )


def require_no_unknowns(state: State) -> None:
    """Raises NotApplicable where a number is written as two equations."""
    if "unknowns" in state:
        raise NotApplicable("a number is told by equations, which go with these words and parameters")
