"""Perturbations with contracts: operators that change the program of a problem, not its text alone.

preserving  names, roles, items, order, phrasing, units, irrelevant, typos, preamble: other words, the same answer
            unknowns: a number of a competition problem told by two equations, as `premise` tells it there
changing    numbers, larger, steps, reversed: another answer, computed by the program
unsolvable  premise: the answer is N/A, with two completions that prove it; beside it stands its twin, the premise kept

Programs are those of the bundled benchmark, of real GSM8K problems (lifted) and of competition families (`contest.py`);
other problems can only take noise or a preamble. An operator is asked only of the kinds of problem that it `fits_problem`. A
variant carries its parent's program, the seed, and the drawn parameters of each change, so `rederive` rebuilds question,
gold steps and answer without a model, and `check` holds it against its contract. What cannot be made honestly becomes a
Reject with the reason. Operators compose: `order+typos` makes one change, then the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stages.lib.core import seeds
from stages.lib.core.records import Problem, Program, Step
from stages.lib.procedural import gradeschool, lifting
from stages.problems.ood.operators import (
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
    units,
)
from stages.problems.ood.programs import code_statement, competition_program, gradeschool_program, gsm8k_program, noise
from stages.problems.ood.programs.base import NotApplicable, Operator, ProgramKind, State
from stages.problems.ood.rejects import Reject

VERSION = 1
GENERATOR = "operators"


def _render_gradeschool(state: State) -> tuple[str, list[Step], str]:
    steps, answer = gradeschool_program.solve(state)
    return gradeschool_program.render_question(state), steps, answer


def _render_text(state: State) -> tuple[str, list[Step] | None, str]:
    steps = [Step(**step) for step in state["steps"]] if state.get("steps") else None
    return noise.apply_edits(state["question"], state.get("edits", [])), steps, state["answer"]


def _check_solvers_agree(state: State) -> list[str]:
    """The bundled benchmark's own solver against `tale`, which knows nothing of it."""
    _, steps, answer = gradeschool.rederive(state)
    return [] if (steps, answer) == gradeschool_program.solve(state) else ["the two solvers disagree on the parent"]


PROGRAM_KINDS: dict[str, ProgramKind] = {
    "gradeschool": ProgramKind(_render_gradeschool, _check_solvers_agree, check_proof=premise.check_gradeschool_proof),
    "lifted": ProgramKind(gsm8k_program.render, lifting.check_program, check_proof=premise.check_lifted_proof),
    "competition": ProgramKind(
        competition_program.render,
        competition_program.find_faults,
        competition_program.find_faults,
        competition_program.check_proof,
        competition_program.estimate_difficulty,
    ),
    "code": ProgramKind(code_statement.render),
    "text": ProgramKind(_render_text),  # no program: the words may carry noise, the answer is the benchmark's
}
_TYPOS = Operator(
    "typos",
    "preserving",
    {name: noise.make_change(lambda state, base=base: base.render(state)[0]) for name, base in PROGRAM_KINDS.items()}
    | {"code": code_statement.TYPOS},
    "typographical noise",
)
OPERATORS: dict[str, Operator] = {
    each.name: each._replace(
        changes={
            **each.changes,
            **(
                {"competition": competition_program.CHANGES[each.name]}
                if each.name in competition_program.CHANGES
                else {}
            ),
        }
    )
    for each in (
        names.NAMES_OPERATOR,
        names.ROLES_OPERATOR,
        items.OPERATOR,
        order.OPERATOR,
        phrasing.OPERATOR,
        units.OPERATOR,
        irrelevant.OPERATOR,
        _TYPOS,
        preamble.OPERATOR,
        competition_program.UNKNOWNS,
        numbers.NUMBERS,
        extra_steps.OPERATOR,
        numbers.LARGER,
        reversal.OPERATOR,
        premise.OPERATOR,
    )
}


def get_contract(name: str, kept: bool = False) -> str:
    """The contract of an operator or of a composition: the strongest of its parts'. `kept`: of its twin, which keeps the
    premise."""
    strength = ("preserving", "changing", "unsolvable")
    kinds = [OPERATORS[part].contract for part in name.split("+")]
    return max(("preserving" if kept and kind == "unsolvable" else kind for kind in kinds), key=strength.index)


def fits_problem(name: str, problem: Problem) -> bool:
    """Whether an operator, or every part of a composition, changes this kind of problem."""
    kind = _get_kind(problem)
    return all(kind in OPERATORS[part].changes for part in name.split("+"))


def make_variants(
    problems: Iterable[Problem], names: Iterable[str], seed: int, largest: int = numbers.DEFAULT_BOUND
) -> tuple[list[Problem], list[Reject]]:
    """Each problem changed by each operator that fits it, and what could not be. One that lost its premise is followed by
    its twin, `~kept`. A variant depends on its parent, the operator, the seed and `largest` alone: the bound on values of
    the bundled benchmark, `compute_bound` of its split (a problem with larger ones keeps its own)."""
    names = list(names)
    made: list[Problem] = []
    rejects: list[Reject] = []
    for problem in problems:
        try:
            generator, version, state = _load_program(problem)
            reason = ""
        except lifting.Unliftable as error:
            generator, version, state = "text", VERSION, _make_text_state(problem)
            reason = f"no program: {error}"
        for name in (name for name in names if fits_problem(name, problem)):
            try:
                twins = (False, True) if get_contract(name) == "unsolvable" else (False,)
                made += [
                    _make_variant(problem, name, seed, generator, version, state, {"largest": largest}, reason, kept)
                    for kept in twins
                ]
            except NotApplicable as error:
                rejects.append(Reject(f"{problem.id}~{name}", name, str(error)))
    return made, rejects


def compute_bound(split: Iterable[Problem]) -> int:
    """`largest` for the problems of a split, whichever of them are changed: the bound that the whole split keeps."""
    told = [p.program.params for p in split if p.program and p.program.generator == "gradeschool"]
    return max(map(numbers.compute_bound, told), default=numbers.DEFAULT_BOUND)


def _get_kind(problem: Problem) -> str:
    """The kind of program to change, of BASES."""
    if problem.program and problem.program.generator in PROGRAM_KINDS:
        return problem.program.generator
    if problem.benchmark == "gsm8k":
        return "lifted"
    return "text" if problem.tests is None else "code"


def _load_program(problem: Problem) -> tuple[str, int, State]:
    """The generator, its version and the program to change. Raises Unliftable."""
    kind = _get_kind(problem)
    if problem.program and problem.program.generator == kind:
        return kind, problem.program.version, problem.program.params
    if kind == "lifted":
        return kind, lifting.VERSION, lifting.lift(problem)
    if kind == "code":
        return kind, VERSION, code_statement.make_state(problem.question, problem.answer, problem.tests)
    return kind, VERSION, _make_text_state(problem)


def _make_text_state(problem: Problem) -> State:
    row = {"question": problem.question, "answer": problem.answer, "choices": problem.choices, "tests": problem.tests}
    row["steps"] = [step.model_dump() for step in problem.steps] if problem.steps else None
    return {key: value for key, value in row.items() if value is not None}


def _make_variant(
    problem: Problem,
    name: str,
    seed: int,
    generator: str,
    version: int,
    state: State,
    knobs: Mapping[str, Any],
    reason: str,
    kept: bool,
) -> Problem:
    base = {"generator": generator, "version": version, "params": state}
    changes: list[dict[str, Any]] = []
    for part in name.split("+"):
        change = OPERATORS[part].changes.get(generator)
        if change is None:
            raise NotApplicable(reason)
        rng = seeds.rng(seed, "ood", VERSION, problem.id, name, part)
        parameters = change.draw(state, rng, {**knobs, "split": problem.split})
        parameters |= {"kept": True} if kept and part == "premise" else {}
        state = change.apply(state, parameters)
        changes.append({"operator": part, **parameters})
    params = {"base": base, "changes": changes, "seed": seed}
    question, steps, answer = rederive(params)
    harder, kind = PROGRAM_KINDS[generator].estimate_difficulty, get_contract(name, kept)
    made = problem.model_copy(
        update={
            "id": _format_id(problem.id, name, kept),
            "question": question,
            "steps": steps,
            "answer": answer,
            "parent": problem.id,
            "operator": name,
            "contract": kind,
            "abstain": _allows_abstention(name) or problem.abstain,
            "difficulty": harder(state) if harder and kind == "changing" else problem.difficulty,
            "program": Program(generator=GENERATOR, version=VERSION, params=params),
        }
    )
    faults = check(made)
    if faults:
        raise NotApplicable(faults[0])
    return made


def _format_id(parent: str, name: str, kept: bool) -> str:
    return f"{parent}~{name}~kept" if kept else f"{parent}~{name}"


def _allows_abstention(name: str) -> bool:
    """Whether problems of an operator say that N/A is allowed."""
    return get_contract(name) == "unsolvable"


def rederive(params: Mapping[str, Any]) -> tuple[str, list[Step] | None, str]:
    """(question, steps, answer) of a variant from its parent's program and its changes."""
    state = compute_final_state(params)
    question, steps, answer = PROGRAM_KINDS[params["base"]["generator"]].render(state)
    return preamble.prepend_preamble(state, question), steps, answer


def compute_final_state(params: Mapping[str, Any]) -> State:
    """The program of a variant, with all its changes made."""
    generator, state = params["base"]["generator"], params["base"]["params"]
    for change in params["changes"]:
        state = OPERATORS[change["operator"]].changes[generator].apply(state, change)
    return state


def check(problem: Problem) -> list[str]:
    """What is wrong with a variant: [] where question, steps and answer follow from its program, its base holds by a
    second road, and its contract is kept."""
    try:
        return _find_faults(problem)
    except NotApplicable as error:
        return [f"does not evaluate: {error}"]
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        return [f"program: {type(error).__name__}: {error}"]


def _find_faults(problem: Problem) -> list[str]:
    params, faults = problem.program.params, []
    base, changes = params["base"], params["changes"]
    question, steps, answer = rederive(params)
    derived = {"question": question, "answer": answer, "steps": steps}
    for field, value in derived.items():
        if getattr(problem, field) != value:
            faults.append(f"{field}: {_describe_difference(getattr(problem, field), value)}")
    name = "+".join(change["operator"] for change in changes)
    kept = any(change.get("kept") for change in changes)
    expected = {"operator": name, "contract": get_contract(name, kept), "id": _format_id(problem.parent, name, kept)}
    for field, value in (expected | ({"abstain": True} if _allows_abstention(name) else {})).items():
        if getattr(problem, field) != value:
            faults.append(f"{field}: is {getattr(problem, field)!r}, must be {value!r}")
    if base["generator"] == "text":
        for field in ("choices", "tests"):
            if getattr(problem, field) != base["params"].get(field):
                faults.append(f"{field}: differ from the parent's")
    if base["generator"] == "code":
        faults += code_statement.check_contract(base["params"], question, problem.tests)
    kind = PROGRAM_KINDS[base["generator"]]
    faults += kind.check_original(base["params"]) + kind.check_changed(compute_final_state(params))
    return faults + _check_contract(problem, base, changes, steps, answer)


def _describe_difference(found: Any, derived: Any) -> str:
    if isinstance(found, list) and isinstance(derived, list):
        for i, (one, other) in enumerate(zip(found, derived, strict=False)):
            if one != other:
                return f"step {i} is {one.text!r} (value {one.value}), derived {other.text!r} (value {other.value})"
        return f"{len(found)} steps, derived {len(derived)}"
    return f"is {found!r:.120}, derived {derived!r:.120}"


def _check_contract(
    problem: Problem, base: Mapping[str, Any], changes: list[dict[str, Any]], steps: list[Step] | None, answer: str
) -> list[str]:
    kind = PROGRAM_KINDS[base["generator"]]
    before, _, parent = kind.render(base["params"])
    faults = [] if problem.question != before else ["the question is the parent's, unchanged"]
    unknown = base["generator"] == "text"  # published solutions give no values
    if steps and steps[-1].value != answer and not (unknown and steps[-1].value is None):
        faults.append("the last step is not the answer")
    if problem.contract == "preserving" and answer != parent:
        faults.append(f"preserving, but the answer {answer} was {parent}")
    if problem.contract == "changing" and answer in (parent, "N/A"):
        faults.append(f"changing, but the answer is {'still ' if answer == parent else ''}{answer}")
    if problem.contract == "unsolvable":
        faults += [] if answer == "N/A" else [f"unsolvable, but the answer is {answer}"]
        state = base["params"]
        for change in changes:
            if change["operator"] == "premise":
                faults += kind.check_proof(state, change)
            state = OPERATORS[change["operator"]].changes[base["generator"]].apply(state, change)
    if base["generator"] == "lifted" and steps:
        faults += lifting.check_arithmetic([step for step in steps if step.value != "N/A"])
    return faults
