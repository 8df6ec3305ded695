"""Teachers of the generative verifier: who writes the rationales that it learns to write.

procedural  each line of a solution marked by the problem's program, up to the first that is wrong; costs nothing, never
            errs. Two forms: `derived`, each line derived again and then marked, as in the pretraining documents
            `verified` (stages/generators/base/pretraining.py); and `quoted`, each line said again and marked, what
            the wrong one should have been after its mark. A `derived` check is as good as its writer solves; a
            `quoted` one has to tell right from wrong, which is easier, and its draws differ in the marks alone, so
that all share rows. model       a language model that is shown the reference solution (reference-guided, Zhang et al.
            2024, arXiv 2408.15240, section 3.2: without it rationales are right about half of the time).

A rationale is kept only when its verdict agrees with the grade. A model's must besides not speak of the reference, which
the verifier will never see: 71 % of the published `Yes` and 93 % of the `No` targets do ("Expected Answer ..."), and so
teach the verifier to make one up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal, NamedTuple

from stages.lib.labels import truth
from stages.lib.models.encoding import split_steps, strip_annotations
from stages.lib.verifiers import verdicts
from stages.lib.verifiers.verdicts import DERIVED_VERDICT_WEIGHT, DIRECT_VERDICT_WEIGHT, VERDICT_QUESTION, Segment

if TYPE_CHECKING:
    from stages.lib.chat import Chat, Progress
    from stages.lib.core.records import Problem, Sample

RationaleStyle = Literal["rederived", "annotated"]
_SUBJECT_PATTERN = re.compile(r"(?:We know|Then) (.{1,60}?) has ")


class Rationale(NamedTuple):
    """segments: the rationale, from after `step by step.` to its verdict; refused: why there is none."""

    segments: list[Segment] | None
    reject_reason: str | None = None


# Procedural problems.


def write_procedural(problem: Problem, sample: Sample, style: RationaleStyle, refutation_weight: int = 1) -> Rationale:
    """The procedural teacher. emphasis: weight of the words of a derivation that differ from the line it refutes; there
    the verifier must not copy."""
    right = truth.label_steps(problem, sample.text)
    if right is None:
        return Rationale(None, "no program that tells")
    gold = [strip_annotations(step.text) for step in problem.steps]
    segments: list[Segment] = []
    said: set[str] = set()
    for line, so in zip(split_steps(sample.text), right, strict=True):
        mine = line if so else _find_gold_line(gold, said, line)
        said.add(mine)
        if style == "rederived":
            segments += [
                *_weight_refutation(mine, line, refutation_weight),
                *verdicts.mark_step(so, DERIVED_VERDICT_WEIGHT, space=" "),
            ]
        else:
            segments += [(line, 1), *verdicts.mark_step(so, DIRECT_VERDICT_WEIGHT, space=" ")]
            segments += [] if so else [*_weight_refutation(mine, line, refutation_weight), ("\n", 1)]
        if not so:
            break
    finished = sample.finish == "stop" and bool(right) and split_steps(sample.text)[-1].startswith("####")
    verdict = finished and all(right)
    if verdict != sample.is_right:
        return Rationale(None, "verdict differs from the grade")
    return Rationale([*segments, *_build_verdict(verdict)])


def _find_gold_line(gold: Sequence[str], said: set[str], line: str) -> str:
    """The gold line to hold against a wrong one: that on the same quantity, else the first that is still to be said."""
    subject = _SUBJECT_PATTERN.match(line)
    same = [g for g in gold if subject and (found := _SUBJECT_PATTERN.match(g)) and found[1] == subject[1]]
    return next((g for g in [*same, *gold] if g not in said and g != line), gold[-1])


def _weight_refutation(mine: str, theirs: str, weight: int) -> list[Segment]:
    """`mine` in pieces, word by word: 1, or `weight` where it differs from `theirs`. A piece begins with its space."""
    if mine == theirs or weight == 1:
        return [(mine, 1)]
    a, b = re.findall(r"\s*\S+", theirs), re.findall(r"\s*\S+", mine)
    pieces = []
    for kind, _, _, first, last in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if last > first:
            pieces.append(("".join(b[first:last]), 1 if kind == "equal" else weight))
    return pieces


def _build_verdict(verdict: bool) -> list[Segment]:
    return [(VERDICT_QUESTION, 1), (verdicts.format_verdict(verdict), DERIVED_VERDICT_WEIGHT)]


# A model.


def build_prompt(problem: Problem, sample: Sample) -> str:
    """The reference-guided prompt."""
    reference = format_reference(problem)
    return (
        "Check a student's solution to the problem below, one step after the other.\n"
        "A reference is given to you alone, so that you find the first wrong step with certainty. Whoever reads your "
        "check has never seen it: derive everything from the problem, and never say or hint that you were given an "
        "answer, a key or another solution.\n"
        "For every step work it out again and say whether it is right; stop at the first that is wrong. End with one "
        f"line, exactly `{VERDICT_QUESTION} Yes` or `{VERDICT_QUESTION} No`.\n\n"
        f"Problem:\n{problem.format_prompt()}\n\nReference:\n{reference}\n\nStudent's solution:\n{sample.text.strip()}\n"
    )


def format_reference(problem: Problem) -> str:
    """The gold solution, or the answer alone where there is none; the last line is `#### answer`."""
    lines = [strip_annotations(step.text) for step in problem.steps or ()]
    if not lines or not lines[-1].startswith("####"):
        lines.append(f"#### {problem.answer}")
    return "\n".join(lines)


def parse_rationale(problem: Problem, sample: Sample, text: str) -> Rationale:
    """What a model wrote, as a rationale: a verdict that agrees with the grade, something before it, no leak."""
    found = list(re.finditer(re.escape(VERDICT_QUESTION) + r"\W{0,4}(yes|no)\b", text, re.IGNORECASE))
    if not found:
        return Rationale(None, "no verdict")
    last = found[-1]  # an earlier one may quote the instruction
    body, verdict = text[: last.start()].rstrip(" \n*`"), last[1].lower() == "yes"
    if text[last.end() :].strip(" \n.*`") or not body.strip():
        return Rationale(None, "not a check that ends with its verdict")
    if verdict != sample.is_right:
        return Rationale(None, "verdict differs from the grade")
    if leak := find_leak(body, format_reference(problem)):
        return Rationale(None, f"leak: {leak}")
    return Rationale([(body.strip() + "\n", 1), *_build_verdict(verdict)])


def request_rationales(
    chat: Chat, seed: int, pairs: Sequence[tuple[Problem, Sample]], count: int, progress: Progress | None = None
) -> list[list[Rationale]]:
    """`count` rationales of the model for each sample, all asked at once. Raises UserError when it cannot be asked."""
    asks = [
        (build_prompt(problem, sample), f"genrm {seed} {problem.id} {sample.index} {k}")
        for problem, sample in pairs
        for k in range(count)
    ]
    answers = chat.ask_many(asks, progress)
    found = [
        parse_rationale(*pairs[i // count], answer) if isinstance(answer, str) else Rationale(None, "no answer")
        for i, answer in enumerate(answers)
    ]
    return [found[i : i + count] for i in range(0, len(found), count)]


# What a rationale must not say.

_GIVEN_WORDS = r"(?:given|provided|supplied|stated|listed|known|supposed|attached|official)"
_WORK_WORDS = r"(?:answers?|solutions?|results?|values?|outputs?|outcomes?|responses?|keys?|explanations?|derivations?)"
_LEAK_PATTERNS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\bexpected\s+(?:final\s+)?(?:answers?|solutions?|results?|outputs?|responses?)\b",  # "expected value" is a term
        rf"\b(?:reference|gold(?:en)?|ground[- ]?truth|official|target|model|sample|teacher'?s?|textbook|"
        rf"instructor'?s?|published|standard)(?:\s+(?:final|correct|numerical|math))?\s+{_WORK_WORDS}\b",
        r"\b(?:the|this|a|your|our)\s+(?:reference|gold standard|ground[- ]?truth|rubric|mark(?:ing)? scheme)\b",
        r"\b(?:answers?|solutions?|marking|grading|scoring)[- ](?:key|sheet|guide|manual|book)s?\b",
        rf"\b(?:correct|right|true|actual|final)\s+{_WORK_WORDS}\s+(?:(?:that\s+)?(?:is|was|were|has been)\s+)?"
        rf"{_GIVEN_WORDS}\b(?!\s+by\s+the\s+student)",
        rf"\b{_GIVEN_WORDS}\s+(?:correct|right|true|actual|final|expected)\s+{_WORK_WORDS}\b",
        rf"\b(?:according|compar(?:ed|ing)|due|relative)\s+(?:to|with)\s+the\s+(?:{_GIVEN_WORDS}\s+|correct\s+|true\s+)"
        rf"{_WORK_WORDS}\b",
        rf"\b(?:i|we)\s+(?:was|were|am|are|have been)\s+(?:given|told|provided|shown)\b.{{0,40}}\b{_WORK_WORDS}\b",
        r"\bas\s+(?:expected|provided|given)\s+in\s+the\s+(?:answer|solution|reference|key)\b",
        r"\b(?:is|was|were|been)\s+expected\s+to\s+be\b",
        rf"\b(?:correct|right|true)\s+{_WORK_WORDS}\s+(?:above|below)\b",
    )
]
_ASSERTION_PATTERN = (
    r"(?:should|must|ought to|supposed to|needs to)\s+(?:be|have been|equal|come out (?:as|to))|"
    r"(?:correct|right|true|actual)\s+(?:final\s+)?(?:answer|result|value|total|amount)\s+(?:is|was|would be|equals)"
)


def find_leak(rationale: str, reference: str) -> str | None:
    """The words by which a rationale gives away that its writer had seen the reference, or None.

    Either it speaks of such a thing (`the expected answer`, `the answer key`), or it asserts the reference's final answer
    (the last line of `reference`, with or without `####`) before any equation of its own has come to it.
    """
    flat = " ".join(rationale.split())
    for pattern in _LEAK_PATTERNS:
        if found := pattern.search(flat):
            return found[0]
    lines = [line for line in reference.splitlines() if line.strip()]
    answer = lines[-1].removeprefix("####").strip() if lines else ""
    if not answer:
        return None
    number = rf"[$\\(]*{re.escape(answer)}(?![\d.,]*\d)"
    claim = re.search(rf"\b(?:{_ASSERTION_PATTERN})\s*:?\s+(?:\w+\s+){{0,2}}?{number}", flat, re.IGNORECASE)
    if claim and not re.search(rf"(?:=|equals|gives|makes|get|is left with)\s*{number}", flat[: claim.start()]):
        return claim[0]
    return None
