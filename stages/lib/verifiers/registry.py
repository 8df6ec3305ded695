"""Load any verifier: one that was trained here, whose verifier.json says its kind, or a published one in a named form."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from stages.lib.core.errors import UserError
from stages.lib.core.records import Problem, Sample
from stages.lib.models import loading
from stages.lib.verifiers import published_models, saving
from stages.lib.verifiers.generative import GenerativeVerifier, RationaleSampling
from stages.lib.verifiers.outcome import OutcomeVerifier
from stages.lib.verifiers.process import ProcessVerifier
from stages.lib.verifiers.published_models import PublicPRM

FORMS = ("assay", *get_args(published_models.Form))  # assay: trained here
TrainedVerifier = OutcomeVerifier | ProcessVerifier | GenerativeVerifier


def load(path: Path, dtype: str = "float32", sampling: RationaleSampling | None = None) -> TrainedVerifier:
    """The verifier saved in a folder. sampling: how a generative one draws its rationales.

    Raises UserError for a folder without verifier.json, or with one of an unknown kind.
    """
    kind = saving.read_config(path).get("kind")
    if kind == "outcome":
        return OutcomeVerifier.load(path, dtype)
    if kind == "process":
        return ProcessVerifier.load(path, dtype)
    if kind == "generative":
        return GenerativeVerifier.load(path, sampling or RationaleSampling(), dtype)
    raise UserError(f"{path / saving.CONFIG_FILE}: kind {kind!r}; must be outcome, process or generative")


def load_any(
    model: str, revision: str | None, form: str, tag: str | None, dtype: str, device: str, batch: int
) -> TrainedVerifier | PublicPRM:
    """The verifier of a folder, or with `revision` of a hub repository, on its device.

    form: one of FORMS. tag: text after every step, None for that of the form. dtype: `auto` is bfloat16 on an accelerator.
    batch: solutions in a forward pass of a published model. Raises UserError for what cannot be loaded."""
    if form not in FORMS:
        raise UserError(f"--form {form}: must be one of {', '.join(FORMS)}")
    target = loading.resolve_device(device)
    if dtype not in ("auto", "float32", "bfloat16", "float16"):
        raise UserError(f"--dtype {dtype}: must be auto, float32, bfloat16 or float16")
    if dtype == "auto":
        dtype = "float32" if target.type == "cpu" else "bfloat16"
    path = loading.download_snapshot(model, revision) if revision else Path(model)
    if form == "assay":
        return load(path, dtype).to(target)
    if not path.is_dir():
        raise UserError(f"--model {model}: not a folder; a hub repository needs --revision, a full commit hash")
    published = published_models.load(form, path, path.name, dtype, **({} if tag is None else {"tag": tag}))  # pyright: ignore
    published.batch_size = batch
    return published.to(target)


def count_tokens(verifier: TrainedVerifier | PublicPRM, problem: Problem, sample: Sample) -> int:
    """Number of tokens that are read, and at most written, for a sample, the prompt included."""
    if isinstance(verifier, PublicPRM):
        return verifier.count_tokens(problem.format_prompt(), verifier.split_steps(sample.text))
    return verifier.count_tokens(problem, sample)


def compute_fingerprint(folder: Path) -> str:
    """Names, sizes and times of a model's files, since hashing 15 GB takes a minute."""
    stats = [(file.name, file.stat()) for file in folder.rglob("*") if file.is_file()]
    return repr(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))
