"""Code problems with typing errors: the story alone changes, and what must stay is seen to stay by a second road."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.commands import verify_items
from stages.lib.core.records import Problem, Source, read_problems, write_problems
from stages.lib.operators import registry
from stages.lib.operators.programs import base, code_statement
from stages.problems.benchmarks.__main__ import Params, build_problems
from stages.problems.ood import code_proof

CONTEST = """Valera wants to buy n apples in the shop "Berry & Co". For example, if n = 3, he has to pay 3·x rubles. \
Of course, Valera wants to spend exactly k rubles, and Masha knows that he likes the word YES.

Valera decided to ask his friends: you are given the prices p1, p2, ..., pn. Your task is to find the cheapest way. \
It is guaranteed that at least one apple costs less than `limit` rubles.

Input

You are given n. Masha wants to read it from the first line.

Output

Print YES or NO. For example, Masha wants to see YES.
"""
TESTS = {"public": {"input": ["3\n", "4\n"], "output": ["YES\n", "NO\n"]}, "private": {"input": [], "output": []}}
SOLUTION = "print('YES' if int(input()) % 2 else 'NO')"
PROMPT = '''def total(prices: list) -> int:
    """Write a function that takes prices and returns their sum. Note that the given list may be empty.
    The shop of Valera keeps prices in cents, which makes counting easy for everybody who works there.

    Examples:
    >>> total([1, 2])
    3
    """
'''
CHECK = "def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0, 'empty sum'\n"


def parent(question=CONTEST, answer=SOLUTION, tests=TESTS, benchmark="codeforces"):
    return Problem(
        id=f"{benchmark}/test/0001",
        benchmark=benchmark,
        split="test",
        question=question,
        answer=answer,
        answer_type="code",
        tests=tests,
        licence="MIT",
        source=Source(url="here"),
    )


FUNCTION = parent(PROMPT, "    return sum(prices)\n", {"entry_point": "total", "test": CHECK}, "humaneval")
BY_ID = {v.id: v for v in registry.make_variants([parent(), FUNCTION], ["typos"], 5)[0]}


def variant(benchmark):
    return BY_ID[f"{benchmark}/test/0001~typos"]


def test_a_statement_falls_into_its_parts():
    statement = code_statement.parse_statement(CONTEST)
    assert statement.story.endswith("rubles.\n\n") and statement.fixed_parts == ("", CONTEST[CONTEST.index("Input") :])
    statement = code_statement.parse_statement(PROMPT, "total")
    assert statement.story.startswith("Write a") and statement.fixed_parts[1].lstrip().startswith("Examples:")
    for text in (
        "Story here.\n\ninput\n\nx",
        "A.\n\nConstraints\n\n* 1",
        "A.\n\nSample Input 1:\n\n1",
        "A.\n-----Input-----\n1",
    ):
        assert "1" not in code_statement.parse_statement(text).story or "-----" in text
    assert code_statement.parse_statement("No heading at all, only a story.").fixed_parts == ("", "")


def test_marks_are_formulas_strings_variables_and_what_the_answer_turns_on():
    text = 'Let a_1, xi and n be at least 3; a cat says "meow now" or `b`, I don\'t print YES, $x$ <image> the i-th.'
    marks = [mark.text for mark in code_statement.find_protected_spans(text)]
    for mark in ("a_1", "xi", "n", "least", "3", '"meow now"', "`b`", "don't", "YES", "$x$", "<image>", "i-th"):
        assert mark in marks, mark
    assert not {"a", "cat", "says", "I", "print", "Let"} & {*marks}
    assert "cat" in [mark.text for mark in code_statement.find_protected_spans(text, ["cat"])]


@given(st.text(alphabet="aAxXn 1.,\n\"'`$<>_-éI", max_size=60))
def test_marks_are_places_in_the_text_in_order(text):
    marks = code_statement.find_protected_spans(text)
    assert all(0 <= mark.start < mark.end <= len(text) and mark.text in text[mark.start : mark.end] for mark in marks)
    assert marks == sorted(marks)


@pytest.mark.parametrize("benchmark", ["codeforces", "humaneval"])
def test_typos_change_the_story_and_nothing_else(benchmark):
    made, before = variant(benchmark), FUNCTION if benchmark == "humaneval" else parent()
    assert registry.check(made) == [] and made.contract == "preserving" and made.answer == before.answer
    entry = before.tests.get("entry_point")
    assert (
        code_statement.parse_statement(made.question, entry).fixed_parts
        == code_statement.parse_statement(before.question, entry).fixed_parts
    )
    assert made.question != before.question and made.tests == before.tests
    kept = code_statement.find_tested_words(before.tests, before.question)
    marks = [
        [
            mark.text
            for mark in code_statement.find_protected_spans(
                code_statement.parse_statement(p.question, entry).story, kept
            )
        ]
        for p in (made, before)
    ]
    assert marks[0] == marks[1]


def test_of_code_only_typos_are_asked_for():
    variants, rejects = registry.make_variants([parent(), FUNCTION], registry.OPERATORS, 5)
    assert {v.operator for v in variants} == {"typos"} and not rejects
    (reject,) = registry.make_variants([parent("Vasya\n\nOutput\n\nPrint Vasya.")], ["typos"], 5)[1]
    assert reject.reason == "there is no story before the formats"


def test_words_of_tests_stay():
    tests = {"public": {"input": ["1\n"], "output": ["friends\n"]}, "private": {"input": [], "output": []}}
    for seed in range(8):
        (changed,), _ = registry.make_variants([parent(tests=tests)], ["typos"], seed)
        assert changed.question.count("friends") == CONTEST.count("friends")


def planted():
    """(what is wrong, the item): each agrees with its own program, or changes what that does not show."""
    made = variant("codeforces")

    def doubled(text, inside=0):
        at = CONTEST.index(text) + inside
        params = json.loads(json.dumps(made.program.params))
        params["changes"][0]["edits"] = [[at, "double"]]
        program = made.program.model_copy(update={"params": params})
        return made.model_copy(update={"question": base.apply_edits(CONTEST, [[at, "double"]]), "program": program})

    more = {"public": {"input": ["3\n", "4\n", "5\n"], "output": ["YES\n", "NO\n", "NO\n"]}}
    yield "tests", made.model_copy(update={"tests": {**TESTS, **more}})
    yield "after the story", doubled("Masha wants to read", 2)
    yield "question", made.model_copy(update={"question": made.question.replace("Masha wants to read", "Noor reads")})
    yield "in the story", doubled("n = 3", 4)
    yield "in the story", doubled("at least", 4)
    yield "in the story", doubled('"Berry', 3)
    yield "in the story", doubled("YES", 1)


@pytest.mark.parametrize(("fault", "item"), list(planted()))
def test_what_is_planted_is_found(fault, item):
    faults = registry.check(item)
    assert any(fault in text for text in faults), faults


def test_verify_items_names_each_that_fails(tmp_path, capsys):
    bad = [item.model_copy(update={"split": f"s{i}"}) for i, (_, item) in enumerate(planted())]
    write_problems(tmp_path / "good.jsonl", BY_ID.values())
    verify_items.verify_items([tmp_path / "good.jsonl"])
    for i, item in enumerate(bad):
        write_problems(tmp_path / f"bad{i}.jsonl", [item])
        with pytest.raises(verify_items.typer.Exit):
            verify_items.verify_items([tmp_path / f"bad{i}.jsonl"])
        assert f"bad{i}.jsonl: codeforces/test/0001~typos: " in capsys.readouterr().out
    made = variant("codeforces")
    other = parent(tests={**TESTS, "private": {"input": ["5\n"], "output": ["YES\n"]}})
    write_problems(tmp_path / "parent.jsonl", [other])
    write_problems(tmp_path / "made.jsonl", [made])
    with pytest.raises(verify_items.typer.Exit):
        verify_items.verify_items([tmp_path / "parent.jsonl", tmp_path / "made.jsonl"])
    assert "its tests are not the parent's" in capsys.readouterr().out
    write_problems(tmp_path / "parent.jsonl", [parent(question=CONTEST.replace("buy n apples", "sell n apples"))])
    with pytest.raises(verify_items.typer.Exit):
        verify_items.verify_items([tmp_path / "parent.jsonl", tmp_path / "made.jsonl"])
    assert "starts from another text" in capsys.readouterr().out


@pytest.mark.slow
def test_the_published_solution_proves_a_variant():
    broken = variant("humaneval")
    broken = broken.model_copy(
        update={"id": broken.id + "2", "question": broken.question.replace("prices: list", "price: list")}
    )
    unsolved = parent(answer="").model_copy(update={"id": "codeforces/test/0002"})
    variants = [*BY_ID.values(), broken, *registry.make_variants([unsolved], ["typos"], 5)[0]]
    kept, rejects, counts = code_proof.verify_solutions(variants, {p.id: p for p in (parent(), FUNCTION, unsolved)})
    assert [reject.id for reject in rejects] == [broken.id]
    assert rejects[0].reason.startswith(
        "the published solution fails now: error: NameError: name 'prices' is not defined"
    )
    assert counts["codeforces~typos"] == {code_proof.UNCHANGED: 2} and counts["humaneval~typos"] == {"passed": 1}
    assert len(kept) == len(variants) - 1
    unwritten = FUNCTION.model_copy(update={"id": "humaneval/test/0002", "answer": ""})
    (made,), _ = registry.make_variants([unwritten], ["typos"], 5)
    assert code_proof.verify_solutions([made], {unwritten.id: unwritten})[2] == {"humaneval~typos": {"no solution": 1}}
    any_case = variant("codeforces")
    any_case = any_case.model_copy(
        update={"question": any_case.question + "You can print each letter in any case (upper or lower).\n"}
    )
    assert code_proof.verify_solutions([any_case], {parent().id: parent()})[2] == {"codeforces~typos": {"passed": 1}}, (
        "compared anew"
    )


@pytest.mark.parametrize(
    ("name", "file"), [("codeforces", "codeforces_openr_sample.json"), ("humaneval", "HumanEval.jsonl.gz")]
)
def test_published_problems(name, file, tmp_path):
    if "ASSAY_BENCHMARKS" not in os.environ:
        pytest.skip("ASSAY_BENCHMARKS is not set; it names the folder of published files")
    where = {"test": [str(Path(os.environ["ASSAY_BENCHMARKS"]) / "code" / file)]}
    sizes = dict.fromkeys(("train", "verifier", "dev", "test"))
    problems, _ = build_problems(
        Params.model_validate({"name": name, "source": "path", "sizes": sizes, "shares": None, "path": where}), 1, 1
    )
    made, rejects = registry.make_variants(problems, ["typos"], 7)
    assert len(made) + len(rejects) == len(problems) and all(reject.reason for reject in rejects)
    assert all(registry.check(problem) == [] for problem in made)
    assert len(made) > 0.7 * len(problems)
    write_problems(tmp_path / "test.jsonl", made)
    assert read_problems(tmp_path / "test.jsonl") == sorted(made, key=lambda problem: problem.id)
