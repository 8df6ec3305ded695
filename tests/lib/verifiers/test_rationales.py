"""Rationales that a generative verifier learns from: derived from programs, or written by a model and sifted."""

from collections import Counter

import pytest

from stages.generators.base import pretraining
from stages.lib.core.expressions import strip_annotations
from stages.lib.labels import truth
from stages.lib.procedural import gradeschool
from stages.lib.verifiers import rationales, verdicts
from stages.lib.verifiers.verdicts import VERDICT_QUESTION
from tests.helpers import tiny_models


def make_problem(i=0, split="verifier"):
    return gradeschool.generate_problems(split, i + 1, seed=3, steps=(3, 4), max_value=60, inverse_share=0.5)[i]


def solution(problem, faults=None):
    """What a writer with these faults writes, as a sample of the generator would stand."""
    lines = [strip_annotations(line.text) for line in gradeschool.solve_program(problem.program.params, faults)]
    return sample(problem, "\n".join(lines) + "\n")


def sample(problem, text, finish="stop"):
    answer = text.rsplit("#### ", 1)[1].strip() if "#### " in text else None
    change = {"text": text, "answer": answer, "correct": answer == problem.answer}
    return tiny_models.make_sample(problem, 0, 0, finish).model_copy(update=change)


def derived(problem, attempt, style="rederived", refutation_weight=1):
    return rationales.write_procedural(problem, attempt, style, refutation_weight)


def text(rationale):
    return "".join(piece for piece, _ in rationale.segments)


def test_a_right_solution_is_derived_line_by_line_in_the_form_of_the_pretraining_text():
    problem = make_problem()
    lines = gradeschool.solve_program(problem.program.params)
    wanted = [
        *pretraining.write_rationale(problem.program.params, lines)[0],
        (VERDICT_QUESTION, 1),
        (" Yes", verdicts.DERIVED_VERDICT_WEIGHT),
    ]
    assert derived(problem, solution(problem)).segments == wanted


@pytest.mark.slow
def test_faults_are_found_where_they_are_and_refuted_with_the_true_line():
    reasons = Counter()
    for i in range(25):
        problem = make_problem(i)
        count = len(problem.program.params["quantities"])
        for kind in ("slip", "reverse", "operand", "number"):
            attempt = solution(problem, {count - 2: gradeschool.Fault(kind, 1)})
            right = truth.label_steps(problem, attempt.text)
            if all(right):
                continue
            rationale = derived(problem, attempt)
            reasons[rationale.reject_reason] += 1
            if rationale.reject_reason:
                assert attempt.correct, "refused without having the right answer by luck"
                continue
            written_lines, first = text(rationale).split("\n"), right.index(False)
            assert [line.endswith(" Same.") for line in written_lines[:first]] == [True] * first
            gold, theirs = strip_annotations(problem.steps[first].text), attempt.text.splitlines()[first]
            quote = verdicts.conclude(theirs)
            assert written_lines[first:] == [f"{gold} Solution: {quote}. Differs.", f"{VERDICT_QUESTION} No"], (
                "the truth"
            )
            assert quote != verdicts.conclude(gold)
            assert theirs != gold
    assert reasons[None] > 60


def test_the_quoted_form_says_the_line_itself_then_its_mark_then_the_truth():
    problem = make_problem()
    last = len(problem.steps) - 2
    attempt = solution(problem, {last: gradeschool.Fault("slip", 1)})
    theirs, gold = attempt.text.splitlines(), [strip_annotations(step.text) for step in problem.steps]
    written_lines = text(derived(problem, attempt, "annotated")).split("\n")
    assert written_lines == [f"{line} Right." for line in theirs[:last]] + [
        f"{theirs[last]} Wrong.",
        gold[last],
        f"{VERDICT_QUESTION} No",
    ]
    repeated = text(derived(problem, solution(problem), "annotated"))
    comparisons = verdicts.read_comparisons(text(derived(problem, solution(problem))))
    assert repeated.split("\n")[:-1] == [f"{line.derived} Right." for line in comparisons], "but for the marks"
    marks = [
        weight for piece, weight in derived(problem, attempt, "annotated").segments if piece in (" Right", " Wrong")
    ]
    assert set(marks) == {verdicts.DIRECT_VERDICT_WEIGHT}, "no derivation stands before these marks"


def test_solutions_that_stop_early_or_wander():
    problem = make_problem()
    gold = [strip_annotations(step.text) for step in problem.steps]
    for lines, marks, verdict in (
        (gold[:2] + ["#### 1"], "Same Same Differs", "No"),  # an answer too early: the next line was due
        (gold[:1] + ["Right."] + gold[1:], "Same Differs", None),  # right answer, odd line: refused
        (gold[:1] + ["Right."] + gold[1:-1] + ["#### 999"], "Same Differs", "No"),
        (gold[:2], "Same Same", "No"),  # never answered
        ([], "", "No"),
    ):
        rationale = derived(problem, sample(problem, "\n".join(lines)))
        if verdict is None:
            assert rationale.reject_reason == "verdict differs from the grade"
            continue
        written_lines = text(rationale)
        assert written_lines.endswith(f"{VERDICT_QUESTION} {verdict}")
        actual_marks = [line.rsplit(" ", 1)[1].rstrip(".") for line in written_lines.split("\n")[:-1]]
        assert " ".join(actual_marks) == marks
        comparisons = verdicts.read_comparisons(written_lines)
        assert [line.quoted for line in comparisons] == [verdicts.conclude(line) for line in lines[: len(comparisons)]]
        assert all(line.is_same or line.derived == gold[i] for i, line in enumerate(comparisons))


def test_cut_off_is_wrong_even_with_the_answer_written():
    problem = make_problem()
    whole = sample(problem, "\n".join(strip_annotations(step.text) for step in problem.steps), finish="length")
    assert text(derived(problem, whole)).endswith(" No") and not whole.is_right


def test_emphasis_falls_on_the_words_that_refute():
    problem = make_problem()
    last = len(problem.steps) - 2
    attempt = solution(problem, {last: gradeschool.Fault("slip", 1)})
    plain, loud = derived(problem, attempt), derived(problem, attempt, refutation_weight=5)
    assert text(plain) == text(loud)
    value = problem.steps[last].value
    assert [piece.strip(" ,.") for piece, weight in loud.segments if weight == 5] == [value, value]


def test_other_writers_and_other_problems_have_no_procedural_teacher():
    assert (
        derived(tiny_models.make_problem(1), tiny_models.make_sample(tiny_models.make_problem(1), 0, 0)).reject_reason
        == "no program that tells"
    )
    problem = make_problem()
    assert derived(problem, sample(problem, f"It is\n#### {problem.answer}")).reject_reason == "no program that tells"


REFERENCE = "Ann has 3 + 4 = 7.\n#### 42"
# The kinds of words by which published rationales (GenRM's release and others) speak of what only their writer saw.
LEAKING = [
    "Expected Answer: 42. The solution says 41.",
    "The final answer does not match the Expected Answer.",
    "This step is wrong because the expected answer is different.",
    "As the reference solution shows, step 2 is wrong.",
    "Compared with the reference, the sum is off.",
    "The given answer key says otherwise.",
    "According to the answer key this is wrong.",
    "It contradicts the gold answer.",
    "The ground truth is 42, so this is incorrect.",
    "The ground-truth solution adds first.",
    "The official solution multiplies here.",
    "That matches the correct answer provided.",
    "The provided correct answer differs.",
    "The correct solution that was given adds 3.",
    "We were told that the answer is 42.",
    "I was given the correct answer, which is larger.",
    "The teacher's solution uses 7.",
    "The model answer divides by 2.",
    "The marking scheme wants 7.",
    "The answer is expected to be even.",
    "The expected\nfinal answer is not this one.",
    "According to the correct answer, this is too small.",
    "Step 1 is right. The result should be 42.",
    "The correct answer is 42, not 41.",
    "It ought to be $42.",
    "The total must be 42 apples.",
]
CLEAN = [
    "Ann has 3 and buys 4: 3 + 4 = 7. Right.",
    "The student says 41, but 40 + 2 = 42, so the answer should be 42.",
    "The given numbers are 3 and 4. The solution adds them.",
    "The solution given by the student forgets to halve the result. This should be 420.",
    "Half of 84 gives 42; the correct answer is 42, and the student wrote 41.",
    "The expected value of the die is 3.5.",
    "The answer 42 is what the student wrote; every step holds.",
    "She must be 4 years old. The model train costs 42 dollars.",
    "The student's final answer is 42. Checking: 21 * 2 = 42. Right.",
]


@pytest.mark.parametrize("rationale", LEAKING)
def test_leaks_are_caught(rationale):
    assert rationales.find_leak(rationale, REFERENCE)


@pytest.mark.parametrize("rationale", CLEAN)
def test_honest_checks_are_not_leaks(rationale):
    assert rationales.find_leak(rationale, REFERENCE) is None


def test_the_procedural_teacher_never_leaks():
    for i in range(20):
        problem = make_problem(i)
        for faults in (None, {1: gradeschool.Fault("slip", 2)}):
            rationale = derived(problem, solution(problem, faults))
            if rationale.segments:
                assert rationales.find_leak(text(rationale), "") is None


def test_a_model_s_rationale_is_kept_only_with_the_right_verdict_at_its_end():
    problem, end = make_problem(), f"\n{VERDICT_QUESTION}"
    right, wrong = solution(problem), sample(problem, "#### 999")
    for of_sample, answer, refused in (
        (right, f"All steps hold.{end} Yes", None),
        (right, f"All steps hold.\n**{VERDICT_QUESTION} Yes**\n", None),
        (
            right,
            f"I end with `{VERDICT_QUESTION} No` or Yes.\nAll hold.{end} Yes.",
            None,
        ),  # the last one counts, not the first
        (wrong, f"All steps hold.{end} Yes", "verdict differs from the grade"),
        (right, f"Step 1 fails.{end} No", "verdict differs from the grade"),
        (wrong, f"Step 1 fails.{end} No", None),
        (wrong, "Step 1 fails. The answer is wrong: No", "no verdict"),
        (wrong, f"{VERDICT_QUESTION} No", "not a check that ends with its verdict"),
        (wrong, f"Fails.{end} No\nBut then again, perhaps.", "not a check that ends with its verdict"),
        (wrong, f"It differs from the reference answer.{end} No", "leak: reference answer"),
        (wrong, f"It should be {problem.answer}.{end} No", f"leak: should be {problem.answer}"),
    ):
        rationale = rationales.parse_rationale(problem, of_sample, answer)
        assert rationale.reject_reason == refused, answer
        if refused is None:
            assert text(rationale).endswith(f"{VERDICT_QUESTION} {'Yes' if of_sample.correct else 'No'}")
            assert "**" not in text(rationale) and rationale.segments[-1][1] == verdicts.DERIVED_VERDICT_WEIGHT


def test_a_teacher_is_asked_once_for_each_rationale_with_all_it_needs():
    problem = make_problem()

    class Teacher:
        asks = []

        def ask_many(self, asks, progress):
            self.asks = asks
            return [f"Good.\n{VERDICT_QUESTION} Yes" if i % 2 else RuntimeError("gone") for i in range(len(asks))]

    teacher, right = Teacher(), solution(problem)
    actual_marks = rationales.request_rationales(
        teacher, 1, [(problem, right), (problem, right.model_copy(update={"index": 1}))], 2
    )
    assert [[rationale.reject_reason for rationale in per_sample] for per_sample in actual_marks] == [
        ["no answer", None]
    ] * 2
    assert len({key for _, key in teacher.asks}) == 4, "every rationale is a draw of its own"
    prompt = teacher.asks[0][0]
    assert (
        problem.question in prompt
        and f"#### {problem.answer}" in prompt
        and right.text.strip() in prompt
        and VERDICT_QUESTION in prompt
    )
    assert "<<" not in prompt
