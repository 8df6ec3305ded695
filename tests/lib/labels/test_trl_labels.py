"""TRL's stepwise supervision: rows of any container, what is rejected, and how the form of a file is recognised."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.core import records, row_files
from stages.lib.core.errors import UserError
from stages.lib.labels import imported_labels, published_labels
from stages.lib.labels.labelled_solution import RejectedRow
from stages.lib.models.encoding import split_steps
from stages.lib.models.prompts import Prompt
from tests.lib.labels.test_imported_labels import prm800k, shepherd


def row(prompt="What is 2 + 2?", completions=("2 + 2 = 4", "The answer is: 4"), labels=(True, True)):
    return {"prompt": prompt, "completions": list(completions), "labels": list(labels)}


def write(path: Path, rows, container="jsonl") -> Path:
    if container == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif container == "json":
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(x, ensure_ascii=False) + "\n" for x in rows), encoding="utf-8")
    return path


def read(path: Path, **options):
    rows = list(published_labels.read("trl", path, **options))
    return [[x for x in rows if isinstance(x, RejectedRow) == is_rejected] for is_rejected in (False, True)]


def get_values(solution):
    return {label.step: label.value for label in solution.labels}


@pytest.mark.parametrize("container", ["jsonl", "json", "parquet"])
def test_a_row_in_any_container(tmp_path, container):
    """The name of the file says nothing: `to_json` of the datasets library writes JSONL into .json files."""
    rows = [row(), row(labels=(True, False)), row("3 + 1?", ["so 4"], [False])]
    taken, rejected = read(write(tmp_path / "steps.json", rows, container))
    assert rejected == [] and [get_values(x) for x in taken] == [{0: 1.0, 1: 1.0}, {0: 1.0, 1: 0.0}, {0: 0.0}]
    assert split_steps(taken[0].sample.text) == ["2 + 2 = 4", "The answer is: 4"] == taken[0].steps
    assert [x.problem.question for x in taken] == ["What is 2 + 2?", "What is 2 + 2?", "3 + 1?"]
    assert {label.method for x in taken for label in x.labels} == {"imported"}, "whoever judged is not said"


def test_a_solution_that_states_its_answer_is_finished_and_its_last_label_is_the_outcome(tmp_path):
    rows = [
        row(),
        row(labels=(True, False)),
        row(completions=["2 + 2 = 4"], labels=[True]),
        row(completions=["so \\boxed{4}"], labels=[0.5]),
        row(completions=["2 + 2 = 4", "# Answer\n\n4"]),
    ]
    taken, _ = read(write(tmp_path / "a.jsonl", rows))
    assert [x.sample.finish for x in taken] == ["stop", "stop", "length", "stop", "stop"]
    assert [x.sample.correct for x in taken] == [True, False, None, None, True], "a share is no outcome"


@pytest.mark.parametrize(
    ("messages", "question"),
    [
        ([{"role": "user", "content": " How many? "}], "How many?"),
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many?"}], "How many?"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "not: user, assistant"),
        ([], "not: none"),
        ([{"role": "system", "content": "Be brief."}], "not: system"),
    ],
)
def test_a_chat_with_one_question(tmp_path, messages, question):
    taken, rejected = read(write(tmp_path / "a.jsonl", [row(messages)]))
    if question == "How many?":
        assert taken[0].problem.question == question and not rejected
    else:
        assert not taken and rejected[0].reason.startswith("its prompt must have one user message")
        assert rejected[0].reason.endswith(question)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(labels=[True]), "it has 2 completions, but 1 labels"),
        (row(labels=[True, 2]), "labels.1: input should be less than or equal to 1, got 2"),
        (row(labels=[True, -100]), "labels.1: input should be greater than or equal to 0, got -100"),
        (row(labels=[True, "+"]), "labels.1: input should be a valid number, got '+'"),
        (row(labels=[True, None]), "labels.1: input should be a valid number, got None"),
        (row(completions=["a", " \n "]), "step 1 is blank"),
        (row(completions=[], labels=[]), "completions: list should have at least 1 item"),
        (row(completions=["a", 4]), "completions.1: input should be a valid string, got 4"),
        (row(" "), "its question is empty"),
        (row(5), "prompt.str: input should be a valid string, got 5"),
        ({"prompt": "a", "completions": ["b"]}, "labels: field required"),
        ([1], "row: input should be a valid dictionary"),
    ],
)
def test_rows_that_do_not_fit(tmp_path, bad, reason):
    taken, (rejected,) = read(write(tmp_path / "a.json", [row(), bad, row("3 + 1?")], "json"))
    assert rejected.row == 2 and rejected.reason.startswith(reason), rejected.reason
    assert len(taken) == 2


@given(st.lists(st.tuples(st.text(min_size=1), st.booleans() | st.floats(0, 1)), min_size=1, max_size=5))
def test_every_label_stays_with_its_step(tmp_path_factory, steps):
    texts, labels = zip(*steps, strict=True)
    path = write(tmp_path_factory.mktemp("t") / "a.jsonl", [row("q?", texts, labels)])
    for prompt in (Prompt(), Prompt(steps="paragraphs")):
        taken, rejected = read(path, prompt=prompt)
        assert len(taken) + len(rejected) == 1
        for solution in taken:
            assert len(prompt.split_steps(solution.sample.text)) == len(steps)
            assert get_values(solution) == dict(enumerate(map(float, labels)))


def test_a_form_is_recognised_by_its_columns(tmp_path):
    for form, rows in (("trl", [row()]), ("math_shepherd", shepherd()), ("prm800k", [prm800k()])):
        for container in ("jsonl", "json", "parquet"):
            path = write(tmp_path / form, [{**rows[0], "more": 1}, *rows[1:]], container)
            assert published_labels.recognise(path) == form
            assert not any(isinstance(x, RejectedRow) for x in published_labels.read(form, path))
    late = write(tmp_path / "late", [{"note": "made by us"}, row()])
    assert published_labels.recognise(late) == "trl", "by any of the first rows"
    for rows, message in (
        (
            [{"a": 1}],
            r"row 1 has \['a'\], which is no form of step labels; allowed: prm800k \(question, label\); .* trl",
        ),
        ([[1]], "row 1 has list, which is no form"),
        ([], "the file has no rows"),
    ):
        with pytest.raises(UserError, match=message):
            published_labels.recognise(write(tmp_path / "other", rows, "json"))
    with pytest.raises(UserError, match="cannot be read"):
        published_labels.recognise(tmp_path / "none")


def test_a_parquet_file_that_is_cut_off_is_told(tmp_path):
    path = write(tmp_path / "a", [row()], "parquet")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="cannot be read as Parquet after row 0"):
        list(row_files.iter_rows(path))


def test_solutions_of_a_question_are_one_pool(tmp_path):
    folder = tmp_path / "data/raw/labels"
    folder.mkdir(parents=True)
    steps = ["Step 1: 2 + 2 = 4", "Step 2: The answer is: 4"]
    write(folder / "a.parquet", [row(completions=steps), row("3?")], "parquet")
    write(folder / "b.jsonl", [row([{"role": "user", "content": "What  is 2 + 2?"}])])
    imported = imported_labels.read(tmp_path, {"trl": ["data/raw/labels/*"]}, Prompt(), [])
    pools = records.group_by_problem(imported.samples)
    assert {name: len(pool) for name, pool in pools.items()} == {"trl/train/000001": 2, "trl/train/000002": 1}
    assert imported.samples[0].text == "2 + 2 = 4\nThe answer is: 4\n", "no numbering"
    assert imported.counts["trl"]["labels"] == 6
    records.write_labels(tmp_path / "labels.parquet", imported.labels)
    assert {x.method for x in records.read_labels(tmp_path / "labels.parquet")} == {"imported"}
