"""Competition problems changed: a state is the program of `lib/competition` (family, level, phrasing, params).

Further keys, all optional:
  frame     a sentence that a model put in front of the parent (`competition/frames.py`)
  rename    other names of the people in the text
  aside     {"sentence", "before"}: a fact nobody needs, told before that sentence (`asides.py`)
  further   {"letter", "times", "modulus"}: one more computation on the answer
  unknowns  {"holes", "letters", "equations"}: a number told by two equations; {"completions"} where they leave it open
            (`withheld.py`)
  edits     typographical noise, made last
New parameters are drawn by the family's own law and kept only if both its solvers agree and the text reads back to
them. They come from the half of all problems in which the run's own items (train, dev, test) never lie, so that no
variant repeats an item of another split.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

from stages.lib.core import seeds
from stages.lib.core.records import Problem, Step
from stages.lib.procedural import competition
from stages.lib.procedural.competition import items
from stages.problems.ood.operators import names
from stages.problems.ood.programs import competition_distractors, competition_unknowns, noise
from stages.problems.ood.programs.base import Change, NotApplicable, Operator, State

MAX_ATTEMPTS = 400
PROGRAM_KEYS = ("family", "level", "phrasing", "params")


def build_plain_problem(state: State, params: Mapping[str, Any] | None = None) -> Problem:
    """The plain item of a state, with other parameters if wanted."""
    family = competition.FAMILIES[state["family"]]
    return items.build_problem(
        family, state["level"], state["phrasing"], dict(params or state["params"]), "competition/test/0", "test", ""
    )


def find_faults(state: State) -> list[str]:
    """What is wrong with the plain item: both solvers, every step's equations, and the text read back; and with the
    sentence that may stand before it."""
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
        said = competition_distractors.split_sentences(question)
        said.insert(state["aside"]["before"], state["aside"]["sentence"])
        question = " ".join(said)
    if "unknowns" in state:
        question = f"{competition_unknowns.render_sentence(state['unknowns'])} {question}"
    if "further" in state:
        question, steps, answer = _append_step(state["further"], question, steps, answer)
    if "frame" in state:
        question = f"{state['frame']} {question}"
    return noise.apply_edits(question, state.get("edits", [])), steps, answer


# Other parameters.


def _compute_half(family: str, params: Mapping[str, Any]) -> int:
    """0 or 1; all items of a run have the same (`items.generate_item`)."""
    return seeds.key("aime", competition.fingerprint(family, params)) % 2


def _make_params_draw(step: int) -> Callable[[State, random.Random, Mapping[str, Any]], dict[str, Any]]:
    def draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
        _require_no_unknowns(state)
        level, key = state["level"] + step, rng.getrandbits(62)
        if level not in competition.LEVELS:
            raise NotApplicable(f"level {state['level']} is the highest")
        family, half = competition.FAMILIES[state["family"]], _compute_half(state["family"], state["params"])
        answer = competition.rederive(state)[2]
        for attempt in range(MAX_ATTEMPTS):
            params = family.sample(lambda field, attempt=attempt: seeds.rng(key, attempt, field), level)
            if params is None or _compute_half(family.name, params) == half:
                continue
            new = {**state, "level": level, "params": params}
            found = family.solve_closed(params)
            if 0 <= found <= items.MAX_ANSWER and str(found) != answer and not find_faults(new):
                return {"level": level, "params": params}
        raise NotApplicable(f"no other parameters in {MAX_ATTEMPTS} draws")

    return draw


def _apply_params(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "level": parameters["level"], "params": parameters["params"]}


# Other words.


def _draw_names(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    question = competition.rederive(state)[0]
    people = names.find_names(question)
    if not people:
        raise NotApplicable("nobody is named")
    return {"rename": names.draw_new_names(people, question, rng, knobs["split"])}


def _apply_names(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "rename": dict(parameters["rename"])}


def _draw_distractor(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    question, steps, _ = competition.rederive({key: state[key] for key in PROGRAM_KEYS})
    taken = {int(n) for text in (question, *(step.text for step in steps)) for n in re.findall(r"\d+", text)}
    return competition_distractors.draw_distractor(question, taken, rng, knobs["split"])


def _apply_distractor(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "aside": {key: parameters[key] for key in ("sentence", "before")}}


# One more computation.


def _draw_extra_step(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    question, _, answer = render(state)
    used = set(re.findall(r"[A-Z]", question))
    letter = next((each for each in "TMWD" if each not in used), None)
    if answer == "N/A" or letter is None:
        raise NotApplicable("nothing can follow from an open answer" if letter else "no letter is left for the answer")
    for _ in range(MAX_ATTEMPTS):
        times, modulus = rng.randint(3, 19), rng.randint(11, items.MAX_ANSWER)
        product = times * int(answer)
        result = str(product % modulus)
        if product > modulus and result != answer and not items.is_stated(result, f"{question} {times} {modulus}"):
            return {"letter": letter, "times": times, "modulus": modulus}
    raise NotApplicable(f"{answer} is too small to be computed with")


def _apply_extra_step(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "further": {key: parameters[key] for key in ("letter", "times", "modulus")}}


def _append_step(
    further: Mapping[str, Any], question: str, steps: list[Step], answer: str
) -> tuple[str, list[Step], str]:
    """A relay, as team contests have it."""
    letter, times, modulus = (further[key] for key in ("letter", "times", "modulus"))
    asked = f"What is the remainder when {times}{letter} is divided by {modulus}?"
    question = f"{question} Let {letter} be the answer above. {asked}"
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


# A number told by equations.


def _make_unknowns_draw(open_: bool) -> Callable[[State, random.Random, Mapping[str, Any]], dict[str, Any]]:
    def draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
        _require_no_unknowns(state)
        return competition_unknowns.draw_unknowns(
            build_plain_problem(state), lambda params: build_plain_problem(state, params), rng, open_
        )

    return draw


def _require_no_unknowns(state: State) -> None:
    if "unknowns" in state:
        raise NotApplicable("a number is told by equations, which go with these words and parameters")


def _apply_unknowns(state: State, parameters: Mapping[str, Any]) -> State:
    if parameters.get("kept"):
        parameters = {key: parameters[key] for key in ("holes", "letters")} | {"equations": parameters["whole"]}
    kept = ("holes", "letters", "equations", "completions")
    return {**state, "unknowns": {key: parameters[key] for key in kept if key in parameters}}


def check_proof(state: State, change: Mapping[str, Any]) -> list[str]:
    """Faults of the proof that the answer is open once `change` is made."""
    return competition_unknowns.check_proof(
        build_plain_problem(state), build_plain_problem(state, change["other"]), change
    )


UNKNOWNS = Operator("unknowns", "preserving", {}, "a number told by two equations")
CHANGES = {
    "names": Change(_draw_names, _apply_names),
    "irrelevant": Change(_draw_distractor, _apply_distractor),
    "numbers": Change(_make_params_draw(0), _apply_params),
    "larger": Change(_make_params_draw(1), _apply_params),
    "steps": Change(_draw_extra_step, _apply_extra_step),
    "unknowns": Change(_make_unknowns_draw(False), _apply_unknowns),
    "premise": Change(_make_unknowns_draw(True), _apply_unknowns),
}
