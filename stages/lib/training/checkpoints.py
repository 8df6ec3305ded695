"""Checkpoints of unfinished training: a kill at any instant loses only the steps since the last one.

A checkpoint is a folder with the tensors in safetensors and everything else in JSON (no pickle). It is written under a
temporary name, flushed and renamed; then older ones are removed. accelerate's own `save_state` writes into its target and
pickles, so a kill leaves a torn checkpoint.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from stages.lib.core import files


def save(folder: Path, step: int, tensors: Mapping[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Write checkpoint `step` under `folder`, then remove older ones. Tensors that share memory are copied."""
    with files.atomic_write_dir(folder / f"step-{step:08d}") as new:
        copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        save_file(copies, new / "state.safetensors")
        files.write_json(new / "facts.json", facts)
    for old in _list_checkpoints(folder)[:-1]:
        shutil.rmtree(old)


def load_latest(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """(tensors, facts) of the newest checkpoint, or None."""
    if not (checkpoints := _list_checkpoints(folder)):
        return None
    facts = json.loads((checkpoints[-1] / "facts.json").read_text(encoding="utf-8"))
    return load_file(checkpoints[-1] / "state.safetensors"), facts


def _list_checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))
