"""`python -m stages variants`: ablations of verifiers, and of training data, each a DVC experiment, compared in tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.display.tables import Table
    from stages.lib.reports.data_study import Outcome

VARIANTS_FILE = Path("stages/commands/variants.yaml")
PREFERENCE_FILE = Path("stages/commands/variants-preference.yaml")
PREFERENCE_RESULTS = "data/preference/results.json"
STUDIES_FILE = Path("stages/commands/variants-data.yaml")
FIGURES_FILES = ("data/scores/results.json", "data/best_of_n/results.json")
HEADER = ["variant", "AUC dev", "AUC test", "Brier", "weighted %", "vs majority", "95% interval", "p"]
HEADER += ["at power 1 %", "best-of-N %"]


def variants(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="verifiers (the default), data or preference, then some of its variants; all if none."),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Run the variants without a result on this commit.")] = False,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Of data and preference: training seeds, 1 to this.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Also write the tables to this file, as Markdown.")] = None,
) -> None:
    """Compare variants of the verifiers with the pipeline in this workspace, or arms of training data with random data.

    Arms of stage preference (`preference-ARM-SEED`) are compared over seeds; --out FILE.md also writes FILE.png.
    --run makes each a DVC experiment, `variant-NAME` or `data-STUDY-ARM-SEED`, in a temporary copy of the repository;
    the workspace does not change. What has its experiment is not run again. MLflow shows these runs beside the pipeline's.
    """
    from stages.lib.core import files

    if out:
        files.check_output("--out", out)
    group, *rest = names if names and names[0] in ("verifiers", "data", "preference") else ("verifiers", *(names or ()))
    if group == "data":
        compare_data(rest, run, seeds, out)
    elif group == "preference":
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

    known = read_yaml(PREFERENCE_FILE)
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
    variants = read_yaml(path)
    if not isinstance(variants, dict) or not all(isinstance(item, dict) and item for item in variants.values()):
        raise UserError(f"{path}: must map each name to the parameters it changes")
    for name, changes in variants.items():
        if len(changes.get("scores.verifiers", ())) != 1:
            raise UserError(f"{path}: {name}: scores.verifiers must name the one verifier that it is about")
    return variants


def read_yaml(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None


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


class Study(NamedTuple):
    """Arms of training data: title -> the parameters of its experiments. controls: arm -> kind -> title of its random arm.
    sets: the operators out of distribution that are looked at."""

    arms: dict[str, dict[str, Any]]
    controls: dict[str, dict[str, str]]
    sets: list[str]

    def select(self, names: Sequence[str]) -> Study:
        """The arms of these names, with their controls."""
        wanted = {title for name in names for title in (name, *self.controls.get(name, {}).values())}
        arms = {title: changes for title, changes in self.arms.items() if title in wanted}
        return Study(arms, {arm: kinds for arm, kinds in self.controls.items() if arm in wanted}, self.sets)


def load_studies(path: Path) -> dict[str, Study]:
    """Raises UserError for a file of another form."""
    document = read_yaml(path)
    form = f"{path}: must hold `shared` and studies, each of shared, controls, references and arms"
    if not isinstance(document, dict) or not all(isinstance(part, dict) for part in document.values()):
        raise UserError(form)
    shared, studies = document.pop("shared", {}), {}
    for name, parts in document.items():
        kinds = ("shared", "controls", "references", "arms")
        if (
            set(parts) - set(kinds)
            or not all(isinstance(part, dict) for part in parts.values())
            or not parts.get("arms")
        ):
            raise UserError(f"{form}; {name} is not such a study")
        base = {**shared, **parts.get("shared", {})}
        arms = {title: {**base, **changes} for title, changes in parts.get("references", {}).items()}
        controls: dict[str, dict[str, str]] = {}
        for arm, changes in parts["arms"].items():
            arms[arm] = {**base, **changes}
            controls[arm] = {kind: f"{arm}-{kind}" for kind in parts.get("controls", {})}
            arms |= {f"{arm}-{kind}": {**arms[arm], **more} for kind, more in parts.get("controls", {}).items()}
        studies[name] = Study(arms, controls, list(base.get("ood.operators", ())))
    return studies


def compare_data(names: Sequence[str], run: bool, seeds: int, out: Path | None) -> None:
    """Run and compare studies, or some of their arms with their controls."""
    from stages.lib.core import files
    from stages.lib.display import tables, terminal
    from stages.lib.workspace import experiments

    known = load_studies(STUDIES_FILE)
    for name in names:
        if name not in known and not any(name in study.arms for study in known.values()):
            arms = "; ".join(f"{study}: {', '.join(known[study].controls)}" for study in known)
            raise UserError(f"variants data {name}: not in {STUDIES_FILE}; there are {arms}")
    studies = {
        title: part
        for title, study in known.items()
        if (part := study if not names or title in names else study.select(names)).arms
    }
    cells = [(f"data-{title}-{arm}-{seed}", title, arm, seed) for seed, title, arm in _list_cells(studies, seeds)]
    if run:
        for name, title, arm, seed in cells:
            if not experiments.has_experiment(name):
                changes = {"seed": seed, **studies[title].arms[arm]}
                experiments.run_experiment(name, changes, "python -m stages variants data --run", "samples")
    missing = [name for name, *_ in cells if not experiments.has_experiment(name)]
    if missing:
        told = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
        print(f"not run on this commit: {told}; `python -m stages variants data --run`", file=sys.stderr)
    results: dict[str, dict[str, dict[int, Outcome]]] = {title: {} for title in studies}
    for name, title, arm, seed in cells:
        if name not in missing:
            results[title].setdefault(arm, {})[seed] = read_outcome(name, studies[title].sets)
    report, notes = tabulate_studies(studies, results)
    if report:
        terminal.print_report(report, notes)
    if report and out:
        files.write_text(out, tables.format_report(report, notes))


def _list_cells(studies: Mapping[str, Study], seeds: int) -> Iterator[tuple[int, str, str]]:
    for seed in range(1, seeds + 1):
        for title, study in studies.items():
            yield from ((seed, title, arm) for arm in study.arms)


def read_outcome(name: str, sets: Sequence[str]) -> Outcome:
    """What an experiment gave. Raises UserError when DVC has the experiment but no longer its results."""
    import tempfile

    import dvc.api
    from dvc.exceptions import DvcException

    from stages.lib.core import records
    from stages.lib.reports import data_study

    paths = [f"data/samples/{part}.parquet" for part in ("test", "test_greedy", "ood")]
    paths += ["data/ood/test.jsonl", "data/selection/metrics.json"]
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / path.replace("/", "-") for path in paths]
        try:
            for path, copy in zip(paths, copies, strict=True):
                copy.write_bytes(dvc.api.read(path, rev=name, mode="rb"))
        except (DvcException, OSError) as error:
            advice = f"`dvc exp remove {name}` and `python -m stages variants data --run` make it again"
            raise UserError(f"{name}: its results cannot be read ({error}); {advice}") from None
        samples = [records.read_samples(copy) for copy in copies[:3]]
        values = data_study.measure(*samples, records.read_problems(copies[3]), sets)
        return data_study.Outcome(values, json.loads(copies[4].read_text(encoding="utf-8")))


def tabulate_studies(
    studies: Mapping[str, Study], results: Mapping[str, Mapping[str, Mapping[int, Outcome]]]
) -> tuple[dict[str, Table], list[str]]:
    """Of each study the arms, then the gains on each kind of random data; and how to read them."""
    from stages.lib.reports import data_study

    report: dict[str, Table] = {}
    notes: list[str] = []
    for title, study in studies.items():
        if not results[title]:
            continue
        report[f"{title.capitalize()}: what models learn from each arm"] = data_study.tabulate_arms(results[title])
        outcomes = data_study.list_outcomes(results[title])
        for kind in dict.fromkeys(kind for kinds in study.controls.values() for kind in kinds):
            found = (
                data_study.compare(results[title], arm, study.controls[arm][kind], outcome)
                for arm in study.controls
                for outcome in outcomes
            )
            gains = data_study.correct([gain for gain in found if gain])
            if gains:
                name = f"{title.capitalize()}: gain on random data of equal {kind}, in points"
                report[name] = data_study.tabulate_gains(gains)
            notes.append(f"{title.capitalize()}. {data_study.describe_gains(gains, kind)}")
    return report, [*notes, data_study.READING] if report else []
