"""PRMBench's figures of step scores (Song et al. 2025, arXiv 2501.03124, section 4; github.com/ssmisya/PRMBench).

Every step is judged: a score above the threshold says right. F1 of right steps and F1 of wrong steps are taken over all
steps of a kind of error, and PRMScore is their mean; of `multi_solutions`, which has no wrong step, it is F1 of right steps
alone. The score of a group is the mean over its kinds; the overall score is that of all steps of all kinds together
(`evaluate_function` in mr_eval/tasks/prmtest_classified/task.py, `get_prmscore_from_current_res_dict` in
mr_visualize/eval_res_view/draw_tabs/form_latex_strs.ipynb). Where their code writes -1, for 0 / 0, here is 0 if a step was
judged wrongly, else None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

GROUPS = {  # the paper's groups of kinds of error, spelled as in the published file
    "simplicity": ("redundency", "circular"),
    "soundness": ("counterfactual", "step_contradiction", "domain_inconsistency", "confidence"),
    "sensitivity": ("missing_condition", "deception", "multi_solutions"),
}
WITHOUT_ERRORS = "multi_solutions"


class StepCounts(NamedTuple):
    """Numbers of steps: right ones judged right and wrong, wrong ones judged right and wrong."""

    right_as_right: int = 0
    right_as_wrong: int = 0
    wrong_as_right: int = 0
    wrong_as_wrong: int = 0

    @property
    def right_f1(self) -> float | None:
        """F1 of finding the right steps."""
        return _f1(self.right_as_right, self.right_as_wrong + self.wrong_as_right)

    @property
    def wrong_f1(self) -> float | None:
        """F1 of finding the wrong steps."""
        return _f1(self.wrong_as_wrong, self.right_as_wrong + self.wrong_as_right)

    @property
    def prm_score(self) -> float | None:
        right, wrong = self.right_f1, self.wrong_f1
        return None if right is None or wrong is None else (right + wrong) / 2


class PrmBench(NamedTuple):
    """counts: of each kind of error. scores: PRMScore of each kind. groups: of each group of which all kinds are there."""

    counts: dict[str, StepCounts]
    scores: dict[str, float | None]
    groups: dict[str, float | None]
    overall: float | None


def _f1(hits: int, misses: int) -> float | None:
    """hits: true positives. misses: false positives and false negatives."""
    return 2 * hits / (2 * hits + misses) if hits + misses else None


def count_steps(scores: Sequence[float], is_right: Sequence[bool], threshold: float) -> StepCounts:
    """Of one solution."""
    pairs = [(truth, score > threshold) for score, truth in zip(scores, is_right, strict=True)]
    return StepCounts(*(pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))))


def add_counts(counts: Iterable[StepCounts]) -> StepCounts:
    return StepCounts(*(sum(column) for column in zip(*counts, strict=True)))


def measure(solutions: Mapping[str, Sequence[StepCounts]]) -> PrmBench:
    """solutions: kind of error -> the counts of each solution, at least one."""
    counts = {kind: add_counts(rows) for kind, rows in solutions.items()}
    scores = {kind: x.right_f1 if kind == WITHOUT_ERRORS else x.prm_score for kind, x in counts.items()}
    groups: dict[str, float | None] = {}
    for group, kinds in GROUPS.items():
        values = [scores.get(kind) for kind in kinds]
        known = [value for value in values if value is not None]
        groups[group] = sum(known) / len(known) if len(known) == len(kinds) else None
    return PrmBench(counts, scores, groups, add_counts(counts.values()).prm_score)
