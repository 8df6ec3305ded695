"""A DVC repository of a script and a few files, in which this project's commands run experiments."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.helpers.toy_pipeline import ENV

ROOT = Path(__file__).parents[2]


def call(folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """A command in the repository, whose exit code must be this one."""
    env = {**ENV, "PYTHONPATH": str(ROOT), "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=env)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def create_project(folder: Path, files: Mapping[str, str]) -> Path:
    """A repository of these files (path -> text) whose stages have run, all committed."""
    for name, text in {".gitignore": "/.assay\n", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for words in (
        ("git", "init", "-q"),
        ("git", "config", "user.email", "a@b.c"),
        ("git", "config", "user.name", "a"),
        (sys.executable, "-m", "dvc", "init", "-q"),
        (sys.executable, "-m", "dvc", "repro", "-q"),
        ("git", "add", "-A"),
        ("git", "commit", "-qm", "all"),
    ):
        call(folder, *words)
    return folder
