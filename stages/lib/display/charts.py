"""Pictures of best-of-N results and of label audits, as PNG files. Equal results give equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.figure import Figure

from stages.lib.core import files
from stages.lib.display.tables import ORACLE_SCORES, format_method, format_score_name

# Okabe & Ito's palette, which readers with any common colour blindness can tell apart.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "os^DvPX"
DOSE_COLUMNS = 4  # at most so many operators side by side in the picture of doses
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
    """Colour and marker of the i-th line; where the colours begin again, they have other markers."""
    return {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]}


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


def plot_gains(path: Path, cells: Sequence[Any], methods: Sequence[str], title: str) -> None:
    """The gain on majority and, beside it, the gap to the gain in distribution: a row for each group, a mark with its
    interval for each method, hollow for an oracle, and a line above the sets out of distribution. Sets where no solution
    is right have no gain and are only counted; of an operator with several doses the largest is shown.

    cells: `matrix.Cell` of lib/reports."""
    largest = {cell.operator: cell.group for cell in sorted(cells, key=lambda cell: cell.dose or 0.0)}
    solved = {cell.group: cell.accuracy > 0 for cell in cells if cell.method == "pass"}
    solved = {group: is_solved for group, is_solved in solved.items() if group in largest.values()}
    shifted = {cell.group for cell in cells if cell.p_holm is not None and cell.group in solved}
    groups = [group for group in solved if solved[group]]
    height = 1.8 + max(0.34, 0.09 * len(methods)) * len(groups)
    figure, both = create_subplots((10.4, height), ncols=2, sharey=True, gridspec_kw={"width_ratios": (3, 2)})
    for axes, name in zip(both, ("gain", "gap"), strict=True):
        axes.axvline(0, color="#000000", linewidth=0.8)
        axes.axhline(sum(group not in shifted for group in groups) - 0.5, color="#999999", linewidth=0.6)
        for i, method in enumerate(methods):
            votes = {cell.group: cell for cell in cells if cell.method == method}
            rows = [(y, votes[group]) for y, group in enumerate(groups) if getattr(votes[group], name) is not None]
            ys = [y + 0.66 / max(3, len(methods)) * (i - (len(methods) - 1) / 2) for y, _ in rows]
            middle, low, high = (
                [100 * getattr(cell, part) for _, cell in rows] for part in (name, f"{name}_low", f"{name}_high")
            )
            style = get_method_style(i, method)
            axes.plot(middle, ys, **style, linestyle="", markersize=4.5, label=format_method(method))
            axes.hlines(ys, low, high, color=style["color"], linewidth=1.2)
        style_axes(axes, title if name == "gain" else "", "x")
    both[0].set_yticks(range(len(groups)), groups, fontsize=9)
    both[0].invert_yaxis()
    both[0].set_xlabel("gain: accuracy minus majority's, points")
    both[1].set_xlabel("gap: gain in distribution minus gain here")
    if unsolved := len(shifted.difference(groups)):
        both[0].set_ylabel(f"sets never solved, not shown: {unsolved}", fontsize=9)
    figure.tight_layout(rect=(0, 0.35 / height, 1, 1))
    if methods:
        handles = both[0].get_legend_handles_labels()
        figure.legend(*handles, loc="lower center", ncols=min(4, len(methods)), fontsize=9, frameon=False)
    save_figure(path, figure)


def get_method_style(i: int, method: str) -> dict[str, str]:
    """Colour and marker of the i-th method of a picture out of distribution; an oracle is hollow."""
    is_oracle = any(method.endswith(f"_{name}") for name in ORACLE_SCORES)
    return get_style(FIRST_VERIFIER_STYLE + i) | ({"markerfacecolor": "#FFFFFF"} if is_oracle else {})


def plot_doses(path: Path, cells: Sequence[Any], methods: Sequence[str]) -> None:
    """Accuracy and, below it, gain on majority against the dose: a column for each operator with several doses, a line for
    each method, its interval as bars. Dose 0 is the row in distribution, where the operator's benchmark has one.

    cells: `matrix.Cell` of lib/reports."""
    rows: dict[str, dict[float, dict[str, Any]]] = {}
    for cell in cells:
        if cell.dose is not None:
            rows.setdefault(cell.operator, {}).setdefault(cell.dose, {})[cell.method] = cell
    doses = {operator: points for operator, points in rows.items() if len(points) > 1}
    start = next(cell.group for cell in cells if cell.method == "pass" and cell.p_holm is None and cell.gap is None)
    for operator, points in doses.items():
        if operator.partition("~")[0] == start.partition("/")[0]:
            points[0.0] = {cell.method: cell for cell in cells if cell.group == start}
    bands = max(1, -(-len(doses) // DOSE_COLUMNS))
    columns = max(1, -(-len(doses) // bands))
    height = 0.7 + 3.9 * bands
    size = (max(5.4, 0.9 + 2.5 * columns), height)
    figure, grid = create_subplots(size, nrows=2 * bands, ncols=columns, sharey="row", squeeze=False)
    for axes in grid.flat:
        axes.set_visible(False)
    for place, (operator, points) in enumerate(doses.items()):
        band, column = divmod(place, columns)
        xs = sorted(points)
        for name, axes in zip(("accuracy", "gain"), grid[2 * band : 2 * band + 2, column], strict=True):
            axes.set_visible(True)
            lines = (["pass_1", "majority"] if name == "accuracy" else []) + list(methods)
            for i, method in enumerate(lines):
                own = [points[x][method] for x in xs]
                parts = ("accuracy", "low", "high") if name == "accuracy" else ("gain", "gain_low", "gain_high")
                middle, low, high = ([100 * getattr(cell, part) for cell in own] for part in parts)
                shifted = [
                    x + 0.012 * (i - (len(lines) - 1) / 2) for x in xs
                ]  # so that intervals do not hide each other
                style = get_method_style(methods.index(method), method) if method in methods else get_style(i)
                label = {"pass_1": "pass@1"}.get(method, format_method(method))
                axes.plot(shifted, middle, **style, markersize=4, linewidth=1.5, label=label)
                axes.vlines(shifted, low, high, color=style["color"], linewidth=0.9, alpha=0.55)
            axes.set_xticks(xs, [f"{x:g}" for x in xs], fontsize=9)
            if name == "gain":
                axes.axhline(0, color="#000000", linewidth=0.8)
                axes.set_xlabel("dose (0: in distribution)" if xs[0] == 0 else "dose", fontsize=9)
            if column == 0:
                axes.set_ylabel("accuracy, %" if name == "accuracy" else "gain on majority, points", fontsize=9)
            style_axes(axes, operator if name == "accuracy" else "", "y", fontsize=10)
    if doses:
        handles = grid[0, 0].get_legend_handles_labels()
        figure.legend(*handles, loc="lower center", ncols=columns, fontsize=9, frameon=False)
    else:
        figure.text(0.5, 0.5, "no operator has sets at several doses", ha="center")
    figure.tight_layout(rect=(0, (0.2 + 0.22 * -(-(len(methods) + 2) // columns)) / height, 1, 1))
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
