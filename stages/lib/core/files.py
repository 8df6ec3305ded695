"""Atomic writes: a file or folder on disk is the old version or the new one, never half of it.

Everything is written under a temporary name beside the target, flushed to disk, then renamed over it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.lib.core.errors import UserError

_DISK_FULL_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS}


def explain_os_error(error: OSError) -> str | None:
    """One sentence for a full disk and for a place that may not be used; None for any other error."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in _DISK_FULL_ERRORS:
        return f"{where}no space left to write; free some space, run again"
    if error.errno in _DENIED_ERRORS:
        return f"{where}cannot be used ({error.strerror}); see who owns it and whether it is read-only"
    return None


def check_output(option: str, path: Path, is_folder: bool = False, inputs: Iterable[Path] = ()) -> None:
    """Raises UserError unless a file, or a folder's files, can be written at `path`. A command asks before it computes.

    option: how the user names the place, for the message. inputs: files that the command reads, which the output must not
    replace. Folders that are missing are made when the output is written.
    """
    path = Path(path)
    if not is_folder and path.is_dir():
        raise UserError(f"{option} {path}: is a folder; name a file")
    if is_folder and path.exists() and not path.is_dir():
        raise UserError(f"{option} {path}: is a file; name a folder")
    if path.exists() and any(other.exists() and path.samefile(other) for other in inputs):
        raise UserError(f"{option} {path}: is read by this command; name another file")
    parent = path if is_folder else path.parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise UserError(f"{option} {path}: {parent} is a file, no folder; name another path")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"{option} {path}: the folder {parent} is not writable; name another path")


def name_files(paths: Iterable[Path]) -> dict[Path, str]:
    """What to call each file in a table: its name without ending, or its path where two files would have one name."""
    unique = list(dict.fromkeys(map(Path, paths)))
    stems = Counter(path.stem for path in unique)
    return {path: path.stem if stems[path.stem] == 1 else str(path) for path in unique}


def _get_temporary_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_if_disk_full(error: OSError, path: Path, kind: str) -> None:
    if error.errno in _DISK_FULL_ERRORS:
        message = f"no space left to write it; the old {kind} is unchanged. Free some space, run again."
        raise UserError(f"{path}: {message}") from error


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write; on success it replaces `path` in one step, on failure it is removed.

    Raises UserError when the disk is full (the old file stays as it was), for a folder, and for a path through a file.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{path}: {path.parent} is a file, no folder; name another path") from None
    temporary = _get_temporary_path(path)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)
    except OSError as error:
        _raise_if_disk_full(error, path, "file")
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_write_dir(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder to fill; on success it replaces `path`, on failure it is removed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = _get_temporary_path(path), _get_temporary_path(path).with_suffix(".old")
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for file in sorted(temporary.rglob("*")):
            if file.is_file():
                with open(file, "rb") as handle:
                    os.fsync(handle.fileno())
        if path.exists():
            os.rename(path, old)  # a folder can't be renamed over another; a kill here leaves the old one under `old`
        os.rename(temporary, path)
        _sync_directory(path.parent)
    except OSError as error:
        _raise_if_disk_full(error, path, "folder")
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Sorted keys, two spaces, a newline at the end: equal values give equal bytes. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def sha256(path: Path) -> str:
    """Hex digest of a file, as `sha256sum` prints it; of a folder, over its files' relative names and digests."""
    path = Path(path)
    if path.is_dir():
        names = [
            (file.relative_to(path).as_posix(), sha256(file)) for file in sorted(path.rglob("*")) if file.is_file()
        ]
        return hashlib.sha256("".join(f"{name}\0{digest}\n" for name, digest in names).encode()).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
