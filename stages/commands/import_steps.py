"""`python -m stages import-steps FILE...`: step labels of others, or your own, become training material of the PRM."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from stages.lib.core.errors import UserError


class Summary(NamedTuple):
    """What a file holds. samples: solutions. most: those of the problem that has most. finished: those that state a final
    answer, whose outcome is thus known. right: mean label of the steps. reason: of the first rejected row."""

    form: str
    rows: int
    problems: int
    samples: int
    most: int
    finished: int
    steps: int
    right: float
    rejected: int
    reason: str


def import_steps(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="JSONL, one JSON list or Parquet, in the form of TRL, Math-Shepherd or PRM800K."
        ),
    ],
    check: Annotated[bool, typer.Option("--check", help="Check the files; copy nothing.")] = False,
) -> None:
    """Check files of step labels, copy them into data/raw/labels/, and print the parameters that train the PRM on them.

    The form is recognised by the columns: TRL's stepwise supervision {prompt, completions, labels}, Math-Shepherd, PRM800K.
    Rows that do not fit are named and left out; a file without a valid row is an error, and then nothing is copied.
    """
    import sys

    from stages.lib.core import params
    from stages.lib.display import terminal

    document = {} if check else params.read_yaml()
    summaries = {path: summarize(path) for path in dict.fromkeys(paths)}
    header = ["file", "form", "rows", "problems", "samples", "finished", "steps", "right_%", "rejected"]
    rows = [
        [path.name, x.form, *map(str, (x.rows, x.problems, x.samples, x.finished, x.steps))]
        + [f"{100 * x.right:.1f}", str(x.rejected)]
        for path, x in summaries.items()
    ]
    terminal.print_table([name.replace("_", " ") for name in header], rows, header[2:])
    for path, summary in summaries.items():
        if summary.rejected:
            print(f"{path}: {summary.rejected} rows left out; the first, {summary.reason}", file=sys.stderr)
        if not summary.finished:
            print(
                f"{path}: no solution states its answer, so the verifier learns steps, but not the end of a solution",
                file=sys.stderr,
            )
    if check:
        return
    targets = plan_copies({path: summary.form for path, summary in summaries.items()})
    copy_files(targets)
    patterns: dict[str, list[str]] = {}
    for path, summary in summaries.items():
        patterns.setdefault(summary.form, []).append(glob.escape(targets[path].as_posix()))
    print("\nSet in params.yaml, then `dvc repro`:\n")
    print(format_params(document, patterns, max(summary.most for summary in summaries.values())), end="")


def summarize(path: Path) -> Summary:
    """Read a whole file. Raises UserError for one that has no form of step labels, or no valid row."""
    from stages.lib.labels import published_labels
    from stages.lib.labels.labelled_solution import RejectedRow

    form = published_labels.recognise(path)
    rows, samples_of_question, rejected = set(), Counter(), []
    finished = steps = 0
    total = 0.0
    for row in published_labels.read(form, path):
        if isinstance(row, RejectedRow):
            rejected.append(f"row {row.row}: {row.reason}")
            continue
        rows.add(row.row_id)
        samples_of_question[" ".join(row.problem.question.split())] += 1
        steps += len(row.labels)
        finished += row.sample.finish == "stop"
        total += sum(label.value for label in row.labels)
    if not rows:
        raise UserError(f"{path}: no row of the form {form} ({rejected[0]}); mend the file")
    samples = samples_of_question.total(), max(samples_of_question.values())
    counts = len(rows) + len(rejected), len(samples_of_question), *samples, finished, steps
    return Summary(form, *counts, total / steps if steps else 0.0, len(rejected), rejected[0] if rejected else "")


def plan_copies(forms: Mapping[Path, str]) -> dict[Path, Path]:
    """Where each file belongs: where it is, if it is in data/raw/labels/ already. Raises UserError for a name that another
    file has."""
    from stages.lib.core import files
    from stages.lib.labels.imported_labels import FOLDER

    root, targets = Path.cwd(), {}
    for path, form in forms.items():
        is_inside = path.resolve().is_relative_to((root / FOLDER).resolve())
        target = path.resolve().relative_to(root.resolve()) if is_inside else Path(FOLDER) / form / path.name
        rivals = [other for other, place in targets.items() if place == target]
        rivals += [target] if target.exists() else []
        for rival in rivals:
            if files.sha256(rival) != files.sha256(path):
                raise UserError(f"{path}: {rival} has the same name and other rows; rename one of them")
        targets[path] = target
    return targets


def copy_files(targets: Mapping[Path, Path]) -> None:
    """Copy each file that is not in its place."""
    import shutil

    from stages.lib.core import files

    for path, target in targets.items():
        if not target.exists():
            with files.atomic_write(target) as temporary:
                shutil.copyfile(path, temporary)


def format_params(document: Any, patterns: Mapping[str, Sequence[str]], most: int) -> str:
    """The lines of params.yaml that train the process verifier on these files and on those that it names already.
    most: solutions of one problem in the files, all of which are to be read."""
    from stages.lib.core.params import get_by_path
    from stages.lib.labels.published_labels import TRAINING_FORMS

    lines = ["labels:", "  imported:"]
    for form in TRAINING_FORMS:
        old = get_by_path(document, f"labels.imported.{form}", None) or []
        lines.append(f"    {form}: {_format_list([*dict.fromkeys([*old, *patterns.get(form, ())])])}")
    lines += ["prm:", "  labels: [imported] # in place of the pipeline's own"]
    if most > (get_by_path(document, "prm.samples_per_problem", None) or most):
        lines.append(f"  samples_per_problem: {most} # of a problem; more would be left out")
    verifiers = get_by_path(document, "scores.verifiers", None) or []
    left = [name for name in verifiers if not str(name).startswith("prm_")]
    if left != list(verifiers):
        lines += ["scores:", f"  verifiers: {_format_list(left)} # those of further labels are not trained"]
    return "".join(f"{line}\n" for line in lines)


def _format_list(values: Sequence[str]) -> str:
    """A YAML list on one line; only texts that need it are quoted."""
    import json

    plain = re.compile(r"[\w./*-]+")
    return f"[{', '.join(x if plain.fullmatch(x) else json.dumps(x, ensure_ascii=False) for x in map(str, values))}]"
