"""The world is what it says: exact arithmetic, re-derivable, split without overlap, the same bytes everywhere."""

import json
import os
import re
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.procedural import gradeschool
from stages.lib.procedural.gradeschool import Fault, Knobs, wording
from stages.lib.procedural.gradeschool.program import apply, solve_program

EVALUATED = ("train", "verifier", "dev", "test")
ANNOTATION = re.compile(r"<<(\d+)([-+*/])(\d+)=(\d+)>>(\d+)")


def many(split, n=150, seed=7, **knobs):
    return gradeschool.generate_problems(split, n, seed, **knobs)


@pytest.mark.parametrize("split", wording.SPLITS)
def test_every_annotation_is_true_and_every_step_has_its_value(split):
    for problem in many(split):
        for step in problem.steps:
            for a, operation, b, inner, outer in ANNOTATION.findall(step.text):
                a, b = Fraction(a), Fraction(b)
                result = {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[operation]
                assert result == int(inner) == int(outer) == int(step.value)
            assert step.text.rstrip(".").endswith(step.value)
        assert problem.steps[-1].text == f"#### {problem.answer}"


@pytest.mark.slow
def test_the_question_states_the_program():
    """A second reader derives the answer from the English sentences alone."""
    readings = {rel: [re.compile(_pattern(w)) for w in ws] for rel, ws in wording.WORDINGS.items() if rel != "question"}
    for problem in many("test") + many("pretraining"):
        program, values = problem.program.params, {}
        sentences = re.split(r"(?<=[.?]) (?=[A-Z0-9])", problem.question)
        for entry, sentence in zip(program["quantities"], sentences, strict=False):
            wording_, _ = entry["template"]
            m = readings[entry["relation"]][wording_].search(sentence.replace(",", " ,").replace("  ", " "))
            assert m, (sentence, entry)
            groups = m.groupdict()
            n = groups.get("n")
            n = None if n is None else wording.FRACTION_DIVISORS.get(n) or int(n)
            if entry["relation"] == "given":
                value = n
            elif entry["relation"] == "sum":
                value = values[groups["s"]] + values[groups["r"]]
            elif entry["relation"] == "percent":
                value = values[groups["s"]] * n // 100
            else:
                value = apply(wording.OPERATIONS[entry["relation"]], values[groups["s"]], n)
            values[groups["t"]] = value
        names = [name for name in values if re.search(rf"\b{name}\b", sentences[-1])]
        assert str(values[names[0]]) == problem.answer


def _pattern(text):
    text = text.replace(",", " ,").replace("  ", " ")
    text = re.escape(text).replace(r"\{n\}", rf"(?P<n>\d+|{'|'.join(wording.FRACTION_DIVISORS)})")
    text = re.sub(r"\\{([str])\\}", rf"(?P<\1>{'|'.join(wording.NAMES)})", text)
    return "(?i)" + re.sub(r"\\{\w+\\}", r"\\w+", text)


@pytest.mark.parametrize("split", wording.SPLITS)
def test_a_problem_is_derived_again_from_its_program(split):
    for problem in many(split, 60):
        program = json.loads(json.dumps(problem.program.params))
        question, steps, answer = gradeschool.rederive(program)
        assert (question, steps, answer) == (problem.question, problem.steps, problem.answer)


@pytest.mark.slow
def test_splits_share_no_template_no_story_and_no_question():
    seen = {split: many(split, 300) for split in wording.SPLITS}
    templates, stories, questions = {}, {}, {}
    for split, problems in seen.items():
        programs = [p.program.params for p in problems]
        templates[split] = {(q["relation"], *q["template"]) for p in programs for q in p["quantities"]}
        templates[split] |= {("question", *p["question"]) for p in programs}
        stories[split] = {tuple(p["story"]) for p in programs}
        questions[split] = {p.question for p in problems}
        assert len(questions[split]) == 300
    for kind in (templates, stories, questions):
        for a in wording.SPLITS:
            for b in wording.SPLITS:
                assert a == b or not kind[a] & kind[b]


def test_every_template_and_story_has_one_owner():
    for rows, columns in ((4, 6), (len(wording.VERBS), len(wording.UNITS))):
        owned = [pair for split in wording.SPLITS for pair in wording.list_owned_pairs(split, rows, columns)]
        assert sorted(owned) == [(a, b) for a in range(rows) for b in range(columns)]


def test_variants_of_one_split_use_no_word_of_those_of_another():
    words = [f"word {n}" for n in range(21)]
    shares = {split: wording.select_owned(words + words[:5], split) for split in EVALUATED}
    assert sorted(word for share in shares.values() for word in share) == sorted(words)
    assert {len(share) for share in shares.values()} == {5, 6}
    assert (
        wording.select_owned(words[:9], "test") == shares["test"][:2] == ["word 3", "word 7"]
    )  # a longer list moves nothing
    assert wording.select_owned(words, "unseen") == shares["test"]
    with pytest.raises(ValueError, match="3 different words cannot be divided among four splits"):
        wording.select_owned(["a", "b", "c", "a"], "test")


@pytest.mark.slow
def test_every_word_of_the_evaluation_stands_in_the_pretraining_text():
    seen = {w for p in many("pretraining", 1500) for w in re.findall("[A-Za-z]+", p.question.lower())}
    for split in EVALUATED:
        assert {w for p in many(split) for w in re.findall("[A-Za-z]+", p.question.lower())} <= seen


@pytest.mark.slow
def test_an_item_depends_on_nothing_but_its_key():
    assert many("dev", 20)[:5] == many("dev", 5)
    a, b = many("test", 200, seed=42), many("test", 200, seed=43)
    assert not {p.question for p in a} & {p.question for p in b}


@pytest.mark.slow
def test_the_same_bytes_under_another_hash_seed():
    code = (
        "import hashlib; from stages.lib.procedural import gradeschool as g;"
        "items = g.generate_problems('test', 40, 42);"
        "print(hashlib.sha256(''.join(p.model_dump_json() for p in items).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, check=True
        ).stdout
        for salt in ("0", "1")
    }
    assert len(digests) == 1


@settings(max_examples=60)
@given(st.integers(1, 7), st.integers(30, 900), st.floats(0, 1), st.integers(0, 10**6))
def test_knobs_hold(steps, largest, inverse, item):
    program = gradeschool.sample_program("train", f"x/{item}", 1, Knobs((steps, steps), largest, inverse))
    quantities = program["quantities"]
    assert sum("of" in q for q in quantities) == steps
    values = [line.value for line in solve_program(program)]
    assert all(v >= 1 for v in values) and len(set(program["people"])) == len(quantities)
    used = {j for q in quantities for j in q.get("of", [])}
    assert used == set(range(len(quantities) - 1))  # nothing in the story is idle


@settings(max_examples=80)
@given(
    st.integers(0, 10**6),
    st.dictionaries(
        st.integers(0, 7),
        st.builds(Fault, st.sampled_from(["reverse", "slip", "operand", "number", "stop"]), st.integers(0, 9)),
    ),
)
def test_faulty_solutions_are_marked_where_they_leave_the_truth(item, faults):
    program = gradeschool.sample_program("train", f"x/{item}", 1, Knobs())
    truth, lines = solve_program(program), solve_program(program, faults)
    assert [line.is_correct for line in truth] == [True] * len(truth)
    marks = [line.is_correct for line in lines]
    assert marks == sorted(marks, reverse=True)  # once wrong, wrong to the end
    for mine, line in zip(truth, lines[:-1], strict=False):
        assert line.is_correct is False or mine.value == line.value
    assert lines[-1].is_correct == (marks[-1] and len(lines) == len(truth))
    if not any(f.kind == "stop" for f in faults.values()):
        assert len(lines) == len(truth)
