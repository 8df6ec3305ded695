"""Stage ood: out-of-distribution test sets, so that a verifier is tested where it was not trained.

Reads data/benchmarks/{train,verifier,dev,test}.jsonl and data/aime/{train,dev,test}.jsonl; writes data/ood/{test.jsonl,
train.jsonl, rejects.jsonl, audit.json, audit.md}. Problems of the test split are changed by operators that keep, change or
destroy the answer (lib/operators) and reworded by probing agents (ood/mpa); new problems come from random graphs
(lib/procedural/dyval), some of them for training (train.jsonl), so that tasks and levels can be held out.

All operators of a benchmark start from the same parents, so that their effects can be compared problem by problem. An
operator is applied only to problems that it fits. A variant that breaks its contract goes to rejects.jsonl with the
reason. An empty or small set is a remark in audit.md. The stage fails if a baseline that ignores the question solves a
set, or if a set shares a problem with training.

    python -m stages.problems.ood
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from stages.lib.chat.agent_params import AgentParams
from stages.lib.core import files, params, records, seeds
from stages.lib.core.errors import UserError
from stages.lib.core.problem_ids import get_root
from stages.lib.core.records import Problem
from stages.lib.datasets import eval_sets
from stages.lib.operators import registry
from stages.lib.operators.rejects import Reject, write_rejects
from stages.lib.procedural import dyval
from stages.lib.run.execution import StageRun, run_stage
from stages.problems.ood import audit, code_proof
from stages.problems.ood.mpa import agents, pipeline, principles

Difficulty = Annotated[int, Field(ge=0)]  # which levels a task has is in dyval.LEVELS


class DyvalTrainParams(params.Params):
    """Problems of train.jsonl. What is tested but not listed here, a task or a level, is held out."""

    tasks: list[dyval.Task]  # kinds of graph problems
    difficulties: list[Difficulty]  # levels of depth and size
    problems_per_task: int = Field(ge=0)  # a task and level

    @model_validator(mode="after")
    def _check_levels(self) -> DyvalTrainParams:
        for level in self.difficulties:
            _require_levels(self.tasks, level)
        return self


class DyvalParams(params.Params):
    tasks: list[dyval.Task]  # kinds of graph problems
    problems_per_task: int = Field(ge=0)  # a task
    difficulty: Difficulty  # level of depth and size, 0 to 4
    order: dyval.Order  # order in which the statements of a graph are listed
    overrides: dict[str, Any] = {}  # single knobs of the level changed (procedural/dyval/levels.py)
    train: DyvalTrainParams | None = None  # problems for training; null: none

    @model_validator(mode="after")
    def _check_level(self) -> DyvalParams:
        _require_levels(self.tasks, self.difficulty)
        return self


def _require_levels(tasks: list[dyval.Task], level: int) -> None:
    """Raise ValueError for a task that has no such level."""
    for task in tasks:
        if level not in dyval.LEVELS[task]:
            allowed = ", ".join(map(str, dyval.LEVELS[task]))
            raise ValueError(f"{task} has no level {level}, only {allowed}; choose one of these, or leave the task out")


class Params(params.Params):
    max_parents: int | None = Field(ge=1)  # problems of the test split that are changed; null: all
    max_aime_parents: int = Field(ge=0)  # of the competition problems of the test split
    mislabelled: list[str] = []  # ids, or files of ids, of problems whose published answer is wrong: no parents
    operators: list[str]  # of lib/operators, composed by `+`; typos@0.25 changes a quarter of what typos does
    principles: list[str]  # of ood/mpa: all, or some joined by `+`
    paraphraser: AgentParams  # who rewords a problem
    evaluator: AgentParams  # who judges whether a rewording kept the problem
    max_attempts: int = Field(ge=1)  # rewordings that are tried before a problem is rejected
    dyval: DyvalParams  # problems from random graphs

    @field_validator("operators")
    @classmethod
    def _check_operators(cls, names: list[str]) -> list[str]:
        try:
            names = list(map(registry.format_name, names))
        except UserError as error:
            raise ValueError(str(error)) from None
        if repeated := [name for name, number in Counter(names).items() if number > 1]:
            raise ValueError(f"{repeated[0]} is listed twice")
        return names

    @model_validator(mode="after")
    def _check_principles(self) -> Params:
        for names in self.principles:
            try:
                parsed = principles.parse_principles(names)
            except UserError as error:
                raise ValueError(str(error)) from None
            if {*parsed} - {"permute"} and "rules" in (self.paraphraser.kind, self.evaluator.kind):
                raise ValueError(
                    f"principles: {names} wants a model that rewrites and one that judges; set paraphraser and "
                    "evaluator to openai or hf, or ask for permute, which needs none (the operator preamble puts words "
                    "in front by rules)"
                )
        return self


def select_parents(problems: list[Problem], n: int | None, seed: int) -> list[Problem]:
    """n problems (None: all), sorted by id; a larger n adds to them."""
    ranked = sorted(problems, key=lambda problem: seeds.key(seed, "ood", 1, problem.id, "parent"))
    return sorted(ranked[:n], key=lambda problem: problem.id)


def load_mislabelled_ids(entries: list[str], root: Path) -> set[str]:
    """The ids in `ood.mislabelled`: single ids, and files with one id a line (text after `#` is a comment). Raises
    UserError for an entry that is neither a file nor an id."""
    ids: set[str] = set()
    for entry in entries:
        if (root / entry).is_file():
            lines = records.read_text(root / entry).splitlines()
            ids |= {line.partition("#")[0].strip() for line in lines} - {""}
        elif re.fullmatch(r"[a-z0-9]+/test/\w+", entry):
            ids.add(entry)
        else:
            raise UserError(f"ood.mislabelled: {entry!r} is no file, nor an id such as gsm8k/test/0007")
    return ids


def make_variants(
    parents: list[Problem], section: Params, agents_pair: agents.Agents, seed: int, split: list[Problem]
) -> tuple[list[Problem], list[Reject]]:
    """(variants, rejects) of these parents. split: all problems they were selected from; it bounds their numbers."""
    variants, rejects = registry.make_variants(parents, section.operators, seed, registry.compute_bound(split))
    for names in section.principles:
        reworded, refused = pipeline.make_variants(parents, names, agents_pair, seed, section.max_attempts)
        variants, rejects = variants + reworded, rejects + refused
    return variants, rejects


def describe_unused(section: Params, parents: list[Problem]) -> list[str]:
    """A sentence about the operators and principles that fit none of the parents; [] if there are none."""
    unused = [name for name in section.operators if not any(registry.fits_problem(name, parent) for parent in parents)]
    for names in section.principles:
        if not any(principles.fits(principles.parse_principles(names), parent) for parent in parents):
            unused.append(names)
    kinds = ", ".join(sorted({parent.benchmark for parent in parents}))
    return [f"not asked for, since they change no {kinds} problem: {', '.join(unused)}"] if unused else []


def _make_question_key(problem: Problem) -> tuple[str, frozenset[str]]:
    """A question with its options in any order: many questions of MMLU share their first sentence but no option."""
    return problem.question, frozenset(problem.choices or ())


def find_leaks(variants: list[Problem], trained: list[Problem], tested: Container[str]) -> list[str]:
    """Sentences about what leaks from test to training; [] if nothing. tested: ids of the problems that may be parents."""
    faults = []
    trained_keys = {_make_question_key(problem) for problem in trained}
    for problem in variants:
        if problem.parent and problem.parent not in tested:
            faults.append(f"{problem.id}: its parent {problem.parent} is no test problem")
        if _make_question_key(problem) in trained_keys:
            faults.append(f"{problem.id}: its question is also in a training split, word for word")
    return faults


def body(run: StageRun[Params]) -> dict[str, Any]:
    if not run.is_main:
        return {}
    section = run.params
    splits = eval_sets.read_splits(run, "benchmarks", ("train", "verifier", "dev", "test"))
    competition = eval_sets.read_splits(run, "aime", ("train", "dev", "test"))
    chats = {role: getattr(section, role).create_chat(run.root) for role in ("paraphraser", "evaluator")}
    agents_pair = agents.make_agents(**chats)
    mislabelled = load_mislabelled_ids(section.mislabelled, run.root)
    labelled = [problem for problem in splits["test"] if problem.id not in mislabelled]
    parents = select_parents(labelled, section.max_parents, run.test_seed)
    variants, rejects = make_variants(parents, section, agents_pair, run.test_seed, splits["test"])
    if section.max_aime_parents:
        contest = select_parents(competition["test"], section.max_aime_parents, run.test_seed)
        changed, refused = make_variants(contest, section, agents_pair, run.test_seed, competition["test"])
        parents, variants, rejects = parents + contest, variants + changed, rejects + refused
    variants += _generate_dyval(section.dyval, run.test_seed)
    training = _generate_dyval_training(section.dyval, run.seed)

    trained = [p for name in ("train", "verifier", "dev") for p in splits[name]]
    trained += competition["train"] + competition["dev"] + training
    tested = {problem.id: problem for problem in splits["test"] + competition["test"]}
    if leaks := find_leaks(variants, trained, tested):
        raise UserError(f"{len(leaks)} variants leak between training and test; the first: {leaks[0]}")
    variants, failing, solutions = code_proof.verify_solutions(variants, tested)
    rejects += failing

    report = audit.audit_sets(group_by_set(variants, rejects, tested))
    remarks = [describe_sizes(report), *describe_unused(section, parents), *describe_small_sets(report)]
    if section.mislabelled:
        removed = len(splits["test"]) - len(labelled)
        remarks.append(
            f"mislabelled lists {len(mislabelled)} problems; {removed} of them are in the test split, no parents"
        )
    records.write_problems(run.out_dir / "test.jsonl", variants)
    records.write_problems(run.out_dir / "train.jsonl", training)
    write_rejects(run.out_dir / "rejects.jsonl", rejects)
    firewall = {"variants": len(variants), "trained_on": len(trained), "faults": 0}
    _write_audit(run.out_dir, {"sets": report, "firewall": firewall, "solutions": solutions, "remarks": remarks})
    if faults := audit.collect_faults(report):
        raise UserError(f"{faults[0]} ({len(faults)} bounds broken in all; data/ood/audit.md shows them)")
    if not variants:
        reason = f"; {remarks[1]}" if remarks[1:] else ""
        print(
            f"warning: data/ood/test.jsonl is empty: nothing out of distribution is measured{reason}", file=sys.stderr
        )
    _count_usage(run, chats)
    return {
        "problems": len(variants),
        "train": len(training),
        "rejects": len(rejects),
        "operators": dict(sorted(Counter(map(eval_sets.get_group_name, variants)).items())),
        "unsolvable": sum(problem.contract == "unsolvable" for problem in variants),
    }


def _count_usage(run: StageRun[Params], chats: Mapping[str, Any]) -> None:
    for role, chat in chats.items():
        if chat:
            run.count(**{f"{role}_{name}": amount for name, amount in chat.usage.get_totals().items()})


def _write_audit(out_dir: Path, content: dict[str, Any]) -> None:
    files.write_json(out_dir / "audit.json", content)
    remarks = "".join(f"* {remark}\n" for remark in content["remarks"])
    table = audit.format_table(content["sets"], content["solutions"])
    files.write_text(out_dir / "audit.md", table + (f"\n{remarks}" if remarks else ""))


def _generate_dyval(section: DyvalParams, seed: int) -> list[Problem]:
    return [
        problem
        for task in section.tasks
        for problem in dyval.generate_problems(
            task, section.problems_per_task, seed, section.difficulty, section.order, **section.overrides
        )
    ]


def _generate_dyval_training(section: DyvalParams, seed: int) -> list[Problem]:
    if section.train is None:
        return []
    return [
        problem
        for task in section.train.tasks
        for level in section.train.difficulties
        for problem in dyval.generate_problems(
            task, section.train.problems_per_task, seed, level, section.order, "train"
        )
    ]


def describe_sizes(report: Mapping[str, Mapping[str, Any]]) -> str:
    """How many sets there are, and how many are large enough to show a difference."""
    sizes = [entry["kept"] for entry in report.values() if entry["kept"]]
    large = sum(size >= audit.LARGE_SET for size in sizes)
    return f"{len(sizes)} sets of {sum(sizes)} problems; {large} sets have at least {audit.LARGE_SET}"


def describe_small_sets(report: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence about the sets that are too small for a row of the transfer matrix; [] if there are none."""
    small = [
        f"{name} ({entry['kept']})" for name, entry in report.items() if 0 < entry["kept"] < eval_sets.MIN_PROBLEMS
    ]
    return (
        [f"under {eval_sets.MIN_PROBLEMS} problems, so without a row in the matrix: {', '.join(small)}"]
        if small
        else []
    )


def group_by_set(
    variants: list[Problem], rejects: list[Reject], parents: dict[str, Problem]
) -> dict[str, audit.ProblemSet]:
    """name -> one of the sets that later stages evaluate."""
    problems: dict[str, list[Problem]] = {}
    for problem in variants:
        problems.setdefault(eval_sets.get_group_name(problem), []).append(problem)
    refused: dict[str, list[Reject]] = {}
    for reject in rejects:
        benchmark = parents[get_root(reject.id)].benchmark
        refused.setdefault(f"{benchmark}~{reject.operator}", []).append(reject)
    return {
        name: audit.ProblemSet(
            problems.get(name, []),
            parents,
            refused.get(name, []),
            [row for p in problems.get(name, []) if p.benchmark == "dyval" for row in dyval.label_sentences(p)],
        )
        for name in {**problems, **refused}
    }


def main() -> None:
    run_stage("ood", Params, body)


if __name__ == "__main__":
    main()
