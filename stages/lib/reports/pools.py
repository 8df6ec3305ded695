"""Pools: for every problem, N solutions as arrays of answer class, correctness and scores.

A pool comes from this pipeline's records or from a JSONL file that another project made:
    {"problem_id": "p1", "gold": "12", "answer_type": "number", "scales": {"orm": "probability"},
     "samples": [{"answer": "12", "correct": true, "scores": {"orm": 0.9}}, {"text": "... #### 13", "scores": ...}]}
`answer_type` (default: latex, which also reads numbers) and `correct` (default: graded against gold; programs need it) are
optional; a sample has `answer` (null: none was found) or `text`, from which the answer is extracted, past any thinking.
`scales` says what each score's numbers are, because their range does not: logits may all be negative.

Answers are classed by mathematical equivalence, programs by what they do (`program_behaviour`; those of a JSONL file by text),
never by gold and never by raw string. An unfinished or unparsed solution has no answer: class -1, wrong, below every
other under every score.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from stages.lib.core.errors import UserError
from stages.lib.core.records import AnswerType, Problem, Sample, Score, group_by_problem, iter_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np

LIKELIHOOD_SCORES = ("likelihood_sum", "likelihood_mean", "likelihood_min")
UNTRAINED_VERIFIERS = ("base_prm", "base_genrm")  # the base model itself, asked as a verifier that was never trained
TRAINING_FREE = (
    *LIKELIHOOD_SCORES,
    *UNTRAINED_VERIFIERS,
)  # scores that need no training: what a trained verifier has to beat
ScoreKind = Literal["probability", "log-probability", "logit"]
SCORE_KINDS = ", ".join(get_args(ScoreKind))
MAX_FLOAT = sys.float_info.max  # JSON also has whole numbers beyond it
ROUNDING_TOLERANCE = 1e-6  # a softmax in float32 may say 1.0000001


class Pool(NamedTuple):
    """One problem's solutions; all arrays (N,). Scores are higher-is-better; those that `scales` does not name are
    probabilities."""

    problem_id: str
    answer_ids: np.ndarray
    correct: np.ndarray
    scores: Mapping[str, np.ndarray]
    score_kinds: Mapping[str, ScoreKind] = MappingProxyType({})


def sort_score_names(names: Iterable[str]) -> list[str]:
    """Free scores first, as `TRAINING_FREE` has them, then the others by name."""
    return sorted(
        names, key=lambda name: (TRAINING_FREE.index(name) if name in TRAINING_FREE else len(TRAINING_FREE), name)
    )


def make_pool(
    problem_id: str,
    classes: Sequence[int],
    correct: Sequence[bool],
    scores: Mapping[str, Sequence[float]],
    scales: Mapping[str, ScoreKind],
) -> Pool:
    """A pool from the class of every answer; -1 stands for a solution without one."""
    import numpy as np

    right = np.array(correct, float) * (np.array(classes, int) >= 0)
    numbers = {name: np.array(values, float) for name, values in scores.items()}
    return Pool(problem_id, np.array(classes, int), right, numbers, scales)


def from_records(problems: Sequence[Problem], samples: Sequence[Sample], scores: Sequence[Score]) -> list[Pool]:
    """One pool per problem, in the problems' order, with every verifier's score and the generator's own likelihood.

    Raises UserError when a problem has no sample, or a verifier scored only some of the samples.
    """
    from stages.lib.grading import answers, program_behaviour

    given = {(score.verifier, score.problem_id, score.index): score.score for score in scores}
    verifiers = sorted({score.verifier for score in scores})
    drawn = group_by_problem(sorted(samples, key=lambda sample: (sample.problem_id, sample.index)))
    answered, correct, columns = [], [], []
    for problem in problems:
        mine = drawn.get(problem.id)
        if not mine:
            raise UserError(f"samples: none for problem {problem.id}; run `dvc repro samples` again")
        numbers: dict[str, list[float]] = {
            "likelihood_sum": [sample.logprob for sample in mine],
            "likelihood_mean": [sample.logprob / max(sample.tokens, 1) for sample in mine],
            "likelihood_min": [sample.min_logprob for sample in mine],
        }
        for verifier in verifiers:
            try:
                numbers[verifier] = [given[verifier, problem.id, sample.index] for sample in mine]
            except KeyError as missing:
                _, _, index = missing.args[0]
                raise UserError(
                    f"scores: {verifier} has no score for problem {problem.id} sample {index}; "
                    "run `dvc repro scores` again"
                ) from None
        answered.append((problem, [sample.answer if sample.finish == "stop" else None for sample in mine]))
        correct.append([bool(sample.correct) for sample in mine])
        columns.append(numbers)
    of_programs = program_behaviour.group_ahead(each for each in answered if each[0].answer_type == "code")
    classes = (
        next(of_programs) if problem.answer_type == "code" else answers.group(given, problem.answer_type)
        for problem, given in answered
    )
    scales: dict[str, ScoreKind] = dict.fromkeys(LIKELIHOOD_SCORES, "log-probability") | dict.fromkeys(
        verifiers, "probability"
    )
    return [
        make_pool(problem.id, *each, scales) for problem, *each in zip(problems, classes, correct, columns, strict=True)
    ]


def read(path: Path, scales: Mapping[str, ScoreKind] = MappingProxyType({})) -> list[Pool]:
    """Pools of a JSONL file, sorted by problem. scales: of scores whose rows do not say it.

    Raises UserError `file:line: reason` for a row that does not fit, an id met twice, a file without rows, scores that not
    every sample has, a score without a scale, and one that contradicts its scale.
    """
    pools: list[Pool] = []
    lines: dict[str, int] = {}
    stated: dict[str, tuple[ScoreKind, str]] = {name: (kind, "--scale") for name, kind in scales.items()}
    for number, row in iter_jsonl(path):
        where = f"{path}:{number}"
        each = _parse_row(row, where)
        if each.problem_id in lines:
            raise UserError(f"{where}: problem_id {each.problem_id!r} stands already in line {lines[each.problem_id]}")
        if pools and set(each.scores) != set(pools[0].scores):
            raise UserError(
                f"{where}: scores {sorted(each.scores)}, but line 1 has {sorted(pools[0].scores)}; "
                "every sample of the file needs the same scores"
            )
        for name, kind in each.score_kinds.items():
            known, source = stated.setdefault(name, (kind, f"line {number}"))
            if known != kind:
                raise UserError(f"{where}: the scale of {name!r} is {kind}, but {source} says {known}")
        lines[each.problem_id] = number
        pools.append(each)
    if not pools:
        raise UserError(f"{path}: no rows; each line is one problem with its samples")
    names = sorted(pools[0].scores)
    for name, (_, source) in stated.items():
        if name not in names:
            raise UserError(f"{path}: {source} gives {name!r} a scale, but the samples have {names or 'no scores'}")
    if missing := [name for name in names if name not in stated]:
        raise UserError(
            f"{path}: nothing says what the numbers of score {missing[0]!r} are ({SCORE_KINDS}); give each row "
            f'"scales": {{{", ".join(f"{json.dumps(name)}: ..." for name in missing)}}}, or the option '
            f"{' '.join(f'--scale {shlex.quote(name)}=...' for name in missing)}"
        )
    kinds = {name: kind for name, (kind, _) in stated.items()}
    for each in pools:
        _check_values(each, kinds, f"{path}:{lines[each.problem_id]}")
    return [each._replace(score_kinds=kinds) for each in sorted(pools, key=lambda each: each.problem_id)]


def _check_values(each: Pool, kinds: Mapping[str, str], where: str) -> None:
    """Raise UserError for a number that its scale does not have."""
    for name, values in each.scores.items():
        low = 0.0 if kinds[name] == "probability" else -float("inf")
        high = {"probability": 1.0, "log-probability": 0.0}.get(kinds[name], float("inf"))
        for index, value in enumerate(values):
            if not low <= value <= high + ROUNDING_TOLERANCE:
                limits = "from 0 to 1" if kinds[name] == "probability" else "0 or less"
                raise UserError(
                    f"{where}: sample {index}: score {name!r} is {value:g}, but a {kinds[name]} is {limits}"
                )


def _parse_row(row: dict[str, Any], where: str) -> Pool:
    from stages.lib.grading import answers, program_behaviour

    unknown = set(row) - {"problem_id", "gold", "answer_type", "scales", "samples"}
    if unknown:
        raise UserError(
            f"{where}: unknown key {min(unknown)!r}; allowed: problem_id, gold, answer_type, scales, samples"
        )
    for name, kind in (("problem_id", str), ("gold", str), ("samples", list)):
        if not isinstance(row.get(name), kind) or not row[name]:
            raise UserError(f"{where}: {name} must be a non-empty {'list' if kind is list else 'string'}")
    answer_type = row.get("answer_type", "latex")
    if answer_type not in get_args(AnswerType):
        raise UserError(f"{where}: answer_type {answer_type!r}; allowed: {', '.join(get_args(AnswerType))}")
    scales = row.get("scales", {})
    if not isinstance(scales, dict):
        raise UserError(f"{where}: scales must be an object that maps each score to one of {SCORE_KINDS}")
    for name, kind in scales.items():
        if kind not in get_args(ScoreKind):
            raise UserError(f"{where}: the scale of {name!r} is {kind!r:.60}; allowed: {SCORE_KINDS}")
    given, correct, names = [], [], None
    columns: dict[str, list[float]] = {}
    for index, sample in enumerate(row["samples"]):
        at = f"{where}: sample {index}"
        answer, right, scores = _parse_sample(sample, row["gold"], answer_type, at)
        if names is not None and set(scores) != names:
            raise UserError(f"{at}: scores {sorted(scores)}, but sample 0 has {sorted(names)}; all need the same")
        names = set(scores)
        given.append(answer)
        correct.append(right)
        for name, value in scores.items():
            columns.setdefault(name, []).append(value)
    classes = program_behaviour.group_by_text(given) if answer_type == "code" else answers.group(given, answer_type)
    return make_pool(row["problem_id"], classes, correct, columns, scales)


def _parse_sample(sample: Any, gold: str, answer_type: str, at: str) -> tuple[str | None, bool, dict[str, float]]:
    from stages.lib.grading import answers
    from stages.lib.grading.replies import strip_thinking

    if not isinstance(sample, dict) or not ({"answer", "text"} & set(sample)):
        raise UserError(f"{at}: must be an object with `answer` or `text`")
    forms = {"answer": "a string or null", "text": "a string", "correct": "true or false", "scores": "an object"}
    if unknown := set(sample) - set(forms):
        raise UserError(f"{at}: unknown key {min(unknown)!r}; allowed: {', '.join(forms)}")
    for name, allowed in (("answer", (str, type(None))), ("text", str), ("correct", bool), ("scores", dict)):
        if name in sample and not isinstance(sample[name], allowed):
            raise UserError(f"{at}: {name} is {sample[name]!r:.60}; it must be {forms[name]}")
    scores = sample.get("scores", {})
    for name, value in scores.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_FLOAT:
            raise UserError(f"{at}: score {name!r} must be a finite number, got {value!r:.60}")
        if not name.strip() or not name.isprintable():
            raise UserError(f"{at}: score {name!r}: a name must be one line of printable characters")
    answer = sample["answer"] if "answer" in sample else answers.extract(strip_thinking(sample["text"]), answer_type)
    answer = answer if answer and answer.strip() else None
    right = sample.get("correct")
    if right is None and answer_type == "code":
        raise UserError(
            f"{at}: correct is missing; programs are not run here, so say of each whether it passed its tests"
        )
    if right is None:
        right = answer is not None and answers.equal(gold, answer, answer_type)
    return answer, right, scores
