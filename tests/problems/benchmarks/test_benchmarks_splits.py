"""benchmarks: which split a published row goes to, that every row is accounted for, and what is refused."""

import csv
import gzip
import hashlib
import json

import pytest

from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Source
from stages.lib.datasets import near_duplicates
from stages.problems.benchmarks import path, provenance, splits
from stages.problems.benchmarks.__main__ import BundledParams, Params, build_problems

ALL = {"train": None, "verifier": None, "dev": None, "test": None}
THIRDS = {"train": 0.5, "verifier": 0.3, "dev": 0.2}


def section(name="gsm8k", sizes=ALL, shares=None, **files):
    return Params.model_validate(
        {
            "name": name,
            "source": "path",
            "sizes": sizes,
            "shares": shares,
            "path": {k: str(v) for k, v in files.items()},
        }
    )


def jsonl(file, rows):
    file.write_text("".join(json.dumps(values) + "\n" for values in rows), encoding="utf-8")
    return file


def words(*numbers):
    return [
        {"question": f"Ann has {n} pens. How many?", "answer": f"It is {n} = <<{n}={n}>>{n}\n#### {n}"} for n in numbers
    ]


# --- files ----------------------------------------------------------------------------------------------------------


def test_every_format_reads_the_same_rows(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"id": str(n), "problem": 'a "quoted", line\nand é\u2028more', "answer": str(n)} for n in range(3)]
    jsonl(tmp_path / "a.jsonl", rows)
    (tmp_path / "b.json").write_text(json.dumps(rows), encoding="utf-8")
    with open(tmp_path / "c.csv", "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    (tmp_path / "notes.txt").write_text("not read")
    tables = path.load_tables({"test": [str(tmp_path)]})
    assert [[r.values for r in table.rows] for table in tables] == [rows] * 5
    assert [r.line for r in tables[2].rows] == [2, 4, 6]  # as an editor counts: each csv record takes two lines


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": \n', ":2: not valid JSON"),
        ("a.jsonl", b'{"a": 1}\n\n{"a": 2}\n', ":2: empty line"),
        ("a.jsonl", b"[1]\n", ":1: found list"),
        ("a.jsonl", b'{"a": NaN}\n', "NaN is not JSON"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', ":2: not UTF-8"),
        ("a.json", b'{"a": 1}', "expected a list"),
        ("a.json", b'[{"a": 1},\n{"a": ]', ":2: not valid JSON"),
        ("a.csv", b"q,a\n1,2\n3\n", ":3: 1 fields, expected 2"),
        ("a.csv", b'q,a\n"1,2\n', ":2: not valid csv"),
        ("a.csv", b"q,a,q\n1,2,3\n", ":1: a column occurs twice in the header"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-20], "cannot be unpacked"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
        ("a.xlsx", b"", "unknown kind of file"),
    ],
)
def test_what_is_not_a_row_is_an_error_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        path.load_tables({"test": [str(tmp_path / name)]})
    assert str(error.value).startswith(str(tmp_path / name)) and message in str(error.value)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_marks_blank_ends_and_other_signs_change_nothing(tmp_path, mark):
    line = b'{"q": "a b", "a": "1"}'
    table = {"q": "a b", "a": "1"}
    for name, content in {
        "a.jsonl": line + b"\r\n\n  \n",
        "b.json": b"[" + line + b"]\n\n",
        "c.csv": b"q,a\r\na b,1\r\n\r\n \r\n",
        "d.csv": b'"q";"a"\n"a b";1\n',
        "e.csv": b"q\ta\na b\t1\n",
        "f.csv": b"\nq,a\na b,1",
    }.items():
        (tmp_path / name).write_bytes(mark + content)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(mark + content))
    tables = path.load_tables({"test": [str(tmp_path)]})
    assert len(tables) == 12 and [[row.values for row in table.rows] for table in tables] == [[table]] * 12
    assert [table.rows[0].line for table in tables if table.url.endswith("csv")] == [2, 2, 2, 3]


def test_a_long_csv_field_is_read(tmp_path):
    (tmp_path / "a.csv").write_text(f"q,a\n{'x' * 200_000},1\n")
    assert len(path.load_tables({"test": [str(tmp_path)]})[0].rows[0].values["q"]) == 200_000


def test_two_files_of_one_name_are_two_files(tmp_path):
    for folder, start in (("a", 0), ("b", 40), ("c", 80)):
        (tmp_path / folder).mkdir()
        jsonl(tmp_path / folder / ("train.jsonl" if folder < "c" else "more.jsonl"), words(*range(start, start + 30)))
    where = {"train": [str(tmp_path / name) for name in "abc"]}
    params = {"name": "gsm8k", "source": "path", "sizes": ALL, "shares": THIRDS, "path": where}
    problems, account = build_problems(Params.model_validate(params), 1, 1)
    assert len({problem.id for problem in problems}) == 90 and not any(e["rejected"] for e in account["files"])
    stems = {problem.id.removeprefix("gsm8k/train/")[:-5] for problem in problems}
    assert stems == {"a/train", "b/train", "more"}
    file = str(tmp_path / "a/train.jsonl")
    for twice in ({"train": [str(tmp_path / "a"), file]}, {"train": [file], "test": [file]}):
        with pytest.raises(UserError, match="named twice"):
            build_problems(Params.model_validate({**params, "path": twice}), 1, 1)


def test_an_id_that_two_files_use_names_two_questions(tmp_path):
    def contest(*numbers):
        return [{"id": n, "problem": f"Find the integer {n} + {year}.", "answer": n} for n in numbers]

    for year in (2024, 2025):
        jsonl(tmp_path / f"aime{year}.jsonl", contest(1, 2))
    jsonl(tmp_path / "copy.jsonl", [{"id": 1, "problem": "Find the integer 1 + 2024.", "answer": 1}, *contest(3)])
    problems, account = build_problems(section("aime", test=tmp_path), 1, 1)
    assert [p.id.removeprefix("aime/test/") for p in problems] == ["01", "02", "aime2025/01", "aime2025/02", "03"]
    assert "id aime/test/01 stands already" in account["files"][2]["rejected"][0]["reason"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "t.jsonl: no rows"),
        (
            [{"question": f"{n}?", "answer": f"####{n}"} for n in range(9)] + [{"question": "", "answer": "x"}],
            r"none of the 10 rows is a usable problem; 9 x `answer: its last line must be `#### number`, found '####0'`",
        ),
    ],
)
def test_a_file_without_a_usable_row_is_an_error(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        build_problems(section(test=jsonl(tmp_path / "t.jsonl", rows)), 1, 1)


def test_many_rejects_give_a_warning_and_an_empty_split_is_an_error(tmp_path):
    bad = [{"question": f"{n}?", "answer": f"no {n}"} for n in range(3)]
    train, test = jsonl(tmp_path / "train.jsonl", words(5)), jsonl(tmp_path / "test.jsonl", words(*range(10, 17)) + bad)
    params = section(shares=THIRDS, train=train, test=test)
    account = build_problems(params, 1, 1)[1]
    (warning,) = provenance.find_warnings(account)
    assert "3 of 10 rows rejected; commonest: 3 x `answer: its last line" in warning
    with pytest.raises(UserError, match="no problem is left for verifier and dev, which .*(train 1, .*test 7)"):
        provenance.require_problems(account, [split for split in splits.SPLITS if params.expects_rows(split)])
    jsonl(test, words(*range(10, 28)) + bad[:2])
    alone = section(test=test)
    requested = [split for split in splits.SPLITS if alone.expects_rows(split)]
    account = build_problems(alone, 1, 1)[1]
    provenance.require_problems(account, requested)
    assert requested == ["test"] and not list(provenance.find_warnings(account))  # 2 of 20 are not many


def test_licences_are_the_rows_own_the_files_or_the_parameters(tmp_path):
    def licences(rows, **parameters):
        file = jsonl(tmp_path / "t.jsonl", rows)
        params = {"name": "gsm8k", "source": "path", "sizes": ALL, "path": {"test": str(file)}, **parameters}
        return build_problems(Params.model_validate(params), 1, 1)[1]["licences"]

    assert licences(words(1)) == ["MIT"]
    (tmp_path / "LICENSE.txt").write_text("                   Apache License\n     Version 2.0, January 2004\n")
    licensed = [{**words(2)[0], "license": "CC-BY-NC-4.0"}]
    assert licences(words(1)) == ["Apache-2.0"]
    assert licences(words(1) + licensed) == ["Apache-2.0", "CC-BY-NC-4.0"]
    assert licences(words(1) + licensed, licence="ODbL-1.0") == ["ODbL-1.0"]
    (tmp_path / "LICENSE.txt").write_text("Ask us.\n")
    assert licences(words(1)) == [f"see {tmp_path / 'LICENSE.txt'}"]


def test_a_file_of_another_benchmark_is_refused(tmp_path):
    file = jsonl(tmp_path / "math.jsonl", [{"problem": "?", "solution": "!"}])
    with pytest.raises(UserError, match="math.jsonl:1: no column 'question'; found problem, solution"):
        build_problems(section(test=file), 1, 1)
    with pytest.raises(UserError, match="not found"):
        build_problems(section(test=tmp_path / "absent.jsonl"), 1, 1)


# --- splits ---------------------------------------------------------------------------------------------------------


def test_every_row_is_accounted_for(tmp_path):
    rows = [*words(*range(40)), {"question": "", "answer": "#### 1"}, {"question": "?", "answer": "no"}]
    train, test = jsonl(tmp_path / "train.jsonl", rows), jsonl(tmp_path / "test.jsonl", words(7, 100))
    problems, account = build_problems(section(shares=THIRDS, sizes={**ALL, "train": 5}, train=train, test=test), 1, 1)
    entry = account["files"][0]
    assert entry["rows"]["in"] == 42 and sum(entry["rows"].values()) == 2 * 42
    assert [reject["row"] for reject in entry["rejected"]] == [8, 41, 42]
    assert "the same question is gsm8k/test/0000" in entry["rejected"][0]["reason"]
    assert entry["sha256"] == hashlib.sha256(train.read_bytes()).hexdigest()
    assert account["splits"]["train"] == 5 and account["splits"]["test"] == 2
    assert len({problem.id for problem in problems}) == len(problems) == sum(account["splits"].values())


def test_duplicates_are_never_in_two_splits(tmp_path):
    spaced = [{**values, "question": f"  {values['question'].upper()} "} for values in words(*range(60))]
    train, test = jsonl(tmp_path / "train.jsonl", words(*range(60)) + spaced), jsonl(tmp_path / "t.jsonl", words(3))
    problems, account = build_problems(section(shares=THIRDS, train=train, test=test), 1, 1)
    homes = {}
    for problem in problems:
        homes.setdefault(splits.normalize_question(problem), set()).add(problem.split)
    assert all(len(home) == 1 for home in homes.values()) and len(homes) == 60
    assert len(account["twins"]) == 59


def test_the_duplicate_across_math_splits_stays_in_test(tmp_path):
    def problems(*texts):
        return [{"problem": t, "solution": r"\boxed{1}", "level": "Level 1", "type": "Algebra"} for t in texts]

    train = jsonl(tmp_path / "train.jsonl", problems("What is $x$?", "What is $y$?"))
    test = jsonl(tmp_path / "test.jsonl", problems("What is $ x $ ?"))
    problems, account = build_problems(section("math", shares={"train": 1.0}, train=train, test=test), 1, 1)
    assert [problem.id for problem in problems if problem.split == "test"] == ["math/test/0000"]
    assert account["files"][0]["rejected"][0]["reason"] == "the same question is math/test/0000 of the test rows"


LONG = (
    "Among the {n} residents of Aimeville there are {m} who own a golden ring and $\\frac{{{m}}}{{2}}$ who own {what}."
)


def test_near_duplicates_of_test_rows_are_refused(tmp_path):
    """The same problem in other words or typesetting goes; a drill of other numbers, or a phrase in common, stays."""

    def problem(n, m=195, what="a garden spade", answer=7, end="Find the number who own all."):
        return {"problem": f"{LONG.format(n=n, m=m, what=what)} {end}", "answer": answer}

    test = [problem(900), {"problem": r"Find $\frac{1}{x+1}$ if $x=1/6$.", "answer": 6}]
    train = [
        {**problem(900), "problem": problem(900)["problem"].replace("$", " $$ ").replace("golden", "diamond")},
        {"problem": r"Find \( \dfrac{1}{x + 1} \) if \(x = 1/6 \)", "answer": 6},
        problem(901, 13, "none", answer=7),
        problem(900, answer=8),
        {"problem": r"Find $\frac{1}{x-1}$.", "answer": 6},
    ]
    files = {"train": jsonl(tmp_path / "train.jsonl", train), "test": jsonl(tmp_path / "test.jsonl", test)}
    problems, account = build_problems(section("aime", shares={"train": 1.0}, **files), 1, 1)
    assert account["near_duplicates"] == {
        f"aime/train/000{i}": f"nearly the same question is aime/test/000{i} of the test rows" for i in (0, 1)
    }
    assert [reject["row"] for reject in account["files"][0]["rejected"]] == [1, 2, 4]  # row 4 is word for word
    assert [p.id[-4:] for p in problems if p.split == "train"] == ["0002", "0004"]


def test_questions_about_one_passage_are_not_one_question():
    passage = "This question refers to the following text. " + " ".join(f"word{n}" for n in range(80))

    def make_problem(item, question, options):
        return Problem(
            id=item,
            benchmark="mmlu",
            split="x",
            question=f"{passage} {question}",
            choices=options,
            answer="A",
            answer_type="choice",
            licence="MIT",
            source=Source(url="u"),
        )

    test = make_problem("t", "Who is meant?", ["The king", "The queen"])
    assert not near_duplicates.find([make_problem("a", "When was it written?", ["In 1500", "In 1700"])], [test])
    assert list(
        near_duplicates.find([make_problem("a", "Who, then, is meant?", ["The king", "The queen"])], [test])
    ) == ["a"]


def test_one_test_file_feeds_all_splits(tmp_path):
    shares = {"train": 0.4, "verifier": 0.2, "dev": 0.2, "test": 0.2}
    file = jsonl(tmp_path / "test.jsonl", words(*range(400)))
    problems, account = build_problems(section(shares=shares, test=file), 1, 1)
    assert account["shares"] == {"of": "the published test rows", **shares}
    assert len({problem.id for problem in problems}) == 400 and all(p.id.startswith("gsm8k/test/") for p in problems)
    counts = [account["splits"][split] / 400 for split in splits.SPLITS]
    assert counts == pytest.approx(list(shares.values()), abs=0.08)
    with pytest.raises(ValueError, match="nothing to share out"):
        section(shares=shares, dev=file)


def test_a_row_keeps_its_split_when_others_come_and_go(tmp_path):
    def where(numbers, seed=1):
        file = jsonl(tmp_path / "train.jsonl", words(*numbers))
        return {p.question: p.split for p in build_problems(section(shares=THIRDS, train=file), seed, seed)[0]}

    whole, part = where(range(600)), where(range(599, 300, -1))
    assert part.items() <= whole.items()
    shares = [list(whole.values()).count(split) / 600 for split in ("train", "verifier", "dev")]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.06)
    other = where(range(600), seed=2)
    assert 0.5 < sum(other[question] != whole[question] for question in whole) / 600 < 0.75  # 0.62 if independent


def test_a_smaller_size_is_a_subset(tmp_path):
    file = jsonl(tmp_path / "test.jsonl", words(*range(50)))
    few, many = (
        {p.id for p in build_problems(section(sizes={**ALL, "test": n}, test=file), 1, 1)[0]} for n in (10, 20)
    )
    assert few < many and len(few) == 10


def test_normalisation_keeps_what_changes_the_answer(tmp_path):
    texts = ["x+1", "x-1", "x*1", "1.5 and 2", "15 and 2", "1,5 and 2", "1.5 and -2"]
    file = jsonl(tmp_path / "t.jsonl", [{"question": text, "answer": "#### 1"} for text in texts])
    problems, _ = build_problems(section(test=file), 1, 1)
    assert len({splits.normalize_question(problem) for problem in problems}) == len(texts)


# --- parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "bundled"}, "gradeschool, and only it, is bundled"),
        ({"path": None}, "must say what to read"),
        ({"path": {}}, "names no split"),
        ({"path": {"train": "a"}}, "shares is missing"),
        ({"path": {"train": "a"}, "shares": {"train": 0.5}}, "must sum to 1"),
        ({"path": {"train": "a", "test": "b"}, "shares": {"test": 1.0}}, "shares.test must be 0"),
        ({"source": "hub", "hub": {"repo": "a/b", "revision": "main", "splits": {"test": "test"}}}, "40 hex digits"),
        ({"source": "hub", "hub": {"repo": "a/b", "revision": "A" * 40, "splits": {"test": "test"}}}, "commits/main"),
    ],
)
def test_parameters_that_do_not_agree_are_refused(change, message):
    base = {"name": "gsm8k", "source": "path", "sizes": ALL, "path": {"test": "a"}}
    with pytest.raises(ValueError, match=message):
        Params.model_validate({**base, **change})


@pytest.mark.parametrize(
    ("steps", "message"),
    [([5, 2], "5 is more than 2"), ([-1, 2], ">= 1|equal to 1"), ([0, 0], "1"), ([50, 60], "46"), ([3], "2")],
)
def test_steps_that_make_no_problem_are_refused(steps, message):
    with pytest.raises(ValueError, match=message):
        BundledParams.model_validate({"steps": steps, "max_value": 60, "inverse_share": 0.25})
    BundledParams.model_validate({"steps": [1, 46], "max_value": 60, "inverse_share": 0.25})


def test_the_bundled_benchmark_is_apart_and_its_arithmetic_holds():
    sizes = {"train": 60, "verifier": 30, "dev": 20, "test": 20}
    knobs = {"steps": [3, 5], "max_value": 200, "inverse_share": 0.25}
    params = {"name": "gradeschool", "source": "bundled", "sizes": sizes, "bundled": knobs}
    problems, account = build_problems(Params.model_validate(params), 1, 1)
    assert account["splits"] == sizes
    assert account["annotations"]["checked"] > 300 and not account["annotations"]["faults"]
    assert not splits.drop_cross_split_duplicates(problems)[1]


def test_another_test_seed_changes_the_test_alone(tmp_path):
    bundled = {"steps": [2, 4], "max_value": 60, "inverse_share": 0.25}
    sizes = {"train": 20, "verifier": 20, "dev": 10, "test": 20}
    params = {"name": "gradeschool", "source": "bundled", "sizes": sizes, "bundled": bundled}
    file = jsonl(tmp_path / "test.jsonl", words(*range(50)))
    for section_, is_disjoint in (
        (Params.model_validate(params), True),
        (section(sizes={**ALL, "test": 10}, test=file), False),
    ):
        one, two = (build_problems(section_, 1, test_seed)[0] for test_seed in (1, 2))
        trained, tested = (
            [[p for p in x if (p.split == "test") == is_test] for x in (one, two)] for is_test in (False, True)
        )
        assert trained[0] == trained[1] and tested[0] != tested[1]
        if is_disjoint:
            assert not {p.question for p in tested[0]} & {p.question for p in tested[1]}
