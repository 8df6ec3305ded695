"""Solve rate against KL over arms and seeds of stage preference: does a policy that moves further solve more?

The claim of TR-DPO (Gorbatovski et al. 2024, arXiv 2404.09656, section 4) is about this picture: at the same distance from
the start, a reference that follows the policy should lose less. Every arm and seed is a point; lines join arms of one kind
of reference by growing KL, averaged over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from stages.lib.display import charts
from stages.lib.display.tables import Table

HEADER = (
    "arm",
    "seeds",
    "KL, nats",
    "pass@1 %",
    "gain",
    "majority gain",
    "pass@N gain",
    "pairs held out %",
    "chosen, nats",
)


class Point(NamedTuple):
    """One arm and seed. Accuracies and gains on the start are shares; kl and chosen (the change of the mean log-probability
    of held-out chosen solutions) are in nats."""

    arm: str
    reference: str
    seed: int
    kl: float
    pass_1: float
    gain: float
    majority_gain: float
    pass_n_gain: float
    heldout: float | None
    chosen: float | None


def make_point(arm: str, reference: str, seed: int, results: Mapping[str, Any]) -> Point:
    """From the results.json of an experiment."""
    methods, held_out = results["test"]["methods"], results["held_out"]
    gain, majority_gain, pass_n_gain = (methods[name]["difference"] for name in ("pass_1", "majority_n", "pass_n"))
    kl, solved = results["kl"]["mean"], methods["pass_1"]["policy"]
    gains = {"gain": gain, "majority_gain": majority_gain, "pass_n_gain": pass_n_gain}
    return Point(arm, reference, seed, kl, solved, **gains, heldout=held_out["accuracy"], chosen=held_out.get("chosen"))


def tabulate(points: Sequence[Point]) -> Table:
    """A row for each arm: means over seeds, with their standard deviation where there are several."""
    rows = []
    for arm in dict.fromkeys(point.arm for point in points):
        own = [point for point in points if point.arm == arm]
        cells = [
            _format([point.kl for point in own], "{:.2f}"),
            _format([100 * point.pass_1 for point in own], "{:.1f}"),
            *(
                _format([100 * getattr(point, name) for point in own], "{:+.1f}")
                for name in ("gain", "majority_gain", "pass_n_gain")
            ),
            _format([100 * point.heldout for point in own if point.heldout is not None], "{:.1f}"),
            _format([point.chosen for point in own if point.chosen is not None], "{:+.2f}"),
        ]
        rows.append([arm, str(len(own)), *cells])
    return HEADER, rows


def _format(values: Sequence[float], form: str) -> str:
    if not values:
        return ""
    spread = f" ({stdev(values):.2f})" if len(values) > 1 else ""
    return form.format(mean(values)) + spread


def plot(path: Path, points: Sequence[Point]) -> None:
    """Gain of pass@1 on the start against KL: a mark for each arm and seed, a line through the means of each reference."""
    figure, axes = charts.create_subplots((7.2, 4.4))
    axes.axhline(0, color="#000000", linewidth=0.8)
    for i, reference in enumerate(dict.fromkeys(point.reference for point in points)):
        own = [point for point in points if point.reference == reference]
        style = charts.get_style(i)
        axes.plot(
            [x.kl for x in own], [100 * x.gain for x in own], linestyle="", **style, markersize=4.5, label=reference
        )
        arms = [[point for point in own if point.arm == arm] for arm in dict.fromkeys(point.arm for point in own)]
        line = sorted((mean(x.kl for x in arm), mean(100 * x.gain for x in arm)) for arm in arms)
        axes.plot(*zip(*line, strict=True), color=style["color"], linewidth=1.2)
    axes.set_xlabel("KL from the start, nats a solution")
    axes.set_ylabel("pass@1 minus that of the start, points")
    charts.style_axes(axes, "Solve rate against distance from the start")
    axes.legend(fontsize=9, frameon=False)
    charts.save_figure(path, figure)
