"""Perturbations with contracts: operators that change the program of a problem, not its text alone.

preserving  names, roles, items, order, phrasing, units, irrelevant, typos, preamble: other words, the same answer
            unknowns: a number of a competition problem told by two equations, as `premise` tells it there
changing    numbers, larger, steps, reversed: another answer, computed by the program
unsolvable  premise: the answer is N/A, with two completions that prove it; beside it stands its twin, the premise kept

Programs are those of the bundled benchmark, of real GSM8K problems (lifted) and of competition families (`contest.py`);
other problems can only take noise or a preamble. An operator is asked only of the kinds of problem that it `fits`. A
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
    contest,
    further,
    irrelevant,
    items,
    names,
    noise,
    numbers,
    order,
    phrasing,
    preamble,
    premise,
    retold,
    reversal,
    statement,
    tale,
    units,
)
from stages.problems.ood.operators.operator import Base, Operator, State, Unfit
from stages.problems.ood.rejects import Reject

VERSION = 1
GENERATOR = "operators"


def _told(state: State) -> tuple[str, list[Step], str]:
    steps, answer = tale.solve(state)
    return tale.question(state), steps, answer


def _text(state: State) -> tuple[str, list[Step] | None, str]:
    steps = [Step(**step) for step in state["steps"]] if state.get("steps") else None
    return noise.edited(state["question"], state.get("edits", [])), steps, state["answer"]


def _agreed(state: State) -> list[str]:
    """The bundled benchmark's own solver against `tale`, which knows nothing of it."""
    _, steps, answer = gradeschool.rederive(state)
    return [] if (steps, answer) == tale.solve(state) else ["the two solvers disagree on the parent"]


BASES: dict[str, Base] = {
    "gradeschool": Base(_told, _agreed, proven=premise.proven_told),
    "lifted": Base(retold.render, lifting.check, proven=premise.proven),
    "competition": Base(contest.render, contest.sound, contest.sound, contest.proven, contest.difficulty),
    "code": Base(statement.render),
    "text": Base(_text),  # no program: the words may carry noise, the answer is the benchmark's
}
_TYPOS = Operator(
    "typos",
    "preserving",
    {name: noise.change(lambda state, base=base: base.render(state)[0]) for name, base in BASES.items()}
    | {"code": statement.TYPOS},
    "typographical noise",
)
OPERATORS: dict[str, Operator] = {
    each.name: each._replace(
        by={**each.by, **({"competition": contest.CHANGES[each.name]} if each.name in contest.CHANGES else {})}
    )
    for each in (names.NAMED, names.IN_ROLES, items.OPERATOR, order.OPERATOR, phrasing.OPERATOR, units.OPERATOR,
                 irrelevant.OPERATOR, _TYPOS, preamble.OPERATOR, contest.UNKNOWNS, numbers.NUMBERS, further.OPERATOR,
                 numbers.LARGER, reversal.OPERATOR, premise.OPERATOR)
}  # fmt: skip


def contract(name: str, kept: bool = False) -> str:
    """The contract of an operator or of a composition: the strongest of its parts'. `kept`: of its twin, which keeps the
    premise."""
    strength = ("preserving", "changing", "unsolvable")
    kinds = [OPERATORS[part].contract for part in name.split("+")]
    return max(("preserving" if kept and kind == "unsolvable" else kind for kind in kinds), key=strength.index)


def fits(name: str, problem: Problem) -> bool:
    """Whether an operator, or every part of a composition, changes this kind of problem."""
    kind = _kind(problem)
    return all(kind in OPERATORS[part].by for part in name.split("+"))


def variants(
    problems: Iterable[Problem], names: Iterable[str], seed: int, largest: int = numbers.LARGEST
) -> tuple[list[Problem], list[Reject]]:
    """Each problem changed by each operator that fits it, and what could not be. One that lost its premise is followed by
    its twin, `~kept`. A variant depends on its parent, the operator, the seed and `largest` alone: the bound on values of
    the bundled benchmark, `bound` of its split (a problem with larger ones keeps its own)."""
    names = list(names)
    made: list[Problem] = []
    rejects: list[Reject] = []
    for problem in problems:
        try:
            generator, version, state = _base(problem)
            reason = ""
        except lifting.Unliftable as error:
            generator, version, state = "text", VERSION, _verbatim(problem)
            reason = f"no program: {error}"
        for name in (name for name in names if fits(name, problem)):
            try:
                twins = (False, True) if contract(name) == "unsolvable" else (False,)
                made += [
                    _variant(problem, name, seed, generator, version, state, {"largest": largest}, reason, kept)
                    for kept in twins
                ]
            except Unfit as error:
                rejects.append(Reject(f"{problem.id}~{name}", name, str(error)))
    return made, rejects


def bound(split: Iterable[Problem]) -> int:
    """`largest` for the problems of a split, whichever of them are changed: the bound that the whole split keeps."""
    told = [p.program.params for p in split if p.program and p.program.generator == "gradeschool"]
    return max(map(numbers.bound, told), default=numbers.LARGEST)


def _kind(problem: Problem) -> str:
    """The kind of program to change, of BASES."""
    if problem.program and problem.program.generator in BASES:
        return problem.program.generator
    if problem.benchmark == "gsm8k":
        return "lifted"
    return "text" if problem.tests is None else "code"


def _base(problem: Problem) -> tuple[str, int, State]:
    """The generator, its version and the program to change. Raises Unliftable."""
    kind = _kind(problem)
    if problem.program and problem.program.generator == kind:
        return kind, problem.program.version, problem.program.params
    if kind == "lifted":
        return kind, lifting.VERSION, lifting.lift(problem)
    if kind == "code":
        return kind, VERSION, statement.state(problem.question, problem.answer, problem.tests)
    return kind, VERSION, _verbatim(problem)


def _verbatim(problem: Problem) -> State:
    row = {"question": problem.question, "answer": problem.answer, "choices": problem.choices, "tests": problem.tests}
    row["steps"] = [step.model_dump() for step in problem.steps] if problem.steps else None
    return {key: value for key, value in row.items() if value is not None}


def _variant(
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
        change = OPERATORS[part].by.get(generator)
        if change is None:
            raise Unfit(reason)
        rng = seeds.rng(seed, "ood", VERSION, problem.id, name, part)
        parameters = change.draw(state, rng, {**knobs, "split": problem.split})
        parameters |= {"kept": True} if kept and part == "premise" else {}
        state = change.apply(state, parameters)
        changes.append({"operator": part, **parameters})
    params = {"base": base, "changes": changes, "seed": seed}
    question, steps, answer = rederive(params)
    harder, kind = BASES[generator].difficulty, contract(name, kept)
    made = problem.model_copy(
        update={
            "id": _id(problem.id, name, kept), "question": question, "steps": steps, "answer": answer, "parent": problem.id,
            "operator": name, "contract": kind, "abstain": _abstains(name) or problem.abstain,
            "difficulty": harder(state) if harder and kind == "changing" else problem.difficulty,
            "program": Program(generator=GENERATOR, version=VERSION, params=params),
        }
    )  # fmt: skip
    faults = check(made)
    if faults:
        raise Unfit(faults[0])
    return made


def _id(parent: str, name: str, kept: bool) -> str:
    return f"{parent}~{name}~kept" if kept else f"{parent}~{name}"


def _abstains(name: str) -> bool:
    """Whether problems of an operator say that N/A is allowed."""
    return contract(name) == "unsolvable"


def rederive(params: Mapping[str, Any]) -> tuple[str, list[Step] | None, str]:
    """(question, steps, answer) of a variant from its parent's program and its changes."""
    state = final_state(params)
    question, steps, answer = BASES[params["base"]["generator"]].render(state)
    return preamble.told(state, question), steps, answer


def final_state(params: Mapping[str, Any]) -> State:
    """The program of a variant, with all its changes made."""
    generator, state = params["base"]["generator"], params["base"]["params"]
    for change in params["changes"]:
        state = OPERATORS[change["operator"]].by[generator].apply(state, change)
    return state


def check(problem: Problem) -> list[str]:
    """What is wrong with a variant: [] where question, steps and answer follow from its program, its base holds by a
    second road, and its contract is kept."""
    try:
        return _faults(problem)
    except Unfit as error:
        return [f"does not evaluate: {error}"]
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        return [f"program: {type(error).__name__}: {error}"]


def _faults(problem: Problem) -> list[str]:
    params, faults = problem.program.params, []
    base, changes = params["base"], params["changes"]
    question, steps, answer = rederive(params)
    derived = {"question": question, "answer": answer, "steps": steps}
    for field, value in derived.items():
        if getattr(problem, field) != value:
            faults.append(f"{field}: {_difference(getattr(problem, field), value)}")
    name = "+".join(change["operator"] for change in changes)
    kept = any(change.get("kept") for change in changes)
    expected = {"operator": name, "contract": contract(name, kept), "id": _id(problem.parent, name, kept)}
    for field, value in (expected | ({"abstain": True} if _abstains(name) else {})).items():
        if getattr(problem, field) != value:
            faults.append(f"{field}: is {getattr(problem, field)!r}, must be {value!r}")
    if base["generator"] == "text":
        for field in ("choices", "tests"):
            if getattr(problem, field) != base["params"].get(field):
                faults.append(f"{field}: differ from the parent's")
    if base["generator"] == "code":
        faults += statement.contract(base["params"], question, problem.tests)
    kind = BASES[base["generator"]]
    faults += kind.sound(base["params"]) + kind.holds(final_state(params))
    return faults + _contract(problem, base, changes, steps, answer)


def _difference(found: Any, derived: Any) -> str:
    if isinstance(found, list) and isinstance(derived, list):
        for i, (one, other) in enumerate(zip(found, derived, strict=False)):
            if one != other:
                return f"step {i} is {one.text!r} (value {one.value}), derived {other.text!r} (value {other.value})"
        return f"{len(found)} steps, derived {len(derived)}"
    return f"is {found!r:.120}, derived {derived!r:.120}"


def _contract(
    problem: Problem, base: Mapping[str, Any], changes: list[dict[str, Any]], steps: list[Step] | None, answer: str
) -> list[str]:
    kind = BASES[base["generator"]]
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
                faults += kind.proven(state, change)
            state = OPERATORS[change["operator"]].by[base["generator"]].apply(state, change)
    if base["generator"] == "lifted" and steps:
        faults += lifting.arithmetic([step for step in steps if step.value != "N/A"])
    return faults
