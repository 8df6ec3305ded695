"""One page about a choice of rows: what was kept and why, beside random rows and the longest; and a map of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from stages.lib.core.errors import UserError
from stages.lib.display import charts
from stages.lib.display.tables import Table
from stages.lib.metrics.intervals import Interval
from stages.lib.selection import diagnostics
from stages.lib.selection.instruction_files import LEFT_OUT, InstructionFile
from stages.lib.selection.methods import METHODS
from stages.lib.selection.methods.car import Clusters
from stages.lib.selection.pair_accuracy import PairAccuracy
from stages.lib.selection.rows import Budget, Choice

MAX_PLACES = 5  # of a fault, that are named
MAX_POINTS = 20_000  # of the pool on the map
MAX_PAIRS = 250_000_000  # of rows of the pool and of a choice, for whose distances some ten seconds are spent


class Chosen(NamedTuple):
    """A pool and what was chosen from it. Arrays are in the order of the pool's rows; None: not computed. accuracies:
    {scores: {kind of pairs: accuracy}} of the model of quality."""

    pool: InstructionFile
    choices: list[Choice]
    embeddings: np.ndarray | None = None
    quality: np.ndarray | None = None
    clusters: Clusters | None = None
    accuracies: Mapping[str, Mapping[str, PairAccuracy]] | None = None


def build(chosen: Chosen, title: str, notes: Sequence[str], seed: int) -> tuple[dict[str, Table], list[str]]:
    """Tables and notes, as `tables.format_report` writes them."""
    page: dict[str, Table] = {title: compare(chosen, seed)}
    page["Why rows were kept"] = count_reasons(chosen)
    page["Length of the answers"] = compare_lengths(chosen)
    if chosen.pool.faults:
        page["Faults in the file"] = list_faults(chosen.pool)
    if chosen.accuracies:
        page["Quality: is the better row of a held-out pair rated higher?"] = format_accuracies(chosen.accuracies)
    if chosen.clusters:
        clusters = chosen.clusters
        kept = {clusters.labels[i] for i in find_places(chosen)}
        notes = [
            f"clusters: {clusters.k}, of which {len(kept)} have a row in the choice; the embedding has {clusters.dims} "
            f"dimensions after PCA, with {clusters.variance:.1%} of the variance",
            *notes,
        ]
    return page, [
        *notes,
        "covering radius: the largest distance of a row of the file to the nearest kept one (vectors of length 1); small "
        "is good. Nearest distance: the mean distance of a kept row to the next kept one; large is diverse. Neither is "
        f"measured where the rows of a choice times those of the file exceed {MAX_PAIRS:,}",
        "a choice is worth something where training on it beats training on random rows of equal number and of equal "
        "tokens; none of these figures shows that",
    ]


def find_places(chosen: Chosen) -> list[int]:
    """Where the kept rows stand in the pool."""
    places = {row.id: i for i, row in enumerate(chosen.pool.rows)}
    return sorted(places[choice.id] for choice in chosen.choices)


def compare(chosen: Chosen, seed: int) -> Table:
    """The choice beside random rows (as many, as many tokens), the longest, and the whole file."""
    rows, taken = chosen.pool.rows, find_places(chosen)
    tokens = sum(rows[i].tokens for i in taken)
    arms = {"this choice": chosen.choices}
    for name, method, budget in (
        ("random, as many rows", "random", Budget(items=len(taken))),
        ("random, as many tokens", "random", Budget(tokens=tokens)),
        ("longest, as many rows", "longest", Budget(items=len(taken))),
    ):
        try:
            arms[name] = METHODS[method].select(rows, None, budget, None, seed + 1)  # not the rows of method random
        except UserError:  # rows without a token, or fewer tokens than any row has
            continue
    header = ["rows of", "rows", "tokens", "covering radius", "nearest distance", "mean cosine", "mean quality"]
    body = [_describe(chosen, name, choices) for name, choices in arms.items()]
    return header, [*body, _describe(chosen, "the whole file", [Choice(row.id, "") for row in rows], is_whole=True)]


def _describe(chosen: Chosen, name: str, choices: list[Choice], is_whole: bool = False) -> list[str]:
    # Distances of a whole file to itself say nothing, and random rows of as many tokens can be nearly the whole file.
    is_measured = not is_whole and len(choices) * len(chosen.pool.rows) <= MAX_PAIRS
    figures = diagnostics.describe(chosen.pool.rows, chosen.embeddings if is_measured else None, choices)
    places, similarity, quality = find_places(chosen._replace(choices=choices)), figures.similarity, None
    if not is_measured and chosen.embeddings is not None:
        similarity = diagnostics.compute_similarity(chosen.embeddings if is_whole else chosen.embeddings[places])
    if chosen.quality is not None and choices:
        quality = float(chosen.quality[places].mean())
    numbers = (figures.covering_radius, figures.nearest_distance, similarity, quality)
    return [name, f"{figures.rows:,}", f"{figures.tokens:,}", *("" if x is None else f"{x:.3f}" for x in numbers)]


def count_reasons(chosen: Chosen) -> Table:
    """Rows by reason; the many clusters of a choice are one reason."""
    reasons = Counter(_shorten(choice.reason) for choice in chosen.choices)
    return ["reason", "rows"], [[reason, f"{count:,}"] for reason, count in reasons.most_common()]


def _shorten(reason: str) -> str:
    return "best of its cluster" if reason.startswith("cluster ") else reason


def compare_lengths(chosen: Chosen) -> Table:
    tokens = np.array([row.tokens for row in chosen.pool.rows])
    body = [
        [name, *(f"{x:,.0f}" for x in np.quantile(part, [0.1, 0.5, 0.9])), f"{part.mean():,.0f}"]
        for name, part in (("before", tokens), ("after", tokens[find_places(chosen)]))
    ]
    return ["tokens", "10 %", "median", "90 %", "mean"], body


def list_faults(pool: InstructionFile) -> Table:
    body = [
        [
            fault,
            f"{len(places):,}",
            "left out" if fault in LEFT_OUT else "kept",
            ", ".join(map(str, places[:MAX_PLACES])) + (", .." if len(places) > MAX_PLACES else ""),
        ]
        for fault, places in sorted(pool.faults.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    return ["fault", "rows", "", "rows of the file"], body


def format_accuracies(accuracies: Mapping[str, Mapping[str, PairAccuracy]]) -> Table:
    def percent(interval: Interval) -> str:
        mean, low, high = (100 * x for x in interval)
        return f"{mean:.1f} [{low:.1f}, {high:.1f}]"

    body = [
        [scores, kind, f"{result.pairs:,}", percent(result.accuracy), percent(result.auc)]
        for scores, results in accuracies.items()
        for kind, result in results.items()
    ]
    return ["scores", "pairs", "number", "pair accuracy, %", "AUC, %"], body


def describe_rows(chosen: Chosen) -> list[dict[str, Any]]:
    """A record for each row of the pool, in its order: place in the file, id, and what is known of it."""
    kept = {choice.id: choice for choice in chosen.choices}
    records = []
    for i, row in enumerate(chosen.pool.rows):
        choice = kept.get(row.id)
        record: dict[str, Any] = {"row": chosen.pool.places[row.id], "id": row.id, "tokens": row.tokens}
        record |= {"kept": choice is not None, "reason": choice and choice.reason, "value": choice and choice.value}
        if chosen.quality is not None:
            record["quality"] = float(chosen.quality[i])
        if chosen.clusters:
            record |= {"cluster": int(chosen.clusters.labels[i]), "distance": float(chosen.clusters.distances[i])}
        records.append(record)
    return records


def draw_map(path: Path, chosen: Chosen, title: str) -> None:
    """The pool in grey and the kept rows in colours, by reason, on the first two principal components, which show only a
    part of the variance; the axes say how much."""
    assert chosen.embeddings is not None
    taken = find_places(chosen)
    with threadpool_limits(1):
        pca = PCA(2, svd_solver="covariance_eigh").fit(chosen.embeddings)
        points = pca.transform(chosen.embeddings)
    figure, axes = charts.create_subplots((8.4, 6.4))
    shown = np.linspace(0, len(points) - 1, min(len(points), MAX_POINTS)).astype(int)
    axes.scatter(*points[shown].T, s=5, color="#BBBBBB", linewidths=0, label=f"the file, {len(points):,} rows")
    reasons = {choice.id: _shorten(choice.reason) for choice in chosen.choices}
    ids = [row.id for row in chosen.pool.rows]
    for i, (reason, count) in enumerate(Counter(reasons.values()).most_common(len(charts.COLOURS) - 1)):
        places = [place for place in taken if reasons[ids[place]] == reason]
        colour = charts.COLOURS[i + 1]
        size = 9 if count > 50 else 30  # a few rows are seen, too
        axes.scatter(*points[places].T, s=size, color=colour, linewidths=0, label=f"{reason}, {count:,}")
    if chosen.clusters:
        labels, k = chosen.clusters.labels, int(chosen.clusters.labels.max()) + 1
        centres = [points[labels == label].mean(axis=0) for label in range(k) if (labels == label).any()]
        axes.scatter(
            *np.array(centres).T, s=22, marker="+", color="#000000", linewidths=0.7, label="centre of a cluster"
        )
    for axis, share, name in zip(
        (axes.xaxis, axes.yaxis), pca.explained_variance_ratio_, ("first", "second"), strict=True
    ):
        axis.set_label_text(f"{name} principal component, {share:.1%} of the variance")
    charts.style_axes(axes, title)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, fontsize=9, frameon=False, markerscale=1.5)
    charts.save_figure(path, figure)
