"""Pictures of best-of-N results and of label audits, as PNG files. Equal results give equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.figure import Figure

from stages.lib.core import files
from stages.lib.display.tables import format_method, format_score_name

# Okabe & Ito's palette, which readers with any common colour blindness can tell apart.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "os^DvPX"
FIRST_VERIFIER_STYLE = 2  # in every picture black is the ceiling, blue the majority, and verifiers start here

Curves = Mapping[str, Mapping[int, Mapping[str, float]]]  # {method: {k: {mean, low, high}}}


def create_subplots(figsize: tuple[float, float], **settings: Any) -> tuple[Figure, Any]:
    """A figure that needs no screen, and its axes. A dollar sign in a name starts no formula."""
    matplotlib.rcParams["text.parse_math"] = False
    figure = Figure(figsize, dpi=140)
    return figure, figure.subplots(**settings)


def style_axes(axes: Any, title: str, grid: Literal["both", "x", "y"] = "both", fontsize: int = 11) -> None:
    """Title, faint grid and open sides, as all pictures have them."""
    axes.set_title(title, loc="left", fontsize=fontsize)
    axes.grid(alpha=0.25, linewidth=0.6, axis=grid)
    axes.spines[["top", "right"]].set_visible(False)


def save_figure(path: Path, figure: Figure, crop: bool = True) -> None:
    """Write a PNG, whole or not at all. crop: fit the size to the content, however long a name is."""
    with files.atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None}, bbox_inches="tight" if crop else None)


def get_style(i: int) -> dict[str, str]:
    """Colour and marker of the i-th line."""
    return {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}


def set_log2_ticks(axes: Any, ticks: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])


def plot_curves(
    path: Path,
    results: Curves,
    methods: Sequence[str],
    title: str,
    cost: Callable[[str], float] = lambda method: 1.0,
    unit: str = "k, solutions drawn per problem",
) -> None:
    """Accuracy against k times the cost of a solution on a log2 axis: one line a method, its interval shaded, its name at
    the right end. cost: of one solution under a method, by default 1."""
    figure, axes = create_subplots((8.4, 4.6))
    ends, last = [], 1.0
    for i, method in enumerate(methods):
        ks = sorted(results[method])
        mean, low, high = ([100 * results[method][k][part] for k in ks] for part in ("mean", "low", "high"))
        style = get_style(i)
        marked = [place for place, k in enumerate(ks) if k & (k - 1) == 0 or k == ks[-1]]
        xs = [k * cost(method) for k in ks]
        axes.plot(xs, mean, "--" if method == "pass" else "-", **style, markevery=marked, markersize=4.5, linewidth=1.7)
        axes.fill_between(xs, low, high, color=style["color"], alpha=0.10, linewidth=0)
        ends.append((mean[-1], method, style["color"]))
        last = max(last, xs[-1])
    set_log2_ticks(axes, [2**i for i in range(int(last).bit_length())])
    axes.set_xlim(0.95, last * 1.05)
    axes.set_xlabel(unit)
    axes.set_ylabel("accuracy, %")
    style_axes(axes, title)
    bottom, top = axes.get_ylim()
    line_height, label_y = (top - bottom) * 0.055, float("-inf")
    for accuracy, method, colour in sorted(ends):  # names never overlap: each is at least a line above the one below
        label_y = max(accuracy, label_y + line_height)
        label = f"{format_method(method)}  {accuracy:.1f}"
        axes.annotate(label, (last * 1.06, label_y), color=colour, fontsize=9, va="center", annotation_clip=False)
    figure.subplots_adjust(left=0.075, right=0.71, top=0.92, bottom=0.12)
    save_figure(path, figure)


def plot_gains(path: Path, cells: Sequence[Any], verifiers: Sequence[str], title: str) -> None:
    """The weighted vote's gain on majority and, beside it, the gap to the gain in distribution: a row for each group, a
    mark with its interval for each verifier, and a line above the sets out of distribution. Sets where no solution is
    right have no gain and are only counted.

    cells: `matrix.Cell` of lib/reports."""
    solved = {cell.group: cell.accuracy > 0 for cell in cells if cell.method == "pass"}
    shifted = {cell.group for cell in cells if cell.p_holm is not None}
    groups = [group for group in solved if solved[group]]
    height = 1.8 + 0.34 * len(groups)
    figure, both = create_subplots((10.4, height), ncols=2, sharey=True, gridspec_kw={"width_ratios": (3, 2)})
    for axes, name in zip(both, ("gain", "gap"), strict=True):
        axes.axvline(0, color="#000000", linewidth=0.8)
        axes.axhline(sum(group not in shifted for group in groups) - 0.5, color="#999999", linewidth=0.6)
        for i, verifier in enumerate(verifiers):
            votes = {cell.group: cell for cell in cells if cell.method == f"weighted_{verifier}"}
            rows = [(y, votes[group]) for y, group in enumerate(groups) if getattr(votes[group], name) is not None]
            ys = [y + 0.22 * (i - (len(verifiers) - 1) / 2) for y, _ in rows]
            middle, low, high = (
                [100 * getattr(cell, part) for _, cell in rows] for part in (name, f"{name}_low", f"{name}_high")
            )
            style = get_style(FIRST_VERIFIER_STYLE + i)
            axes.plot(middle, ys, **style, linestyle="", markersize=4.5, label=format_method(f"weighted_{verifier}"))
            axes.hlines(ys, low, high, color=style["color"], linewidth=1.2)
        style_axes(axes, title if name == "gain" else "", "x")
    both[0].set_yticks(range(len(groups)), groups, fontsize=9)
    both[0].invert_yaxis()
    both[0].set_xlabel("gain: accuracy minus majority's, points")
    both[1].set_xlabel("gap: gain in distribution minus gain here")
    if unsolved := len(shifted.difference(groups)):
        both[0].set_ylabel(f"sets never solved, not shown: {unsolved}", fontsize=9)
    figure.tight_layout(rect=(0, 0.35 / height, 1, 1))
    if verifiers:
        handles = both[0].get_legend_handles_labels()
        figure.legend(*handles, loc="lower center", ncols=len(verifiers), fontsize=9, frameon=False)
    save_figure(path, figure)


def plot_reliability(path: Path, bins: Mapping[str, Sequence[tuple[float, float, int]]], title: str) -> None:
    """Share of right solutions against mean score, a line for each verifier; a mark's area is its share of solutions.

    bins: {verifier: [(mean score, share right, solutions)]} of lib/metrics/ranking.py."""
    figure, axes = create_subplots((5.6, 5.0))
    axes.plot([0, 1], [0, 1], "--", color="#000000", linewidth=0.8)
    for i, (name, rows) in enumerate(bins.items()):
        scores, right, counts = zip(*rows, strict=True)
        style = get_style(FIRST_VERIFIER_STYLE + i)
        axes.plot(scores, right, color=style["color"], linewidth=1.2, label=format_score_name(name))
        axes.scatter(scores, right, s=[6 + 220 * count / sum(counts) for count in counts], **style)
    axes.set_xlabel("mean score of the bin")
    axes.set_ylabel("share of right solutions")
    style_axes(axes, title)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    figure.tight_layout()
    save_figure(path, figure)
