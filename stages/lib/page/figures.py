"""The page's figures from what stage best_of_n wrote: headline rows, curves, the matrix, and all sets together.

Nothing is computed anew, so the page cannot disagree with table.md and matrix.md.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from stages.lib.display.tables import ORACLE_SCORES, format_gain, format_method, format_p_values, format_score_name
from stages.lib.page.glossary import METHODS, explain_method
from stages.lib.reports import inference_cost, leaderboard, matrix_tables, verifier_pairs
from stages.lib.reports.curves import Intervals, parse_score_name
from stages.lib.reports.evaluation import Evaluation
from stages.lib.reports.in_distribution import compute_reliability
from stages.lib.reports.matrix import POOLED_GROUPS, Cell, is_alive
from stages.lib.reports.pools import ENSEMBLE, FREE_ENSEMBLE, LIKELIHOOD_SCORES, TRAINING_FREE, UNTRAINED_VERIFIERS

MIN_SOLUTIONS = 20  # of a point of the calibration and a row of the first errors
COLOURS = ("pass", "majority", "orm", "prm", "genrm", "ensemble", "ensemble_free")  # of seven
COLOURS += (*LIKELIHOOD_SCORES, "prm_exact", *UNTRAINED_VERIFIERS)  # the same again
MAX_HISTORY_POINTS = 240  # of a training curve; more are averaged in bins


def parse_curves(text: str) -> dict[str, dict[int, dict[str, float]]]:
    """curve.csv as {method: {k: {mean, low, high, problems, se}}}."""
    curves: dict[str, dict[int, dict[str, float]]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        point = {key: float(value) for key, value in row.items() if key not in ("method", "k")}
        curves.setdefault(row["method"], {})[int(row["k"])] = point
    return curves


def parse_matrix(text: str) -> list[Cell]:
    """matrix.csv as cells."""
    words, counts = ("group", "method", "operator"), ("n", "problems", "parents", "lost", "won")

    def parse(name: str, value: str) -> Any:
        return value if name in words else None if not value else int(value) if name in counts else float(value)

    return [Cell(**{name: parse(name, x) for name, x in row.items()}) for row in csv.DictReader(io.StringIO(text))]


def list_headline(
    curves: Intervals,
    k: int,
    versus: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Mapping[str, float]],
    free: str | None = None,
    likelihood: str | None = None,
) -> list[dict[str, Any]]:
    """The table's rows. further: best-of and top votes, but for the highest row of all; aside: an oracle or the ceiling,
    which no method can be. versus: comparisons with majority by method; settings, free, likelihood: what dev chose, as in
    best_of_n's results.json."""
    rows = []
    order = leaderboard.order_methods(curves, free, likelihood)
    for label, curve, at in leaderboard.plan_rows(curves, order, k, likelihood):
        method = "pass_1" if label == leaderboard.PASS_1 else curve
        point, gap = curves[curve][at], versus.get(method)
        is_vote = parse_score_name(method) is None or method.startswith("weighted_") or method in (free, likelihood)
        rows.append(
            {
                "method": method,
                "label": label.replace("best-of-N", f"best of {k}").replace("pass@N", f"pass@{k}"),
                "meaning": explain_method(method, settings),
                **{part: point[part] for part in ("mean", "low", "high")},
                "se": point.get("se") or None,
                "gain": gap,
                "p": format_p_values(gap["p"], gap.get("p_holm")) if gap else "",
                "further": not is_vote,
                "aside": method == "pass" or parse_score_name(method) in ORACLE_SCORES,
            }
        )
    top = max((row for row in rows if not row["aside"]), key=lambda row: row["mean"])
    top |= {"further": False, "top": True}
    return rows


def summarise(
    rows: Sequence[Mapping[str, Any]], transfer: Sequence[Mapping[str, Any]], single: str | None, n: int
) -> list[str]:
    """The result in a few sentences. rows: of `list_headline`; transfer: of `list_transfer`; single: the best use of one
    trained verifier on dev; n: solutions of a problem out of distribution."""
    by_method = {row["method"]: row for row in rows}
    majority, best, ceiling = (by_method.get(name) for name in ("majority", single or "", "pass"))
    sentences = []
    if majority and best and ceiling and best["gain"]:
        sentences.append(
            f"In distribution, majority is right on {100 * majority['mean']:.1f} % and {best['label']}, the best use of "
            f"one trained verifier on dev, on {100 * best['mean']:.1f} %: {_format_gap(best['gain'])} points. "
            f"{ceiling['label']}: {100 * ceiling['mean']:.1f} %."
        )
    told = {method: by_method.get(f"weighted_{method}") for method in (FREE_ENSEMBLE, ENSEMBLE)}
    if all(row and row["gain"] for row in told.values()):
        free, full = (_format_gap(row["gain"]) for row in told.values() if row)
        sentences.append(
            f"All verifiers combined on dev's answers gain {full}; scores that need no trained verifier, combined in the "
            f"same way, {free}."
        )
    shown = [row for row in transfer if not row["aside"] and not row["untrained"]]
    if shown and shown[0]["variants"]:
        for name, words in (("variants", "variants of the test problems"), ("others", "problems of other kinds")):
            gains = [f"{row['label']} {format_gain(row[name])}" for row in sorted(shown, key=lambda x: -x[name][0])]
            sentences.append(f"Out of distribution, {n} solutions each, on {words}: {', '.join(gains)}.")
    elif shown:
        gains = [f"{row['label']} {format_gain(row['there'])}" for row in sorted(shown, key=lambda x: -x["there"][0])]
        sentences.append(f"Out of distribution, {n} solutions each, the gains over majority are: {', '.join(gains)}.")
    return sentences


def _format_gap(gap: Mapping[str, float]) -> str:
    return format_gain((gap["difference"], gap["low"], gap["high"]))


def list_curves(
    curves: Intervals, cost: Mapping[str, float] | None = None, likelihood: str | None = None
) -> list[dict[str, Any]]:
    """Methods with their points [k, mean, low, high, problems], those of the picture first and switched on. cost: of a
    solution, as in best_of_n's results.json; a curve of one k is left out."""
    plotted = leaderboard.select_plotted_methods(curves, likelihood)
    order = plotted + [name for name in leaderboard.order_methods(curves) if name not in plotted]
    return [
        {
            "label": format_method(name) if name in METHODS or parse_score_name(name) else name,
            "on": name in plotted,
            "colour": get_colour(parse_score_name(name) or name),
            "dash": _get_dash(name),
            "cost": inference_cost.cost_per_sample(name, cost) if cost else 1.0,
            "points": [
                [k, *(_shorten(point[part]) for part in ("mean", "low", "high", "problems"))]
                for k, point in sorted(curves[name].items())
            ],
        }
        for name in order
        if len(curves[name]) > 1
    ]


def _get_dash(method: str) -> int:
    """0 whole, 1 dashed, 2 dotted: apart where scores share a colour, or uses a score."""
    if parse_score_name(method) in (*ORACLE_SCORES, *UNTRAINED_VERIFIERS) or method.startswith("top_"):
        return 2
    return int(method.startswith("best_of_"))


def list_matrix(cells: Sequence[Cell], verifiers: Sequence[str], likelihood: str | None) -> dict[str, Any]:
    """methods and rows of the heat map: of each set its size, dose and accuracies, of each method gain, gap, AUC."""
    methods = matrix_tables.list_methods(cells, verifiers, likelihood)
    rows = []
    for name, own in matrix_tables.group_cells(cells).items():
        first = own["majority"]
        rows.append(
            {
                "name": name,
                "operator": first.operator,
                "dose": first.dose,
                "pooled": name in POOLED_GROUPS,
                "alive": name in POOLED_GROUPS or is_alive({method: cell.accuracy for method, cell in own.items()}),
                "problems": first.problems,
                **{key: _shorten(own[key].accuracy) for key in ("pass_1", "majority", "pass")},
                "cells": [
                    _describe_cell(own[method], own[f"best_of_{parse_score_name(method)}"]) for method in methods
                ],
            }
        )
    labels = [format_score_name(parse_score_name(method) or method) for method in methods]
    return {"n": cells[0].n if cells else 0, "methods": labels, "rows": rows}


def _describe_cell(vote: Cell, best: Cell) -> dict[str, Any]:
    """Triples are [middle, low, high]. vote: the method; best: best-of-N of its score, whose AUC is the score's."""
    parts = {
        "accuracy": (vote.accuracy, vote.low, vote.high),
        "gain": (vote.gain, vote.gain_low, vote.gain_high),
        "gap": (vote.gap, vote.gap_low, vote.gap_high),
        "auc": (best.auc, best.auc_low, best.auc_high),
    }
    described: dict[str, Any] = {
        key: [_shorten(x) for x in triple] for key, triple in parts.items() if triple[0] is not None
    }
    return described | {"p": format_p_values(vote.p, vote.p_holm), "parents": vote.parents}


def list_transfer(cells: Sequence[Cell], verifiers: Sequence[str], likelihood: str | None) -> list[dict[str, Any]]:
    """For each method: gain in distribution, over all sets out of it, on variants and on other kinds, gap on the same
    parents, AUCs, corrected p."""
    methods = matrix_tables.list_methods(cells, verifiers, likelihood)
    return [
        {
            "label": leaderboard.format_method_at_n(x.method, likelihood),
            "aside": parse_score_name(x.method) in ORACLE_SCORES,
            "untrained": parse_score_name(x.method) in TRAINING_FREE,
            **{
                name: cell and (cell.gain, cell.gain_low, cell.gain_high)
                for name, cell in zip(("here", "there", "variants", "others"), x[1:5], strict=True)
            },
            "gap": _get_gap(x.variants or x.there),
            "p": format_p_values(x.there.p, x.p_holm),
            "aucs": (x.best_here.auc, x.best_there.auc),
        }
        for x in matrix_tables.compare_transfer(cells, methods)
    ]


def _get_gap(cell: Cell) -> tuple[float | None, float | None, float | None]:
    return cell.gap, cell.gap_low, cell.gap_high


def count_pooled(cells: Sequence[Cell]) -> dict[str, int]:
    """{pooled group: problems}, and `parents`: the test problems that the variants were made from."""
    parents = max((cell.parents or 0 for cell in cells if cell.group == POOLED_GROUPS[1]), default=0)
    return {cell.group: cell.problems for cell in cells if cell.group in POOLED_GROUPS} | {"parents": parents}


def list_pairs(text: str) -> dict[str, Any] | None:
    """pairs.csv as a table {header, rows}; None without pairs."""
    pairs = verifier_pairs.from_csv(text)
    header, table = verifier_pairs.tabulate(pairs)
    return {"header": header, "rows": table} if table else None


def list_history(text: str) -> list[dict[str, Any]]:
    """The losses of a history.csv: [{label, points: [[step, value]]}]."""
    rows = list(csv.DictReader(io.StringIO(text)))
    lines = []
    for name in sorted(key for key in (rows[0] if rows else ()) if key.endswith("loss")):
        points = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        width = -(-len(points) // MAX_HISTORY_POINTS) or 1
        bins = [points[start : start + width] for start in range(0, len(points), width)]
        means = [[own[-1][0], _shorten(sum(value for _, value in own) / len(own))] for own in bins]
        if len(means) > 1:
            lines.append({"label": name.replace("_", " ").replace("lm ", "language-model "), "points": means})
    return lines


def _shorten(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def list_reliability(data: Evaluation) -> list[dict[str, Any]]:
    """For each verifier, the trained ones first, its expected calibration error and points [mean score, share right,
    solutions, radius in pixels] on test. A bin of a few solutions has no point: its share is chance."""
    return [
        {
            "label": f"{format_score_name(name)}, error {_compute_ece(bins):.2f}",
            "colour": get_colour(name),
            "on": name not in (*UNTRAINED_VERIFIERS, *ORACLE_SCORES),
            "points": [
                [_shorten(score), _shorten(right), count, round(2 + 9 * (count / sum(n for *_, n in bins)) ** 0.5, 1)]
                for score, right, count in bins
                if count >= MIN_SOLUTIONS
            ],
        }
        for name, bins in compute_reliability(data).items()
    ]


def _compute_ece(bins: Sequence[tuple[float, float, int]]) -> float:
    """The expected calibration error (Guo et al. 2017, arXiv 1706.04599): |mean score - share right|, by solutions."""
    return sum(abs(score - right) * count for score, right, count in bins) / sum(count for *_, count in bins)


def get_colour(score: str | None) -> int | None:
    """The colour of a score's curve, the same in every chart; None for a score of others."""
    return COLOURS.index(score) if score in COLOURS else None


def list_first_errors(metrics: Mapping[str, Any], order: Sequence[str]) -> dict[str, Any] | None:
    """{threshold, rows: [(set, {solutions, wrong, correct, f1})]} of best_of_n's `first_error`, without sets of a few
    solutions; None where no truth is known. order: of the sets; others are left out."""
    rows = [
        (
            name,
            {
                "wrong": row.get("error"),
                "correct": row.get("correct"),
                "f1": row.get("f1"),
                "solutions": row["solutions"],
            },
        )
        for name in order
        if (row := metrics.get(name)) and row["solutions"] >= MIN_SOLUTIONS
    ]
    return {"threshold": metrics["threshold"], "rows": rows} if rows else None
