"""A copy of the repository in which tests run the real pipeline and may break things."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENV = {
    **{k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "DVC", "ACCELERATE", "PYTEST"))},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
}


class Workspace:
    """A repository at `root`, with `env` in the environment of every command."""

    def __init__(self, root: Path, **env: str):
        self.root, self.env = root, {**ENV, **env}

    def run(
        self, *command: str, check: bool = True, timeout: float = 1800, **env: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.root, env={**self.env, **env}, capture_output=True, text=True, timeout=timeout
        )
        assert not check or done.returncode == 0, f"{command} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def run_python(self, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, *arguments, **options)

    def start(self, *command: str, **env: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, so that a test can kill all of it or only the first process."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def list_stale_stages(self) -> set[str]:
        """Stages that DVC calls changed, without those that only depend on one of them."""
        return set(json.loads(self.run("dvc", "status", "--json").stdout))

    def replace_text(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text, f"{path} does not hold {old!r}"
        (self.root / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    def read_output_hashes(self) -> dict[str, str]:
        """path -> md5 of every output, from dvc.lock."""
        from ruamel.yaml import YAML

        lock = YAML(typ="safe").load((self.root / "dvc.lock").read_text(encoding="utf-8"))
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage.get("outs", [])}


def clone_repository(target: Path, preset: str = "nano") -> Workspace:
    """Copy the working tree as git would commit it to `target`, set a preset, and commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    workspace = Workspace(target)
    workspace.run("git", "init", "-q")
    workspace.run("git", "config", "user.email", "test@example.org")
    workspace.run("git", "config", "user.name", "test")
    (target / "dvc.lock").unlink(missing_ok=True)
    workspace.run_python("-m", "stages", "preset", preset)
    workspace.run("git", "add", "-A")
    workspace.run("git", "commit", "-qm", "start")
    return workspace
