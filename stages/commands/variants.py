"""`python -m stages variants`: ablations of verifiers, and arms of stage preference, each a DVC experiment."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from stages.lib.core.errors import UserError

VARIANTS_FILE = Path("stages/commands/variants.yaml")
PREFERENCE_FILE = Path("stages/commands/variants-preference.yaml")
PREFERENCE_RESULTS = "data/preference/results.json"
FIGURES_FILES = ("data/scores/metrics.json", "data/best_of_n/results.json")
HEADER = ["variant", "AUC dev", "AUC test", "Brier", "weighted %", "vs majority", "95% interval", "p"]
HEADER += ["at power 1 %", "best-of-N %"]


def variants(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="verifiers (the default) or preference, then some of its variants; all if none."),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Run the variants without a result on this commit.")] = False,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Of preference: training seeds, 1 to this number.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Also write the table to this file, as Markdown.")] = None,
) -> None:
    """Compare variants of the verifiers with the pipeline in this workspace, or arms of stage preference over seeds.

    --run makes each a DVC experiment, `variant-NAME` or `preference-NAME-SEED`, in a temporary copy of the repository; the
    workspace does not change. MLflow shows these runs beside the pipeline's. Of preference, --out FILE.md also writes
    FILE.png: solve rate against KL.
    """
    from stages.lib.core import files

    if out:
        files.check_output("--out", out)
    group, *rest = names if names and names[0] in ("verifiers", "preference") else ("verifiers", *(names or ()))
    if group == "preference":
        compare_preference(rest, run, seeds, out)
    else:
        compare_verifiers(rest, run, out)


def compare_preference(names: Sequence[str], run: bool, seeds: int, out: Path | None) -> None:
    """Run and compare arms of stage preference. Raises UserError for an unknown arm, and where none has run."""
    import dvc.api

    from stages.lib.core import files
    from stages.lib.display import tables, terminal
    from stages.lib.reports import preference_study
    from stages.lib.workspace import experiments

    known = read_variants(PREFERENCE_FILE)
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"variants preference {unknown[0]}: not in {PREFERENCE_FILE}; there are {', '.join(known)}")
    arms = {name: known[name] for name in names or known}
    cells = [(f"preference-{arm}-{seed}", arm, seed) for seed in range(1, seeds + 1) for arm in arms]
    for name, arm, seed in cells if run else ():
        if not experiments.has_experiment(name):
            changes = {"seed": seed, **arms[arm]}
            experiments.run_experiment(name, changes, "python -m stages variants preference --run", "preference")
    points = []
    for name, arm, seed in cells:
        if experiments.has_experiment(name):
            teacher = arms[arm].get("preference.pairs_by")
            kind = f"pairs by {teacher}" if teacher else arms[arm]["preference.reference"]
            results = json.loads(dvc.api.read(PREFERENCE_RESULTS, rev=name))
            points.append(preference_study.make_point(arm, kind, seed, results))
    if missing := len(cells) - len(points):
        told = f"{missing} of {len(cells)} arms and seeds have not run on this commit"
        print(f"{told}; `python -m stages variants preference --run`", file=sys.stderr)
    if not points:
        raise UserError("variants preference: no arm has run on this commit; add --run")
    table = preference_study.tabulate(points)
    terminal.print_report({"Arms of stage preference: mean over seeds (standard deviation)": table})
    if out:
        files.write_text(out, tables.format_markdown(*table))
        preference_study.plot(out.with_suffix(".png"), points)


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
    variants = read_variants(path)
    for name, changes in variants.items():
        if len(changes.get("scores.verifiers", ())) != 1:
            raise UserError(f"{path}: {name}: scores.verifiers must name the one verifier that it is about")
    return variants


def read_variants(path: Path) -> dict[str, dict[str, Any]]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        variants = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(variants, dict) or not all(isinstance(item, dict) and item for item in variants.values()):
        raise UserError(f"{path}: must map each name to the parameters it changes")
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
    scores, best = (json.loads(dvc.api.read(file, rev=f"variant-{name}")) for file in FIGURES_FILES)
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
