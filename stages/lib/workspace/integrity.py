"""Whether the bytes on disk are those that dvc.lock names: every object of DVC's cache and every output, hashed again.

DVC trusts a file whose size, time and inode are as before, and an object of its cache because it is read-only. A disk that
flips a bit goes unnoticed by both, and so does a program that writes as root. Here everything is read.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stages.lib.core import cpus, digests, params
from stages.lib.core.errors import UserError
from stages.lib.run import journal
from stages.lib.workspace import staleness

WHOLE, DAMAGED, MISSING, EXTRA, ABSENT = "whole", "damaged", "missing", "extra", "absent"


Track = Callable[[Iterable[str], int], Iterable[str]]


@dataclass(frozen=True)
class Output:
    """A file or folder that dvc.lock, or the .dvc file of `dvc add`, names. owner: the stage, or the .dvc file."""

    owner: str
    path: str
    md5: str
    is_cached: bool = True


@dataclass(frozen=True)
class Finding:
    """A file with the state of its object in the cache and of its copy in the workspace; ABSENT where there is none to
    expect. EXTRA: a file that the folder should not hold."""

    owner: str
    path: str
    md5: str
    object: str | None
    in_cache: str
    in_workspace: str

    @property
    def is_whole(self) -> bool:
        return {self.in_cache, self.in_workspace} <= {WHOLE, ABSENT}


@dataclass(frozen=True)
class Check:
    """findings: one for each file that is named. strays: damaged objects of other commits. bytes: number that was read."""

    findings: list[Finding]
    strays: list[str]
    objects: int
    bytes: int


def load_outputs(root: Path) -> list[Output]:
    """What dvc.lock names, in the order of dvc.yaml, then what .dvc files in data/ name. Raises UserError without a
    dvc.lock."""
    if not (root / "dvc.lock").is_file():
        raise UserError("dvc.lock: not found, so nothing is recorded yet; `dvc repro` first")
    lock = params.to_plain(params.read_yaml(root / "dvc.lock")).get("stages", {})
    uncached = set(_list_uncached(root))
    outputs = [
        Output(stage.name, out["path"], out["md5"], out["path"] not in uncached)
        for stage in staleness.load_stages(root)
        for out in lock.get(stage.name, {}).get("outs", [])
    ]
    for file in sorted((root / "data").rglob("*.dvc")):
        for out in params.to_plain(params.read_yaml(file)).get("outs", []):
            path = (file.parent / out["path"]).relative_to(root).as_posix()
            outputs.append(Output(file.relative_to(root).as_posix(), path, out["md5"], out.get("cache", True)))
    return outputs


def get_cache_dir(root: Path) -> Path:
    """The folder of DVC's objects. Raises UserError where DVC is not set up."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        return Path(str(Repo(str(root)).cache.local.path))
    except NotDvcRepoError:
        raise UserError(f"{root}: no DVC repository; `dvc init`") from None


def check(root: Path, cache: Path, outputs: Sequence[Output], track: Track = lambda items, total: items) -> Check:
    """Hash all objects in `cache` and all outputs below `root`, a file with several names once, on all cores.

    track: passes on what it is given, one item for each of `total` files, to show progress."""
    objects = sorted(path for path in cache.glob("[0-9a-f][0-9a-f]/*") if path.is_file())
    copies = [file for out in outputs for file in _list_files(root / out.path)]
    md5s, read = _hash_files([*objects, *copies], track)
    findings, named = [], set()
    for out in outputs:
        for path, md5, in_workspace in _list_members(root, cache, out, md5s):
            file = cache / md5[:2] / md5[2:]
            if in_workspace == EXTRA or not out.is_cached:
                findings.append(Finding(out.owner, path, md5, None, ABSENT, in_workspace))
                continue
            named.add(file)
            in_cache = _compare(file, md5, md5s)
            findings.append(Finding(out.owner, path, md5, _shorten(root, file), in_cache, in_workspace))
    strays = [
        path for path in objects if path not in named and _compare(path, path.parent.name + path.name, md5s) != WHOLE
    ]
    return Check(findings, [_shorten(root, path) for path in strays], len(objects), read)


def list_repairs(root: Path, result: Check, has_remote: bool) -> list[str]:
    """Shell commands that mend what was found. Damaged files are deleted first, since DVC would believe in them."""
    delete, targets = list(result.strays), dict[str, list[str]]()  # command -> what it is called with
    for finding in (finding for finding in result.findings if not finding.is_whole):
        if finding.object and finding.in_cache == DAMAGED:
            delete.append(finding.object)
        if finding.in_workspace in (DAMAGED, EXTRA):
            delete.append(finding.path)
        if finding.in_workspace == EXTRA:
            continue
        target = finding.owner
        if finding.in_cache == ABSENT and _is_in_git(root, finding):
            command, target = "git restore", shlex.quote(finding.path)
        elif finding.in_cache == WHOLE:
            command = "dvc checkout"
        elif finding.in_workspace == WHOLE:
            command = "dvc commit"  # without -f: it refuses a stage that has changed since
        else:
            command = "dvc pull" if has_remote and finding.in_cache != ABSENT else "dvc repro"
        targets.setdefault(command, []).append(target)
    rm = [f"rm -{'r' * (root / path).is_dir()}f {shlex.quote(path)}" for path in dict.fromkeys(delete)]
    return rm + [" ".join([command, *dict.fromkeys(names)]) for command, names in targets.items()]


def _list_members(root: Path, cache: Path, out: Output, md5s: dict[Path, str]) -> Iterator[tuple[str, str, str]]:
    """(path, md5, state in the workspace) of an output; of a folder its list of files, then each file, if the list is
    whole."""
    path = root / out.path
    if not out.md5.endswith(".dir"):
        yield out.path, out.md5, _compare(path, out.md5, md5s)
        return
    listing = cache / out.md5[:2] / out.md5[2:]
    if _compare(listing, out.md5, md5s) != WHOLE:
        is_whole = path.is_dir() and digests.md5(path, md5s.__getitem__) == out.md5
        yield out.path, out.md5, WHOLE if is_whole else DAMAGED if path.is_dir() else MISSING
        return
    yield out.path, out.md5, WHOLE if path.is_dir() else MISSING
    members = {f"{out.path}/{item['relpath']}": item["md5"] for item in json.loads(listing.read_bytes())}
    for name, md5 in members.items():
        yield name, md5, _compare(root / name, md5, md5s)
    for file in _list_files(path):
        if (name := file.relative_to(root).as_posix()) not in members:
            yield name, "", EXTRA


def _compare(path: Path, md5: str, md5s: dict[Path, str]) -> str:
    if path not in md5s:
        return MISSING
    return WHOLE if md5s[path] == md5.removesuffix(".dir") else DAMAGED


def _list_uncached(root: Path) -> Iterator[str]:
    """Outputs with `cache: false`, which are in git and not in DVC's cache."""
    for entry in params.to_plain(params.read_yaml(root / "dvc.yaml"))["stages"].values():
        for out in [*entry.get("outs", []), *entry.get("metrics", []), *entry.get("plots", [])]:
            if isinstance(out, dict):
                yield from (path for path, options in out.items() if not (options or {}).get("cache", True))


def _list_files(path: Path) -> list[Path]:
    """The file, or those in the folder that DVC does not ignore."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    is_kept = [not digests.IGNORED_NAMES & set(file.parts) and file.suffix != ".pyc" for file in files]
    return [file for file, kept in zip(files, is_kept, strict=True) if kept and file.is_file()]


def _hash_files(paths: Iterable[Path], track: Track) -> tuple[dict[Path, str], int]:
    """(path -> md5, bytes that were read). A file that cannot be read has the md5 ""."""
    groups: dict[tuple[int, int], list[Path]] = {}
    size = 0
    for path in dict.fromkeys(paths):
        stat = path.stat()
        group = groups.setdefault((stat.st_dev, stat.st_ino), [])
        size += 0 if group else stat.st_size
        group.append(path)
    with ThreadPoolExecutor(cpus.count_usable()) as pool:
        hashes = list(track(pool.map(_hash_file, [group[0] for group in groups.values()]), len(groups)))
    return {path: md5 for group, md5 in zip(groups.values(), hashes, strict=True) for path in group}, size


def _hash_file(path: Path) -> str:
    try:
        return digests.file_md5(path)
    except OSError:  # a bad sector
        return ""


def _shorten(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _is_in_git(root: Path, finding: Finding) -> bool:
    """Whether the last commit holds the file as dvc.lock names it."""
    try:
        shown = journal.read_git(root, "show", f"HEAD:./{finding.path}")
    except UserError:
        return False
    return hashlib.md5(shown, usedforsecurity=False).hexdigest() == finding.md5
