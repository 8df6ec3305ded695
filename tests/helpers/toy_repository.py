"""The toy pipeline in a git and DVC repository, with metrics in git as this project keeps them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.helpers.toy_pipeline import ToyPipeline, create_pipeline

OFF = {"ASSAY_TRACKING": "off", "GIT_CONFIG_GLOBAL": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true"}


class ToyRepository(ToyPipeline):
    def git(self, *arguments: str) -> str:
        names = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        return self.run("git", *names, *arguments, **OFF).stdout

    def dvc(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "dvc", *arguments, code=code, **OFF, **env)


def create_repository(root: Path) -> ToyRepository:
    """A repository on branch main whose two stages have run, all committed."""
    root.mkdir(parents=True)
    repository = ToyRepository(create_pipeline(root).root)
    repository.replace_text(".gitignore", "/data\n", "/data/*/*\n!/data/raw/*\n!/data/*/metrics.json\n")
    for stage in ("one", "two"):
        path = f"data/{stage}/metrics.json"
        repository.replace_text("dvc.yaml", f"metrics: [{path}]", f"metrics: [{path}: {{cache: false}}]")
    repository.git("init", "-qb", "main")
    repository.dvc("init", "-q")
    repository.dvc("repro", "-q")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "run")
    return repository
