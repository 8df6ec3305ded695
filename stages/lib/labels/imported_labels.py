"""Published step labels as training material of the process verifier (`prm.labels: imported`).

Files lie in data/raw/labels/, which stage labels depends on. Solutions of one question become the pool of one problem,
whatever their rows and files, so that pools are limited and filtered as drawn ones are. A problem that nearly repeats
one that verifiers are chosen by or scored on (dev, test, ood, aime) is refused (lib/datasets/near_duplicates.py). Numbering
(`Step 2:`) and calculator annotations are taken off: the solutions that the verifier will read have neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Sample, StepLabel
from stages.lib.datasets import near_duplicates
from stages.lib.labels.published_labels import READERS, RejectedRow
from stages.lib.models.encoding import strip_annotations
from stages.lib.models.prompts import Prompt

FOLDER = "data/raw/labels"
_NUMBER = re.compile(r"^Step \d+: *")


class ImportedLabels(NamedTuple):
    """What was taken. counts: by format; reasons: one line for each file that rows were left out of."""

    problems: list[Problem]
    samples: list[Sample]
    labels: list[StepLabel]
    counts: dict[str, dict[str, int]]
    reasons: list[str]


def read(
    root: Path, wanted: Mapping[str, Sequence[str]], prompt: Prompt, held_out: Sequence[Problem]
) -> ImportedLabels:
    """wanted: format -> patterns of files, from the root. held_out: problems that may not be trained on.

    Raises UserError for a pattern outside FOLDER or without a file, and for a file of which no row can be taken."""
    found = ImportedLabels([], [], [], {}, [])
    for form, patterns in wanted.items():
        if patterns:
            _add_form(found, form, find_files(root, form, patterns), prompt, held_out)
    return found


def find_files(root: Path, form: str, patterns: Sequence[str]) -> list[Path]:
    """The files that patterns name, each once."""
    paths: dict[Path, None] = {}
    for pattern in patterns:
        at = f"labels.imported.{form}: {pattern}"
        if not pattern.startswith(f"{FOLDER}/") or ".." in Path(pattern).parts:
            raise UserError(f"{at} is not in {FOLDER}/; put the file there, where DVC sees it change")
        own = sorted(path for path in root.glob(pattern) if path.is_file())
        if not own:
            raise UserError(f"{at} names no file; {FOLDER}/README.md says where the files are to be had")
        paths |= dict.fromkeys(own)
    return list(paths)


def _add_form(
    into: ImportedLabels, form: str, paths: Sequence[Path], prompt: Prompt, held_out: Sequence[Problem]
) -> None:
    pools: dict[str, tuple[Problem, list[tuple[Sample, list[StepLabel]]]]] = {}  # by question
    rows = refused = 0
    for path in paths:
        own, reasons = set(), []
        for one in READERS[form](path, prompt):
            if isinstance(one, RejectedRow):
                reasons.append(f"row {one.row}: {one.reason}")
            else:
                own.add(one.row_id)
                pool = pools.setdefault(" ".join(one.problem.question.split()), (one.problem, []))[1]
                pool.append((one.sample, one.labels))
        if not own:
            raise UserError(f"{path}: no row of the form {form} ({reasons[0] if reasons else 'the file is empty'})")
        if reasons:
            into.reasons.append(f"{path.name}: {len(reasons)} rows left out; the first, {reasons[0]}")
        rows, refused = rows + len(own) + len(reasons), refused + len(reasons)
    problems = [
        problem.model_copy(update={"id": f"{form}/train/{number:06d}"})
        for number, (problem, _) in enumerate(pools.values(), 1)
    ]
    near = near_duplicates.find(problems, held_out)
    before = len(into.problems), len(into.samples), len(into.labels)
    for problem, (_, pool) in zip(problems, pools.values(), strict=True):
        if problem.id not in near:
            into.problems.append(problem)
            for index, (sample, labels) in enumerate(pool):
                at = {"problem_id": problem.id, "index": index}
                text = prompt.join_steps([_strip_numbering(step) for step in prompt.split_steps(sample.text)])
                into.samples.append(sample.model_copy(update={**at, "text": text}))
                into.labels.extend(label.model_copy(update=at) for label in labels)
        pool.clear()  # there may be half a million
    taken = [len(now) - then for now, then in zip((into.problems, into.samples, into.labels), before, strict=True)]
    into.counts[form] = {"rows": rows, "rows_refused": refused, "problems_held_out": len(near)} | dict(
        zip(("problems", "samples", "labels"), taken, strict=True)
    )
    if not taken[2]:
        raise UserError(
            f"labels.imported.{form}: every problem nearly repeats one of dev, test, ood or aime; none may be learnt from"
        )


def _strip_numbering(step: str) -> str:
    return strip_annotations(_NUMBER.sub("", step)).strip() or step  # a step of nothing else stays: it has a label
