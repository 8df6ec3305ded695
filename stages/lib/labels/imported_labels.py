"""Published step labels as training material of the process verifier (`prm.labels: [imported]`).

Files are in data/raw/labels/, a dependency of stage labels. All solutions of a question, from any rows and files, become
the pool of one problem, so that pools are limited and filtered like drawn ones. A problem that nearly repeats one of dev,
test, ood or aime is left out (lib/datasets/near_duplicates.py). Step numbers (`Step 2:`) are removed, because the solutions
to be verified have none, and so are calculator annotations, unless these have them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Sample, StepLabel
from stages.lib.datasets import near_duplicates
from stages.lib.labels import published_labels
from stages.lib.labels.labelled_solution import RejectedRow
from stages.lib.models.prompts import Prompt

FOLDER = "data/raw/labels"
_NUMBER = re.compile(r"^Step \d+: *")


class ImportedLabels(NamedTuple):
    """counts: {format: numbers of rows, problems, samples, labels}; reasons: a line for each file with rejected rows."""

    problems: list[Problem]
    samples: list[Sample]
    labels: list[StepLabel]
    counts: dict[str, dict[str, int]]
    reasons: list[str]


def read(
    root: Path, patterns: Mapping[str, Sequence[str]], prompt: Prompt, held_out: Sequence[Problem]
) -> ImportedLabels:
    """patterns: format -> patterns of files, relative to the root. held_out: problems that may not be trained on.

    Raises UserError for a pattern outside FOLDER or without a file, and for a file without a valid row."""
    imported = ImportedLabels([], [], [], {}, [])
    for form, globs in patterns.items():
        if globs:
            _add_form(imported, form, find_files(root, form, globs), prompt, held_out)
    return imported


def find_files(root: Path, form: str, patterns: Sequence[str]) -> list[Path]:
    """The files that match any pattern, each once. Raises UserError for a pattern outside FOLDER or without a file."""
    paths: dict[Path, None] = {}
    for pattern in patterns:
        at = f"labels.imported.{form}: {pattern}"
        if not pattern.startswith(f"{FOLDER}/") or ".." in Path(pattern).parts:
            raise UserError(f"{at} is not in {FOLDER}/; put the file there, where DVC sees it change")
        matches = sorted(path for path in root.glob(pattern) if path.is_file())
        if not matches:
            raise UserError(f"{at} names no file; {FOLDER}/README.md says where to get the files")
        paths |= dict.fromkeys(matches)
    return list(paths)


def _add_form(
    into: ImportedLabels, form: str, paths: Sequence[Path], prompt: Prompt, held_out: Sequence[Problem]
) -> None:
    """Append the problems, samples and labels of all files of a format."""
    pools: dict[str, tuple[Problem, list[tuple[Sample, list[StepLabel]]]]] = {}  # by question
    rows = rejected = 0
    for path in paths:
        row_ids, reasons = set(), []
        for row in published_labels.read(form, path, prompt):
            if isinstance(row, RejectedRow):
                reasons.append(f"row {row.row}: {row.reason}")
            else:
                row_ids.add(row.row_id)
                question = " ".join(row.problem.question.split())
                pools.setdefault(question, (row.problem, []))[1].append((row.sample, row.labels))
        if not row_ids:
            raise UserError(f"{path}: no row of the form {form} ({reasons[0] if reasons else 'the file is empty'})")
        if reasons:
            into.reasons.append(f"{path.name}: {len(reasons)} rows left out; the first, {reasons[0]}")
        rows, rejected = rows + len(row_ids) + len(reasons), rejected + len(reasons)
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
                text = prompt.join_steps([_clean_step(step, prompt) for step in prompt.split_steps(sample.text)])
                into.samples.append(sample.model_copy(update={**at, "text": text}))
                into.labels.extend(label.model_copy(update=at) for label in labels)
        pool.clear()  # frees memory: there may be half a million samples
    added = [len(now) - then for now, then in zip((into.problems, into.samples, into.labels), before, strict=True)]
    into.counts[form] = {"rows": rows, "rows_refused": rejected, "problems_held_out": len(near)} | dict(
        zip(("problems", "samples", "labels"), added, strict=True)
    )
    if not added[2]:
        raise UserError(
            f"labels.imported.{form}: every problem nearly repeats one of dev, test, ood or aime; no labels are left"
        )


def _clean_step(step: str, prompt: Prompt) -> str:
    return prompt.format_gold_step(_NUMBER.sub("", step)).strip() or step  # never empty: every step may have a label
