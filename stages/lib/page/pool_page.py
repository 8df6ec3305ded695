"""The report of a pool from elsewhere: headline, curves and solution browser of a JSONL file that reports/pools.py reads.

There is no dev, so nothing is chosen: every weight has the same given power.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from stages.lib.core import digests, records
from stages.lib.models.encoding import split_steps
from stages.lib.page import figures, solutions
from stages.lib.reports import pool_results, pools
from stages.lib.reports.pools import Pool, ScoreKind

MAX_PROBLEMS, MAX_BYTES = 2000, 12_000_000  # of the solution browser


def build(
    path: Path, scales: Mapping[str, ScoreKind], power: float, share: float, draws: int, resamples: int, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(page, data) for `render`. Raises UserError as `pools.read` does."""
    found = pools.read(path, scales)
    k, settings, _, intervals, gains = pool_results.compute(found, power, share, draws, resamples, seed)
    names, chosen = list(settings), {name: {"power": power, "share": share} for name in settings}
    sizes = [pool.size for pool in found]
    page = {
        "title": f"Assay report: {path.name}",
        "subtitle": f"{len(found):,} problems with {min(sizes)}"
        + (f" to {max(sizes)}" if min(sizes) < max(sizes) else "")
        + f" solutions and {len(names)} scores each.",
        "headline": {
            "rows": figures.list_headline(intervals, k, gains, chosen),
            "problems": sum(size >= k for size in sizes),
            "n": k,
        },
        "inputs": [(path.name, digests.md5(path))],
        "caveats": [
            f"Nothing was chosen on other problems: every weight is the score to the power {power:g}. A power chosen on "
            "these problems would look better than it is.",
            "Intervals are over problems: how far the figure would move with other problems of the same kind.",
            "Whether an answer is right was graded here, unless the file says so itself.",
        ],
    }
    by_id = {row["problem_id"]: row for _, row in records.iter_jsonl(path)}
    scores = solutions.describe_scores(found[0], dict.fromkeys(names, power), list_step_scores(by_id.values()))
    makers = [partial(describe_row, by_id[pool.problem_id], pool, scores) for pool in found]
    data = {
        "curves": figures.list_curves(intervals),
        "verifier": "",
        "scores": scores,
        "sets": solutions.fit({path.name: makers}, MAX_PROBLEMS, MAX_BYTES),
    }
    return page, data


def list_step_scores(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of the scores that some sample has for its steps."""
    return sorted({name for row in rows for sample in row["samples"] for name in sample.get("step_scores", ())})


def describe_row(row: Mapping[str, Any], pool: Pool, scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A row of the file as the browser reads it. scores: of `solutions.describe_scores`."""
    answer_type = row.get("answer_type", "latex")
    own = []
    for sample in row["samples"]:
        answer = pools.get_answer(sample, answer_type)
        steps = split_steps(sample.get("text") or answer or "")
        own.append(solutions.Solution(steps, answer, step_scores=sample.get("step_scores", {})))
    question = solutions.Question(row["problem_id"], row.get("question", ""), row["gold"])
    return solutions.describe_problem(question, own, pool, scores)
