"""Reading and writing language models: safetensors only, no code from a checkpoint, hub revisions pinned."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

UNSAFE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py")
DOWNLOAD_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


def silence_transformers() -> None:
    """No bars and no advice from transformers: a stage's own progress is what a person wants to see."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def check_folder(path: Path) -> None:
    """Raises UserError for a folder that holds pickled weights or asks to run code of its own."""
    if not (path / "config.json").is_file():
        raise UserError(f"{path}: no config.json; expected a folder as `save_pretrained` writes it")
    unsafe = sorted(file.name for file in path.iterdir() if file.suffix in UNSAFE_SUFFIXES)
    if unsafe:
        raise UserError(f"{path}: holds {unsafe[0]}, which can run code when it is read; only .safetensors weights are")
    if not list(path.glob("*.safetensors")):
        raise UserError(f"{path}: no .safetensors weights; convert the model first")
    for name in ("config.json", "tokenizer_config.json"):
        if (path / name).is_file() and "auto_map" in json.loads((path / name).read_text(encoding="utf-8")):
            raise UserError(f"{path}/{name}: `auto_map` asks to run code from the checkpoint, which is refused")


def load_causal_lm(path: Path, dtype: str = "float32") -> PreTrainedModel:
    """A causal language model from a local folder, in evaluation mode. dtype: float32, bfloat16, float16, float64."""
    from transformers import AutoModelForCausalLM

    check_folder(Path(path))
    return load_pretrained(AutoModelForCausalLM, path, dtype)


def load_pretrained(kind: Any, path: Path, dtype: str, **settings: Any) -> PreTrainedModel:
    """A model of a transformers class, all of its weights from the folder, in evaluation mode. Raises UserError for a
    folder that lacks some or has them in other sizes: transformers would draw those at random. Tied ones are not
    lacking."""
    import torch

    silence_transformers()
    try:
        model, report = kind.from_pretrained(
            path,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **settings,
        )
    except ValueError as error:  # a kind of model of which there is no such class
        raise UserError(f"{path}: cannot be read as {kind.__name__} ({str(error).splitlines()[0]})") from None
    missing, resized = sorted(report["missing_keys"]), sorted(key for key, *_ in report["mismatched_keys"])
    if missing or resized:
        found = f"has no weights {missing[0]}" if missing else f"has the weights {resized[0]} in another size"
        more = f" and {len(missing) + len(resized) - 1} more faults" if len(missing) + len(resized) > 1 else ""
        raise UserError(
            f"{path}: {found}{more}, so it is no {type(model).__name__}; name a folder that was saved as one"
        )
    return model.eval()


def check_bf16_support(device: torch.device, dtype: str, instead: str) -> None:
    """Raises UserError where bfloat16 is asked of a card that only imitates it, many times slower, as those before
    NVIDIA's Ampere do: T4 and V100 among them. instead: what to set."""
    import torch

    asked = dtype in ("bfloat16", "bf16") and device.type == "cuda"
    if asked and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UserError(f"{torch.cuda.get_device_name(device)} does not compute in bfloat16; set {instead}")


def resolve_device(name: str) -> torch.device:
    """The device of this name; `auto` is the accelerator if there is one. Raises UserError for a device that is not."""
    import torch

    if name == "auto":
        name = str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"device {name}: cannot be used ({str(error).splitlines()[0]}); this machine has {torch.cuda.device_count()} "
            f"CUDA accelerators, and allowed are auto, cpu, cuda:0, cuda:1, .."
        ) from None
    return device


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """The tokenizer saved with a model. Raises UserError when it names no end token: solutions must be able to end."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    # AutoTokenizer goes by the model's type before the tokenizer's own file: beside a Qwen2 model it would read ours as
    # a Qwen2Tokenizer, which splits numbers otherwise.
    config = Path(path) / "tokenizer_config.json"
    declared = json.loads(config.read_text(encoding="utf-8")).get("tokenizer_class") if config.is_file() else None
    kind = PreTrainedTokenizerFast if declared in ("TokenizersBackend", "PreTrainedTokenizerFast") else AutoTokenizer
    tokenizer = kind.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    if tokenizer.eos_token_id is None:
        raise UserError(f"{path}: the tokenizer names no end-of-sequence token; set eos_token in tokenizer_config.json")
    return tokenizer


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    """Weights, config and tokenizer; the folder appears whole or not at all."""
    from stages.lib.core import files

    with files.atomic_write_dir(path) as folder:
        write_files(model, tokenizer, folder)


def write_files(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Fill an existing folder with safetensors weights, config and tokenizer."""
    merge_lora(model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def download_snapshot(repo: str, revision: str) -> Path:
    """The folder of a hub model, downloaded at a commit. Raises UserError for a branch, or when it can't be had."""
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise UserError(
            f"revision {revision!r} of {repo}: must be a full commit hash (40 hex digits), since a branch moves; "
            f"copy it from the repository's page under Files > History"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=DOWNLOAD_PATTERNS))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(f"{repo}@{revision[:8]}: cannot be downloaded ({str(error).splitlines()[0]})") from None


def count_parameters(model: PreTrainedModel) -> int:
    """Number of weights, tied ones counted once."""
    return sum(p.numel() for p in model.parameters())


def count_stored_parameters(path: Path) -> int:
    """Number of weights in a folder's safetensors files; tied ones are stored once."""
    from math import prod

    from safetensors import safe_open

    total = 0
    for file in sorted(Path(path).glob("*.safetensors")):
        with safe_open(file, "pt") as weights:
            total += sum(prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    return total


def estimate_flops(model: PreTrainedModel, tokens: int, training: bool) -> float:
    """Floating-point operations by the usual estimate: 2 per weight and token forward, 6 forward and backward
    (Kaplan et al. 2020, arXiv 2001.08361, section 2.1). Attention's own quadratic part is left out."""
    return (6.0 if training else 2.0) * count_parameters(model) * tokens


def add_lora(model: PreTrainedModel, rank: int, key: int) -> PreTrainedModel:
    """The model with LoRA adapters of this rank on every linear layer inside it (Hu et al. 2021, arXiv 2106.09685), or
    the model itself for rank 0. Their first weights are drawn from `key`. `merge_lora` undoes it."""
    if not rank:
        return model
    import warnings

    import torch
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for a property by its old name
        torch.manual_seed(key >> 1)
        return get_peft_model(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"))


def merge_lora(model: PreTrainedModel) -> PreTrainedModel:
    """A plain model with the adapters' change added to its weights, in float32: in bfloat16 most of a small change would be
    rounded away. The adapted one stays as it is."""
    if not hasattr(model, "peft_config"):
        return model
    import copy

    import torch

    with torch.autocast(model.device.type, enabled=False):
        return copy.deepcopy(model).float().merge_and_unload()
