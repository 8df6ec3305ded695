"""`python -m stages share`: set up where data is shared, and say what is not shared yet."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.workspace.remotes import Kind, Remote

EXPLANATION = """No remote: data stays on this machine. Name a place that your colleagues reach:

  python -m stages share /shared/assay           a folder: a network drive, a mounted disk
  python -m stages share s3://BUCKET/assay       S3, or what speaks it (--endpoint https://..)
  python -m stages share ssh://HOST/srv/assay    a machine that you reach by SSH
  python -m stages share https://HOST/assay      HTTP: colleagues take from it, nobody gives

Keys and passwords come from where S3 and SSH look for them (~/.aws, AWS_*, ~/.ssh). --login asks for
them instead, and keeps them in .dvc/config.local, which git ignores."""


def share(
    url: Annotated[str | None, typer.Argument(help="A folder, s3://.., ssh://.. or https://..")] = None,
    name: Annotated[str, typer.Option(help="What to call it.")] = "store",
    endpoint: Annotated[str | None, typer.Option(help="The server of an S3 store that is not Amazon's.")] = None,
    key: Annotated[Path | None, typer.Option(help="The key file for SSH, on this machine.")] = None,
    login: Annotated[bool, typer.Option("--login", help="Ask for the key or password; it stays here.")] = False,
) -> None:
    """Set up where data is shared, or without an address say what is set up, what is not shared yet, and what to type."""
    from stages.lib.workspace import remotes

    root = Path.cwd()
    if not (root / ".dvc").is_dir():
        raise UserError(f"{root}: no DVC repository; run from the repository's root")
    default = next((remote for remote in remotes.load_remotes(root) if remote.is_default), None)
    if url is None and default and (login or key):  # a colleague, after the clone
        name, url = default.name, default.url
    if url is not None:
        url, kind = remotes.parse_url(url)
        settings, private = dict(kind.fixed), {}
        if kind.name == "folder":
            remotes.check_folder(root, Path(url))
        if endpoint:
            settings["endpointurl"] = check_option("--endpoint", kind, "S3", remotes.parse_url(endpoint)[0])
        if key:
            private["keyfile"] = check_option("--key", kind, "SSH", str(key.expanduser().resolve()))
            if not key.expanduser().is_file():
                raise UserError(f"--key {key}: no such file")
        if login:
            private |= ask_login(kind)
        remotes.add_remote(root, name, url, settings, private)
        default = next(remote for remote in remotes.load_remotes(root) if remote.is_default)
    elif endpoint or key or login:
        raise UserError("--endpoint, --key and --login: belong to an address; name it first")
    if default is None:
        print(EXPLANATION)
        return
    show_state(root, default)


def check_option(option: str, kind: Kind, wanted: str, value: str) -> str:
    if kind.name != wanted:
        raise UserError(f"{option}: is for {wanted}; this is a remote of kind {kind.name}")
    return value


def ask_login(kind: Kind) -> dict[str, str]:
    """What DVC needs to log in, from the terminal without echo, or one line each of standard input."""
    if not kind.login:
        raise UserError(f"--login: a {kind.name} has none; leave it out")
    answers = {}
    for field in kind.login:
        ask = input if field == "user" else getpass.getpass
        line = ask(f"{field}: ") if sys.stdin.isatty() else sys.stdin.readline()
        answers[field] = line.strip()
        if not answers[field]:
            raise UserError(f"--login: no {field} was given; nothing was changed")
    return answers | ({"auth": "basic"} if kind.name.startswith("HTTP") else {})


def show_state(root: Path, remote: Remote) -> None:
    """What is set, what is not shared yet, what to type, and what a colleague types."""
    from stages.lib.display.terminal import print_table
    from stages.lib.workspace import remotes

    rows: list[list[str]] = [["remote", f"{remote.name}, {remote.url} ({remote.kind.name})"]]
    steps: list[str] = []
    if remote.shared_url not in (None, remote.url):
        rows.append(["conflict", f"{remotes.CONFIG} says {remote.shared_url}, {remotes.LOCAL_CONFIG} another address"])
        steps.append(f"python -m stages share {remote.shared_url} --name {remote.name}")
    if secrets := remotes.list_secrets_in_git(root):
        rows.append(["secrets", f"{', '.join(secrets)} in {remotes.CONFIG}, which goes to git"])
        steps += [f"dvc remote modify --unset {remote.name} {key}" for key in secrets]
    if remote.login:
        rows.append(["login", f"{', '.join(remote.login)} in {remotes.LOCAL_CONFIG}, which stays here"])
    if not remotes.has_plugin(remote.kind):
        rows.append(["data", f"not checked: DVC lacks its plug-in for {remote.kind.name}"])
        steps += [f"python -m pip install 'dvc[{remote.kind.extra}]'", "python -m stages share"]
    else:
        text, command = describe_data(root, remote)
        rows.append(["data", text])
        steps += [command] * bool(command)
    unshared = remotes.list_git_steps(root)
    rows.append(["git", ", ".join(what for what, _ in unshared if what) or "all that a colleague needs is pushed"])
    steps += [command for _, command in unshared]
    here, there = remotes.list_experiments(root)
    if here:
        left = [name for name in here if name not in (there or ())]
        count = f"{len(left)} of {len(here)} not on origin" if there is not None else "origin does not answer"
        rows.append(["experiments", count if left else f"{len(here)}, all on origin"])
        steps += [f"dvc exp push origin {' '.join(left[:3])}{' ..' if len(left) > 3 else ''}"] * bool(left)
    print_table(["what", "state"], rows)
    if steps:
        print("\nNext:\n  " + "\n  ".join(steps))
    print("\nA colleague:\n  " + "\n  ".join(list_colleague_steps(root, remote)))


def describe_data(root: Path, remote: Remote) -> tuple[str, str]:
    """(what the remote lacks, the command to type or "")."""
    from stages.lib.workspace import remotes

    try:
        states = remotes.compare(root, remote)
    except UserError as error:
        return f"the remote cannot be read: {error}", ""
    unshared, away, lost = ([path for path in states if states[path] == s] for s in ("new", "deleted", "missing"))
    parts = []
    if unshared:
        parts.append(f"{len(unshared)} files are here alone")
    if away:
        parts.append(f"{len(away)} are there and not here")
    if lost:
        parts.append(f"{len(lost)} are in neither")
    text = ", ".join(parts) or "all there"
    if unshared and not remote.kind.can_push:
        return f"{text}; HTTP is read only: push from a machine that writes the folder or bucket behind it", ""
    return text, "dvc push" if unshared else "dvc pull" if away else "dvc repro" if lost else ""


def list_colleague_steps(root: Path, remote: Remote) -> list[str]:
    from stages.lib.workspace import remotes

    folder = "assay && cd assay && make setup && source .venv/bin/activate"
    steps = [f"git clone {remotes.get_clone_url(root) or 'URL'} {folder}"]
    if remote.kind.extra:
        steps.append(f"python -m pip install 'dvc[{remote.kind.extra}]'")
    if remote.login:
        steps.append(
            "python -m stages share --key FILE" if "keyfile" in remote.login else "python -m stages share --login"
        )
    steps += ["dvc pull", "dvc repro    # nothing is left to compute", f"python -m stages share {remote.url}"]
    return [*steps[:-1], f"{steps[-1]} && dvc exp pull origin NAME    # an experiment"]
