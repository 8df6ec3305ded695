"""Pools: for every problem, N solutions as arrays of answer class, correctness and scores.

A pool comes from this pipeline's records or from a JSONL file that another project made:
    {"problem_id": "p1", "gold": "12", "answer_type": "number",
     "samples": [{"answer": "12", "correct": true, "scores": {"orm": 0.9}}, {"text": "... #### 13"}]}
`answer_type` (default: latex, which also reads numbers) and `correct` (default: graded against gold; programs need it) are
optional; a sample has `answer` (null: none was found) or `text`, from which the answer is extracted.

Answers are classed by mathematical equivalence, programs by what they do (`behaviour`; those of a JSONL file by text),
never by gold and never by raw string. An unfinished or unparsed solution has no answer: class -1, wrong, below every
other under every score.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from stages.lib.errors import UserError
from stages.lib.records import AnswerType, Problem, Sample, Score, by_problem, jsonl_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

LIKELIHOODS = ("likelihood_sum", "likelihood_mean", "likelihood_min")


class Pool(NamedTuple):
    """One problem's solutions; all arrays (N,). Scores are higher-is-better and may be of any scale."""

    problem_id: str
    classes: np.ndarray
    correct: np.ndarray
    scores: Mapping[str, np.ndarray]


def pool(
    problem_id: str, classes: Sequence[int], correct: Sequence[bool], scores: Mapping[str, Sequence[float]]
) -> Pool:
    """A pool from the class of every answer; -1 stands for a solution without one."""
    import numpy as np

    right = np.array(correct, float) * (np.array(classes, int) >= 0)
    return Pool(
        problem_id, np.array(classes, int), right, {name: np.array(values, float) for name, values in scores.items()}
    )


def from_records(problems: Sequence[Problem], samples: Sequence[Sample], scores: Sequence[Score]) -> list[Pool]:
    """One pool per problem, in the problems' order, with every verifier's score and the generator's own likelihood.

    Raises UserError when a problem has no sample, or a verifier scored only some of the samples.
    """
    from stages.lib import answers, behaviour

    given = {(score.verifier, score.problem_id, score.index): score.score for score in scores}
    verifiers = sorted({score.verifier for score in scores})
    drawn = by_problem(sorted(samples, key=lambda sample: (sample.problem_id, sample.index)))
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
    of_programs = behaviour.group_ahead(each for each in answered if each[0].answer_type == "code")
    classes = (
        next(of_programs) if problem.answer_type == "code" else answers.group(given, problem.answer_type)
        for problem, given in answered
    )
    return [pool(problem.id, *each) for problem, *each in zip(problems, classes, correct, columns, strict=True)]


def read(path: Path) -> list[Pool]:
    """Pools of a JSONL file. Raises UserError `file:line: reason` for a row that does not fit, an id met twice, a
    file without rows, and scores that not every sample has."""
    pools: list[Pool] = []
    lines: dict[str, int] = {}
    for number, row in jsonl_rows(path):
        where = f"{path}:{number}"
        each = _row(row, where)
        if each.problem_id in lines:
            raise UserError(f"{where}: problem_id {each.problem_id!r} stands already in line {lines[each.problem_id]}")
        if pools and set(each.scores) != set(pools[0].scores):
            raise UserError(
                f"{where}: scores {sorted(each.scores)}, but line 1 has {sorted(pools[0].scores)}; "
                "every sample of the file needs the same scores"
            )
        lines[each.problem_id] = number
        pools.append(each)
    if not pools:
        raise UserError(f"{path}: no rows; each line is one problem with its samples")
    return pools


def _row(row: dict[str, Any], where: str) -> Pool:
    from stages.lib import answers, behaviour

    unknown = set(row) - {"problem_id", "gold", "answer_type", "samples"}
    if unknown:
        raise UserError(f"{where}: unknown key {min(unknown)!r}; allowed: problem_id, gold, answer_type, samples")
    for name, kind in (("problem_id", str), ("gold", str), ("samples", list)):
        if not isinstance(row.get(name), kind) or not row[name]:
            raise UserError(f"{where}: {name} must be a non-empty {'list' if kind is list else 'string'}")
    answer_type = row.get("answer_type", "latex")
    if answer_type not in get_args(AnswerType):
        raise UserError(f"{where}: answer_type {answer_type!r}; allowed: {', '.join(get_args(AnswerType))}")
    given, correct, names = [], [], None
    columns: dict[str, list[float]] = {}
    for index, sample in enumerate(row["samples"]):
        at = f"{where}: sample {index}"
        answer, right, scores = _sample(sample, row["gold"], answer_type, at)
        if names is not None and set(scores) != names:
            raise UserError(f"{at}: scores {sorted(scores)}, but sample 0 has {sorted(names)}; all need the same")
        names = set(scores)
        given.append(answer)
        correct.append(right)
        for name, value in scores.items():
            columns.setdefault(name, []).append(value)
    classes = behaviour.group_by_text(given) if answer_type == "code" else answers.group(given, answer_type)
    return pool(row["problem_id"], classes, correct, columns)


def _sample(sample: Any, gold: str, answer_type: str, at: str) -> tuple[str | None, bool, dict[str, float]]:
    from math import isfinite

    from stages.lib import answers

    if not isinstance(sample, dict) or not ({"answer", "text"} & set(sample)):
        raise UserError(f"{at}: must be an object with `answer` or `text`")
    for name, allowed in (("answer", (str, type(None))), ("text", str), ("correct", bool), ("scores", dict)):
        if name in sample and not isinstance(sample[name], allowed):
            raise UserError(f"{at}: {name} is {sample[name]!r:.60}; see the row format in `--help`")
    scores = sample.get("scores", {})
    for name, value in scores.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise UserError(f"{at}: score {name} must be a finite number, got {value!r:.60}")
    answer = sample["answer"] if "answer" in sample else answers.extract(sample["text"], answer_type)
    answer = answer if answer and answer.strip() else None
    right = sample.get("correct")
    if right is None and answer_type == "code":
        raise UserError(
            f"{at}: correct is missing; programs are not run here, so say of each whether it passed its tests"
        )
    if right is None:
        right = answer is not None and answers.equal(gold, answer, answer_type)
    return answer, right, scores
