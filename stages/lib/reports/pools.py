"""Pools: for every problem, N solutions as arrays of answer class, correctness and scores.

A pool comes from this pipeline's records or from a JSONL file that another project made:
    {"problem_id": "p1", "gold": "12", "answer_type": "number", "scales": {"orm": "probability"},
     "samples": [{"answer": "12", "correct": true, "scores": {"orm": 0.9}}, {"text": "... #### 13", "scores": ...}]}
`answer_type` (default: latex, which also reads numbers) and `correct` (default: graded against gold; programs need it)
are optional. A sample has `answer` (null: none) or `text`, from which the answer is extracted after any thinking.
`question`, and `step_scores` of a sample ({"prm": [0.9, 0.2]}), are optional and only shown.
`scales` is what each score's numbers are; their range does not tell, because logits may all be negative.

Answers are grouped by mathematical equivalence, programs by their behaviour (in a JSONL file by their text), never by
gold and never by raw string. An unfinished or unparsed solution has no answer: it has the answer id -1, is wrong, and
ranks below all others under every score.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from stages.lib.core.errors import UserError
from stages.lib.core.records import AnswerType, Problem, Sample, Score, group_by_problem, iter_jsonl
from stages.lib.display.tables import ORACLE_SCORES
from stages.lib.grading import answers, program_behaviour
from stages.lib.grading.replies import strip_thinking

LIKELIHOOD_SCORES = ("likelihood_sum", "likelihood_mean", "likelihood_min")
UNTRAINED_VERIFIERS = ("base_orm", "base_prm", "base_genrm")  # the base model, used as a verifier without training
TRAINING_FREE = (*LIKELIHOOD_SCORES, *UNTRAINED_VERIFIERS)  # what a trained verifier has to beat
FREE_ENSEMBLE, ENSEMBLE = "ensemble_free", "ensemble"  # of free scores, of trained verifiers (lib/reports/ensembles.py)
ENSEMBLES = (FREE_ENSEMBLE, ENSEMBLE)
ScoreKind = Literal["probability", "log-probability", "logit"]
SCORE_KINDS = ", ".join(get_args(ScoreKind))
MAX_FLOAT = sys.float_info.max  # whole numbers in JSON may be larger
SAMPLE_KEYS: dict[str, tuple[Any, str]] = {  # of a sample in a JSONL file: type, and how messages call it
    "answer": ((str, type(None)), "a string or null"),
    "text": (str, "a string"),
    "correct": (bool, "true or false"),
    "scores": (dict, "an object"),
    "step_scores": (dict, "an object of lists of numbers"),
}
ROUNDING_TOLERANCE = 1e-6  # a softmax in float32 may give 1.0000001


class Pool(NamedTuple):
    """One problem's solutions; all arrays (N,).

    answer_ids: equal for equal answers, -1 without one; correct: 0 or 1; scores: by name, higher is better; score_kinds:
    what they are, by default probabilities."""

    problem_id: str
    answer_ids: np.ndarray
    correct: np.ndarray
    scores: Mapping[str, np.ndarray]
    score_kinds: Mapping[str, ScoreKind] = MappingProxyType({})

    @property
    def size(self) -> int:
        return len(self.answer_ids)


def sort_score_names(names: Iterable[str]) -> list[str]:
    """Scores that need no training first, in the order of `TRAINING_FREE`, then the others by name, ensembles and oracles
    last."""
    first, last = (*TRAINING_FREE, ""), ("", *ENSEMBLES, *ORACLE_SCORES)
    return sorted(names, key=lambda x: (first.index(x if x in first else ""), last.index(x if x in last else ""), x))


def make_pool(
    problem_id: str,
    answer_ids: Sequence[int],
    correct: Sequence[bool],
    scores: Mapping[str, Sequence[float]],
    score_kinds: Mapping[str, ScoreKind],
) -> Pool:
    """A pool from the id of every answer; -1: a solution without an answer, which is wrong."""
    ids = np.array(answer_ids, int)
    arrays = {name: np.array(values, float) for name, values in scores.items()}
    return Pool(problem_id, ids, np.array(correct, float) * (ids >= 0), arrays, score_kinds)


def split_by_size(pools: Sequence[Pool], solutions: int) -> Iterator[list[int]]:
    """Places of pools of equal size, as many at a time as have this many solutions together, or one."""
    sizes = [pool.size for pool in pools]
    for size in set(sizes):
        equal, step = [i for i, other in enumerate(sizes) if other == size], max(1, solutions // size)
        for first in range(0, len(equal), step):
            yield equal[first : first + step]


def from_records(problems: Sequence[Problem], samples: Sequence[Sample], scores: Sequence[Score]) -> list[Pool]:
    """One pool per problem, in the problems' order, with every verifier's score and the generator's own likelihood.

    Raises UserError when a problem has no sample, or a verifier scored only some of the samples.
    """
    score_of = {(score.verifier, score.problem_id, score.index): score.score for score in scores}
    verifiers = sorted({score.verifier for score in scores})
    pools = group_by_problem(sorted(samples, key=lambda sample: (sample.problem_id, sample.index)))
    for problem in problems:
        if problem.id not in pools:
            raise UserError(f"samples: none for problem {problem.id}; run `dvc repro samples` again")
        for verifier in verifiers:
            for sample in pools[problem.id]:
                if (verifier, problem.id, sample.index) not in score_of:
                    raise UserError(
                        f"scores: {verifier} has no score for problem {problem.id} sample {sample.index}; "
                        "run `dvc repro scores` again"
                    )
    finished = {
        problem.id: [sample.answer if sample.finish == "stop" else None for sample in pools[problem.id]]
        for problem in problems
    }
    programs = ((problem, finished[problem.id]) for problem in problems if problem.answer_type == "code")
    program_ids = program_behaviour.group_ahead(programs)
    kinds: dict[str, ScoreKind] = {
        **dict.fromkeys(LIKELIHOOD_SCORES, "log-probability"),
        **dict.fromkeys(verifiers, "probability"),
    }
    result = []
    for problem in problems:
        is_code, pool = problem.answer_type == "code", pools[problem.id]
        ids = next(program_ids) if is_code else answers.group(finished[problem.id], problem.answer_type)
        values = {
            "likelihood_sum": [sample.logprob for sample in pool],
            "likelihood_mean": [sample.logprob / max(sample.tokens, 1) for sample in pool],
            "likelihood_min": [sample.min_logprob for sample in pool],
            **{name: [score_of[name, problem.id, sample.index] for sample in pool] for name in verifiers},
        }
        result.append(make_pool(problem.id, ids, [bool(sample.correct) for sample in pool], values, kinds))
    return result


def read(path: Path, scales: Mapping[str, ScoreKind] = MappingProxyType({})) -> list[Pool]:
    """Pools of a JSONL file, sorted by problem. scales: of scores whose rows do not state it.

    Raises UserError `file:line: reason` for a row of another form, an id met twice, a file without rows, scores that not
    every sample has, a score without a scale, and one that contradicts its scale.
    """
    pools: list[Pool] = []
    lines: dict[str, int] = {}
    stated: dict[str, tuple[ScoreKind, str]] = {name: (kind, "--scale") for name, kind in scales.items()}
    for number, row in iter_jsonl(path):
        where = f"{path}:{number}"
        pool = _parse_row(row, where)
        if pool.problem_id in lines:
            raise UserError(f"{where}: problem_id {pool.problem_id!r} is already used in line {lines[pool.problem_id]}")
        if pools and set(pool.scores) != set(pools[0].scores):
            raise UserError(
                f"{where}: scores {sorted(pool.scores)}, but line 1 has {sorted(pools[0].scores)}; "
                "every sample of the file needs the same scores"
            )
        for name, kind in pool.score_kinds.items():
            first_kind, source = stated.setdefault(name, (kind, f"line {number}"))
            if first_kind != kind:
                raise UserError(f"{where}: the scale of {name!r} is {kind}, but {source} says {first_kind}")
        lines[pool.problem_id] = number
        pools.append(pool)
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
    for pool in pools:
        _check_values(pool, kinds, f"{path}:{lines[pool.problem_id]}")
    return [pool._replace(score_kinds=kinds) for pool in sorted(pools, key=lambda pool: pool.problem_id)]


def _check_values(pool: Pool, kinds: Mapping[str, str], where: str) -> None:
    """Raise UserError for a number that is outside the range of its scale."""
    for name, values in pool.scores.items():
        low = 0.0 if kinds[name] == "probability" else -float("inf")
        high = {"probability": 1.0, "log-probability": 0.0}.get(kinds[name], float("inf"))
        outside = np.flatnonzero((values < low) | (values > high + ROUNDING_TOLERANCE))
        if len(outside):
            index, limits = int(outside[0]), "from 0 to 1" if kinds[name] == "probability" else "0 or less"
            raise UserError(
                f"{where}: sample {index}: score {name!r} is {values[index]:g}, but a {kinds[name]} is {limits}"
            )


def _parse_row(row: dict[str, Any], where: str) -> Pool:
    allowed = ("problem_id", "question", "gold", "answer_type", "scales", "samples")
    if unknown := set(row) - set(allowed):
        raise UserError(f"{where}: unknown key {min(unknown)!r}; allowed: {', '.join(allowed)}")
    if not isinstance(row.get("question", ""), str):
        raise UserError(f"{where}: question is {row['question']!r:.60}; it must be a string")
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
    texts: list[str | None] = []
    correct: list[bool] = []
    columns: dict[str, list[float]] = {}
    grade = cache(lambda answer: answers.equal(row["gold"], answer, answer_type))  # many samples have the same answer
    for index, sample in enumerate(row["samples"]):
        at = f"{where}: sample {index}"
        answer, is_correct, scores = _parse_sample(sample, grade, answer_type, at)
        if index and set(scores) != set(columns):
            raise UserError(f"{at}: scores {sorted(scores)}, but sample 0 has {sorted(columns)}; all need the same")
        texts.append(answer)
        correct.append(is_correct)
        for name, value in scores.items():
            columns.setdefault(name, []).append(value)
    ids = program_behaviour.group_by_text(texts) if answer_type == "code" else answers.group(texts, answer_type)
    return make_pool(row["problem_id"], ids, correct, columns, scales)


def _parse_sample(
    sample: Any, grade: Callable[[str], bool], answer_type: str, at: str
) -> tuple[str | None, bool, dict[str, float]]:
    if not isinstance(sample, dict) or not ("answer" in sample or "text" in sample):
        raise UserError(f"{at}: must be an object with `answer` or `text`")
    for name, value in sample.items():
        if name not in SAMPLE_KEYS:
            raise UserError(f"{at}: unknown key {name!r}; allowed: {', '.join(SAMPLE_KEYS)}")
        allowed, form = SAMPLE_KEYS[name]
        if not isinstance(value, allowed):
            raise UserError(f"{at}: {name} is {value!r:.60}; it must be {form}")
    scores = sample.get("scores", {})
    for name, values in sample.get("step_scores", {}).items():
        if name not in scores or not isinstance(values, list) or not all(map(_is_finite, values)):
            raise UserError(f"{at}: step_scores {name!r} must be a list of finite numbers, of a score of the sample")
    for name, value in scores.items():
        if not _is_finite(value):
            raise UserError(f"{at}: score {name!r} must be a finite number, got {value!r:.60}")
        if not name.strip() or not name.isprintable():
            raise UserError(f"{at}: score {name!r}: a name must be one line of printable characters")
    answer = get_answer(sample, answer_type)
    is_correct = sample.get("correct")
    if is_correct is None and answer_type == "code":
        raise UserError(
            f"{at}: correct is missing; programs are not run here, so say of each whether it passed its tests"
        )
    if is_correct is None:
        is_correct = answer is not None and grade(answer)
    return answer, is_correct, scores


def get_answer(sample: Mapping[str, Any], answer_type: str) -> str | None:
    """The answer of a sample of such a file, None without one."""
    answer = sample["answer"] if "answer" in sample else answers.extract(strip_thinking(sample["text"]), answer_type)
    return answer if answer and answer.strip() else None


def _is_finite(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= MAX_FLOAT
