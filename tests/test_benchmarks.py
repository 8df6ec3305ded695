"""benchmarks: what published rows become."""

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.benchmarks import aime, calculator, codeforces, gpqa, gsm8k, hendrycks_math, humaneval, mmlu, path
from stages.benchmarks.__main__ import build
from stages.benchmarks.rows import Reject, Row
from tests.test_benchmarks_splits import jsonl, section


def row(values, file="file.jsonl", line=1, key="0000"):
    return Row(values, file, line, key)


# --- calculator -----------------------------------------------------------------------------------------------------


def trees():
    number = st.integers(0, 999).map(lambda n: (str(n), Fraction(n))) | st.integers(0, 999).map(
        lambda n: (f"{n / 100:.2f}", Fraction(n, 100))
    )

    def join(parts):
        (a, x), sign, (b, y) = parts
        if sign in "/" and y == 0:
            sign = "+"
        value = {"+": x + y, "-": x - y, "*": x * y}[sign] if sign != "/" else x / y
        return f"({a}{sign}{b})", value

    return st.recursive(number, lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(join), max_leaves=8)


@given(trees())
def test_the_calculator_is_exact(tree):
    text, value = tree
    assert calculator.evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("2+3*4", 14), ("2-3-4", -5), ("12/2/3", 2), ("560//10", 56), ("7//2", 3), ("-(3)*.5", -1.5), ("5.", 5)],
)
def test_precedence_and_forms(text, value):
    assert calculator.evaluate(text) == Fraction(value)


@given(st.text(alphabet="0123456789.+-*/() abc", max_size=60))
def test_the_calculator_raises_nothing_but_value_errors(text):
    with suppress(ValueError):
        calculator.evaluate(text)


def test_deep_brackets_and_division_by_zero_are_refused():
    for text in ("(" * 100_000, "-" * 100_000 + "1", "1/0", "1//0"):
        with pytest.raises(ValueError):
            calculator.evaluate(text)


def test_annotations_that_do_not_hold_are_named():
    assert calculator.check("48/2=24") is None
    assert calculator.check("10/3=3.33") == "10/3 is 10/3"
    assert calculator.check("3/4=3/4") == "left unevaluated"
    assert calculator.check("48/2") == "no result"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("073", "73"), ("1,080", "1080"), (".50", "0.5"), ("-0", "0"), ("-7.0", "-7"), ("000", "0")],
)
def test_canonical_numbers(written, canonical):
    assert calculator.canonical(written) == canonical


# --- one benchmark each ---------------------------------------------------------------------------------------------


def test_gsm8k_steps_carry_the_value_after_them():
    solution = "Half is 48/2 = <<48/2=24>>24.\nSo we add.\n#### 1,024"
    fields = gsm8k.problem(row({"question": "How many?", "answer": solution}), 0)
    assert fields["answer"] == "1024"
    assert [step["value"] for step in fields["steps"]] == ["24", None, "1024"]
    assert [step["text"] for step in fields["steps"]] == solution.split("\n")
    with pytest.raises(Reject, match="must end|last line"):
        gsm8k.problem(row({"question": "How many?", "answer": "24"}), 0)


def test_math_answers_come_from_the_column_or_the_last_box():
    full = {
        "problem": "?",
        "solution": r"So \boxed{1}, or $\boxed{\frac{1}{\sqrt{2}}}$.",
        "level": "Level 5",
        "type": "A",
    }
    fields = hendrycks_math.problem(row(full), 0)
    assert (fields["answer"], fields["difficulty"]) == (r"\frac{1}{\sqrt{2}}", 5)
    short = {**full, "answer": "7", "level": 2, "unique_id": "test/precalculus/807.json"}
    fields = hendrycks_math.problem(row(short), 0)
    assert (fields["answer"], fields["key"]) == ("7", "precalculus/807")
    with pytest.raises(Reject):
        hendrycks_math.problem(row({**full, "solution": r"\boxed{never closed"}), 0)


@pytest.mark.parametrize(("written", "answer"), [("073", "73"), (73, "73"), ("0", "0"), ("000", "0"), ("999", "999")])
def test_aime_answers_are_whole_numbers(written, answer):
    assert aime.problem(row({"problem": "?", "answer": written}), 0)["answer"] == answer


@pytest.mark.parametrize("written", [r"336^\circ", "1000", "-1", "3.5", "", None, "٣"])
def test_aime_refuses_other_answers(written):
    with pytest.raises(Reject, match="0 to 999"):
        aime.problem(row({"problem": "?", "answer": written}), 0)


def test_the_aime_csv_hides_other_contests_and_other_years():
    def problem(key, file="aime_1983_2024.csv"):
        return aime.problem(row({"id": key, "problem": "?", "answer": "7"}, file), 0)

    assert problem("1983_AIME_1")["key"] == "1983_AIME_01"
    with pytest.raises(Reject, match="AIMO"):
        problem("2024_AIMO_I_3")
    with pytest.raises(Reject, match="2025, in a set named 1983 to 2024"):
        problem("2025_AIME_I_3")
    assert problem("2025_AIME_I_3", "aime_2025.csv")["key"] == "2025_AIME_I_03"


def test_mmlu_answers_are_letters_in_each_published_form(tmp_path):
    named = {"question": "?", "choice0": "a", "choice1": "b", "choice2": "c", "choice3": "d", "answer": "2"}
    hub = {"question": "?", "choices": list("abcd"), "answer": 0, "subject": "virology"}
    fields = mmlu.problem(row(named, "mmlu/test/abstract_algebra_test.csv", key="abstract_algebra_test/0003"), 0)
    assert (fields["answer"], fields["key"]) == ("C", "abstract_algebra/0003")
    assert mmlu.problem(row(hub), 0)["answer"] == "A"
    bare = tmp_path / "anatomy_test.csv"
    bare.write_text('"one, two?",a,b,c,d,B\n', encoding="utf-8")
    ((line, values),) = path.read(bare, mmlu.HEADER)
    assert (line, mmlu.problem(row(values), 0)["answer"]) == (1, "B")
    for answer in (4, "E", "", True):
        with pytest.raises(Reject):
            mmlu.problem(row({**hub, "answer": answer}), 0)


def science(n):
    return {"Record ID": f"rec{n}", "Question": f"Which {n}?", "Correct Answer": f"right {n}\n", "Explanation": "e",
            "Incorrect Answer 1": "x", "Incorrect Answer 2": "y", "Incorrect Answer 3": "z"}  # fmt: skip


def test_gpqa_options_are_shuffled_per_item(tmp_path):
    def options(rows, seed=1):
        file = jsonl(tmp_path / "gpqa.jsonl", rows)
        return {p.id: (p.choices, p.answer) for p in build(section("gpqa", test=file), seed)[0]}

    few, many = options([science(n) for n in range(5)]), options([science(n) for n in range(400)][::-1])
    assert few == {item: many[item] for item in few}  # 395 more, and in another order: no option moved
    assert options([science(n) for n in range(5)]) == few
    for item, (choices, answer) in many.items():
        assert choices["ABCD".index(answer)] == f"right {item.removeprefix('gpqa/test/rec')}"
        assert sorted(choices)[1:] == ["x", "y", "z"]
    letters = [answer for _, answer in many.values()]
    assert all(70 <= letters.count(letter) <= 130 for letter in "ABCD")  # 100 expected, deviation 8.7
    other = options([science(n) for n in range(400)], seed=2)
    assert 0.6 < sum(other[item] != many[item] for item in many) / 400 < 1  # 23/24 expected
    with pytest.raises(Reject, match="the same"):
        gpqa.problem(row({**science(1), "Incorrect Answer 2": "x "}), 0)


def test_code_problems_keep_their_tests():
    program = {"task_id": "HumanEval/7", "prompt": "def f(x):\n", "entry_point": "f", 
               "canonical_solution": "    return x\n", "test": "def check(c):\n    assert c(1) == 1\n"}  # fmt: skip
    fields = humaneval.problem(row(program), 0)
    assert (fields["key"], fields["tests"]["entry_point"]) == ("007", "f")
    with pytest.raises(Reject):
        humaneval.problem(row({**program, "entry_point": "g"}), 0)
    pairs = {"input": ["1\n"], "output": ["2\n"]}
    contest = {"input": "Add one.", "output": "print(int(input()) + 1)", "public_tests": pairs, "private_tests": pairs}
    assert codeforces.problem(row(contest), 0)["tests"]["private"] == pairs
    empty = {"input": [], "output": []}
    for public, private in [(empty, empty), ({"input": ["1"], "output": []}, pairs), (None, pairs)]:
        with pytest.raises(Reject):
            codeforces.problem(row({**contest, "public_tests": public, "private_tests": private}), 0)
