"""A verifier's folder: model, tokenizer, prompt.json, verifier.json and the weights of the head, if it has any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save_file
from torch import nn

from stages.lib.core import files
from stages.lib.core.errors import UserError
from stages.lib.models import loading

if TYPE_CHECKING:
    from stages.lib.models.encoding import Encoder
    from stages.lib.run.execution import StageRun

CONFIG_FILE = "verifier.json"
HEAD_FILE = "head/head.safetensors"  # in a separate folder, where transformers does not look for weights
CONCENTRATION_FILE = "head/concentration.safetensors"


def save_verifier(
    path: Path,
    model: Any,
    encoder: Encoder,
    config: dict[str, Any],
    head: nn.Module | None = None,
    concentration_head: nn.Module | None = None,
) -> None:
    """Write the whole folder at once. config: what verifier.json holds, `kind` and `name` at least."""
    with files.atomic_write_dir(path) as folder:
        loading.write_files(model, encoder.tokenizer, folder)
        encoder.save(folder)
        for module, name in ((head, HEAD_FILE), (concentration_head, CONCENTRATION_FILE)):
            if module is not None:
                save_head(module, folder, name)
        files.write_json(folder / CONFIG_FILE, config)


def save_head(head: nn.Module, folder: Path, name: str = HEAD_FILE) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in head.state_dict().items()}
    save_file(weights, folder / name)


def load_head(head: nn.Module, folder: Path, name: str = HEAD_FILE) -> None:
    """Fill a head with the weights that `save_head` wrote."""
    head.load_state_dict(load_file(folder / name))


def read_config(path: Path, kind: str | None = None) -> dict[str, Any]:
    """What verifier.json holds. Raises UserError for a folder without a verifier, or with one of another kind."""
    file = path / CONFIG_FILE
    try:
        config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, ValueError):
        raise UserError(f"{file}: cannot be read as JSON; copy or train the verifier again") from None
    found = config.get("kind") if isinstance(config, dict) else None
    if not found or kind not in (None, found):
        reason = f"its kind is {found}" if found else f"no kind in {CONFIG_FILE}" if config else f"no {CONFIG_FILE}"
        raise UserError(
            f"{path}: holds no {kind or 'trained'} verifier ({reason}); run the stage that trains it, or name the form of "
            f"a published model"
        )
    return config


def write_outputs(run: StageRun, verifier: Any, history: Any, folder: Path | None = None) -> None:
    """The outputs of a training, model/ and history.csv, in a folder, by default the stage's. Only the main process
    writes."""
    if run.is_main:
        folder = folder or run.out_dir
        verifier.save(folder / "model")
        files.write_text(folder / "history.csv", history.to_csv())
