"""Pictures and tables of best-of-N results."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from stages.lib.core import files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

# Okabe & Ito's palette, which readers with any common colour blindness can tell apart.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SCORE_NAMES = {
    "orm": "ORM",
    "prm": "PRM",
    "genrm": "GenRM",
    "base_prm": "untrained base (as PRM)",
    "base_genrm": "untrained base (asked)",
    **{f"likelihood_{part}": f"likelihood ({part})" for part in ("sum", "mean", "min")},
}
METHOD_NAMES = {"best_of": "best-of-k", "weighted": "weighted", "top": "top vote"}
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
FIRST_VERIFIER_STYLE = (
    2  # colour and mark of the first verifier: black is the ceiling's and blue the majority's, in every picture
)


def format_score_name(score: str) -> str:
    """What a reader calls a score; any name but the pipeline's own stands for itself."""
    return SCORE_NAMES.get(score, score)


def format_method(method: str) -> str:
    """`weighted_likelihood_min` -> `likelihood (min) weighted`."""
    for kind, words in METHOD_NAMES.items():
        if method.startswith(f"{kind}_"):
            return f"{format_score_name(method.removeprefix(f'{kind}_'))} {words}"
    return {"pass": "pass@k", "options": "likeliest option"}.get(method, method)


def format_p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _create_subplots(**settings: Any) -> tuple[Any, Any]:
    """A figure and its axes, drawn without a screen; a dollar in a name begins no formula."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["text.parse_math"] = False
    import matplotlib.pyplot as plt

    return plt.subplots(**settings)


def _style_axes(axes: Any, title: str, grid: str = "both") -> None:
    """Title, faint grid and open sides, as all pictures have them."""
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(alpha=0.25, linewidth=0.6, axis=grid)
    axes.spines[["top", "right"]].set_visible(False)


def _save_figure(path: Path, figure: Any) -> None:
    """Write a PNG whole or not at all, equal bytes for equal pictures."""
    import matplotlib.pyplot as plt

    with files.atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None}, bbox_inches="tight")  # however long a name
    plt.close(figure)


def plot_curves(
    path: Path,
    results: Mapping[str, Mapping[int, Mapping[str, float]]],
    methods: Sequence[str],
    title: str,
    cost: Callable[[str], float] = lambda method: 1.0,
    unit: str = "k, solutions drawn per problem",
):
    """Accuracy against k, or k times its cost, on a log2 axis, one line a method with its interval shaded, named at its
    right end.

    results: {method: {k: {mean, low, high}}}; cost: of one solution under a method. Equal results give equal bytes.
    """
    figure, axes = _create_subplots(figsize=(8.4, 4.6), dpi=140)
    ends, last = [], 1
    for place, method in enumerate(methods):
        curve = results[method]
        ks = sorted(curve)
        mean, low, high = ([100 * curve[k][part] for k in ks] for part in ("mean", "low", "high"))
        colour, mark = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        marked = [i for i, k in enumerate(ks) if k & (k - 1) == 0 or i == len(ks) - 1]
        dashed = "--" if method == "pass" else "-"
        xs = [k * cost(method) for k in ks]
        axes.plot(xs, mean, dashed, color=colour, marker=mark, markevery=marked, markersize=4.5, linewidth=1.7)
        axes.fill_between(xs, low, high, color=colour, alpha=0.10, linewidth=0)
        ends.append((mean[-1], method, colour))
        last = max(last, xs[-1])
    axes.set_xscale("log", base=2)
    ticks = [2**i for i in range(int(last).bit_length()) if 2**i <= last]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xlim(0.95, last * 1.05)
    axes.set_xlabel(unit)
    axes.set_ylabel("accuracy, %")
    _style_axes(axes, title)
    bottom, top = axes.get_ylim()
    gap, heights = (top - bottom) * 0.055, []
    for height, _, _ in sorted(ends):  # names never overlap: each stands at least a line above the one below
        heights.append(max(height, heights[-1] + gap) if heights else height)
    for (height, method, colour), shown in zip(sorted(ends), heights, strict=True):
        axes.annotate(
            f"{format_method(method)}  {height:.1f}",
            (last * 1.06, shown),
            color=colour,
            fontsize=9,
            va="center",
            annotation_clip=False,
        )
    figure.subplots_adjust(left=0.075, right=0.71, top=0.92, bottom=0.12)
    _save_figure(path, figure)


def plot_gains(path: Path, cells: Sequence[Any], verifiers: Sequence[str], title: str) -> None:
    """The weighted vote's gain on majority, and beside it the gap to the gain in distribution, with their intervals: a row
    for each group, a mark for each verifier, and a line above the sets out of distribution. Sets where no solution is
    right have nothing to gain and are only counted.

    cells: of lib/reports/matrix.py."""
    solved = {cell.group: cell.accuracy > 0 for cell in cells if cell.method == "pass"}
    shifted = {cell.group for cell in cells if cell.p_holm is not None}
    groups = [group for group in solved if solved[group]]
    height = 1.8 + 0.34 * len(groups)
    figure, both = _create_subplots(
        figsize=(10.4, height), dpi=140, ncols=2, sharey=True, gridspec_kw={"width_ratios": (3, 2)}
    )
    for axes, name in zip(both, ("gain", "gap"), strict=True):
        axes.axvline(0, color="#000000", linewidth=0.8)
        axes.axhline(sum(group not in shifted for group in groups) - 0.5, color="#999999", linewidth=0.6)
        for place, verifier in enumerate(verifiers):
            own = {cell.group: cell for cell in cells if cell.method == f"weighted_{verifier}"}
            rows = [(i, own[group]) for i, group in enumerate(groups) if getattr(own[group], name) is not None]
            ys = [i + 0.22 * (place - (len(verifiers) - 1) / 2) for i, _ in rows]
            middle, low, high = (
                [100 * getattr(cell, part) for _, cell in rows] for part in (name, f"{name}_low", f"{name}_high")
            )
            colour, mark = (looks[(FIRST_VERIFIER_STYLE + place) % len(looks)] for looks in (COLOURS, MARKERS))
            axes.plot(middle, ys, mark, color=colour, markersize=4.5, label=format_method(f"weighted_{verifier}"))
            axes.hlines(ys, low, high, color=colour, linewidth=1.2)
        _style_axes(axes, title if name == "gain" else "", "x")
    both[0].set_yticks(range(len(groups)), groups, fontsize=9)
    both[0].invert_yaxis()
    both[0].set_xlabel("gain: accuracy minus majority's, points")
    both[1].set_xlabel("gap: gain in distribution minus gain here")
    if empty := len(shifted.difference(groups)):
        both[0].set_ylabel(f"sets never solved, not shown: {empty}", fontsize=9)
    figure.tight_layout(rect=(0, 0.35 / height, 1, 1))
    if verifiers:
        figure.legend(
            *both[0].get_legend_handles_labels(), loc="lower center", ncols=len(verifiers), fontsize=9, frameon=False
        )
    _save_figure(path, figure)


def plot_reliability(path: Path, found: Mapping[str, Sequence[tuple[float, float, int]]], title: str) -> None:
    """Share of right solutions against mean score, a line for each verifier; a mark's area is its share of solutions.

    found: {verifier: [(mean score, share right, solutions)]} of lib/metrics/ranking.py."""
    figure, axes = _create_subplots(figsize=(5.6, 5.0), dpi=140)
    axes.plot([0, 1], [0, 1], "--", color="#000000", linewidth=0.8)
    for place, (name, rows) in enumerate(found.items()):
        says, right, counts = zip(*rows, strict=True)
        sizes = [6 + 220 * count / sum(counts) for count in counts]
        colour, mark = (looks[(FIRST_VERIFIER_STYLE + place) % len(looks)] for looks in (COLOURS, MARKERS))
        axes.plot(says, right, color=colour, linewidth=1.2, label=format_score_name(name))
        axes.scatter(says, right, s=sizes, color=colour, marker=mark)
    axes.set_xlabel("mean score of the bin")
    axes.set_ylabel("share of right solutions")
    _style_axes(axes, title)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    figure.tight_layout()
    _save_figure(path, figure)


def write_csv(path: Path, results: Mapping[str, Mapping[int, Mapping[str, float]]]) -> None:
    """method,k,problems,mean,low,high,se; se is the Monte Carlo standard error, 0 where the formula is exact."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "k", "problems", "mean", "low", "high", "se"])
    for method, curve in results.items():
        for k, found in sorted(curve.items()):
            numbers = (found["mean"], found["low"], found["high"], found.get("se", 0.0))
            writer.writerow([method, k, found["problems"], *(f"{number:.6g}" for number in numbers)])
    files.write_text(path, text.getvalue())


# What Markdown or GitHub would read as more than itself, where it would.
_MARKUP = re.compile(r"[\\`*|$]|~(?=~)|(?<=~)~|^#|<(?=[a-zA-Z/!?])|(?<!\w)_|_(?!\w)|\](?=[(\[:])|&(?=#?\w+;)")


def escape_markdown(text: str) -> str:
    """Text as Markdown that shows it letter by letter."""
    return _MARKUP.sub(r"\\\g<0>", text)


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[escape_markdown(cell) for cell in line] for line in (header, *rows)]
    lines.insert(1, ["---"] * len(header))
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def format_report(tables: Mapping[str, tuple[Sequence[str], Sequence[Sequence[str]]]], notes: Sequence[str]) -> str:
    """Tables under their headings, then notes, as Markdown."""
    parts = [f"{escape_markdown(heading)}\n\n{format_table(*table)}" for heading, table in tables.items()]
    return "\n".join([*parts, *([format_bullets([escape_markdown(note) for note in notes])] if notes else [])])


def format_bullets(sentences: Sequence[str]) -> str:
    return "".join(f"- {sentence}\n" for sentence in sentences)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The same table in the terminal. Wide enough for its content when the output is a file."""
    from rich.console import Console
    from rich.table import Table

    width = None if Console().is_terminal else 1000
    console = Console(width=width, markup=False, emoji=False)  # a name in brackets is a name
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(header):
        table.add_column(name, justify="left" if place == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)
