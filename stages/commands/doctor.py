"""`python -m stages doctor`: checks what the pipeline needs and says how to repair what is wrong."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from stages.lib.core.errors import UserError

OK, WARN, FAIL = "ok", "warn", "fail"
CheckResult = tuple[str, str]  # (one of the words above, what was found and how to repair it)


def doctor() -> None:
    """Check Python, git, disk, libraries, accelerator, remote and parameters; say how to fix what is wrong."""
    from stages.lib.display import terminal

    rows = []
    for name, check in CHECKS.items():
        try:
            status, text = check(Path.cwd())
        except UserError as error:
            status, text = FAIL, str(error)
        except Exception as error:  # noqa: BLE001 - a check that breaks is a finding, and the others still run
            status, text = WARN, f"could not be checked: {type(error).__name__}: {error}"
        first, *others = text.splitlines()
        rows += [[status, name, first], *(["", "", line] for line in others)]
    terminal.print_table(["", "what", "found"], rows)
    if any(row[0] == FAIL for row in rows):
        raise typer.Exit(1)


def check_python(root: Path) -> CheckResult:
    running = ".".join(map(str, sys.version_info[:3]))
    return (OK, running) if sys.version_info >= (3, 11) else (FAIL, f"{running}; 3.11 or later is needed")


def check_path(root: Path) -> CheckResult:
    """DVC runs stages with the first `python` on PATH."""
    python, folder = shutil.which("python"), os.path.dirname(sys.executable)
    if python and os.path.realpath(os.path.dirname(python)) == os.path.realpath(folder):
        return OK, f"`python` is {python}"
    advice = f"export PATH={folder}:$PATH, or use make"
    return FAIL, f"`python` is {python or 'not found'}, this is {sys.executable}; {advice}"


def check_git(root: Path) -> CheckResult:
    from stages.lib.run import journal

    if not shutil.which("git"):
        return WARN, "not installed; runs are recorded without a commit. Install git"
    without = "runs are recorded without a commit"
    try:
        journal.run_git(root, "status", "--porcelain", "--untracked-files=no")  # reads the index, too
    except UserError as error:
        advice = ". `git init`, then commit" if "not a git repository" in str(error) else ""
        return WARN, f"{without}; {error}{advice}"
    revision = journal.get_git_revision(root)
    if revision is None:
        return WARN, f"{without}; there is none yet. `git commit`"
    return OK, revision["commit"][:8] + (", with uncommitted changes" if revision["dirty"] else "")


def check_disk(root: Path) -> CheckResult:
    from stages.lib.display import tables

    free = shutil.disk_usage(root).free
    text = f"{tables.format_bytes(free)} free"
    if free < 1 << 30:
        return FAIL, f"{text}; at least 1 GB is needed. `dvc gc --workspace` drops old versions"
    return (WARN, f"{text}; hub models need more than 10 GB") if free < 10 << 30 else (OK, text)


def check_cores(root: Path) -> CheckResult:
    from stages.lib.core.cpus import count_usable

    return OK, f"{count_usable()} usable"


def make_package_check(name: str, needed: bool, why: str) -> Callable[[Path], CheckResult]:
    def check(root: Path) -> CheckResult:
        try:
            return OK, version(name)
        except PackageNotFoundError:
            return (FAIL if needed else WARN), f"not installed; {why}. `make setup`"

    return check


def check_accelerator(root: Path) -> CheckResult:
    import torch

    from stages.lib.core import params

    if torch.cuda.is_available():
        return OK, f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    launch = params.load_top_level().launch
    if not params.read_yaml(root / f"stages/launch/{launch}.yaml").get("use_cpu"):
        return (
            FAIL,
            f"none, but params.yaml says launch: {launch}; `python -m stages preset default`, or set launch: cpu",
        )
    return OK, "none; the presets default and nano need none"


def check_dvc(root: Path) -> CheckResult:
    status, text = make_package_check("dvc", False, "stages run by hand only")(root)
    if status == OK and not (root / ".dvc").is_dir():
        return FAIL, f"{text}, but there is no .dvc/ here; `dvc init`"
    return status, text


def check_remote(root: Path) -> CheckResult:
    """A remote in .dvc/config or .dvc/config.local; secrets belong in the second, which git ignores."""
    from stages.lib.workspace import remotes

    if secrets := remotes.list_secrets_in_git(root):
        return FAIL, f".dvc/config holds {', '.join(secrets)} and goes to git; move it: `dvc remote modify --local`"
    names = [remote.name for remote in remotes.load_remotes(root)]
    return (OK, ", ".join(names)) if names else (WARN, "none: data stays on this machine. `python -m stages share`")


def check_telemetry(root: Path) -> CheckResult:
    config = (root / ".dvc/config").read_text(encoding="utf-8") if (root / ".dvc/config").exists() else ""
    on = []
    if not os.environ.get("DVC_NO_ANALYTICS") and "analytics = false" not in config:
        on.append("DVC's: `dvc config core.analytics false`")
    if not any(os.environ.get(name) for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")):
        on.append("MLflow's, when called by hand (stages turn it off): export MLFLOW_DISABLE_TELEMETRY=true")
    return (WARN, f"on: {'; '.join(on)}") if on else (OK, "off")


def check_lock_file(root: Path) -> CheckResult:
    """Installed versions against requirements.lock."""
    file = root / "requirements.lock"
    if not file.exists():
        return WARN, "requirements.lock not found; versions are not pinned"
    wrong = []
    for line in file.read_text(encoding="utf-8").splitlines():
        name, equal, locked = line.split(";")[0].split("#")[0].strip().partition("==")
        if not equal:
            continue
        try:
            installed = version(name.strip().split("[")[0])
        except PackageNotFoundError:
            installed = "absent"
        if installed.split("+")[0] != locked.strip().split("+")[0]:
            wrong.append(f"{name} {installed} (locked {locked.strip()})")
    if not wrong:
        return OK, "installed versions are the locked ones"
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return WARN, f"{', '.join(wrong[:3])}{more}; `rm .venv/.ready && make setup`"


def check_params(root: Path) -> CheckResult:
    from stages.commands.preset import validate
    from stages.lib.core import params

    document = params.read_yaml(params.PARAMS_FILE)
    validate(document, [(params.PARAMS_FILE, document)])
    return OK, "params.yaml is valid for every stage"


def check_tracking(root: Path) -> CheckResult:
    from stages.lib.workspace import mlflow_fields, mlflow_store

    status, text = make_package_check("mlflow", False, "runs are recorded in the journal only")(root)
    if status != OK:
        return status, text
    store = mlflow_fields.redact_secrets(mlflow_store.get_tracking_uri(root))
    if os.environ.get("MLFLOW_TRACKING_URI"):
        try:
            mlflow_store.connect(root)
        except Exception as error:  # noqa: BLE001 - any error of MLflow means the same here
            advice = "start it or unset MLFLOW_TRACKING_URI, then `python -m stages sync`"
            return WARN, f"{text}, {store}: {mlflow_store.describe_error(error)}; {advice}"
    return OK, f"{text}, {store}"


CHECKS: dict[str, Callable[[Path], CheckResult]] = {
    # telemetry precedes mlflow, whose check turns it off for this process
    "python": check_python,
    "python on PATH": check_path,
    "telemetry": check_telemetry,
    "git": check_git,
    "disk": check_disk,
    "cores": check_cores,
    "dvc": check_dvc,
    "remote": check_remote,
    "mlflow": check_tracking,
    "torch": make_package_check("torch", True, "every model needs it"),
    "accelerate": make_package_check("accelerate", True, "training is launched by it"),
    "accelerator": check_accelerator,
    "requirements": check_lock_file,
    "parameters": check_params,
}
