"""benchmarks: what published rows become."""

import csv
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.core.errors import UserError
from stages.problems.benchmarks import (
    aime,
    calculator,
    codeforces,
    gpqa,
    gsm8k,
    hendrycks_math,
    humaneval,
    mmlu,
    options,
    path,
)
from stages.problems.benchmarks.__main__ import Params, build_problems
from stages.problems.benchmarks.rows import Reject, Row
from tests.problems.benchmarks.test_benchmarks_splits import jsonl, section


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
    assert calculator.find_fault("48/2=24") is None
    assert calculator.find_fault("10/3=3.33") == "10/3 is 10/3"
    assert calculator.find_fault("3/4=3/4") == "left unevaluated"
    assert calculator.find_fault("48/2") == "no result"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("073", "73"), ("1,080", "1080"), (".50", "0.5"), ("-0", "0"), ("-7.0", "-7"), ("000", "0")],
)
def test_canonical_numbers(written, canonical):
    assert calculator.normalize_number(written) == canonical


# --- one benchmark each ---------------------------------------------------------------------------------------------


def test_gsm8k_steps_carry_the_value_after_them():
    solution = "Half is 48/2 = <<48/2=24>>24.\nSo we add.\n#### 1,024"
    fields = gsm8k.parse_row(row({"question": "How many?", "answer": solution}), 0)
    assert fields["answer"] == "1024"
    assert [step["value"] for step in fields["steps"]] == ["24", None, "1024"]
    assert [step["text"] for step in fields["steps"]] == solution.split("\n")
    with pytest.raises(Reject, match="must end|last line"):
        gsm8k.parse_row(row({"question": "How many?", "answer": "24"}), 0)


def test_math_answers_come_from_the_column_or_the_last_box():
    full = {
        "problem": "?",
        "solution": r"So \boxed{1}, or $\boxed{\frac{1}{\sqrt{2}}}$.",
        "level": "Level 5",
        "type": "A",
    }
    fields = hendrycks_math.parse_row(row(full), 0)
    assert (fields["answer"], fields["difficulty"]) == (r"\frac{1}{\sqrt{2}}", 5)
    short = {**full, "answer": "7", "level": 2, "unique_id": "test/precalculus/807.json"}
    fields = hendrycks_math.parse_row(row(short), 0)
    assert (fields["answer"], fields["key"]) == ("7", "precalculus/807")
    with pytest.raises(Reject):
        hendrycks_math.parse_row(row({**full, "solution": r"\boxed{never closed"}), 0)


def test_math_evaluates_without_solution_level_or_subject():
    assert hendrycks_math.parse_row(row({"problem": "?", "answer": "7"}), 0) == {
        "question": "?",
        "answer": "7",
        "answer_type": "latex",
    }
    with pytest.raises(UserError, match="no column 'answer' or 'solution'"):
        hendrycks_math.parse_row(row({"problem": "?"}), 0)


@pytest.mark.parametrize(
    ("written", "answer"),
    [("073", "73"), (73, "73"), ("0", "0"), ("000", "0"), ("999", "999"), ("14.0", "14"), (14.0, "14"), ("7.00", "7")],
)
def test_aime_answers_are_whole_numbers(written, answer):
    assert aime.parse_row(row({"problem": "?", "answer": written}), 0)["answer"] == answer


@pytest.mark.parametrize("written", [r"336^\circ", "1000", "1000.0", "-1", "3.5", "14.", "", None, "٣"])
def test_aime_refuses_other_answers(written):
    with pytest.raises(Reject, match="0 to 999"):
        aime.parse_row(row({"problem": "?", "answer": written}), 0)


def test_the_aime_csv_hides_other_contests_and_other_years():
    def problem(key, file="aime_1983_2024.csv"):
        return aime.parse_row(row({"id": key, "problem": "?", "answer": "7"}, file), 0)

    assert problem("1983_AIME_1")["key"] == "1983_AIME_01"
    with pytest.raises(Reject, match="AIMO"):
        problem("2024_AIMO_I_3")
    with pytest.raises(Reject, match="2025, in a set named 1983 to 2024"):
        problem("2025_AIME_I_3")
    assert problem("2025_AIME_I_3", "aime_2025.csv")["key"] == "2025_AIME_I_03"


@pytest.mark.parametrize(
    ("values", "file"),
    [
        ({"id": "hmmt_feb_2025_3"}, "mixed.jsonl"),
        ({"source": "HMMT February 2025"}, "mixed.jsonl"),
        ({"Competition": "AMC 12A"}, "mixed.jsonl"),
        ({}, "hmmt_feb_2025.jsonl"),
    ],
)
def test_other_contests_do_not_become_aime(values, file):
    with pytest.raises(Reject, match="not of AIME"):
        aime.parse_row(row({"problem": "?", "answer": "7", **values}, file), 0)


@pytest.mark.parametrize(
    "values",
    [
        {"ID": "1983-1", "Question": "?", "Answer": "60"},
        {"id": 60, "problem": "?", "answer": "60", "url": "https://example.org/AIME"},
        {"problem": "?", "answer": 60, "source": "AIME 2024 (see also AMC)"},
    ],
)
def test_aime_reads_each_published_form(values):
    fields = aime.parse_row(row(values), 0)
    assert (fields["question"], fields["answer"]) == ("?", "60")


def test_mmlu_answers_are_letters_in_each_published_form(tmp_path):
    named = {"question": "?", "choice0": "a", "choice1": "b", "choice2": "c", "choice3": "d", "answer": "2"}
    hub = {"question": "?", "choices": list("abcd"), "answer": 0, "subject": "virology"}
    fields = mmlu.parse_row(row(named, "mmlu/test/abstract_algebra_test.csv", key="abstract_algebra_test/0003"), 0)
    assert (fields["answer"], fields["key"]) == ("C", "abstract_algebra/0003")
    assert mmlu.parse_row(row(hub), 0)["answer"] == "A"
    bare = tmp_path / "anatomy_test.csv"
    bare.write_text('"one, two?",a,b,c,d,B\n', encoding="utf-8")
    ((line, values),) = path.read_rows(bare, mmlu.HEADER)
    assert (line, mmlu.parse_row(row(values), 0)["answer"]) == (1, "B")
    for answer in (4, "E", "", True, "1.5", -1):
        with pytest.raises(Reject):
            mmlu.parse_row(row({**hub, "answer": answer}), 0)
    assert mmlu.parse_row(row({**named, "answer": "2.0"}), 0)["answer"] == "C"  # as pandas writes it
    lettered = {"question": "?", "A": "a", "B": "b", "C": "c", "D": "", "answer": "C"}
    assert mmlu.parse_row(row(lettered), 0)["choices"] == ["a", "b", "c"]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_mmlu_pro_has_any_number_of_options(tmp_path, form):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {
            "question_id": 70 + n,
            "question": f"Which {n}?",
            "options": [f"option {i}" for i in range(n)],
            "answer": chr(64 + n),
            "answer_index": n - 1,
            "cot_content": "",
            "category": "business",
            "src": "x",
        }
        for n in (2, 10, 26)
    ]
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "test.parquet")
    else:
        jsonl(tmp_path / "test.jsonl", rows)
    problems, account = build_problems(section("mmlu", test=tmp_path / f"test.{form}"), 1, 1)
    assert [(p.id, p.answer) for p in problems] == [
        ("mmlu/test/business/72", "B"),
        ("mmlu/test/business/80", "J"),
        ("mmlu/test/business/96", "Z"),
    ]
    assert problems[2].format_prompt().endswith("\nZ: option 25")
    for change in ({"answer_index": 3}, {"options": ["alone"]}, {"options": ["x"] * 27}, {"options": ["x", ""]}):
        with pytest.raises(Reject):
            mmlu.parse_row(row({**rows[0], **change}), 0)


@pytest.mark.parametrize(
    ("written", "options"),
    [
        (r"""["a", "it's", "\u00e9"]""", ["a", "it's", "é"]),
        ("['a', \"it's\", 'é',]", ["a", "it's", "é"]),
        ("['a' \"it's\"\n 'é']", ["a", "it's", "é"]),
        (r"['a\'b' 'c\\d']", ["a'b", r"c\d"]),
        ("['[1, 2]' '(\"x\")']", ["[1, 2]", '("x")']),
    ],
)
def test_lists_in_csv_are_read_as_their_writers_meant(tmp_path, written, options):
    fields = {"question": "?", "choices": written, "answer": "1", "error_type": "ok"}
    assert mmlu.parse_row(row(fields), 0)["choices"] == options


@pytest.mark.parametrize("written", ["a, b", "['a' b]", "['a', f()]", "['a'", "", "{'a': 'b'}", '"ab"'])
def test_what_is_no_list_is_rejected(written):
    with pytest.raises(Reject, match="options"):
        mmlu.parse_row(row({"question": "?", "choices": written, "answer": "1"}), 0)


def test_questions_that_redux_found_faulty_are_rejected():
    fields = {"question": "?", "choices": "['a' 'b']", "answer": "1", "correct_answer": "A"}
    with pytest.raises(Reject, match=r"wrong_groundtruth \(correct_answer: A\)"):
        mmlu.parse_row(row({**fields, "error_type": "wrong_groundtruth"}), 0)


def test_options_are_shuffled_on_request_and_their_key_with_them(tmp_path):
    rows = [{"question": f"Which {n}?", "choices": [f"right {n}", "x", "y", "z"], "answer": "A"} for n in range(400)]
    fixed = [
        ["a", "b", "c", "All of the above"],
        ["a", "b", "Both A and B", "Neither of these"],
        ["1", "2", "a and b", "3"],
    ]
    rows += [{"question": f"Fixed {n}?", "choices": choices, "answer": "D"} for n, choices in enumerate(fixed)]
    params = {"name": "mmlu", "source": "path", "path": {"test": str(jsonl(tmp_path / "t.jsonl", rows))}}
    params |= {"sizes": dict.fromkeys(("train", "verifier", "dev", "test"))}
    plain, _ = build_problems(Params.model_validate(params), 1, 1)
    shuffled, account = build_problems(Params.model_validate({**params, "shuffle_options": True}), 1, 1)
    assert account["options"] == {"shuffled": 400, "kept in order": 3} and shuffled[400:] == plain[400:]
    assert all(p.choices["ABCD".index(p.answer)] == f"right {n}" for n, p in enumerate(shuffled[:400]))
    letters = [problem.answer for problem in shuffled[:400]]
    assert all(70 <= letters.count(letter) <= 130 for letter in "ABCD")  # 100 expected, deviation 8.7
    few, _ = build_problems(
        Params.model_validate({**params, "shuffle_options": True, "sizes": {**params["sizes"], "test": 40}}), 1, 1
    )
    assert all(problem in shuffled for problem in few)


@pytest.mark.parametrize(
    ("option", "positional"),
    [
        ("(A), (B), and (C) are parts of it", True),
        ("All of (a) to (c) are risks", True),
        ("all three towers.", True),
        ("B and C are both true", True),
        ("A, B and C are right", True),
        ("A and B but not C", True),
        ("Only A and B", True),
        ("All four of these", True),
        ("None of the other options", True),
        ("Same as A", True),
        ("The first two options", True),
        ("all other things being equal", False),
        ("any other force", False),
        ("plan B", False),
        ("the first oak", False),
        ("a vitamin A and B complex", False),
        ("only A students", False),
        ("All of the above", True),
        ("none of these.", True),
        ("Both A and C", True),
        ("a and b only", True),
        ("Neither", True),
        ("(A), (B), and (C)", True),
        ("Options A and B", True),
        ("a. and c. above", True),
        ("All options given are correct", True),
        ("No-one is above the law.", False),
        ("falls below minimum cost", False),
        ("has both a literal meaning", False),
        ("All organisms reproduce.", False),
        ("multiply both sides by 6", False),
        ("a", False),
        ("A/B", False),
    ],
)
def test_options_that_refer_to_others(option, positional):
    assert bool(options._POSITIONAL.search(option)) == positional


def test_mmlu_csv_may_name_its_options_by_letters(tmp_path):
    (tmp_path / "virology_test.csv").write_text("Question,A,B,C,D,Answer\nWhich?,a,b,c,d,B\n")
    ((_, values),) = path.read_rows(tmp_path / "virology_test.csv", mmlu.HEADER)
    assert mmlu.parse_row(row(values), 0)["answer"] == "B"


def science(n):
    return {
        "Record ID": f"rec{n}",
        "Question": f"Which {n}?",
        "Correct Answer": f"right {n}\n",
        "Explanation": "e",
        "Incorrect Answer 1": "x",
        "Incorrect Answer 2": "y",
        "Incorrect Answer 3": "z",
    }


def test_gpqa_csv_with_quotes_and_line_breaks(tmp_path):
    record = {**science(7), "Question": 'He said "why?",\nthen; left.\n', "Incorrect Answer 3": "a, b\nand c"}
    with open(tmp_path / "gpqa_diamond.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*record, "Subdomain"])
        writer.writeheader()
        writer.writerows([{**record, "Subdomain": "Optics"}, {**science(8), "Subdomain": "Genetics"}])
    problems, account = build_problems(section("gpqa", test=tmp_path / "gpqa_diamond.csv"), 1, 1)
    assert [problem.id for problem in problems] == ["gpqa/test/rec7", "gpqa/test/rec8"]
    assert problems[0].question == 'He said "why?",\nthen; left.' and "a, b\nand c" in problems[0].choices
    assert problems[0].choices["ABCD".index(problems[0].answer)] == "right 7" and account["licences"] == ["CC-BY-4.0"]


def test_gpqa_options_are_shuffled_per_item(tmp_path):
    def options(rows, seed=1):
        file = jsonl(tmp_path / "gpqa.jsonl", rows)
        return {p.id: (p.choices, p.answer) for p in build_problems(section("gpqa", test=file), seed, seed)[0]}

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
        gpqa.parse_row(row({**science(1), "Incorrect Answer 2": "x "}), 0)


def test_code_problems_keep_their_tests():
    program = {
        "task_id": "HumanEval/7",
        "prompt": "def f(x):\n",
        "entry_point": "f",
        "canonical_solution": "    return x\n",
        "test": "def check(c):\n    assert c(1) == 1\n",
    }
    fields = humaneval.parse_row(row(program), 0)
    assert (fields["key"], fields["tests"]["entry_point"]) == ("007", "f")
    with pytest.raises(Reject):
        humaneval.parse_row(row({**program, "entry_point": "g"}), 0)
    pairs = {"input": ["1\n"], "output": ["2\n"]}
    contest = {"input": "Add one.", "output": "print(int(input()) + 1)", "public_tests": pairs, "private_tests": pairs}
    assert codeforces.parse_row(row(contest), 0)["tests"]["private"] == pairs
    empty = {"input": [], "output": []}
    for public, private in [(empty, empty), ({"input": ["1"], "output": []}, pairs), (None, pairs)]:
        with pytest.raises(Reject):
            codeforces.parse_row(row({**contest, "public_tests": public, "private_tests": private}), 0)
