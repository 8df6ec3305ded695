"""Records survive a round trip byte for byte, and a bad row is named by file and line, never skipped."""

import codecs
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.core import records
from stages.lib.core.errors import UserError
from stages.lib.core.records import (
    Problem,
    Sample,
    Score,
    Source,
    iter_jsonl,
    read_problems,
    read_samples,
    read_scores,
    write_problems,
    write_samples,
    write_scores,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def problem(number: int, question: str = "1 + 1?", **fields) -> Problem:
    return Problem(
        id=f"toy/test/{number:04d}",
        benchmark="toy",
        split="test",
        question=question,
        answer="2",
        answer_type="integer",
        licence="MIT",
        source=Source(url="toy"),
        **fields,
    )


def sample(problem_id: str, index: int, text: str = "#### 2") -> Sample:
    return Sample(
        problem_id=problem_id,
        index=index,
        text=text,
        answer="2",
        correct=True,
        finish="stop",
        logprob=-1.5,
        min_logprob=-0.75,
        tokens=4,
    )


@settings(max_examples=50)
@given(questions=st.lists(TEXT, min_size=1, max_size=5))
def test_problems_round_trip_in_any_order(tmp_path_factory, questions):
    folder = tmp_path_factory.mktemp("problems")
    problems = [problem(i, text, choices=[text, "b"]) for i, text in enumerate(questions)]
    write_problems(folder / "a.jsonl", problems)
    write_problems(folder / "b.jsonl", random.Random(0).sample(problems, len(problems)))
    assert (folder / "a.jsonl").read_bytes() == (folder / "b.jsonl").read_bytes()
    assert read_problems(folder / "a.jsonl") == problems


def test_pools_round_trip_and_equal_rows_give_equal_bytes(tmp_path):
    samples = [sample(f"p{i}", j, "é\n#### 2") for i in range(3) for j in range(4)]
    write_samples(tmp_path / "a.parquet", samples)
    write_samples(tmp_path / "b.parquet", reversed(samples))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert read_samples(tmp_path / "a.parquet") == samples
    scores = [
        Score(problem_id="p0", index=j, verifier="orm", score=j / 4, step_scores=[0.5], rationales=["so"], tokens=j)
        for j in range(4)
    ]
    write_scores(tmp_path / "s.parquet", scores)
    assert read_scores(tmp_path / "s.parquet") == scores
    with pytest.raises(ValueError, match="two rows"):
        write_samples(tmp_path / "c.parquet", samples + samples[:1])


GOOD = problem(1).model_dump_json(exclude_none=True)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([GOOD, GOOD[:40]], r":2: not valid JSON"),
        ([GOOD, "", GOOD], r":2: empty line"),
        (["[1]"], r":1: found list"),
        ([GOOD, GOOD], r":2: id 'toy/test/0001' is already used in line 1"),
        ([GOOD.replace('"MIT"', "7")], r":1: licence: .*string.*got 7"),
        ([GOOD.replace('"benchmark"', '"bench"')], r":1: benchmark: field required"),
        ([GOOD.replace('"answer_type":"integer"', '"answer_type":"vibes"')], r":1: answer_type: .*'vibes'"),
        (["{" * 100_000], r":1: not valid JSON"),
    ],
)
def test_a_bad_row_is_named(tmp_path, lines, reason):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=reason):
        read_problems(path)


def test_a_byte_order_mark_and_blank_ends_are_no_content(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(codecs.BOM_UTF8 + GOOD.encode() + b"\n\n \r\n")
    assert [number for number, _ in iter_jsonl(path)] == [1] and read_problems(path) == [problem(1)]


def test_bytes_that_are_not_utf8_crlf_and_long_lines(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(GOOD.encode() + b"\n\xff\xfe\n")
    with pytest.raises(UserError, match=r":2: not UTF-8"):
        read_problems(path)
    path.write_bytes(GOOD.encode() + b"\r\n")
    assert len(read_problems(path)) == 1
    path.write_text(problem(1, "x" * 10_000_000).model_dump_json(exclude_none=True) + "\n")
    assert len(read_problems(path)[0].question) == 10_000_000


@pytest.mark.parametrize("kind", [records.Sample, records.StepLabel, records.Score])
def test_every_field_has_its_column(kind):
    assert records._get_schema(kind).names == list(kind.model_fields)


def test_a_pool_that_is_cut_off_or_of_another_kind_is_refused(tmp_path):
    write_samples(tmp_path / "a.parquet", [sample("p", 0)])
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:100])
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        read_samples(tmp_path / "cut.parquet")
    with pytest.raises(UserError, match="columns"):
        read_scores(tmp_path / "a.parquet")


def test_prompt_letters_the_options():
    assert problem(1, "Pick", choices=["x", "y"]).format_prompt() == "Pick\nA: x\nB: y"
    assert json.loads(GOOD).get("choices") is None
