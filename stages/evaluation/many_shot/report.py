"""The files of stage many_shot: rows.parquet, results.json, report.md and curves.png."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.evaluation.many_shot import measures
from stages.evaluation.many_shot.answering import Row
from stages.lib.chat import describe_cost
from stages.lib.core import files
from stages.lib.display import charts, tables

if TYPE_CHECKING:
    from stages.evaluation.many_shot.__main__ import Params

NAMES = {"model": "model", "knn": "5 nearest shots", "least_squares": "least squares", "bayes": "Bayes"}

FEW = 20  # units that are resampled; below, resamples vary less than other units would


def write(folder: Path, rows: Sequence[Row], figures: dict[str, Any], params: Params) -> None:
    write_rows(folder / "rows.parquet", rows)
    files.write_json(folder / "results.json", figures)
    files.write_text(
        folder / "report.md", tables.format_report(build_tables(figures, params), build_notes(figures, params))
    )
    plot_curves(folder / "curves.png", figures)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Sorted by (problem_id, query)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ordered = sorted(rows, key=lambda row: (row.problem_id, row.query))
    kinds = {int: pa.int64(), bool: pa.bool_(), list[str]: pa.list_(pa.string()), float | None: pa.float64()}
    fields = [(name, kinds.get(field.annotation, pa.string())) for name, field in Row.model_fields.items()]  # type: ignore
    with files.atomic_write(path) as temporary:
        table = pa.Table.from_pylist([row.model_dump() for row in ordered], schema=pa.schema(fields))
        pq.write_table(table, temporary, compression="zstd")


def build_tables(figures: dict[str, Any], params: Params) -> dict[str, tables.Table]:
    found: dict[str, tables.Table] = {}
    worlds, arms = figures["worlds"], figures["arms"]
    if worlds:
        ks = _list_ks(worlds)
        rows = []
        for name, own in worlds.items():
            for learner, curve in {"model": own["curve"], **own["oracles"]}.items():
                rows.append([_name_world(name, own), NAMES[learner], *_format_curve(curve, ks)])
        found["Numeric worlds: right answers in % after K shots"] = ("world", "learner", *map(str, ks)), rows
        rows = [
            [_name_world(name, own), *(f"{100 * own['seen'][str(k)]:.0f}" if str(k) in own["seen"] else "" for k in ks)]
            for name, own in worlds.items()
        ]
        found["Numeric worlds: queries whose own point is among the K shots, in %"] = ("world", *map(str, ks)), rows
    if arms:
        ks = _list_ks(arms)
        rows = [[arm, *_format_curve(own["curve"], ks)] for arm, own in arms.items()]
        found["Benchmark: right answers in % after K shots"] = ("shots show", *map(str, ks)), rows
    everything = {**{_name_world(name, own): own for name, own in worlds.items()}, **arms}
    found["The best K"] = (
        ("world or arm", "K [95%]", "no shots", "at the K that others chose", "at the largest K"),
        [[name, *_format_peak(own["peak"])] for name, own in everything.items()],
    )
    found["Tokens of a prompt after K shots, mean"] = build_costs(everything)
    rows = []
    for name, own in everything.items():
        k = params.numeric.order_shots if "held_out" in own else params.order_shots
        for what in ("sets", "orders"):
            if what in own:
                rows.append([name, str(k), f"{own[what]['replicas']} {what}", *_format_spread(own[what])])
    if rows:
        header = ("world or arm", "K", "over", "SD", "SD by chance", "SD beyond", "best - worst", "by chance", "p")
        found["Spread over sets and over orders of one set, in points"] = header, rows
    return found


def build_costs(everything: Mapping[str, Any]) -> tables.Table:
    """A row for each world and arm, and one of the tokens that the server had cached, where it said so of any."""
    ks, rows = _list_ks(everything), []
    for name, own in everything.items():
        for label, counts in ((name, own["tokens"]), (f"{name}, cached", own["cached"])):
            if label == name or any(counts.values()):
                rows.append([label, *(f"{counts[str(k)]:,.0f}" if str(k) in counts else "" for k in ks)])
    return ("world or arm", *map(str, ks)), rows


def _list_ks(parts: Mapping[str, Any]) -> list[int]:
    return sorted({int(k) for own in parts.values() for k in own["curve"]})


def _name_world(name: str, own: Mapping[str, Any]) -> str:
    return f"{name} (held out)" if own["held_out"] else name


def _format_curve(curve: Mapping[str, Sequence[float]], ks: Sequence[int]) -> list[str]:
    return [f"{100 * curve[str(k)][0]:.0f}" if str(k) in curve else "" for k in ks]


def _format_peak(peak: Mapping[str, float]) -> list[str]:
    shares = [f"{100 * peak[name]:.1f}" if name in peak else "" for name in ("first", "accuracy", "last")]
    return [f"{peak['k']} [{peak['low']}, {peak['high']}]", *shares]


def _format_spread(spread: Mapping[str, float]) -> list[str]:
    points = [f"{100 * spread[name]:.1f}" for name in ("observed", "floor", "excess", "gap", "null_gap")]
    return [*points, tables.format_p_value(spread["p"])]


def build_notes(figures: dict[str, Any], params: Params) -> list[str]:
    worlds, arms = figures["worlds"], figures["arms"]
    notes = [
        f"{params.sets} sets of shots; {params.numeric.functions} functions of each world with {params.numeric.queries} "
        "queries, one value each. Chance is 50 % in linear worlds, 100/m % in modular ones."
    ]
    sizes = {"functions of a world": params.numeric.functions if worlds else FEW}
    sizes |= {"problems of the benchmark": params.queries if arms else FEW}
    if few := [f"{count} {what}" for what, count in sizes.items() if count < FEW]:
        notes.append(
            f"The interval of a best K resamples the {' and the '.join(few)}; of fewer than {FEW} it is too narrow."
        )
    if arms:
        notes.append(describe_sets(params.sets))
    for name, own in {**worlds, **arms}.items():
        if own.get("orders", {}).get("replicas", params.orders) < params.orders:
            notes.append(f"{name}: the shots have only {own['orders']['replicas']} orders, and all were shown.")
    for kind, facts in figures["training"].items():
        notes.append(
            f"The model of {kind} worlds has {facts['weights']:,} weights and learned for {facts['steps']} steps; "
            f"loss at the end {facts['loss']:.3f} nats a value. A world is held out where no training had its size."
        )
        notes += describe_length(kind, figures, params)
    if seen := [name for name, own in worlds.items() if any(own["seen"].values())]:
        notes.append(
            f"Shots may hold a query's own point in {', '.join(seen)}, which has few points: there a learner may look "
            "a value up. In other worlds no shot does."
        )
    for name, own in worlds.items():
        if params.numeric.worlds[name].labels == "flipped":
            k = measures.find_crossing(own["curve"])
            notes.append(
                f"{name}: labels are exchanged against what training made likely; the model "
                + ("does not get above 50 % for good." if k is None else f"stays above 50 % from K = {k} on.")
            )
    named = {**worlds, **arms}
    differing = [name for name, own in named.items() if own["nll"] and not own["nll"]["agrees"]]
    if any(own["nll"] for own in named.values()):
        notes.append(
            "Of the same replies, the gold solution is likeliest at a K at which they are not right most often in "
            f"{len(differing)} of {sum(bool(own['nll']) for own in named.values())} cases"
            + (f" ({', '.join(differing)})." if differing else ".")
        )
    if facts := figures.get("benchmark"):
        shots = ", ".join(f"{arm} {count}" for arm, count in facts["shots"].items())
        notes.append(
            f"Benchmark: {params.queries} problems. Items that may be shots: {shots}; {facts['leaks']} were dropped, since "
            "a query has their question or root."
        )
    if cut := {name: own for name, own in named.items() if own["unfinished"]}:
        shares = ", ".join(f"{name} {own['unfinished']} of {own['replies']}" for name, own in cut.items())
        notes.append(
            f"Replies cut off at the limit of tokens: {shares}. They are wrong, but for a numeric answer that was whole."
        )
    if unread := {name: own for name, own in worlds.items() if "unreadable" in own}:
        shares = ", ".join(f"{name} {own['unreadable']} of {own['replies']}" for name, own in unread.items())
        notes.append(
            "Replies in which no line is an answer alone, a label (linear worlds) or a number (others), with or without "
            f"words such as 'the answer is', which are wrong: {shares}."
        )
    if facts := figures.get("requests"):
        notes.append(describe_cost("Chat model", facts))
        if not facts["counted"]:
            notes.append("The server gives every prompt the same count of tokens, so a prompt that it cut is not seen.")
    return notes


def describe_sets(count: int) -> str:
    """What intervals of the benchmark hold for."""
    if count == 1:
        return "All queries of the benchmark have one set of shots: its intervals do not hold for other sets."
    return (
        f"Queries of the benchmark share {count} sets of shots: its intervals and its best K are those of other queries "
        "and other sets at once"
        + (f"; of fewer than {FEW} sets the interval of a best K is too narrow" if count < FEW else "")
        + ". A function of a numeric world has sets of its own, so there functions alone are resampled."
    )


def describe_length(kind: str, figures: dict[str, Any], params: Params) -> list[str]:
    """What is to be said where prompts are longer than the episodes that the model was trained on."""
    length = next(each.shots for each in params.numeric.training if each.kind == kind)
    names = [name for name, world in params.numeric.worlds.items() if world.kind == kind]
    beyond = sorted({int(k) for name in names for k in figures["worlds"][name]["curve"] if int(k) >= length})
    if not beyond:
        return []
    return [
        f"The model of {kind} worlds learned from episodes of {length} values, so at most {length - 1} came before one: an "
        f"error at K = {', '.join(map(str, beyond))} may be one of length, not of learning."
    ]


def plot_curves(path: Path, figures: dict[str, Any]) -> None:
    """A panel for each world, with model and oracles, and one for the benchmark's arms: accuracy against K."""
    panels: list[tuple[str, dict[str, Any]]] = [
        (_name_world(name, own), {NAMES[x]: curve for x, curve in {"model": own["curve"], **own["oracles"]}.items()})
        for name, own in figures["worlds"].items()
    ]
    if figures["arms"]:
        panels.append(("benchmark", {arm: own["curve"] for arm, own in figures["arms"].items()}))
    columns = min(3, len(panels))
    bands = -(-len(panels) // columns)
    size = (4.0 * columns, 3.1 * bands)
    figure, grid = charts.create_subplots(size, nrows=bands, ncols=columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (title, curves) in zip(grid.flat, panels, strict=False):
        ks = sorted({int(k) for curve in curves.values() for k in curve})
        for i, (name, curve) in enumerate(curves.items()):
            learners = list(NAMES.values())  # each has one colour in all panels
            style = charts.get_style(learners.index(name) if name in learners else i)
            places = [ks.index(int(k)) for k in curve]
            middle, low, high = ([100 * values[part] for values in curve.values()] for part in range(3))
            axes.plot(places, middle, **style, markersize=4, linewidth=1.5, label=name)
            if i == 0 or title == "benchmark":
                axes.fill_between(places, low, high, color=style["color"], alpha=0.12, linewidth=0)
        axes.set_xticks(range(len(ks)), [str(k) for k in ks])
        axes.set_ylim(-2, 102)
        axes.set_xlabel("K, shots in the prompt")
        axes.set_ylabel("right, %")
        charts.style_axes(axes, title, fontsize=10)
        axes.legend(fontsize=7, frameon=False, loc="best")
    figure.tight_layout()
    charts.save_figure(path, figure)
