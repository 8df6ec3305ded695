"""Teachers of the generative verifier: where the rationales come from that it learns to write.

procedural  uses the problem's program, costs nothing and makes no mistake. It marks each line of a solution, up to the
            first wrong one, in one of two styles. `rederived`: each line is derived again, the conclusion of the
            solution's is quoted, and both are compared, `Same.` or `Differs.`, as in the pretraining documents `verified`
            (stages/generators/base/pretraining.py). `annotated`: each line is repeated and marked, `Right.` or `Wrong.`,
            and a wrong one is followed by the right one. A rederived check is as good as the verifier can solve; an
            annotated one only has to tell right from wrong, and sampled ones differ in their marks alone, so they share
            nearly all of their tokens. The words of the two marks differ since they say different things: a line may be
            true and yet differ from the solution's.
model       a language model that sees the reference solution (reference-guided, Zhang et al. 2024, arXiv 2408.15240,
            section 3.2: without it, about half of the rationales are right).

A rationale is kept only if its verdict agrees with the grade. A model's rationale must also not mention the reference,
which the verifier will never see: 71 % of the published `Yes` targets and 93 % of the `No` targets do ("Expected
Answer ..."), and so teach the verifier to invent one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal, NamedTuple

from stages.lib.core.expressions import strip_annotations
from stages.lib.labels import truth
from stages.lib.models.encoding import split_steps
from stages.lib.verifiers import verdicts
from stages.lib.verifiers.verdicts import DERIVED_VERDICT_WEIGHT, DIRECT_VERDICT_WEIGHT, VERDICT_QUESTION, Segment

if TYPE_CHECKING:
    from stages.lib.chat import Chat, Progress
    from stages.lib.core.records import Problem, Sample

RationaleStyle = Literal["rederived", "annotated"]
_SUBJECT_PATTERN = re.compile(r"(?:We know|Then) (.{1,60}?) has ")


class Rationale(NamedTuple):
    """segments: the text from after `step by step.` to its verdict, or None. reject_reason: why there is none."""

    segments: list[Segment] | None
    reject_reason: str | None = None


# The procedural teacher.


def write_procedural(problem: Problem, sample: Sample, style: RationaleStyle, refutation_weight: int = 1) -> Rationale:
    """refutation_weight: loss weight of the words in which a right line differs from the wrong line that it refutes;
    there the verifier must not copy."""
    labels = truth.label_steps(problem, sample.text)
    if labels is None:
        return Rationale(None, "no program that tells")
    gold = [strip_annotations(step.text) for step in problem.steps or ()]
    segments: list[Segment] = []
    written: set[str] = set()
    steps = [strip_annotations(line) for line in split_steps(sample.text)]  # no calculator helps to write a rationale
    for line, is_right in zip(steps, labels, strict=True):
        gold_line = line if is_right else _find_gold_line(gold, written, line)
        written.add(gold_line)
        refutation = _weight_refutation(gold_line, line, refutation_weight)
        if style == "rederived":
            if not is_right and verdicts.conclude(gold_line) == verdicts.conclude(line):
                return Rationale(None, "a wrong step with a right conclusion")
            segments += [*refutation, *verdicts.compare_step(line, is_right, DERIVED_VERDICT_WEIGHT)]
        else:
            segments += [(line, 1), *verdicts.mark_step(is_right, DIRECT_VERDICT_WEIGHT, space=" ")]
            segments += [] if is_right else [*refutation, ("\n", 1)]
        if not is_right:
            break
    is_finished = sample.finish == "stop" and bool(steps) and steps[-1].startswith("####")
    verdict = is_finished and all(labels)
    if verdict != sample.is_right:
        return Rationale(None, "verdict differs from the grade")
    return Rationale([*segments, *_build_verdict(verdict)])


def _find_gold_line(gold: Sequence[str], written: set[str], line: str) -> str:
    """The gold line that refutes a wrong one: the one about the same quantity, else the first not yet written."""
    subject = _SUBJECT_PATTERN.match(line)
    same = [g for g in gold if subject and (match := _SUBJECT_PATTERN.match(g)) and match[1] == subject[1]]
    return next((g for g in [*same, *gold] if g not in written and g != line), gold[-1])


def _weight_refutation(gold_line: str, line: str, weight: int) -> list[Segment]:
    """The gold line word by word: weight 1, or `weight` where it differs from `line`. A word begins with its space."""
    if gold_line == line or weight == 1:
        return [(gold_line, 1)]
    words, gold_words = re.findall(r"\s*\S+", line), re.findall(r"\s*\S+", gold_line)
    segments = []
    for operation, _, _, start, end in SequenceMatcher(None, words, gold_words, autojunk=False).get_opcodes():
        if end > start:
            segments.append(("".join(gold_words[start:end]), 1 if operation == "equal" else weight))
    return segments


def _build_verdict(verdict: bool) -> list[Segment]:
    return [(VERDICT_QUESTION, 1), (verdicts.format_verdict(verdict), DERIVED_VERDICT_WEIGHT)]


# A language model as the teacher.


def build_prompt(problem: Problem, sample: Sample) -> str:
    """The reference-guided prompt."""
    return (
        "Check a student's solution to the problem below, one step after the other.\n"
        "A reference is given to you alone, so that you find the first wrong step with certainty. Whoever reads your "
        "check has never seen it: derive everything from the problem, and never say or hint that you were given an "
        "answer, a key or another solution.\n"
        "For every step work it out again and say whether it is right; stop at the first that is wrong. End with one "
        f"line, exactly `{VERDICT_QUESTION} Yes` or `{VERDICT_QUESTION} No`.\n\n"
        f"Problem:\n{problem.format_prompt()}\n\nReference:\n{format_reference(problem)}\n\n"
        f"Student's solution:\n{sample.text.strip()}\n"
    )


def format_reference(problem: Problem) -> str:
    """The gold solution, or the answer alone if there is none. The last line is `#### answer`."""
    lines = [strip_annotations(step.text) for step in problem.steps or ()]
    if not lines or not lines[-1].startswith("####"):
        lines.append(f"#### {problem.answer}")
    return "\n".join(lines)


def parse_rationale(problem: Problem, sample: Sample, text: str) -> Rationale:
    """Check what a model wrote: it must end with a verdict that agrees with the grade, after a text without leaks."""
    matches = list(re.finditer(re.escape(VERDICT_QUESTION) + r"\W{0,4}(yes|no)\b", text, re.IGNORECASE))
    if not matches:
        return Rationale(None, "no verdict")
    last = matches[-1]  # an earlier one may quote the instruction
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
    """`count` rationales for each sample, all requested at once. Raises UserError if the model cannot be reached."""
    requests = [
        (build_prompt(problem, sample), f"genrm {seed} {problem.id} {sample.index} {k}")
        for problem, sample in pairs
        for k in range(count)
    ]
    answers = chat.ask_many(requests, progress)
    rationales = [
        parse_rationale(*pairs[i // count], answer) if isinstance(answer, str) else Rationale(None, "no answer")
        for i, answer in enumerate(answers)
    ]
    return [rationales[i : i + count] for i in range(0, len(rationales), count)]


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
    """The words by which a rationale reveals that its writer saw the reference, or None.

    It mentions a reference (`the expected answer`, `the answer key`), or it asserts the reference's final answer (the last
    line of `reference`, with or without `####`) before an equation in it does.
    """
    flat = " ".join(rationale.split())
    for pattern in _LEAK_PATTERNS:
        if match := pattern.search(flat):
            return match[0]
    lines = [line for line in reference.splitlines() if line.strip()]
    answer = lines[-1].removeprefix("####").strip() if lines else ""
    if not answer:
        return None
    number = rf"[$\\(]*{re.escape(answer)}(?![\d.,]*\d)"
    claim = re.search(rf"\b(?:{_ASSERTION_PATTERN})\s*:?\s+(?:\w+\s+){{0,2}}?{number}", flat, re.IGNORECASE)
    if claim and not re.search(rf"(?:=|equals|gives|makes|get|is left with)\s*{number}", flat[: claim.start()]):
        return claim[0]
    return None
