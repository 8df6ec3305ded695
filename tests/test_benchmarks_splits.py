"""benchmarks: which split a published row goes to, that every row is accounted for, and what is refused."""

import csv
import gzip
import hashlib
import json

import pytest

from stages.benchmarks import path, splits
from stages.benchmarks.__main__ import Params, build
from stages.lib.errors import UserError

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
    found = path.tables({"test": [str(tmp_path)]})
    assert [[r.values for r in table.rows] for table in found] == [rows] * 5
    assert [r.line for r in found[2].rows] == [2, 4, 6]  # as an editor counts: each csv record takes two lines


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
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-20], "cannot be unpacked"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
        ("a.xlsx", b"", "unknown kind of file"),
    ],
)
def test_what_is_not_a_row_is_an_error_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        path.tables({"test": [str(tmp_path / name)]})
    assert str(error.value).startswith(str(tmp_path / name)) and message in str(error.value)


def test_a_file_of_another_benchmark_is_refused(tmp_path):
    file = jsonl(tmp_path / "math.jsonl", [{"problem": "?", "solution": "!"}])
    with pytest.raises(UserError, match="math.jsonl:1: no column 'question'; found problem, solution"):
        build(section(test=file), 1)
    with pytest.raises(UserError, match="not found"):
        build(section(test=tmp_path / "absent.jsonl"), 1)


# --- splits ---------------------------------------------------------------------------------------------------------


def test_every_row_is_accounted_for(tmp_path):
    rows = [*words(*range(40)), {"question": "", "answer": "#### 1"}, {"question": "?", "answer": "no"}]
    train, test = jsonl(tmp_path / "train.jsonl", rows), jsonl(tmp_path / "test.jsonl", words(7, 100))
    problems, account = build(section(shares=THIRDS, sizes={**ALL, "train": 5}, train=train, test=test), 1)
    entry = account["files"][0]
    assert entry["rows"]["in"] == 42 and sum(entry["rows"].values()) == 2 * 42
    assert [reject["row"] for reject in entry["rejected"]] == [8, 41, 42]
    assert "the same question is gsm8k/test/0000" in entry["rejected"][0]["reason"]
    assert entry["sha256"] == hashlib.sha256(train.read_bytes()).hexdigest()
    assert account["splits"]["train"] == 5 and account["splits"]["test"] == 2
    assert len({problem.id for problem in problems}) == len(problems) == sum(account["splits"].values())


def test_a_twin_never_stands_in_two_splits(tmp_path):
    spaced = [{**values, "question": f"  {values['question'].upper()} "} for values in words(*range(60))]
    train, test = jsonl(tmp_path / "train.jsonl", words(*range(60)) + spaced), jsonl(tmp_path / "t.jsonl", words(3))
    problems, account = build(section(shares=THIRDS, train=train, test=test), 1)
    homes = {}
    for problem in problems:
        homes.setdefault(splits.normalised(problem), set()).add(problem.split)
    assert all(len(home) == 1 for home in homes.values()) and len(homes) == 60
    assert len(account["twins"]) == 59


def test_the_duplicate_across_math_splits_stays_in_test(tmp_path):
    def problems(*texts):
        return [{"problem": t, "solution": r"\boxed{1}", "level": "Level 1", "type": "Algebra"} for t in texts]

    train = jsonl(tmp_path / "train.jsonl", problems("What is $x$?", "What is $y$?"))
    test = jsonl(tmp_path / "test.jsonl", problems("What is $ x $ ?"))
    made, account = build(section("math", shares={"train": 1.0}, train=train, test=test), 1)
    assert [problem.id for problem in made if problem.split == "test"] == ["math/test/0000"]
    assert account["files"][0]["rejected"][0]["reason"] == "the same question is math/test/0000 of the test rows"


def test_a_row_keeps_its_split_when_others_come_and_go(tmp_path):
    def where(numbers, seed=1):
        file = jsonl(tmp_path / "train.jsonl", words(*numbers))
        return {p.question: p.split for p in build(section(shares=THIRDS, train=file), seed)[0]}

    whole, part = where(range(600)), where(range(599, 300, -1))
    assert part.items() <= whole.items()
    shares = [list(whole.values()).count(split) / 600 for split in ("train", "verifier", "dev")]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.06)
    other = where(range(600), seed=2)
    assert 0.5 < sum(other[question] != whole[question] for question in whole) / 600 < 0.75  # 0.62 if independent


def test_a_smaller_size_is_a_subset(tmp_path):
    file = jsonl(tmp_path / "test.jsonl", words(*range(50)))
    few, many = ({p.id for p in build(section(sizes={**ALL, "test": n}, test=file), 1)[0]} for n in (10, 20))
    assert few < many and len(few) == 10


def test_normalisation_keeps_what_changes_the_answer(tmp_path):
    texts = ["x+1", "x-1", "x*1", "1.5 and 2", "15 and 2", "1,5 and 2", "1.5 and -2"]
    file = jsonl(tmp_path / "t.jsonl", [{"question": text, "answer": "#### 1"} for text in texts])
    problems, _ = build(section(test=file), 1)
    assert len({splits.normalised(problem) for problem in problems}) == len(texts)


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


def test_the_bundled_benchmark_is_apart_and_its_arithmetic_holds():
    sizes = {"train": 60, "verifier": 30, "dev": 20, "test": 20}
    knobs = {"steps": [3, 5], "largest": 200, "inverse": 0.25}
    params = {"name": "gradeschool", "source": "bundled", "sizes": sizes, "bundled": knobs}
    problems, account = build(Params.model_validate(params), 1)
    assert account["splits"] == sizes
    assert account["annotations"]["checked"] > 300 and not account["annotations"]["faults"]
    assert not splits.separate(problems)[1]
