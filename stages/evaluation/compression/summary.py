"""The law over the ladder's checkpoints, and what is written of it: bpc.jsonl, law.json, report.md, law.png, metrics."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stages.evaluation.compression.corpora import TITLES
from stages.evaluation.compression.ladder import UNTUNED
from stages.lib.compression import law
from stages.lib.compression.law import Point
from stages.lib.core import files
from stages.lib.display import charts, tables

if TYPE_CHECKING:
    from pathlib import Path

    from stages.evaluation.compression.__main__ import Params
    from stages.lib.compression.documents import Corpus
    from stages.lib.core.records import Problem
    from stages.lib.run.execution import StageRun

SCORES = {  # a run without `solve_problems` has no solved problems
    "accuracy_test": "gold steps written, in distribution",
    "accuracy_ood": "gold steps written, out of distribution",
    "logprob_test": "log-probability of gold results, in distribution",
    "logprob_ood": "log-probability of gold results, out of distribution",
    "solved_test": "problems solved, in distribution",
    "solved_ood": "problems solved, out of distribution",
}
SCALES = {"accuracy": (100.0, "points"), "logprob": (1.0, "nats"), "solved": (100.0, "points")}
SHORT = {"accuracy": "steps written %", "logprob": "log-probability", "solved": "solved %"}
Rows = Sequence[Mapping[str, Any]]


def write(
    run: StageRun[Params], rows: Rows, corpora: Sequence[Corpus], asked: Mapping[str, Sequence[Problem]]
) -> dict[str, Any]:
    """Write the outputs; returns the figures of metrics.json. rows: of `measure`."""
    laws = fit_laws(rows, [corpus.name for corpus in corpora], run.seed, run.params.resamples)
    gaps = measure_gaps(rows)
    counts = {name: len(problems) for name, problems in asked.items()}
    lines = [
        {
            "model": row["name"],
            "corpus": corpus.name,
            "sha256": corpus.sha256,
            **row["bits"][corpus.name],
            "dtype": "float32",
        }
        for row in rows
        for corpus in corpora
    ]
    files.write_text(run.out_dir / "bpc.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    files.write_json(
        run.out_dir / "law.json", {"laws": laws, "contamination": gaps, "models": rows, "problems": counts}
    )
    content = {**tabulate_laws(laws), **tabulate_models(rows, gaps)}
    files.write_text(run.out_dir / "report.md", tables.format_report(content, write_notes(rows, laws, gaps, counts)))
    plot(run.out_dir / "law.png", rows, laws)
    return select_metrics(rows, laws, gaps)


def list_scores(rows: Rows) -> list[str]:
    """The names of the scores that this run has, in the order of the tables."""
    return [score for score in SCORES if score in rows[0]["scores"]]


def make_points(rows: Rows, corpus: str, score: str) -> list[Point]:
    """The checkpoints that the law is fitted on."""
    return [
        Point(row["name"], row["family"], row["bits"][corpus]["bpc"], row["scores"][score], row["flops"])
        for row in rows
        if row["fitted"]
    ]


def fit_laws(rows: Rows, corpora: Sequence[str], seed: int, resamples: int) -> dict[str, dict[str, Any]]:
    """corpus -> score -> the law, with what it says of the models that it was not fitted on."""
    laws: dict[str, dict[str, Any]] = {}
    for corpus in corpora:
        for score in list_scores(rows):
            fitted = law.fit(make_points(rows, corpus, score), seed, resamples)
            elsewhere = [row for row in rows if not row["fitted"] and fitted["b"] is not None]
            said = {row["name"]: fitted["a"] + fitted["b"] * row["bits"][corpus]["bpc"] for row in elsewhere}
            laws.setdefault(corpus, {})[score] = {**fitted, "predicted": said}
    return laws


def measure_gaps(rows: Rows) -> dict[str, dict[str, float]]:
    """Of every checkpoint the bits of learned text minus those of its fresh siblings. `gap` contains how the two texts
    differ by themselves; `excess` is what is left after the gap of the base, which has seen neither. {} without them."""
    if not {"learned", "fresh"} <= rows[0]["bits"].keys():
        return {}
    gaps = {row["name"]: row["bits"]["learned"]["bpc"] - row["bits"]["fresh"]["bpc"] for row in rows}
    return {name: {"gap": gap, "excess": gap - gaps[UNTUNED]} for name, gap in gaps.items()}


def tabulate_laws(laws: Mapping[str, Mapping[str, Any]]) -> dict[str, tables.Table]:
    header = (
        "score, bits of",
        "r [95%]",
        "rho [95%]",
        "slope",
        "error, left out",
        "by the mean",
        "by log-compute",
        "r given log-compute",
    )
    found = {}
    for score in next(iter(laws.values())):
        title, (scale, unit) = SCORES[score], SCALES[score.partition("_")[0]]
        rows = []
        for corpus, by_score in laws.items():
            one = by_score[score]
            slope, errors = one["b"], [one[f"loo_rmse{x}"] for x in ("", "_mean", "_compute")]
            rows.append(
                [
                    TITLES[corpus],
                    _format_interval(one["r"], one["r_interval"]),
                    _format_interval(one["rho"], one["rho_interval"]),
                    "" if slope is None else f"{scale * slope:+.3g}",
                    *("" if error is None else f"{scale * error:.3g}" for error in errors),
                    "" if one["partial_r"] is None else f"{one['partial_r']:+.2f}",
                ]
            )
        found[f"{title[0].upper()}{title[1:]}, in {unit}"] = header, rows
    return found


def tabulate_models(rows: Rows, gaps: Mapping[str, Mapping[str, float]]) -> dict[str, tables.Table]:
    scores, corpora = list_scores(rows), [corpus for corpus in TITLES if corpus in rows[0]["bits"]]
    names = [f"{SHORT[score.partition('_')[0]]}, {'in' if score.endswith('test') else 'out'}" for score in scores]
    bits: list[list[str]] = []
    marks: list[list[str]] = []
    for row in rows:
        flops = f"{math.log10(row['flops']):.2f}" if row["flops"] else ""
        excess = f"{gaps[row['name']]['excess']:+.3f}" if gaps else ""
        bits.append([row["name"], *(f"{row['bits'][corpus]['bpc']:.3f}" for corpus in corpora), excess])
        scaled = [SCALES[score.partition("_")[0]][0] * row["scores"][score] for score in scores]
        marks.append(
            [row["name"], f"{row['weights']:,}", flops, *(f"{x:.1f}" if x >= 0 else f"{x:.3g}" for x in scaled)]
        )
    titles = [TITLES[corpus] for corpus in corpora]
    return {
        "Bits per character of five corpora": (("checkpoint", *titles, "contamination"), bits),
        "Scores": (("checkpoint", "weights", "log10 FLOPs", *names), marks),
    }


def _format_interval(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None:
        return ""
    return f"{value:+.2f}" + (f" [{interval[0]:+.2f}, {interval[1]:+.2f}]" if interval else "")


def write_notes(
    rows: Rows,
    laws: Mapping[str, Mapping[str, Any]],
    gaps: Mapping[str, Mapping[str, float]],
    counts: Mapping[str, int],
) -> list[str]:
    fitted = [row for row in rows if row["fitted"]]
    first = rows[0]["bits"]["matched"]
    families = list(dict.fromkeys(row["family"] for row in fitted))
    trainings = {row["name"].partition(", epoch")[0] for row in fitted} - {UNTUNED}
    notes = [
        f"{len(fitted)} checkpoints of {len(trainings)} trainings, the base among them; snapshots "
        "of one training are no independent models, so intervals (models drawn with replacement) are too narrow.",
        f"Scores are of {counts['test']} problems in distribution and {counts.get('ood', 0)} out of it, the same for all "
        f"checkpoints. Bits: windows of {first['block']:,} tokens, stride {first['stride']:,}; "
        + ("behind a begin token." if first["begin"] else "the first token of a document is only read."),
        "Error, left out: root mean squared error of a checkpoint's score as predicted from the others by bits; beside it "
        "the same by their mean and by a line in log-compute.",
        "Steps written: gold steps whose every token is the likeliest one after the question and all gold text before it. "
        "Results: the numbers that they calculate. Random graphs and prose are mismatched text.",
    ]
    if peers := [row["name"] for row in rows if "origin" in row]:
        notes.append(
            f"From elsewhere: {', '.join(peers)}. Each reads the same text by tokens of its own, and no example of how "
            "solutions are written here."
        )
    for score in ("accuracy_test", "logprob_test"):
        slopes = [f"{name} {_format_slope(laws['matched'][score]['families'][name], score)}" for name in families]
        notes.append(f"Slope within a family, {SCORES[score]} against matched bits: {'; '.join(slopes)}.")
    for row in rows:
        if not row["fitted"] and (said := laws["matched"]["accuracy_test"]["predicted"].get(row["name"])) is not None:
            notes.append(
                f"The {row['name']} is not fitted: from its matched bits the law says that it writes {100 * said:.1f} % "
                f"of the steps in distribution; it writes {100 * row['scores']['accuracy_test']:.1f} %."
            )
    if excess := {name: gap["excess"] for name, gap in gaps.items()}:
        name = min(excess, key=lambda key: excess[key])
        notes.append(
            "Contamination: bits of the learned problems minus those of their siblings, beyond that difference for the "
            f"base, which saw neither. Lowest: {name}, {excess[name]:+.3f} bits per character. Where all bits fall, "
            "so does this difference, without any memory."
        )
    return notes


def _format_slope(family: Mapping[str, Any], score: str) -> str:
    scale, unit = SCALES[score.partition("_")[0]]
    if family["r"] is None:
        return "none, since the score or the bits are constant"
    return f"{scale * family['b']:+.3g} {unit} a bit (r {family['r']:+.2f})"


def select_metrics(
    rows: Rows, laws: Mapping[str, Mapping[str, Any]], gaps: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """The figures that DVC and MLflow compare; what does not exist is left out."""
    figures = {
        "checkpoints": sum(row["fitted"] for row in rows),
        "r": {
            f"{corpus}_{score}": laws[corpus][score]["r"]
            for corpus in ("matched", "prose")
            for score in ("accuracy_test", "accuracy_ood", "logprob_test")
            if score in laws[corpus]
        },
        "rho_matched_accuracy_test": laws["matched"]["accuracy_test"]["rho"],
        "partial_r_matched_accuracy_test": laws["matched"]["accuracy_test"]["partial_r"],
        "partial_r_matched_logprob_test": laws["matched"]["logprob_test"]["partial_r"],
        "error_matched_accuracy_test": laws["matched"]["accuracy_test"]["loo_rmse"],
        "contamination": min((gap["excess"] for gap in gaps.values()), default=None),
        "best_matched_bpc": min(row["bits"]["matched"]["bpc"] for row in rows),
    }
    figures["r"] = {name: value for name, value in figures["r"].items() if value is not None}
    return {name: value for name, value in figures.items() if value is not None}


def plot(path: Path, rows: Rows, laws: Mapping[str, Mapping[str, Any]]) -> None:
    """Score against bits: a row for each of two scores, a column for matched text and each mismatched one; a colour for
    each family, the line of the law, hollow marks for models that it was not fitted on."""
    corpora = [corpus for corpus in ("matched", "dyval", "prose") if corpus in laws]
    scores = ("accuracy_test", "logprob_test")
    families = list(dict.fromkeys(row["family"] for row in rows))
    figure, grid = charts.create_subplots(
        (9.6, 6.2), nrows=2, ncols=len(corpora), sharey="row", sharex="col", squeeze=False
    )
    for line, score in enumerate(scores):
        scale, _ = SCALES[score.partition("_")[0]]
        for column, corpus in enumerate(corpora):
            axes, one = grid[line, column], laws[corpus][score]
            for i, family in enumerate(families):
                own = [row for row in rows if row["family"] == family]
                xs, ys = [row["bits"][corpus]["bpc"] for row in own], [scale * row["scores"][score] for row in own]
                face = {} if own and own[0]["fitted"] else {"markerfacecolor": "none"}
                axes.plot(xs, ys, **charts.get_style(i + 1), **face, linestyle="", markersize=5, label=family)
            xs = [row["bits"][corpus]["bpc"] for row in rows]
            if one["b"] is not None:
                ends = [min(xs), max(xs)]
                axes.plot(
                    ends, [scale * (one["a"] + one["b"] * x) for x in ends], color="#999999", linewidth=1.0, zorder=0
                )
            error = "" if one["loo_rmse"] is None else f", left-out error {scale * one['loo_rmse']:.2g}"
            title = TITLES[corpus] if one["r"] is None else f"{TITLES[corpus]}: r {one['r']:+.2f}{error}"
            charts.style_axes(axes, title, fontsize=8)
            if column == 0:
                axes.set_ylabel(
                    "gold steps written, %" if score == "accuracy_test" else "log-probability of results, nats",
                    fontsize=8,
                )
            if line == 1:
                axes.set_xlabel("bits per character", fontsize=8)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="lower center", ncols=4, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    charts.save_figure(path, figure)
