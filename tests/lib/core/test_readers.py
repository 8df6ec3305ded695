"""Every reader of a user's files: what editors add changes nothing, what is unreadable is named with its true reason."""

import gzip

import pytest

from stages.lib.core import params, records, row_files
from stages.lib.core.errors import UserError
from stages.lib.datasets import contamination
from stages.problems.benchmarks import path as benchmark_files

TEXTS = {
    "jsonl": '{"question": "é\u2028?", "n": 1}\n{"question": "b", "n": 2}\n',
    "json": '[{"question": "é\u2028?", "n": 1},\n{"question": "b", "n": 2}]\n',
    "csv": 'question,n\n"é\n?",1\nb,2\n',
    "yaml": "question: é\nn: 1\n",
}


def read(iterate):
    return lambda path: [row for _, row in iterate(path)]


# name -> (ending, reader)
READERS = {
    "records": ("jsonl", read(records.iter_jsonl)),
    "rows": ("jsonl", read(row_files.iter_rows)),
    "row list": ("json", read(row_files.iter_rows)),
    "benchmark jsonl": ("jsonl", read(benchmark_files.read_rows)),
    "benchmark json": ("json", read(benchmark_files.read_rows)),
    "benchmark csv": ("csv", read(benchmark_files.read_rows)),
    "questions jsonl": ("jsonl", contamination.read_texts),
    "questions csv": ("csv", contamination.read_texts),
    "params": ("yaml", lambda path: params.to_plain(params.read_yaml(path))),
}
HABITS = {
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "blank last lines": lambda data: data + b"\n \n\n",
    "no last line end": lambda data: data.rstrip(),
    "both": lambda data: b"\xef\xbb\xbf" + data + b"\r\n",
}
FAULTS = {
    "utf-16": (lambda data: data.decode().encode("utf-16"), "not UTF-8"),
    "latin-1": (lambda data: data.decode().replace("\u2028", "").encode("latin-1"), "not UTF-8"),
    "binary": (lambda data: bytes(range(256)) * 9, "not UTF-8|not valid"),
}
JSON_FAULTS = {
    "cut": (lambda data: data[:-9], "not valid JSON .*; the file may be cut off"),
    "spoilt": (lambda data: data.replace(b"1", b"1 x", 1), r"not valid JSON \(.*\) at column \d+$"),
    "huge": (lambda data: data.replace(b"1", b"1" * 5000, 1), "a number has thousands of digits; write it as a string"),
    "deep": (lambda data: data.replace(b"1", b"[" * 100_000, 1), "not valid JSON .*nested too deep"),
}


def write(folder, name, change):
    ending, reader = READERS[name]
    path = folder / f"a file.{ending}"
    path.write_bytes(change(TEXTS[ending].encode()))
    return path, reader


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("name", READERS)
def test_what_editors_add_changes_nothing(name, habit, tmp_path):
    path, reader = write(tmp_path, name, lambda data: data)
    plain = reader(path)
    assert len(plain) == 2
    path, reader = write(tmp_path, name, HABITS[habit])
    assert reader(path) == plain


@pytest.mark.parametrize("name", READERS)
def test_line_ends_of_windows(name, tmp_path):
    path, reader = write(tmp_path, name, lambda data: data.replace(b"\n", b"\r\n"))
    assert len(reader(path)) == 2


@pytest.mark.parametrize("fault", FAULTS | JSON_FAULTS)
@pytest.mark.parametrize("name", READERS)
def test_what_cannot_be_read_is_named_with_its_reason(name, fault, tmp_path):
    if fault in JSON_FAULTS and READERS[name][0] not in ("json", "jsonl"):
        return
    change, reason = (FAULTS | JSON_FAULTS)[fault]
    path, reader = write(tmp_path, name, change)
    with pytest.raises(UserError, match=reason) as error:
        reader(path)
    assert str(error.value).startswith(f"{path}:") and len(str(error.value)) < 300


@pytest.mark.parametrize("name", READERS)
def test_a_folder_and_an_absent_file(name, tmp_path):
    path, reader = write(tmp_path, name, lambda data: data)
    path.unlink()
    with pytest.raises(UserError, match="not found|No such file"):
        reader(path)
    path.mkdir()
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\)"):
        reader(path)


def test_params_with_a_huge_number_or_deep_lists(tmp_path):
    for text, reason in (("a: " + "1" * 5000, "thousands of digits"), ("a: " + "[" * 5000, "nested too deep")):
        (tmp_path / "p.yaml").write_text(text)
        with pytest.raises(UserError, match=reason):
            params.read_yaml(tmp_path / "p.yaml")


def test_a_packed_file_that_breaks_off(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(TEXTS["jsonl"].encode())[:-9])
    with pytest.raises(UserError, match="cannot be unpacked"):
        list(benchmark_files.read_rows(path))


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_nothing_to_compare_with_is_an_error(ending, tmp_path):
    (tmp_path / f"a.{ending}").write_text("\n")
    with pytest.raises(UserError, match="no rows"):
        contamination.read_texts(tmp_path / f"a.{ending}")
