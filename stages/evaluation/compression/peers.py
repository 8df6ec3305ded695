"""Peers: language models from elsewhere that join the law beside the ladder, each with a tokenizer of its own."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from stages.lib.core.params import Params as Strict

SOURCES = ("path", "package", "repo")


class Peer(Strict):
    """A causal language model: a folder or .gguf file, one that an installed Python package carries, or one of the hub."""

    path: str = ""  # a model folder or .gguf file; DVC does not watch it, so sha256 pins it
    package: str = ""  # name==version
    file: str = ""  # in the package: a model folder or .gguf file
    repo: str = ""  # owner/name on the hub
    revision: str = Field(default="", pattern=r"^([0-9a-f]{40})?$")  # of the hub: full commit hash
    sha256: str = ""  # of the .gguf file, or of all files of a folder one after another
    licence: str = ""  # of the weights
    tokens: int = Field(default=0, ge=0)  # that it was trained on; 0: unknown, and no correlation is given compute
    fitted: bool = True  # false: the law is not fitted on it, and says what it should be able to do

    @model_validator(mode="after")
    def _check_source(self) -> Peer:
        named = [key for key in SOURCES if getattr(self, key)]
        if len(named) != 1:
            raise ValueError(f"must have one of {', '.join(SOURCES)}, not {' and '.join(named) or 'none'}")
        needed = {"path": "sha256", "package": "file", "repo": "revision"}[named[0]]
        if not getattr(self, needed):
            raise ValueError(f"{named[0]} needs {needed}")
        return self


def resolve(name: str, peer: Peer) -> tuple[Path, dict[str, str]]:
    """(the folder or .gguf file of a peer, where it comes from), downloaded if it is on the hub. Raises UserError for one
    that is missing or not what the parameters pin."""
    from stages.lib.models import loading, sources

    if peer.repo:
        path, origin = (
            loading.download_snapshot(peer.repo, peer.revision),
            {"repo": peer.repo, "revision": peer.revision},
        )
    else:
        key = f"compression.models.{name}"
        path, origin = sources.find(key, peer.path, peer.package, peer.file, peer.sha256)
    return path, origin | {"licence": peer.licence}
