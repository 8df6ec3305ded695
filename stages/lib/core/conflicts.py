"""Settings that are valid alone and impossible together: told all at once, before anything runs.

A section of params.yaml is checked by its stage. What one stage wants of another is checked here, at the start of every
stage and by `doctor`: the first stage refuses what would otherwise stop a later one, hours on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.lib.core import params
from stages.lib.core.errors import UserError

ROLLOUT_METHODS = {"mc_hard", "mc_soft", "binary_search"}  # of step labels; they take `labels.problems`
PROCEDURAL = "gradeschool"  # the benchmark whose programs know the truth after every step
Conflict = tuple[str, str]  # (key, what is wrong with its value and what is allowed)


def check(document: Any, layers: params.Layers, root: Path) -> None:
    """Raises UserError with a line for each conflict: file, line, key, value, what is allowed. document: the whole of
    params.yaml; layers: the files that it comes from, as in `params.validate_section`."""
    conflicts = find_conflicts(params.to_plain(document), root)
    if conflicts:
        raise UserError("\n".join(f"{params.locate(key, layers)}: {reason}" for key, reason in conflicts))


def find_conflicts(settings: dict[str, Any], root: Path) -> list[Conflict]:
    """All conflicts. A section that is missing conflicts with nothing: its own stage says that it is missing."""

    def get(key: str, default: Any = None) -> Any:
        value = params.get_by_path(settings, key, default)
        return default if value is None else value

    try:
        checks = (_check_splits(get), _check_augmentation(get), _check_labels(get, root), _check_rationales(get))
        return [conflict for check in (*checks, _check_draws(get), _check_verifiers(get, root)) for conflict in check]
    except (TypeError, AttributeError):
        return []  # a value of another type, which the section's own check names


def _check_splits(get: Any) -> Iterator[Conflict]:
    """Every split that a later stage reads has problems."""
    uses = {"verifier": "verifiers learn from it; must be > 0", "dev": "settings are chosen on it; must be > 0"}
    uses |= {"test": "results are of it; must be > 0"}
    if get("generator.train"):
        uses["train"] = "the generator learns from it; must be > 0, or set generator.train: false"
    files = get("benchmarks.path", {}) if get("benchmarks.source") == "path" else get("benchmarks.hub.splits", {})
    shares = get("benchmarks.shares", {})
    for split, use in uses.items():
        if get(f"benchmarks.sizes.{split}", 1) == 0:
            yield f"benchmarks.sizes.{split}", f"0, but {use}"
        elif shares and not shares.get(split) and (split == "verifier" or not files.get(split)):
            yield f"benchmarks.shares.{split}", f"0, and no published rows are for this split, but {use}"


def _check_augmentation(get: Any) -> Iterator[Conflict]:
    """What a model writes is proven by a solver."""
    is_model = get("augmentation.writer.kind", "rules") != "rules"
    if is_model and "rephrase" in get("augmentation.methods", []) and get("augmentation.solver.kind") == "rules":
        yield (
            "augmentation.solver.kind",
            "rules, but no rule reads what augmentation.writer rephrases; set it to openai or hf, or leave rephrase out of "
            "augmentation.methods",
        )


def _check_labels(get: Any, root: Path) -> Iterator[Conflict]:
    """Stage labels makes the labels that stage prm learns from."""
    made, imported = get("labels.methods", []), get("labels.imported", {})
    for method in get("prm.labels", []) if get("labels") else []:
        if method == "imported":
            if not any(imported.values()):
                yield "prm.labels", "imported, but labels.imported names no file; name one, or choose of labels.methods"
        elif method not in made:
            yield "prm.labels", f"{method} is not made; add it to labels.methods, or choose of {', '.join(made)}"
        elif method == "exact" and get("benchmarks.name", PROCEDURAL) != PROCEDURAL:
            free = [name for name in made if name != "exact"] or ["pool", "mc_hard"]
            yield (
                "prm.labels",
                f"exact labels exist for the benchmark {PROCEDURAL} alone, not for {get('benchmarks.name')}; choose of "
                f"{', '.join(free)} (in labels.methods, too)",
            )
        elif method in ROLLOUT_METHODS and get("labels.problems") == 0:
            yield "labels.problems", f"0, so that prm.labels: {method} has no label; must be > 0"
    for form, patterns in imported.items():
        for pattern in patterns or ():
            if not Path(pattern).is_absolute() and not (pattern and any(root.glob(pattern))):
                yield (
                    f"labels.imported.{form}",
                    f"{pattern!r} names no file; data/raw/labels/README.md says where they are",
                )


def _check_rationales(get: Any) -> Iterator[Conflict]:
    if get("genrm.teacher") == "procedural" and get("benchmarks.name", PROCEDURAL) != PROCEDURAL:
        yield (
            "genrm.teacher",
            f"procedural rationales exist for the benchmark {PROCEDURAL} alone, not for {get('benchmarks.name')}; choose "
            "model or none",
        )


def _check_draws(get: Any) -> Iterator[Conflict]:
    """Stages preference and honesty compare solutions that stage samples drew with their own: both differ by the policy
    alone. Stage honesty cuts longer solutions, and an agent draws all of its own."""
    keys = {
        "preference": ("temperature", "top_k", "top_p", "max_new_tokens"),
        "honesty": ("temperature", "top_k", "top_p"),
    }
    if get("honesty.agent.kind", "rules") != "rules":
        del keys["honesty"]
    for stage, names in keys.items():
        for key in names if get("samples") and get(stage) else ():
            own, other = get(f"{stage}.{key}"), get(f"samples.{key}")
            if own != other:
                yield f"{stage}.{key}", f"{own}, but samples.{key} drew the generator's solutions; must be {other}"
    if "honesty" in keys and get("honesty.max_new_tokens", 0) > (most := get("samples.max_new_tokens", float("inf"))):
        yield "honesty.max_new_tokens", f"more than samples.max_new_tokens; must be at most {most}"
    if get("preference.eval_samples", 0) > get("samples.n_eval", float("inf")):
        yield "preference.eval_samples", f"more than samples.n_eval has drawn; must be at most {get('samples.n_eval')}"


def _check_verifiers(get: Any, root: Path) -> Iterator[Conflict]:
    """Every verifier that stage scores loads is trained, or is there."""
    first, *others = get("prm.labels", []) or [None]
    for name in get("scores.verifiers", []):
        published = get(f"scores.published.{name}", {})
        method, trainer = name.removeprefix("prm_"), name.removeprefix("base_")
        if published:
            if (path := published.get("path")) and not (root / path).is_dir():
                yield f"scores.published.{name}.path", f"{path} is not a folder; see data/raw/verifiers/README.md"
        elif name.startswith("prm_") and first and method not in others:
            remedy = "" if first == "imported" else f"name {method} behind the first of prm.labels ({first}), or "
            yield "scores.verifiers", f"{name} is not trained; {remedy}leave it out"
        elif name in ("base_orm", "base_prm") and get(f"{trainer}.head_init_tokens") == []:
            yield "scores.verifiers", f"{name} reads {trainer}.head_init_tokens, which are []; set two, or leave it out"
    for name in get("arena.judges", []) if get("scores.verifiers") else []:
        if name not in get("scores.verifiers"):
            yield "arena.judges", f"{name} has no scores; add it to scores.verifiers, or leave it out"
