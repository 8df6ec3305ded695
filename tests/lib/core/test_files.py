"""A file is the old version or the new one, whatever happens while it is written."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from stages.lib.core import files
from stages.lib.core.errors import UserError

ROOT = Path(__file__).parents[3]


def test_failure_keeps_the_old_version(tmp_path):
    files.write_text(tmp_path / "a", "old")
    with pytest.raises(RuntimeError), files.atomic_write(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old"
    with files.atomic_write_dir(tmp_path / "d") as temporary:
        (temporary / "x").write_text("old")
    with pytest.raises(RuntimeError), files.atomic_write_dir(tmp_path / "d") as temporary:
        (temporary / "x").write_text("half")
        raise RuntimeError
    assert (tmp_path / "d/x").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "d"]


def test_sigkill_in_the_middle_of_a_write_keeps_the_old_version(tmp_path):
    files.write_text(tmp_path / "a", "old")
    code = """
        import os, signal, sys
        from pathlib import Path
        from stages.lib.core import files
        with files.atomic_write(Path(sys.argv[1])) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "a")], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "a").read_text() == "old"


def test_a_full_disk_is_one_sentence_and_keeps_the_old_version(tmp_path):
    """The limit on file size stands for a full disk: the kernel refuses the write in the same place."""
    files.write_text(tmp_path / "a", "old")
    code = """
        import resource, sys
        from pathlib import Path
        from stages.lib.core import files
        from stages.lib.core.errors import UserError
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            files.write_text(Path(sys.argv[1]), "x" * 100_000)
        except UserError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "a")], cwd=ROOT, capture_output=True, text=True
    )
    assert "no space left" in done.stdout and "unchanged" in done.stdout, done.stderr
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_json_is_sorted_and_refuses_nan(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": 1, "a": 2})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": 2,\n  "b": 1\n}\n'
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": 2,\n  "b": 1\n}\n'


def test_sha256_of_a_folder_sees_names_and_contents(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/x").write_text("1")
    first = files.sha256(tmp_path / "d")
    (tmp_path / "d/x").rename(tmp_path / "d/y")
    second = files.sha256(tmp_path / "d")
    (tmp_path / "d/y").write_text("2")
    assert len({first, second, files.sha256(tmp_path / "d")}) == 3


def test_a_folder_or_a_path_through_a_file_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a folder; name a file"):
        files.write_text(tmp_path, "x")
    for path in ("file/x", "file/sub/x"):
        with pytest.raises(UserError, match="is a file, no folder"):
            files.write_text(tmp_path / path, "x")
