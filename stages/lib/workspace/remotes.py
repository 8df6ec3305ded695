"""DVC remotes: where data is shared, and what is not there yet.

`.dvc/config` goes to git and holds what everybody needs; `.dvc/config.local` stays here and holds who one is: keys,
passwords, user names. Both are read without DVC, and written by it.
"""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stages.lib.core.errors import UserError
from stages.lib.run import journal

CONFIG, LOCAL_CONFIG = ".dvc/config", ".dvc/config.local"
_SECRET_WORDS = ("password", "secret", "token", "access_key", "connection_string", "passphrase")


@dataclass(frozen=True)
class Kind:
    """A kind of remote. plugin: the module that DVC needs, in the extra `dvc[extra]`. login: what `share --login` asks
    for. fixed: settings beside the address."""

    name: str
    plugin: str | None = None
    extra: str | None = None
    login: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    can_push: bool = True


# DVC believes what a remote sends unless `verify` is set; then it hashes each object that it fetches.
_VERIFY = {"verify": True}
HTTP = Kind("HTTP, read only", login=("user", "password"), fixed=_VERIFY, can_push=False)
KINDS = {
    "": Kind("folder", fixed=_VERIFY),
    "s3": Kind("S3", "dvc_s3", "s3", ("access_key_id", "secret_access_key"), _VERIFY),
    "ssh": Kind("SSH", "dvc_ssh", "ssh", ("user", "password"), _VERIFY),
    "http": HTTP,
    "https": HTTP,
}


@dataclass(frozen=True)
class Remote:
    """A remote as .dvc/config and .dvc/config.local describe it together. shared_url: its address in the first, if it is
    there. login: the keys that only the second has."""

    name: str
    url: str
    shared_url: str | None
    is_default: bool
    login: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        return KINDS.get(urlsplit(self.url).scheme, Kind("another kind of DVC's"))


def load_remotes(root: Path) -> list[Remote]:
    """All remotes of the repository, the default first."""
    shared, local = (_read_config(root / file) for file in (CONFIG, LOCAL_CONFIG))
    settings: dict[str, list[dict[str, str]]] = {}  # name -> what each file says
    for i, config in enumerate((shared, local)):
        for part in config.sections():
            if match := re.fullmatch(r"""'?remote "(.+?)"'?""", part):
                settings.setdefault(match[1], [{}, {}])[i] = dict(config[part])
    default = local.get("core", "remote", fallback=shared.get("core", "remote", fallback=None))
    remotes = [
        Remote(
            name, (ours | own).get("url", ""), ours.get("url"), name == default, tuple(sorted(own.keys() - ours.keys()))
        )
        for name, (ours, own) in settings.items()
    ]
    return sorted(remotes, key=lambda remote: not remote.is_default)


def list_secrets_in_git(root: Path) -> list[str]:
    """Keys in .dvc/config, which goes to git, that name a secret."""
    config = _read_config(root / CONFIG)
    return [key for part in config.sections() for key in config[part] if any(word in key for word in _SECRET_WORDS)]


def parse_url(url: str) -> tuple[str, Kind]:
    """(the address to store, its kind). Raises UserError for an unknown kind, one without a place, or a password in it."""
    parts = urlsplit(url)
    if parts.scheme not in KINDS:
        raise UserError(
            f"{parts.scheme}://: not known here; allowed are a folder, s3://BUCKET/PATH, ssh://HOST/PATH and "
            f"https://HOST/PATH (read only); DVC knows more: `dvc remote add`"
        )
    if parts.password or (parts.username and parts.scheme != "ssh"):
        raise UserError("the address holds a password or key, and it goes to git; leave it out and add --login")
    if parts.scheme and not parts.hostname:
        raise UserError(f"{url}: names no {'bucket' if parts.scheme == 's3' else 'host'}; {parts.scheme}://NAME/PATH")
    if parts.scheme:
        return url.rstrip("/"), KINDS[parts.scheme]
    if not url.strip():
        raise UserError("the address is empty; name a folder, s3://BUCKET/PATH, ssh://HOST/PATH or https://HOST/PATH")
    return str(Path(url).expanduser().resolve()), KINDS[""]


def check_folder(root: Path, path: Path) -> None:
    """Raises UserError for a folder that cannot hold a remote: in the repository, a file, or not writable."""
    if path.is_relative_to(root.resolve()):
        raise UserError(f"{path}: is inside the repository; name a folder that your colleagues reach too")
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file; name a folder")
    parent = next(folder for folder in (path, *path.parents) if folder.is_dir())
    if not os.access(parent, os.W_OK):
        raise UserError(f"{parent}: cannot be written by you; name another folder, or ask its owner")


def add_remote(root: Path, name: str, url: str, settings: Mapping[str, Any], private: Mapping[str, str]) -> None:
    """Make it the default remote: settings in .dvc/config, `private` in .dvc/config.local. Raises UserError for a name
    that stands for another address.

    Settings go to both: DVC reads .dvc/config of the commit that it looks at, and commits and experiments from before would
    else have no remote, or, with `private`, a remote without an address, which is an error."""
    from dvc.repo import Repo

    existing = next((remote for remote in load_remotes(root) if remote.name == name), None)
    if existing and url not in (existing.url, existing.shared_url):
        raise UserError(
            f"remote {name}: is {existing.url} already; choose another --name, or `dvc remote remove {name}` first"
        )
    repo: Any = Repo(str(root))
    with repo.config.edit("repo") as config:
        shared = config["remote"].setdefault(name, {})
        shared.update({"url": url, **settings})
        config["core"]["remote"] = name
    (root / LOCAL_CONFIG).touch(0o600)
    (root / LOCAL_CONFIG).chmod(0o600)
    with repo.config.edit("local") as config:
        config["remote"].setdefault(name, {}).update({**shared, **private})
        config["core"]["remote"] = name


def has_plugin(kind: Kind) -> bool:
    return kind.plugin is None or importlib.util.find_spec(kind.plugin) is not None


def compare(root: Path, remote: Remote, timeout: float = 600) -> dict[str, str]:
    """Output -> `new` (here, not there), `deleted` (there, not here) or `missing` (in neither), by `dvc status --cloud`.
    Raises UserError when the remote cannot be read."""
    if remote.kind == HTTP:  # DVC takes a server that does not answer for an empty one
        try:
            urllib.request.urlopen(urllib.request.Request(remote.url, method="HEAD"), timeout=20).close()
        except urllib.error.HTTPError:
            pass  # it answers, and need not list its folders
        except OSError as error:
            raise UserError(f"{remote.url}: no answer ({getattr(error, 'reason', error)})") from None
    words = [sys.executable, "-m", "dvc", "status", "--cloud", "--json", "--remote", remote.name]
    try:
        done = subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise UserError(f"no answer in {timeout:.0f} s") from None
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["unknown"]
        raise UserError(errors[-1].removeprefix("ERROR: ").removeprefix("unexpected error - "))
    return json.loads(done.stdout.strip().splitlines()[-1])


def list_git_steps(root: Path) -> list[tuple[str, str]]:
    """(what a colleague cannot get from git yet, the command that gives it)."""
    steps = []
    changed = (git(root, "status", "--porcelain", "--", "dvc.lock", CONFIG, "data") or "").splitlines()
    if changed:
        what = changed[0].split()[-1] + (f" and {len(changed) - 1} more" if len(changed) > 1 else "")
        steps.append((f"{what} not committed", f"git add dvc.lock {CONFIG} data && git commit -m 'Share the data'"))
    if not git(root, "remote"):
        return [*steps, ("no git remote to clone from", "git remote add origin URL && git push -u origin HEAD")]
    ahead = git(root, "rev-list", "--count", "@{upstream}..HEAD")
    if ahead is None:
        steps.append(("the branch is not pushed", "git push -u origin HEAD"))
    elif changed or int(ahead):
        steps.append((f"{ahead} commits not pushed" if int(ahead) else "", "git push"))
    return steps


def list_experiments(root: Path) -> tuple[list[str], list[str] | None]:
    """(names of the DVC experiments here, those of them that git's origin has; None where it does not answer)."""
    refs = (git(root, "for-each-ref", "--format=%(refname)", "refs/exps") or "").splitlines()
    here = [ref for ref in refs if ref.count("/") == 4]  # refs/exps/<commit>/<commit>/<name>
    listing = git(root, "ls-remote", "origin", "refs/exps/*") if here else ""
    there = None if listing is None else [line.split()[-1] for line in listing.splitlines()]
    names = [ref.rpartition("/")[2] for ref in here]
    return names, None if there is None else [name for name, ref in zip(names, here, strict=True) if ref in there]


def get_clone_url(root: Path) -> str | None:
    """The address of git's origin, without a login in it."""
    url = git(root, "remote", "get-url", "origin")
    return url and re.sub(r"(?<=://)[^/@]*@", "", url)


def git(root: Path, *arguments: str) -> str | None:
    """What git prints; None when it fails, also because it would ask for a password."""
    try:
        return journal.run_git(root, *arguments, timeout=30)
    except UserError:
        return None


def _read_config(path: Path) -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read(path, encoding="utf-8")
    except configparser.Error as error:
        raise UserError(f"{path}: not a configuration of DVC: {str(error).splitlines()[0]}") from None
    return config
