"""The md5 of files and folders as DVC computes it, so that a run's inputs can be matched with what DVC stores.

A file is the md5 of its bytes. A folder is the md5 of a JSON list of its files' md5s and relative paths, plus `.dir`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

IGNORED_NAMES = {"__pycache__", ".DS_Store", ".ipynb_checkpoints"}  # as in .dvcignore


def file_md5(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5(path: Path, hash_file: Callable[[Path], str] = file_md5) -> str:
    """32 hex digits for a file; 32 and `.dir` for a folder. `hash_file` hashes one file. Raises FileNotFoundError."""
    path = Path(path)
    if not path.is_dir():
        return hash_file(path)
    listing = [
        {"md5": hash_file(file), "relpath": file.relative_to(path).as_posix()}
        for file in path.rglob("*")
        if file.is_file() and not IGNORED_NAMES & set(file.relative_to(path).parts) and file.suffix != ".pyc"
    ]
    listing.sort(key=lambda item: item["relpath"])
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"
