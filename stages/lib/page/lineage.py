"""Where the figures come from and what they cost: inputs, parameters, versions, licences, tokens, operations.

The page of the stage is a DVC output, so equal inputs give equal bytes: it states no clock, no memory and no commit. Those
are in the journal, from which `python -m stages report` adds them to a copy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.lib.core import digests
from stages.lib.core.records import Problem
from stages.lib.display.tables import format_score_name

LIBRARIES = (
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "datasets",
    "pyarrow",
    "numpy",
    "scipy",
    "scikit-learn",
    "dvc",
)


def list_versions(requirements: str) -> list[tuple[str, str]]:
    """(library, version) of the ones that results depend on most, from a lock of `name==version` lines."""
    versions = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)$", requirements))
    return [(name, versions[name]) for name in LIBRARIES if name in versions]


def count_licences(problems: Iterable[Problem]) -> list[tuple[str, str, int]]:
    """(benchmark, licence, problems), each benchmark once for each licence of its problems."""
    counts: dict[tuple[str, str], int] = {}
    for problem in problems:
        counts[problem.benchmark, problem.licence] = counts.get((problem.benchmark, problem.licence), 0) + 1
    return [(*key, count) for key, count in sorted(counts.items())]


def list_costs(
    metrics: Mapping[str, Mapping[str, Any]], cost: Mapping[str, float], solutions: int
) -> list[dict[str, Any]]:
    """[{stage, what, steps, tokens, flops}], None where a stage does not count it.

    metrics: {stage: its figures}; cost: of judging a solution, as best_of_n counts it; solutions: number that stage
    scores judged. Operations are estimates: 2 a weight and token forward, 6 with the backward pass (Kaplan et al. 2020,
    arXiv 2001.08361, section 2.1).
    """
    scores = metrics["scores"]
    weights = metrics["samples"]["parameters"]
    drawn, completed = (
        sum(part["tokens"] for part in metrics[stage].values() if isinstance(part, dict) and "tokens" in part)
        for stage in ("samples", "labels")
    )
    rows = [
        _describe_training("generator", "fine-tuning", metrics["generator"], weights),
        _describe_cost("samples", "drawing solutions", tokens=drawn, flops=2 * weights * drawn),
        _describe_cost("labels", "completions for step labels", tokens=completed, flops=2 * weights * completed),
    ]
    for stage in ("orm", "prm", "genrm"):
        own = scores.get(stage, {}).get("parameters", weights)
        rows.append(_describe_training(stage, "training", metrics[stage], own))
        for name, other in metrics[stage].get("others", {}).items():
            rows.append(_describe_training(stage, f"training {format_score_name(f'{stage}_{name}')}", other, own))
    judged = [name for name in scores if name in cost]
    return rows + [
        _describe_cost("scores", f"judging by {format_score_name(name)}", flops=cost[name] * solutions)
        for name in judged
    ]


def _describe_training(stage: str, what: str, metrics: Mapping[str, Any], weights: int) -> dict[str, Any]:
    tokens = metrics.get("tokens")
    return _describe_cost(stage, what, metrics.get("steps"), tokens, 6 * weights * tokens if tokens else None)


def _describe_cost(
    stage: str, what: str, steps: int | None = None, tokens: int | None = None, flops: float | None = None
) -> dict[str, Any]:
    return {"stage": stage, "what": what, "steps": steps, "tokens": tokens, "flops": flops}


def hash_inputs(root: Path, paths: Sequence[str]) -> list[tuple[str, str]]:
    """(path, md5) of files, and of each file and folder in a folder, as dvc.lock has them."""
    found: list[Path] = []
    for path in paths:
        entries = sorted((root / path).iterdir()) if (root / path).is_dir() else [root / path]
        found += [entry for entry in entries if entry.name not in digests.IGNORED_NAMES]
    return [(path.relative_to(root).as_posix(), digests.md5(path)) for path in found]


def load_origins(root: Path, base_source: str) -> dict[str, dict[str, Any]]:
    """Facts of problems and base model: source, licence, files. base_source: params.yaml's base.source."""
    licence = "MIT, as this repository" if base_source in ("bundled", "scratch") else "see its source"
    origins = {
        "problems": root / "data/benchmarks/provenance.json",
        "base model": root / "data/base/model/origin.json",
    }
    facts = {what: json.loads(path.read_text("utf-8")) if path.is_file() else {} for what, path in origins.items()}
    facts["base model"] = {"source": base_source, "licence": licence} | facts["base model"]
    return facts


def list_origins(origins: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(what, where from) in words, of provenance.json and origin.json."""
    rows: list[tuple[str, str]] = []
    for what, facts in origins.items():
        words = [f"{key} {value}" for key, value in facts.items() if isinstance(value, str) and value]
        rows.append((what, ", ".join(words)))
        for file in facts.get("files", ()):
            words = [f"{key} {file[key]}" for key in ("url", "revision", "sha256") if file.get(key)]
            rows.append((f"{what}, file", ", ".join(words)))
    return rows
