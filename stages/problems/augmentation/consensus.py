"""Answers of problems that no program solves: a solver's, where its sampled solutions agree.

Self-consistency (Wang et al. 2023, arXiv 2203.11171): several solutions are sampled, and the answer that most of them
give is taken if enough give it. That is evidence and no proof: a solver that always errs in the same way agrees with
itself. So a solution must also calculate what it says (`equations.explain_unsound`), and the methods ask the solver
problems whose answers are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from stages.lib.chat.base import Chat, NoAnswerError
from stages.lib.core.expressions import format_decimal
from stages.lib.core.records import AnswerType, Problem, Step
from stages.lib.grading import answers, replies
from stages.problems.augmentation import elimination, equations, similarity

ANSWER_MARK = "####"
MAX_TEXT_WORDS = 20  # of an answer in words; a longer one is an essay, whose equality says nothing
PROMPT = (
    "Solve the following problem step by step. Write one step a line, and show every calculation as an equation. "
    f"The last line is `{ANSWER_MARK} ` and the answer alone: a number without its unit if it is a number. Put the whole "
    "solution, the last line included, between <<< and >>>.\n\nProblem:\n{question}"
)


class Consensus(NamedTuple):
    """The answer on which solutions agree, one of them, and the share that agree of all that were sampled."""

    answer: str
    answer_type: AnswerType
    steps: list[Step]
    share: float


def solve(solver: Chat, questions: Sequence[str], samples: int, threshold: float, seed: int) -> list[Consensus | str]:
    """For each question the consensus of `samples` solutions, or the reason why there is none.

    threshold: the least share that must agree. A solution that was cut off, refuses, or calculates wrongly agrees
    with none.
    """
    requests = [
        (PROMPT.format(question=question), f"solution {seed} {i}") for question in questions for i in range(samples)
    ]
    solutions = [None if isinstance(reply, NoAnswerError) else reply for reply in solver.ask_many(requests)]
    return [
        find_consensus(question, solutions[i * samples : (i + 1) * samples], threshold)
        for i, question in enumerate(questions)
    ]


def find_consensus(question: str, solutions: Sequence[str | None], threshold: float) -> Consensus | str:
    """As `solve`, for one question. solutions: the replies of the solver; None: no reply."""
    contents = [replies.extract_delimited(reply) if reply else None for reply in solutions]
    read = [_read_answer(content) for content in contents if content]
    finished = [entry for entry in read if entry]
    if not finished:
        raw = next((reply for reply in solutions if reply), "")
        return elimination.explain_empty_response(raw) or "no solution gives an answer to its end"
    numbers = sum(answers.parse_number(answer) is not None for _, answer in finished)
    answer_type: AnswerType = "number" if numbers > len(finished) / 2 else "text"
    groups = answers.group([answer for _, answer in finished], answer_type)
    ranked = Counter(group for group in groups if group >= 0).most_common()
    if not ranked or ranked[0][1] / len(solutions) < threshold or (len(ranked) > 1 and ranked[1][1] == ranked[0][1]):
        return "sampled answers disagree"
    members = [entry for entry, group in zip(finished, groups, strict=True) if group == ranked[0][0]]
    value = answers.parse_number(members[0][1]) if answer_type == "number" else None
    reasons = [equations.explain_unsound(question, solution, value) for solution, _ in members]
    sound = [entry for entry, reason in zip(members, reasons, strict=True) if reason is None]
    if len(sound) / len(solutions) < threshold:
        return next((reason for reason in reasons if reason), "sampled answers disagree")
    answer = _format(sound[0][1], value)
    return Consensus(answer, answer_type, make_steps(sound[0][0], answer), len(sound) / len(solutions))


def count_solved(solver: Chat, problems: Sequence[Problem], samples: int, threshold: float, seed: int) -> list[bool]:
    """For each problem whose answer is known, whether the solver's consensus is that answer."""
    found = solve(solver, [problem.format_prompt() for problem in problems], samples, threshold, seed)
    return [
        isinstance(consensus, Consensus) and answers.equal(problem.answer, consensus.answer, problem.answer_type)
        for problem, consensus in zip(problems, found, strict=True)
    ]


def make_steps(solution: str, answer: str) -> list[Step]:
    """The lines of a solution with the answer in the last one. Their values are unknown, but for the answer."""
    lines = [line.strip() for line in solution.splitlines() if line.strip()]
    steps = [Step(text=line) for line in lines if not line.startswith(ANSWER_MARK)]
    return [*steps, Step(text=f"{ANSWER_MARK} {answer}", value=answer)]


def _read_answer(solution: str) -> tuple[str, str] | None:
    """(solution, its answer), None where its last line does not mark one or the answer is no answer."""
    *_, last = [line.strip() for line in solution.splitlines() if line.strip()]
    answer = last.removeprefix(ANSWER_MARK).strip()
    if not last.startswith(ANSWER_MARK) or answers.extract(last, "text") in (None, answers.NO_ANSWER):
        return None
    is_readable = similarity.split_words(answer) and len(answer.split()) <= MAX_TEXT_WORDS
    return (solution, answer) if is_readable else None


def _format(answer: str, value: Fraction | None) -> str:
    """A number without currency, unit and commas; a fraction stays one."""
    if value is None:
        return answer
    try:
        return format_decimal(value)
    except ValueError:
        return f"{value.numerator}/{value.denominator}"
