"""Unfinished training, saved so that a kill at any instant loses only the steps since the last save.

A checkpoint is a folder of two files, tensors in safetensors and everything else in JSON (no pickle), written under a
temporary name, flushed and renamed; older ones go afterwards. accelerate's own `save_state` writes into its target and
pickles, so a kill tears it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.lib.core import files

if TYPE_CHECKING:
    import torch


def save(folder: Path, step: int, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Write checkpoint `step` under `folder`, then remove older ones. Shared memory is copied out first."""
    from safetensors.torch import save_file

    with files.atomic_write_dir(folder / f"step-{step:08d}") as new:
        save_file(
            {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()},
            new / "state.safetensors",
        )
        files.write_json(new / "facts.json", facts)
    for old in _list_checkpoints(folder)[:-1]:
        shutil.rmtree(old)


def load_latest(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """(tensors, facts) of the newest checkpoint, or None."""
    from safetensors.torch import load_file

    found = _list_checkpoints(folder)
    if not found:
        return None
    return load_file(found[-1] / "state.safetensors"), json.loads(
        (found[-1] / "facts.json").read_text(encoding="utf-8")
    )


def _list_checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))
