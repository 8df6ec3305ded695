"""The digest of a stage's code: equal while no statement changes in a file that it imports."""

import pytest

from stages.lib.run.import_closure import digest_code, find_imported_files, is_code

FILES = {
    "stages/__init__.py": '"""Prose."""\n',
    "stages/a.py": "from stages.lib import b\n\n\ndef f():\n    return b.g()\n",
    "stages/lib/__init__.py": "",
    "stages/lib/b.py": "def g():\n    import stages.lib.c\n    return 1\n",
    "stages/lib/c.py": "C = 1\n",
    "stages/lib/d.py": "D = 1\n",
}


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_closure_follows_imports_in_bodies_and_leaves_out_prose(root):
    assert {path.name for path in find_imported_files(root, "stages.a")} == {"a.py", "b.py", "c.py"}


@pytest.mark.parametrize(
    ("file", "text", "same"),
    [
        ("stages/lib/c.py", '"""A docstring."""\n\nC  =  1  # a comment\n', True),
        ("stages/a.py", FILES["stages/a.py"].replace("f():", 'f():\n    """Doc."""'), True),
        ("stages/lib/d.py", "D = 2\n", True),
        ("stages/lib/c.py", "C = 2\n", False),
        ("stages/lib/c.py", "C = '1'\n", False),
        ("stages/lib/b.py", "from stages.lib import d\n" + FILES["stages/lib/b.py"], False),
    ],
)
def test_only_a_statement_that_is_run_changes_the_digest(root, file, text, same):
    before = digest_code(root, "stages.a")
    (root / file).write_text(text)
    assert (digest_code(root, "stages.a") == before) is same


def test_launch_files_are_inputs_and_not_code():
    assert is_code("stages/lib/core") and not is_code("stages/launch/cpu.yaml") and not is_code("data/raw")
