"""Loading and saving language models: safetensors only, no code from a checkpoint, hub revisions pinned."""

from __future__ import annotations

import copy
import json
import re
import warnings
from math import prod
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import safe_open

from stages.lib.core import files
from stages.lib.core.errors import UserError

UNSAFE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py")
DOWNLOAD_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


def silence_transformers() -> None:
    """No progress bars or warnings from transformers: a stage shows its own progress."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def check_folder(path: Path) -> None:
    """Raises UserError for a folder with pickled weights, or one whose config asks to run its own code."""
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


def load_causal_lm(path: Path, dtype: str = "float32") -> Any:
    """A transformers causal LM from a local folder, in evaluation mode. dtype: float32, bfloat16, float16, float64."""
    check_folder(Path(path))
    return load_pretrained(transformers.AutoModelForCausalLM, path, dtype)


def load_pretrained(model_class: Any, path: Path, dtype: str, **settings: Any) -> Any:
    """A model of a transformers class, all of its weights from the folder, in evaluation mode. Raises UserError for a
    folder that lacks weights (other than tied ones) or has them in other sizes: transformers would initialise those at
    random."""
    silence_transformers()
    try:
        model, report = model_class.from_pretrained(
            path,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **settings,
        )
    except ValueError as error:  # no such class for this type of model
        raise UserError(f"{path}: cannot be read as {model_class.__name__} ({str(error).splitlines()[0]})") from None
    check_complete(path, model, report)
    return model.eval()


def check_complete(path: Path, model: Any, report: dict[str, Any]) -> None:
    """Raises UserError where transformers' loading report names weights that are missing or have another size."""
    missing, resized = sorted(report["missing_keys"]), sorted(key for key, *_ in report["mismatched_keys"])
    if missing or resized:
        fault = f"has no weights {missing[0]}" if missing else f"has the weights {resized[0]} in another size"
        more = f" and {len(missing) + len(resized) - 1} more faults" if len(missing) + len(resized) > 1 else ""
        name = type(model).__name__
        raise UserError(f"{path}: {fault}{more}, so it is no {name}; name one that was saved as such")


def check_bf16_support(device: torch.device, dtype: str, instead: str) -> None:
    """Raises UserError for bfloat16 on a GPU that only emulates it, many times slower: those before NVIDIA's Ampere, such
    as T4 and V100. instead: what to set."""
    is_bf16 = dtype in ("bfloat16", "bf16") and device.type == "cuda"
    if is_bf16 and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UserError(f"{torch.cuda.get_device_name(device)} does not compute in bfloat16; set {instead}")


def resolve_device(name: str) -> torch.device:
    """The device of this name; `auto` is the accelerator if there is one. Raises UserError for one that cannot be used."""
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


def load_tokenizer(path: Path) -> Any:
    """The tokenizer saved with a model. Raises UserError when it has no end token: solutions must be able to end."""
    # AutoTokenizer prefers the model's type to the tokenizer's own file: beside a Qwen2 model it would load ours as a
    # Qwen2Tokenizer, which splits numbers differently.
    config = Path(path) / "tokenizer_config.json"
    declared = json.loads(config.read_text(encoding="utf-8")).get("tokenizer_class") if config.is_file() else None
    is_generic = declared in ("TokenizersBackend", "PreTrainedTokenizerFast")
    tokenizer_class: Any = transformers.PreTrainedTokenizerFast if is_generic else transformers.AutoTokenizer
    tokenizer = tokenizer_class.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    if tokenizer.eos_token_id is None:
        raise UserError(f"{path}: the tokenizer names no end-of-sequence token; set eos_token in tokenizer_config.json")
    return tokenizer


def save(model: Any, tokenizer: Any, path: Path) -> None:
    """Write weights, config and tokenizer atomically to a new folder."""
    with files.atomic_write_dir(path) as folder:
        write_files(model, tokenizer, folder)


def write_files(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write safetensors weights, config and tokenizer to an existing folder. LoRA adapters are merged."""
    merge_lora(model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def download_snapshot(repo: str, revision: str) -> Path:
    """Download a hub model at a commit; returns its folder. Raises UserError for a branch, or when the download fails."""
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise UserError(
            f"revision {revision!r} of {repo}: must be a full commit hash (40 hex digits), since a branch moves; "
            f"copy it from the repository's page under Files > History"
        )
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=DOWNLOAD_PATTERNS))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(f"{repo}@{revision[:8]}: cannot be downloaded ({str(error).splitlines()[0]})") from None


def count_parameters(model: Any) -> int:
    """Number of weights; tied ones count once."""
    return sum(p.numel() for p in model.parameters())


def count_stored_parameters(path: Path) -> int:
    """Number of weights in a folder's safetensors files, which store tied ones once."""
    total = 0
    for file in sorted(Path(path).glob("*.safetensors")):
        with safe_open(file, "pt") as weights:
            names: list[str] = weights.keys()
            total += sum(prod(weights.get_slice(name).get_shape()) for name in names)
    return total


def estimate_flops(weights: int, tokens: int, training: bool) -> float:
    """Floating-point operations by the usual estimate: 2 per weight and token forward, 6 forward and backward
    (Kaplan et al. 2020, arXiv 2001.08361, section 2.1). The quadratic part of attention is left out."""
    return (6.0 if training else 2.0) * weights * tokens


def add_lora(model: Any, rank: int, key: int) -> Any:
    """The model with LoRA adapters of this rank on every linear layer inside it (Hu et al. 2021, arXiv 2106.09685), or
    the model itself for rank 0. Their initial weights are drawn from `key`. `merge_lora` makes it a plain model again."""
    if not rank:
        return model
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft uses an old name of a transformers property
        torch.manual_seed(key >> 1)
        return get_peft_model(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"))


def merge_lora(model: Any) -> Any:
    """A plain model with the adapters merged into its weights, in float32, because bfloat16 would round most of a small
    change away. `model` itself is left unchanged."""
    if not hasattr(model, "peft_config"):
        return model
    with torch.autocast(model.device.type, enabled=False):
        return copy.deepcopy(model).float().merge_and_unload()
