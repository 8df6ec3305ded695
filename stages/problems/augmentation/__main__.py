"""Stage augmentation: new training problems, made from those of `train` by programs or by models.

Reads data/benchmarks/{train,verifier,dev,test}.jsonl, data/aime/{dev,test,unseen}.jsonl and data/ood/test.jsonl; writes
data/augmentation/{train.jsonl, verifier.jsonl, lineage.jsonl, rejects.jsonl, audit.json, audit.md}. The first two hold
problems with solutions for the generator, and, if asked for, problems for the verifiers; the next two say of every problem
how it was made and checked, or why it was not kept.

Every new problem comes from one problem of its own split, its root, so that no split holds a variant of a problem of
another. A method keeps what it can prove: by a program, or, where none knows the problem, by the answers of a solver. What
repeats or nearly repeats a problem of an evaluation set is removed.

    python -m stages.problems.augmentation
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from stages.lib.core import records, seeds
from stages.lib.core.records import Problem
from stages.lib.datasets import eval_sets, near_duplicates
from stages.lib.operators import registry
from stages.lib.operators.rejects import Reject, write_rejects
from stages.lib.run.execution import StageRun, run_stage
from stages.problems.augmentation import ledger
from stages.problems.augmentation.candidate import Candidate, Context, Method
from stages.problems.augmentation.ledger import Count
from stages.problems.augmentation.methods import (
    answers,
    evolve,
    fobar,
    operators,
    rephrase,
    self_instruct,
    self_verification,
)
from stages.problems.augmentation.section import Params

METHODS: dict[str, Method] = {
    "operators": operators,
    "rephrase": rephrase,
    "fobar": fobar,
    "self_verification": self_verification,
    "answers": answers,
    "self_instruct": self_instruct,
    "evolve": evolve,
}
AGENTS = ("writer", "judge", "solver")
VERSION = 1  # of the order of parents
TRAINED_OPERATORS = {"fobar": ("reversed",), "self_verification": ("reversed",)}  # what a method is no longer unseen of


def order_parents(parents: Sequence[Problem], method: str, seed: int) -> list[Problem]:
    """The parents in the order in which a method uses them: random, and the same for any number that is asked for."""
    return sorted(parents, key=lambda parent: seeds.key(seed, "augmentation", VERSION, method, parent.id))


def apply_method(
    name: str, parents: Sequence[Problem], limit: int | None, section: Params, context: Context, known: set[str]
) -> Count:
    """What a method makes until `limit` problems are kept (None: of all parents). known: the questions that training has
    already; those of the kept problems are added."""
    method = METHODS[name]
    fitting = [parent for parent in parents if method.fits_parent(parent, section, context)]
    count = Count(name, context.split, len(fitting))
    ordered = order_parents(fitting, name, context.seed)

    def keep_new() -> Iterator[Candidate]:
        for result in method.make_candidates(ordered, section, context):
            if isinstance(result, Reject):
                count.rejected.append(result)
                continue
            count.kept.append(result)
            if name != answers.NAME and result.problem.question in known:  # whose questions are those of their parents
                count.reject(result, "training has the same question already")
            else:
                known.add(result.problem.question)
                yield result

    kept = islice(keep_new(), limit)
    for _ in context.run.track_progress(kept, limit or len(fitting), f"{name}, {context.split}"):
        pass
    return count


def remove_contaminated(counts: Sequence[Count], references: Mapping[str, Sequence[Problem]]) -> list[dict[str, Any]]:
    """Reject what repeats or nearly repeats a problem of the reference sets; the rows of the table of overlaps. counts: of
    one split."""
    kept = [candidate.problem for count in counts for candidate in count.kept]
    tests = [problem for problems in references.values() for problem in problems]
    removed = near_duplicates.find(kept, tests) if kept else {}
    overlap = ledger.measure_overlap(kept, references, removed)
    for count in counts:
        for candidate in [candidate for candidate in count.kept if candidate.problem.id in removed]:
            count.reject(candidate, removed[candidate.problem.id])
    return [{"split": counts[0].split, **row} for row in overlap] if counts else []


def remove_orphans(counts: Sequence[Count], parents: Sequence[Problem]) -> None:
    """Reject what was made from a new problem that was rejected later: it is close to it, and its parent is in no file."""
    for count in counts:
        known: set[str | None] = {None, *(problem.id for problem in parents)}
        for candidate in list(count.kept):  # parents come first
            if candidate.problem.parent in known:
                known.add(candidate.problem.id)
            else:
                count.reject(candidate, "its parent is not kept")


def list_trained_operators(counts: Sequence[Count], tested: Sequence[Problem]) -> list[str]:
    """The operators of the out-of-distribution sets of which training now has problems."""
    trained = {name for count in counts if count.kept for name in TRAINED_OPERATORS.get(count.method, ())}
    for count in counts:
        if count.method == "operators":
            names = {candidate.problem.operator or "" for candidate in count.kept}
            trained |= {part.operator for name in names for part in registry.parse_name(name)}
    sets = {
        problem.operator for problem in tested if problem.program and problem.program.generator == registry.GENERATOR
    }
    return sorted({part.operator for name in sets if name for part in registry.parse_name(name)} & trained)


def make_remarks(counts: Sequence[Count], tested: Sequence[Problem]) -> list[str]:
    remarks = []
    if trained := list_trained_operators(counts, tested):
        remarks.append(f"no longer out of distribution for a generator that learns from these: {', '.join(trained)}")
    for count in counts:
        if not count.parents:
            remarks.append(f"{count.method} fits no problem of {count.split}")
        elif not count.kept:
            remarks.append(f"{count.method} keeps no problem of {count.split}: every one was rejected")
    return remarks


def body(run: StageRun[Params]) -> dict[str, Any]:
    if not run.is_main:
        return {}
    section = run.params
    splits = eval_sets.read_splits(run, "benchmarks", ("train", "verifier", "dev", "test"))
    evaluation = {f"benchmarks/{name}": splits[name] for name in ("dev", "test")}
    competition = eval_sets.read_splits(run, "aime", ("dev", "test", "unseen"))
    evaluation |= {f"aime/{name}": rows for name, rows in competition.items()}
    evaluation["ood/test"] = eval_sets.read_splits(run, "ood", ("test",))["test"]
    chats = {name: getattr(section, name).create_chat(run.root) for name in AGENTS}
    limits = {"train": section.problems_per_method, "verifier": section.verifier_problems_per_method}
    counts: list[Count] = []
    overlap: list[dict[str, Any]] = []
    for split, other in (("train", "verifier"), ("verifier", "train")):
        known = {problem.question for problem in splits[split]}
        largest = registry.compute_bound(splits[split])
        context = Context(run.seed, split, largest, **chats, run=run)
        names = section.methods if limits[split] != 0 else []
        done = [apply_method(name, splits[split], limits[split], section, context, known) for name in names]
        made = [candidate.problem for count in counts for candidate in count.kept]  # of the other split
        references = {f"benchmarks/{other}": splits[other], **({f"augmentation/{other}": made} if made else {})}
        overlap += remove_contaminated(done, references | evaluation)
        remove_orphans(done, splits[split])
        counts += done
    kept = [candidate for count in counts for candidate in count.kept]
    rejects = [reject for count in counts for reject in count.rejected]
    for split in ("train", "verifier"):
        problems = [candidate.problem for candidate in kept if candidate.problem.split == split]
        records.write_problems(run.out_dir / f"{split}.jsonl", problems)
    methods = {candidate.problem.id: count.method for count in counts for candidate in count.kept}
    ledger.write_lineage(run.out_dir / "lineage.jsonl", kept, methods)
    write_rejects(run.out_dir / "rejects.jsonl", rejects)
    remarks = make_remarks(counts, evaluation["ood/test"])
    licences = dict(sorted(Counter(candidate.problem.licence for candidate in kept).items()))
    tables = {"methods": [count.describe() for count in counts], "overlap": overlap}
    content = {**tables, "licences": licences, "remarks": remarks}
    ledger.write_audit(run.out_dir, content)
    if section.methods and not kept:
        print(f"warning: data/augmentation/train.jsonl is empty; {'; '.join(remarks)}", file=sys.stderr)
    for role, chat in chats.items():
        if chat:
            run.count(**{f"{role}_{name}": amount for name, amount in chat.usage.get_totals().items()})
    return {
        "train": sum(candidate.problem.split == "train" for candidate in kept),
        "verifier": sum(candidate.problem.split == "verifier" for candidate in kept),
        "made": len(kept) + len(rejects),
        "rejected": len(rejects),
        "near_duplicates": sum(row["removed"] for row in overlap),
        "methods": {name: sum(len(c.kept) for c in counts if c.method == name) for name in section.methods},
    }


def main() -> None:
    run_stage("augmentation", Params, body)


if __name__ == "__main__":
    main()
