"""Stage ood: the same problems made different, so that a verifier is tested where it was not trained.

Reads data/benchmarks/{train,verifier,dev,test}.jsonl and data/aime/{train,dev,test}.jsonl; writes data/ood/{test.jsonl,
rejects.jsonl, audit.json, audit.md}. Problems of the test split are changed by operators that keep, change or destroy the
answer (ood/operators), reworded by probing agents (ood/mpa), and joined by new ones from random graphs
(ood/dyval). All operators of a benchmark start from the same parents, so that what they do can be compared problem
by problem; each is asked only of problems that it fits. What cannot be made honestly is a reject with its reason; an
empty or small set is a remark; a set that can be solved by a shortcut, or shares a problem with training, fails the
stage.

    python -m stages.problems.ood
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from stages.lib.core import files, params, records, seeds
from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem
from stages.lib.datasets import eval_sets
from stages.lib.run.execution import StageRun, run_stage
from stages.problems.ood import audit, code_proof, dyval
from stages.problems.ood.mpa import agents, pipeline, principles
from stages.problems.ood.operators import registry
from stages.problems.ood.rejects import Reject, write_rejects


class AgentParams(params.Params):
    """Who rewords or judges. rules: no model, enough to permute; openai: any compatible server; hf: a model folder."""

    kind: Literal["rules", "openai", "hf"]  # rules (no model), an OpenAI-compatible server, or a local model folder
    settings: dict[str, Any] = {}  # of the model: lib/chat


def validate_operators(names: list[str]) -> list[str]:
    """Names of operators as they are. Raises ValueError for one that is not."""
    for name in names:
        for part in name.split("+"):
            if part not in registry.OPERATORS:
                raise ValueError(f"{part!r} is no operator; allowed: {', '.join(registry.OPERATORS)}")
    return names


class DyvalParams(params.Params):
    tasks: list[Literal[dyval.TASKS]]  # kinds of graph problems
    problems_per_task: int = Field(ge=0)  # a task
    difficulty: int = Field(ge=1, le=len(dyval.LEVELS))  # level of depth and size
    order: Literal[dyval.ORDERS]  # order in which a graph is told
    overrides: dict[str, Any] = {}  # single knobs of the level changed (ood/dyval/levels.py)


class Params(params.Params):
    max_parents: int | None = Field(ge=1)  # problems of the test split that are changed; null: all
    max_aime_parents: int = Field(ge=0)  # of the competition problems of the test split
    mislabelled: list[str] = []  # ids, or files of ids, of problems whose published answer is wrong: no parents
    operators: list[str]  # of ood/operators, composed by `+`
    principles: list[str]  # of ood/mpa: all, or some joined by `+`
    paraphraser: AgentParams  # who rewords a problem
    evaluator: AgentParams  # who judges whether a rewording kept the problem
    max_attempts: int = Field(ge=1)  # rewordings that are tried before a problem is rejected
    dyval: DyvalParams  # problems from random graphs

    @field_validator("operators")
    @classmethod
    def _check_operators(cls, names: list[str]) -> list[str]:
        for name in names:
            for part in name.split("+"):
                if part not in registry.OPERATORS:
                    raise ValueError(f"{part!r} is no operator; allowed: {', '.join(registry.OPERATORS)}")
        return names

    @model_validator(mode="after")
    def _check_principles(self) -> Params:
        for wanted in self.principles:
            try:
                asked = [name for name in principles.parse_principles(wanted) if name != "permute"]
            except UserError as error:
                raise ValueError(str(error)) from None
            if asked and "rules" in (self.paraphraser.kind, self.evaluator.kind):
                raise ValueError(
                    f"principles: {wanted} wants a model that rewrites and one that judges; set paraphraser and "
                    "evaluator to openai or hf, or ask for permute, which needs none (the operator preamble puts words "
                    "in front by rules)"
                )
        return self


def select_parents(problems: list[Problem], n: int | None, seed: int) -> list[Problem]:
    """n problems, the same whatever else is asked for."""
    ranked = sorted(problems, key=lambda problem: seeds.key(seed, "ood", 1, problem.id, "parent"))
    return sorted(ranked[:n], key=lambda problem: problem.id)


def load_mislabelled_ids(listed: list[str], root: Path) -> set[str]:
    """The ids in `ood.mislabelled`: one by one, or in files, one a line (what follows a `#` is a comment). Raises
    UserError for an entry that is neither a file nor an id."""
    found: set[str] = set()
    for entry in listed:
        if (root / entry).is_file():
            lines = (root / entry).read_text(encoding="utf-8-sig").splitlines()
            found |= {line.partition("#")[0].strip() for line in lines} - {""}
        elif re.fullmatch(r"[a-z0-9]+/test/\w+", entry):
            found.add(entry)
        else:
            raise UserError(f"ood.mislabelled: {entry!r} is no file, nor an id such as gsm8k/test/0007")
    return found


def make_variants(
    parents: list[Problem], section: Params, agents_pair: agents.Agents, seed: int, split: list[Problem]
) -> tuple[list[Problem], list[Reject]]:
    """All variants of these parents. `split`, all that they were chosen from, tells how large numbers may be."""
    variants, rejects = registry.make_variants(parents, section.operators, seed, registry.compute_bound(split))
    for wanted in section.principles:
        more, refused = pipeline.make_variants(parents, wanted, agents_pair, seed, section.max_attempts)
        variants, rejects = variants + more, rejects + refused
    return variants, rejects


def describe_unused(section: Params, parents: list[Problem]) -> list[str]:
    """Sentences about operators and principles that fit none of the parents, [] if there are none."""
    left = [name for name in section.operators if not any(registry.fits_problem(name, parent) for parent in parents)]
    for wanted in section.principles:
        if not any(principles.fits(principles.parse_principles(wanted), parent) for parent in parents):
            left.append(wanted)
    kinds = ", ".join(sorted({parent.benchmark for parent in parents}))
    return [f"not asked for, since they change no {kinds} problem: {', '.join(left)}"] if left else []


def _make_question_key(problem: Problem) -> tuple[str, frozenset[str]]:
    """A question with its options, in any order: many questions of MMLU share their first sentence and no option."""
    return problem.question, frozenset(problem.choices or ())


def find_leaks(variants: list[Problem], trained: list[Problem], tested: Container[str]) -> list[str]:
    """What would let training see a test: sentences, [] if nothing. tested: ids of the problems that may be parents."""
    faults = []
    asked = {_make_question_key(problem) for problem in trained}
    for problem in variants:
        if problem.parent and problem.parent not in tested:
            faults.append(f"{problem.id}: its parent {problem.parent} is no test problem")
        if _make_question_key(problem) in asked:
            faults.append(f"{problem.id}: its question stands in a training split, word for word")
    return faults


def body(run: StageRun[Params]) -> dict[str, Any]:
    if not run.is_main:
        return {}
    section = run.params
    splits = {
        name: records.read_problems(run.input_path("benchmarks", f"{name}.jsonl"))
        for name in ("train", "verifier", "dev", "test")
    }
    competition = {
        name: records.read_problems(run.input_path("aime", f"{name}.jsonl")) for name in ("train", "dev", "test")
    }
    chats = {role: _make_chat(run, role) for role in ("paraphraser", "evaluator")}
    of = agents.make_agents(**chats)
    wrong_golds = load_mislabelled_ids(section.mislabelled, run.root)
    able = [problem for problem in splits["test"] if problem.id not in wrong_golds]
    parents = select_parents(able, section.max_parents, run.seed)
    variants, rejects = make_variants(parents, section, of, run.seed, splits["test"])
    if section.max_aime_parents:
        contest = select_parents(competition["test"], section.max_aime_parents, run.seed)
        more, refused = make_variants(contest, section, of, run.seed, competition["test"])
        parents, variants, rejects = parents + contest, variants + more, rejects + refused
    wanted = section.dyval
    puzzles = [
        problem
        for task in wanted.tasks
        for problem in dyval.generate_problems(
            task, wanted.problems_per_task, run.seed, wanted.difficulty, wanted.order, **wanted.overrides
        )
    ]
    variants = variants + puzzles
    trained = (
        [p for name in ("train", "verifier", "dev") for p in splits[name]] + competition["train"] + competition["dev"]
    )
    tested = {problem.id: problem for problem in splits["test"] + competition["test"]}
    faults = find_leaks(variants, trained, tested)
    if faults:
        raise UserError(f"{len(faults)} variants leak between training and test; the first: {faults[0]}")

    variants, failing, solutions = code_proof.verify_solutions(variants, tested)
    rejects += failing
    report = audit.audit_sets(group_by_set(variants, rejects, tested))
    remarks = describe_unused(section, parents) + describe_small_sets(report)
    if section.mislabelled:
        left = len(splits["test"]) - len(able)
        remarks.append(
            f"wrong_golds lists {len(wrong_golds)} problems; {left} of them are in the test split, no parents"
        )
    records.write_problems(run.out_dir / "test.jsonl", variants)
    write_rejects(run.out_dir / "rejects.jsonl", rejects)
    proof = {"variants": len(variants), "trained_on": len(trained), "faults": 0}
    files.write_json(
        run.out_dir / "audit.json", {"sets": report, "firewall": proof, "solutions": solutions, "remarks": remarks}
    )
    told = "".join(f"* {remark}\n" for remark in remarks)
    files.write_text(run.out_dir / "audit.md", audit.format_table(report, solutions) + (f"\n{told}" if told else ""))
    found = audit.collect_faults(report)
    if found:
        raise UserError(f"{found[0]} ({len(found)} bounds broken in all; data/ood/audit.md shows them)")
    if not variants:
        why = f"; {remarks[0]}" if remarks else ""
        print(f"warning: data/ood/test.jsonl is empty: nothing out of distribution is measured{why}", file=sys.stderr)
    for role, chat in chats.items():
        if chat:
            run.count(**{f"{role}_{name}": amount for name, amount in chat.usage.get_totals().items()})
    return {
        "problems": len(variants),
        "rejects": len(rejects),
        "operators": dict(sorted(Counter(eval_sets.get_group_name(problem) for problem in variants).items())),
        "unsolvable": sum(problem.contract == "unsolvable" for problem in variants),
    }


def describe_small_sets(report: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sentences about the sets too small for a row of the matrix."""
    few = [f"{name} ({entry['kept']})" for name, entry in report.items() if 0 < entry["kept"] < eval_sets.MIN_PROBLEMS]
    return [f"under {eval_sets.MIN_PROBLEMS} problems, so without a row in the matrix: {', '.join(few)}"] if few else []


def group_by_set(
    variants: list[Problem], rejects: list[Reject], parents: dict[str, Problem]
) -> dict[str, audit.ProblemSet]:
    """The sets that later stages evaluate, as the audit takes them."""
    names = list(dict.fromkeys(eval_sets.get_group_name(problem) for problem in variants))
    refused: dict[str, list[Reject]] = {}
    for reject in rejects:
        benchmark = parents[reject.id.partition("~")[0]].benchmark
        refused.setdefault(f"{benchmark}~{reject.operator}", []).append(reject)
    made = {}
    for name in dict.fromkeys([*names, *refused]):
        own = [problem for problem in variants if eval_sets.get_group_name(problem) == name]
        sentences = [
            each for problem in own if problem.benchmark == "dyval" for each in dyval.label_sentences(problem) or []
        ]
        made[name] = audit.ProblemSet(own, parents, refused.get(name, []), sentences)
    return made


def _make_chat(run: StageRun[Params], role: str):
    from stages.lib import chat

    agent: AgentParams = getattr(run.params, role)
    if agent.kind == "rules":
        return None
    return chat.create(agent.kind, run.root / ".assay" / "chat", **agent.settings)


def main() -> None:
    run_stage("ood", Params, body)


if __name__ == "__main__":
    main()
