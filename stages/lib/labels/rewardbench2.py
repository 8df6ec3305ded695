"""RewardBench 2 (Malik et al. 2025, arXiv 2506.01937): prompts with chosen and rejected completions, and their figures.

Columns: `id`, `prompt`, `chosen`, `rejected`, `num_correct`, `subset`. In all subsets but Ties one completion of four is
chosen, and a verifier that scores it highest earns 1; where it shares the highest score with others, its share of 1
(`reroll_and_score_dataset` in the package rewardbench). Ties has pairs of prompts, `ref:N` with one right answer and
`tied:N` with several; its score asks for every right answer above every wrong one, and for more distance between right and
wrong than among the right ones (`process_single_model`). The leaderboard's score is the mean over the subsets.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from pydantic import Field

from stages.lib.core.records import Problem, Source
from stages.lib.labels.labelled_solution import Form, MisalignedError, Row
from stages.lib.models.prompts import Prompt

TIES = "ties"


class Completions(NamedTuple):
    """The completions of a prompt, the right ones first. The subset is the problem's split."""

    problem: Problem
    steps: list[str]  # the completions; each has a score, as steps have
    num_correct: int
    row_id: str


class _Row(Row):
    id: str | int
    prompt: str = Field(min_length=1)
    chosen: list[str] = Field(min_length=1)
    rejected: list[str] = Field(min_length=1)
    num_correct: int
    subset: str = Field(min_length=1)


class Margins(NamedTuple):
    """Of a Ties prompt: the lowest right score minus the highest wrong one; the highest right score minus the lowest, None
    if there is one right answer."""

    right_to_wrong: float
    among_right: float | None

    @property
    def is_accurate(self) -> bool:
        """Whether every right answer scores above every wrong one."""
        return self.right_to_wrong > 0


def _convert(row: Any, number: int, source: Source, prompt: Prompt) -> Iterator[Completions]:
    if row.num_correct != len(row.chosen):
        raise MisalignedError(f"its num_correct is {row.num_correct}, but {len(row.chosen)} completions are chosen")
    row_id = str(row.id)
    if row.subset.lower() == TIES and not re.fullmatch(r"(ref|tied):\d+", row_id):
        raise MisalignedError(f"its id is {row_id!r}; ids of Ties are ref:N or tied:N")
    problem = Problem(
        id=f"rewardbench2/{row.subset}/{row_id}",
        benchmark="rewardbench2",
        split=row.subset,
        question=row.prompt,
        answer="",
        answer_type="text",
        licence="ODC-BY",
        source=source,
    )
    yield Completions(problem, [*row.chosen, *row.rejected], row.num_correct, row_id)


FORM = Form(_Row, _convert)


def measure(scored: Iterable[tuple[Completions, Sequence[float]]]) -> dict[str, float | None]:
    """Subset -> its score: the accuracy, or of Ties the weighted one, None where Ties lacks a pair to compare."""
    subsets: dict[str, list[tuple[Completions, Sequence[float]]]] = {}
    for row, scores in scored:
        subsets.setdefault(row.problem.split, []).append((row, scores))
    return {
        name: score_ties({row.row_id: measure_margins(scores, row.num_correct) for row, scores in rows})
        if name.lower() == TIES
        else fmean(score_best(scores) for _, scores in rows)
        for name, rows in sorted(subsets.items())
    }


def score_best(scores: Sequence[float]) -> float:
    """1 if the first score is the highest alone, 1/m if it is one of m highest, else 0."""
    best = max(scores)
    return 1 / list(scores).count(best) if scores[0] == best else 0.0


def measure_margins(scores: Sequence[float], num_correct: int) -> Margins:
    """scores: those of the right answers first."""
    right, wrong = scores[:num_correct], scores[num_correct:]
    return Margins(min(right) - max(wrong), max(right) - min(right) if num_correct > 1 else None)


def score_ties(margins: Mapping[str, Margins]) -> float | None:
    """The score of Ties from the margins of `ref:N` and `tied:N`; None without a pair of them with several right answers.

    The sum of 0.3, 0.3, 0.2, 0.2 and 0.01 times: accuracy on tied prompts, and on ref prompts; how often the distance to
    the wrong answers exceeds that among the right ones, on the tied prompt, and on the worse of both; and by how much."""
    kinds: dict[str, dict[str, Margins]] = {"ref": {}, "tied": {}}
    for name, margin in margins.items():
        kind, _, number = name.partition(":")
        kinds[kind][number] = margin
    pairs = [
        (x.among_right, x.right_to_wrong, min(x.right_to_wrong, kinds["ref"][number].right_to_wrong))
        for number, x in kinds["tied"].items()
        if number in kinds["ref"] and x.among_right is not None
    ]
    if not pairs:
        return None
    accuracies = [fmean(x.is_accurate for x in kinds[kind].values()) for kind in ("tied", "ref")]
    preferred = [fmean(pair[i] > pair[0] for pair in pairs) for i in (1, 2)]
    excess = [math.tanh(lower / among - 1) for among, _, lower in pairs if among > 0]
    terms = [*accuracies, *preferred, fmean(excess) if excess else 0.0]
    return sum(weight * term for weight, term in zip((0.3, 0.3, 0.2, 0.2, 0.01), terms, strict=True))
