"""Pretrained models without a hub: a folder, a GGUF file, or weights that an installed Python package carries.

GGUF (github.com/ggml-org/ggml) holds weights, config and tokenizer in one file, quantised. They are read once, by
transformers, and from then on the model is a folder of safetensors like any other. Nothing here runs code of a model.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import tempfile
from contextlib import redirect_stderr
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import transformers

from stages.lib.core.errors import UserError
from stages.lib.models import loading


def find(key: str, path: str = "", package: str = "", file: str = "", sha256: str = "") -> tuple[Path, dict[str, str]]:
    """(a model folder or .gguf file at a path or in an installed package, where it comes from). key: the parameters that
    name it, for messages. Raises UserError for one that is missing, no model, or has another hash."""
    if package:
        found, origin = find_in_package(package, file, key), {"package": package, "file": file}
    else:
        found, origin = Path(path), {"file": Path(path).name}
        if not found.exists():
            raise UserError(f"{key}.path: {path!r} does not exist; name a model folder or a .gguf file")
    if found.is_dir():
        loading.check_folder(found)
    elif found.suffix != ".gguf":
        raise UserError(f"{found}: is neither a folder nor a .gguf file")
    return found, origin | {"sha256": check_sha256(found, sha256, key)}


def read(path: Path, dtype: str = "float32") -> tuple[Any, Any]:
    """(model, tokenizer) of a model folder or .gguf file. Raises UserError where it cannot be read, or its parts don't
    belong together."""
    if path.suffix == ".gguf":
        model, tokenizer = read_gguf(path)
        model = model.to(getattr(torch, dtype))
    else:
        model, tokenizer = loading.load_causal_lm(path, dtype), loading.load_tokenizer(path)
    check_vocabulary(model, tokenizer, path.name)
    return model, tokenizer


def find_in_package(package: str, file: str, key: str) -> Path:
    """A file of an installed package, named as `name==version`. Raises UserError where it is not installed, installed in
    another version, or has no such file."""
    name, _, version = package.partition("==")
    install = f"`python -m pip install --no-deps {package}`"
    if not re.fullmatch(r"[\w.-]+", name) or not version:
        raise UserError(f"{key}.package: must be name==version, got {package!r}")
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise UserError(f"{key}.package: {name} is not installed; {install}") from None
    if distribution.version != version:
        raise UserError(f"{key}.package: {name} is installed in version {distribution.version}; {install}")
    path = Path(str(distribution.locate_file(file)))
    if not file or not path.exists():
        models = [str(entry) for entry in distribution.files or () if entry.suffix in (".gguf", ".safetensors")]
        raise UserError(f"{key}.file: {package} has no {file!r}; it carries {', '.join(models) or 'no model'}")
    return path


def check_sha256(path: Path, expected: str, key: str) -> str:
    """The SHA-256 of a file, or of all files of a folder in the order of their names, one after another. Raises UserError
    where it is not the expected one; "" expects nothing."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file()):
        with open(file, "rb") as handle:
            while block := handle.read(2**22):
                digest.update(block)
    found = digest.hexdigest()
    if expected.lower() not in ("", found):
        raise UserError(
            f"{key}.sha256: {path.name} has {found}, not {expected}; fetch the file again, or correct the key"
        )
    return found


def read_gguf(path: Path) -> tuple[Any, Any]:
    """(model in float32, tokenizer) of a GGUF file. Raises UserError without the package `gguf`, and for a file that is
    no causal language model that transformers knows."""
    loading.silence_transformers()
    options: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True, "trust_remote_code": False}
    report_options: dict[str, Any] = {
        "output_loading_info": True,
        "ignore_mismatched_sizes": True,
        "dtype": torch.float32,
    }
    try:
        # A folder of its own, because transformers prefers a tokenizer that lies beside the file to the file's own. The
        # redirection hides a progress bar that no setting of transformers stops.
        with tempfile.TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
            (Path(folder) / path.name).symlink_to(path.resolve())
            read_model: Any = transformers.AutoModelForCausalLM.from_pretrained
            quantised, report = read_model(folder, **options, **report_options)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
    except ImportError:
        raise UserError(f"{path.name}: reading GGUF needs the package gguf; `python -m pip install gguf`") from None
    except (ValueError, KeyError, OSError, NotImplementedError, struct.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path.name}: cannot be read as a causal language model in GGUF ({reason})") from None
    loading.check_complete(path, quantised, report)
    # A model that was quantised refuses to be saved, so its weights move into one that never was.
    config: Any = quantised.config
    del config.quantization_config
    config._name_or_path = ""
    model = type(quantised)(config)
    model.load_state_dict(quantised.state_dict())
    model.generation_config = quantised.generation_config
    return model.eval(), tokenizer


def check_vocabulary(model: Any, tokenizer: Any, name: str) -> None:
    """Raises UserError where the tokenizer has tokens that the model has no embedding of."""
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise UserError(
            f"{name}: the tokenizer has {len(tokenizer)} tokens, but the model only {rows}; they don't belong together"
        )
