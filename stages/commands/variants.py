"""`python -m stages variants`: the verifiers' variants, each a DVC experiment, compared in one table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from stages.lib.core.errors import UserError

VARIANTS_FILE = Path("stages/commands/variants.yaml")
HEADER = (
    "variant",
    "AUC dev",
    "AUC test",
    "Brier",
    "weighted %",
    "vs majority",
    "95% interval",
    "p",
    "at power 1 %",
    "best-of-N %",
)


def variants(
    names: Annotated[
        list[str] | None, typer.Argument(help="Some of stages/commands/variants.yaml; all if none.")
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Run those that have not been run on this commit.")] = False,
    out: Annotated[Path | None, typer.Option(help="where to write the table, as Markdown")] = None,
) -> None:
    """Compare variants of the verifiers with the pipeline as it stands, figures on the test set.

    With --run each becomes a DVC experiment of its own, `variant-NAME`, in a temporary copy of the repository: the
    workspace stays as it is. MLflow shows their runs beside the pipeline's.
    """
    from stages.lib.core import files
    from stages.lib.display import tables

    known = load_variants(VARIANTS_FILE)
    if unknown := [name for name in names or () if name not in known]:
        raise UserError(f"variants {unknown[0]}: not in {VARIANTS_FILE}; there are {', '.join(known)}")
    chosen = {name: known[name] for name in names or known}
    if run:
        for name, changes in chosen.items():
            if not has_experiment(f"variant-{name}"):
                run_experiment(f"variant-{name}", changes)
    rows = [*build_pipeline_rows(), *(row for name in chosen if (row := build_variant_row(name, chosen[name])))]
    if not rows:
        raise UserError("variants: the pipeline has not run here; `dvc repro` first")
    tables.print_report({"Variants of the verifiers": (HEADER, rows)})
    if missing := [name for name in chosen if not has_experiment(f"variant-{name}")]:
        print(f"not run on this commit: {', '.join(missing)}; `python -m stages variants --run`", file=sys.stderr)
    if out:
        files.write_text(out, tables.format_markdown(HEADER, rows))


def load_variants(path: Path) -> dict[str, dict[str, Any]]:
    """Name -> {parameter: value}. Raises UserError for a file of another form."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(found, dict) or not all(isinstance(changes, dict) and changes for changes in found.values()):
        raise UserError(f"{path}: must map each name to the parameters it changes")
    for name, changes in found.items():
        if len(changes.get("scores.verifiers", ())) != 1:
            raise UserError(f"{path}: {name}: scores.verifiers must name the one verifier that it is about")
    return found


def has_experiment(name: str) -> bool:
    """Whether DVC has an experiment of this name on the commit that is checked out."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    return bool(
        subprocess.run(
            ["git", "for-each-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}"], capture_output=True, text=True
        ).stdout
    )


def run_experiment(name: str, changes: dict[str, Any]) -> None:
    """Run one as a DVC experiment. Raises UserError when it fails; those that ended are kept."""
    from stages.lib.workspace import mlflow_store

    settings = [word for key, value in changes.items() for word in ("-S", f"{key}={json.dumps(value)}")]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "-n", name, *settings, "best_of_n"]
    env = {
        **os.environ,
        "MLFLOW_TRACKING_URI": mlflow_store.get_tracking_uri(Path.cwd()),
    }  # the copy is thrown away, its runs are not
    if subprocess.run(command, env=env).returncode:
        raise UserError(
            f"{name}: the experiment failed (above); mend it and run `python -m stages variants --run` again"
        )


def build_pipeline_rows() -> list[list[str]]:
    """What needs no training, then the pipeline's own verifiers."""
    from stages.lib.display import tables
    from stages.lib.reports import pools

    try:
        scores, best = (json.loads(Path(f"data/{s}/metrics.json").read_text("utf-8")) for s in ("scores", "best_of_n"))
    except OSError:
        return []
    free = [name for name in best["auc"] if name in pools.TRAINING_FREE]
    return [
        *(build_row(f"{tables.format_score_name(name)}, free", name, scores, best) for name in free),
        *(build_row(f"{name} (params.yaml)", name, scores, best) for name in scores if name not in free),
    ]


def build_variant_row(name: str, changes: dict[str, Any]) -> list[str] | None:
    """The figures of an experiment, None if it has not been run."""
    import dvc.api

    if not has_experiment(f"variant-{name}"):
        return None
    files = (f"data/{stage}/metrics.json" for stage in ("scores", "best_of_n"))
    scores, best = (json.loads(dvc.api.read(file, rev=f"variant-{name}")) for file in files)
    return build_row(name, changes["scores.verifiers"][0], scores, best)


def build_row(title: str, name: str, scores: dict[str, Any], best: dict[str, Any]) -> list[str]:
    """The figures of a score. The vote at power 1 stands beside the one at the power that dev chose, since a choice among
    powers is noisy; a likelihood is no probability of being right and has no Brier score."""
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
