"""Variants of the verifiers, each an experiment, beside the pipeline's own verifiers in one table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.lib.core import params
from stages.lib.core.errors import UserError

VARIANTS_FILE = Path("stages/commands/variants/verifiers.yaml")
FIGURES_FILES = ("data/scores/results.json", "data/best_of_n/results.json")
HEADER = ["variant", "AUC dev", "AUC test", "Brier", "weighted %", "vs majority", "95% interval", "p"]
HEADER += ["at power 1 %", "best-of-N %"]


def compare_verifiers(names: Sequence[str], run: bool, out: Path | None) -> None:
    from stages.lib.core import files
    from stages.lib.display import tables, terminal
    from stages.lib.workspace import experiments

    variants = load_variants(VARIANTS_FILE)
    if unknown := [name for name in names if name not in variants]:
        raise UserError(f"variants {unknown[0]}: not in {VARIANTS_FILE}; there are {', '.join(variants)}")
    selected = {name: variants[name] for name in names or variants}
    if run:
        for name, changes in selected.items():
            if not experiments.has_experiment(f"variant-{name}"):
                experiments.run_experiment(f"variant-{name}", changes, "python -m stages variants --run")
    rows = [*build_pipeline_rows(), *(row for name in selected if (row := build_variant_row(name, selected[name])))]
    if not rows:
        raise UserError("variants: the pipeline has not run here; `dvc repro` first")
    terminal.print_report({"Variants of the verifiers": (HEADER, rows)})
    if missing := [name for name in selected if not experiments.has_experiment(f"variant-{name}")]:
        print(f"not run on this commit: {', '.join(missing)}; `python -m stages variants --run`", file=sys.stderr)
    if out:
        files.write_text(out, tables.format_markdown(HEADER, rows))


def load_variants(path: Path) -> dict[str, dict[str, Any]]:
    """Name -> {parameter: value}. Raises UserError for a file of another form."""
    variants = params.to_plain(params.read_yaml(path))
    if not all(isinstance(item, dict) and item for item in variants.values()):
        raise UserError(f"{path}: must map each name to the parameters it changes")
    for name, changes in variants.items():
        if len(changes.get("scores.verifiers", ())) != 1:
            raise UserError(f"{path}: {name}: scores.verifiers must name the one verifier that it is about")
    return variants


def build_pipeline_rows() -> list[list[str]]:
    """The training-free scores, then the pipeline's own verifiers."""
    from stages.lib.display import tables
    from stages.lib.reports import pools

    try:
        scores, best = (json.loads(Path(file).read_text(encoding="utf-8")) for file in FIGURES_FILES)
    except OSError:
        return []
    free = [name for name in best["auc"] if name in pools.TRAINING_FREE]
    return [
        *(build_row(f"{tables.format_score_name(name)}, free", name, scores, best) for name in free),
        *(build_row(f"{name} (params.yaml)", name, scores, best) for name in scores if name not in free),
    ]


def build_variant_row(name: str, changes: dict[str, Any]) -> list[str] | None:
    """The figures of an experiment, None if it has not run."""
    import dvc.api

    from stages.lib.workspace import experiments

    if not experiments.has_experiment(f"variant-{name}"):
        return None
    commit = dvc.api.DVCFileSystem(rev=f"variant-{name}")  # opened once: dvc.api.read would open it for every file
    scores, best = (json.loads(commit.read_bytes(file)) for file in FIGURES_FILES)
    return build_row(name, changes["scores.verifiers"][0], scores, best)


def build_row(title: str, name: str, scores: dict[str, Any], best: dict[str, Any]) -> list[str]:
    """The figures of a score. The weighted vote at power 1 is shown beside the one at the power chosen on dev, since that
    choice is noisy. A likelihood is not a probability of being right and has no Brier score."""
    from stages.lib.display import tables

    areas, vote = best["auc"].get(name, {}), best["versus_majority"][f"weighted_{name}"]
    brier = scores.get(name, {}).get("test", {}).get("brier")
    return [
        title,
        *("" if areas.get(split) is None else f"{areas[split]:.3f}" for split in ("dev", "test")),
        "" if brier is None else f"{brier:.3f}",
        f"{100 * best['at_n'][f'weighted_{name}']['mean']:.1f}",
        f"{100 * vote['difference']:+.1f}",
        f"{100 * vote['low']:+.1f} to {100 * vote['high']:+.1f}",
        tables.format_p_value(vote["p"]),
        f"{100 * best['power_1'][name]['mean']:.1f}",
        f"{100 * best['at_n'][f'best_of_{name}']['mean']:.1f}",
    ]
