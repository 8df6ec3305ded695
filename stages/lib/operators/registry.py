"""The table of operators, and how variants are made and checked: what other modules call.

preserving  names, roles, items, order, phrasing, units, irrelevant, typos, preamble, unknowns: the answer stays
changing    numbers, larger, steps, reversed: another answer, computed from the changed program
unsolvable  premise: the answer is N/A, proven by two completions; a twin (`~kept`) keeps the premise

An operator changes the program of a problem, not its text alone (the kinds of programs: `programs/kinds.py`). A variant
stores its parent's program, the seed and the drawn parameters of each change. So `rederive` rebuilds question, steps and
answer without a model, and `check` tests them against the contract. What cannot be changed becomes a Reject with the
reason. Operators compose: `order+typos` makes one change, then the other.

A dose says how much of a problem a change touches: `typos@0.25` is a quarter of what `typos` is. It is a share in (0, 1],
of words, sentences, people or numbers (`Change.dose` says which), and 1 if it is left out. A larger dose adds to the
changes of a smaller one wherever that is possible, so the sets of one operator form a curve over the same parents.

To add an operator:
1. Write `operators/<name>.py` with draw(state, rng, knobs) and apply(state, parameters) for each kind of program. Where a
   dose has a meaning, use `select_share` or `count_share` with knobs["dose"], and say in `Change.dose` of what it is.
2. Draw everything random in `draw`; raise NotApplicable(reason) where the contract could break.
3. In `apply` set a key of the state; let the `render` of the kind of program write it out.
4. Define `OPERATOR = Operator(name, contract, {kind: Change(draw, apply)})` and add it to `OPERATORS` below.
5. Add a test as in tests/lib/operators/test_operators.py, and the name to `ood.operators` in params.yaml.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from stages.lib.core import seeds
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Program, Step
from stages.lib.operators import (
    extra_steps,
    irrelevant,
    items,
    names,
    numbers,
    order,
    phrasing,
    preamble,
    premise,
    reversal,
    typos,
    units,
    unknowns,
)
from stages.lib.operators.programs import code_statement
from stages.lib.operators.programs.base import Change, NotApplicable, Operator, State, prepend_preamble
from stages.lib.operators.programs.kinds import PROGRAM_KINDS
from stages.lib.operators.rejects import Reject
from stages.lib.procedural import lifting
from stages.lib.procedural.gradeschool import variation

VERSION = 2  # 2: doses
GENERATOR = "operators"
OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        names.NAMES,
        names.ROLES,
        *(module.OPERATOR for module in (items, order, phrasing, units, irrelevant, typos, preamble, unknowns)),
        numbers.NUMBERS,
        extra_steps.OPERATOR,
        numbers.LARGER,
        reversal.OPERATOR,
        premise.OPERATOR,
    )
}


class Part(NamedTuple):
    """An operator of a composition, and its dose."""

    operator: str
    dose: float = 1.0

    def __str__(self) -> str:
        return self.operator if self.dose == 1 else f"{self.operator}@{self.dose:g}"


def parse_name(name: str) -> list[Part]:
    """`order@0.5+typos` as its parts. Raises UserError for an unknown operator, or a dose that it cannot have."""
    return [_parse_part(text) for text in name.split("+")]


def _parse_part(text: str) -> Part:
    operator, at, number = text.partition("@")
    if operator not in OPERATORS:
        raise UserError(f"{operator!r} is no operator; allowed: {', '.join(OPERATORS)}")
    if not at:
        return Part(operator)
    meaning = next(filter(None, (change.dose for change in OPERATORS[operator].changes.values())), "")
    if not meaning:
        dosed = [name for name, each in OPERATORS.items() if any(change.dose for change in each.changes.values())]
        raise UserError(f"{text!r}: {operator} has no dose; leave out @{number}, or use one of {', '.join(dosed)}")
    try:
        dose = float(number)
    except ValueError:
        dose = 0.0
    if not 0 < dose <= 1:
        raise UserError(f"{text!r}: a dose is a share of {meaning}: above 0 and at most 1, as in {operator}@0.5")
    return Part(operator, dose)


def format_name(name: str) -> str:
    """The one spelling of a name: `typos` for `typos@1`, `order@0.5+typos` for `order@.50+typos`."""
    return "+".join(map(str, parse_name(name)))


def collect_phrases() -> dict[str, tuple[str, ...]]:
    """operator -> the words, sentences and templates that it may add to a bundled problem, those of all splits. Text in
    which models are pretrained must hold none of them, or the operator does not shift anything."""
    return {
        "names": names.UNSEEN_NAMES,
        "roles": names.ROLE_NAMES,
        "items": items.UNITS,
        "phrasing": tuple(form for forms in phrasing.NEW_TEMPLATES.values() for form in forms),
        "preamble": (*preamble.SETTINGS, *preamble.REQUESTS),
    }


def get_contract(name: str, kept: bool = False) -> str:
    """The contract of an operator, or the strongest contract in a composition. kept: it is the twin with the premise."""
    strength = ("preserving", "changing", "unsolvable")
    contracts = [OPERATORS[part.operator].contract for part in parse_name(name)]
    return max(("preserving" if kept and c == "unsolvable" else c for c in contracts), key=strength.index)


def fits_problem(name: str, problem: Problem) -> bool:
    """Whether an operator, or every part of a composition, changes this kind of problem, and at this dose."""
    changes = [(OPERATORS[part.operator].changes.get(_get_kind(problem)), part.dose) for part in parse_name(name)]
    return all(change is not None and (dose == 1 or change.dose) for change, dose in changes)


def make_variants(
    problems: Iterable[Problem], names: Iterable[str], seed: int, largest: int = variation.DEFAULT_BOUND
) -> tuple[list[Problem], list[Reject]]:
    """Every problem changed by every operator that fits it: (variants, rejects). The twin follows its unsolvable variant.

    A variant depends on its parent, the operator, the seed and `largest` alone. largest: bound on the values of bundled
    problems, see `compute_bound`; a problem with larger values keeps its own bound."""
    names = list(map(format_name, names))
    variants: list[Problem] = []
    rejects: list[Reject] = []
    for problem in problems:
        kind, reason = _get_kind(problem), ""
        try:
            base = _load_program(problem, kind)
        except lifting.Unliftable as error:
            base, reason = _make_base("text", VERSION, _make_text_state(problem)), f"no program: {error}"
        for name in (name for name in names if fits_problem(name, problem)):
            try:
                twins = (False, True) if get_contract(name) == "unsolvable" else (False,)
                variants += [_make_variant(problem, name, seed, base, largest, reason, kept) for kept in twins]
            except NotApplicable as error:
                rejects.append(Reject(f"{problem.id}~{name}", name, str(error)))
    return variants, rejects


def compute_bound(split: Iterable[Problem]) -> int:
    """`largest` for the bundled problems of a split: the bound of the whole split, even if only some are changed."""
    programs = [p.program.params for p in split if p.program and p.program.generator == "gradeschool"]
    return max(map(variation.compute_bound, programs), default=variation.DEFAULT_BOUND)


def _get_kind(problem: Problem) -> str:
    if problem.program and problem.program.generator in PROGRAM_KINDS:
        return problem.program.generator
    if problem.benchmark == "gsm8k":
        return "lifted"
    return "text" if problem.tests is None else "code"


def _make_base(generator: str, version: int, state: State) -> dict[str, Any]:
    return {"generator": generator, "version": version, "params": state}


def _load_program(problem: Problem, kind: str) -> dict[str, Any]:
    """The program of a problem as {generator, version, params}. Raises Unliftable."""
    if problem.program and problem.program.generator == kind:
        return _make_base(kind, problem.program.version, problem.program.params)
    if kind == "lifted":
        return _make_base(kind, lifting.VERSION, lifting.lift(problem))
    if kind == "code":
        assert problem.tests is not None
        state = code_statement.make_state(problem.question, problem.answer, problem.tests)
        return _make_base(kind, VERSION, state)
    return _make_base(kind, VERSION, _make_text_state(problem))


def _make_text_state(problem: Problem) -> State:
    row = {name: getattr(problem, name) for name in ("question", "answer", "choices", "tests")}
    row["steps"] = [step.model_dump() for step in problem.steps] if problem.steps else None
    return {key: value for key, value in row.items() if value is not None}


def _make_variant(
    problem: Problem, name: str, seed: int, base: dict[str, Any], largest: int, reason: str, kept: bool
) -> Problem:
    """One variant. Raises NotApplicable with `reason` where an operator needs a program and the problem has none."""
    kind, state, changes = base["generator"], base["params"], []
    parts = parse_name(name)
    operators = "+".join(part.operator for part in parts)
    for part in parts:
        change = OPERATORS[part.operator].changes.get(kind)
        if change is None:
            raise NotApplicable(reason)
        # The key holds no dose, so that a larger dose starts with the draws of a smaller one.
        rng = seeds.rng(seed, "ood", VERSION, problem.id, operators, part.operator)
        parameters = change.draw(state, rng, {"largest": largest, "split": problem.split, "dose": part.dose})
        parameters |= {"kept": True} if kept and part.operator == "premise" else {}
        state = change.apply(state, parameters)
        changes.append({"operator": part.operator, "dose": part.dose, **parameters})
    params = {"base": base, "changes": changes, "seed": seed}
    question, steps, answer = rederive(params)
    estimate, contract = PROGRAM_KINDS[kind].estimate_difficulty, get_contract(name, kept)
    variant = problem.model_copy(
        update={
            "id": _format_id(problem.id, name, kept),
            "question": question,
            "steps": steps,
            "answer": answer,
            "parent": problem.id,
            "operator": name,
            "contract": contract,
            "abstain": _allows_abstention(name) or problem.abstain,
            "difficulty": estimate(state) if estimate and contract == "changing" else problem.difficulty,
            "program": Program(generator=GENERATOR, version=VERSION, params=params),
        }
    )
    if faults := check(variant):
        raise NotApplicable(faults[0])
    return variant


def _format_id(parent: str | None, name: str, kept: bool) -> str:
    return f"{parent}~{name}~kept" if kept else f"{parent}~{name}"


def _allows_abstention(name: str) -> bool:
    """Whether problems of an operator say that N/A is allowed."""
    return get_contract(name) == "unsolvable"


def rederive(params: Mapping[str, Any]) -> tuple[str, list[Step] | None, str]:
    """(question, steps, answer) of a variant from its parent's program and its changes."""
    state = compute_final_state(params)
    question, steps, answer = PROGRAM_KINDS[params["base"]["generator"]].render(state)
    return prepend_preamble(state, question), steps, answer


def compute_final_state(params: Mapping[str, Any]) -> State:
    """The program of a variant, after all its changes."""
    state = params["base"]["params"]
    for change, parameters in _iterate_changes(params):
        state = change.apply(state, parameters)
    return state


def _iterate_changes(params: Mapping[str, Any]) -> Iterable[tuple[Change, Mapping[str, Any]]]:
    for parameters in params["changes"]:
        yield OPERATORS[parameters["operator"]].changes[params["base"]["generator"]], parameters


def check(problem: Problem) -> list[str]:
    """Faults of a variant: [] where question, steps and answer follow from its program, the parent's program passes its
    second check, and the contract is kept."""
    try:
        return _find_faults(problem)
    except NotApplicable as error:
        return [f"does not evaluate: {error}"]
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        return [f"program: {type(error).__name__}: {error}"]


def _find_faults(problem: Problem) -> list[str]:
    program: Any = problem.program
    params = program.params
    question, steps, answer = rederive(params)
    faults = [
        f"{field}: {_describe_difference(getattr(problem, field), value)}"
        for field, value in (("question", question), ("answer", answer), ("steps", steps))
        if getattr(problem, field) != value
    ]
    faults += _check_fields(problem, params) + _check_program(problem, params, question)
    return faults + _check_contract(problem, params, steps, answer)


def _check_fields(problem: Problem, params: Mapping[str, Any]) -> list[str]:
    """Faults of the fields that follow from the names of the operators."""
    name = "+".join(str(Part(change["operator"], change["dose"])) for change in params["changes"])
    kept = any(change.get("kept") for change in params["changes"])
    expected = {"operator": name, "contract": get_contract(name, kept), "id": _format_id(problem.parent, name, kept)}
    expected |= {"abstain": True} if _allows_abstention(name) else {}
    return [
        f"{field}: is {getattr(problem, field)!r}, must be {value!r}"
        for field, value in expected.items()
        if getattr(problem, field) != value
    ]


def _check_program(problem: Problem, params: Mapping[str, Any], question: str) -> list[str]:
    """Faults of the parent's program, of the changed program, and of what a program does not hold."""
    kind, base = params["base"]["generator"], params["base"]["params"]
    faults = []
    if kind == "text":
        fields = [field for field in ("choices", "tests") if getattr(problem, field) != base.get(field)]
        faults = [f"{field}: differ from the parent's" for field in fields]
    elif kind == "code":
        faults = code_statement.check_contract(base, question, problem.tests)
    checks = PROGRAM_KINDS[kind]
    return faults + checks.check_original(base) + checks.check_changed(compute_final_state(params))


def _describe_difference(value: Any, derived: Any) -> str:
    if isinstance(value, list) and isinstance(derived, list):
        for i, (step, other) in enumerate(zip(value, derived, strict=False)):
            if step != other:
                return f"step {i} is {step.text!r} (value {step.value}), derived {other.text!r} (value {other.value})"
        return f"{len(value)} steps, derived {len(derived)}"
    return f"is {value!r:.120}, derived {derived!r:.120}"


def _check_contract(
    problem: Problem, params: Mapping[str, Any], steps: Sequence[Step] | None, answer: str
) -> list[str]:
    kind, state = params["base"]["generator"], params["base"]["params"]
    parent_question, _, parent_answer = PROGRAM_KINDS[kind].render(state)
    faults = ["the question is the parent's, unchanged"] if problem.question == parent_question else []
    has_no_values = kind == "text" and steps and steps[-1].value is None  # published solutions give none
    if steps and steps[-1].value != answer and not has_no_values:
        faults.append("the last step is not the answer")
    if problem.contract == "preserving" and answer != parent_answer:
        faults.append(f"preserving, but the answer {answer} was {parent_answer}")
    if problem.contract == "changing" and answer in (parent_answer, "N/A"):
        faults.append(f"changing, but the answer is {'still ' if answer == parent_answer else ''}{answer}")
    if problem.contract == "unsolvable":
        faults += [] if answer == "N/A" else [f"unsolvable, but the answer is {answer}"]
        for change, parameters in _iterate_changes(params):
            if parameters["operator"] == "premise":
                faults += change.check_proof(state, parameters)
            state = change.apply(state, parameters)
    if kind == "lifted" and steps:
        faults += lifting.check_arithmetic([step for step in steps if step.value != "N/A"])
    return faults
