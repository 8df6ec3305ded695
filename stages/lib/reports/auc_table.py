"""How well every score ranks the solutions of a problem, and whether it does so better than what needs no training.

A trained verifier is worth its training where it beats the best free score: the generator's own likelihood, or the
untrained base asked as a verifier. Which of them is best is decided on dev, the difference is measured on test, on the
same problems.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.lib.core import seeds
from stages.lib.display.charts import format_p_value, format_score_name
from stages.lib.metrics.intervals import bootstrap, compare
from stages.lib.metrics.ranking import problem_aucs
from stages.lib.reports.pools import TRAINING_FREE, sort_score_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from stages.lib.reports.pools import Pool

HEADER = ("score", "AUC on dev", "AUC on test", "95% interval", "vs best free", "95% interval", "p")


def measure(dev: Sequence[Pool], test: Sequence[Pool], seed: int, resamples: int) -> dict[str, dict[str, Any]]:
    """{score: {dev, test, low, high}}, free scores first, and of all but the best free score {difference,
    difference_low, difference_high, p} against that one. {} where no test problem has right and wrong solutions."""
    import numpy as np

    key = seeds.key(seed, "best_of_n", 1, "problems", "ranking")
    names = sort_score_names(test[0].scores)
    on_dev, on_test = ({name: _compute_aucs(name, pools) for name in names} for pools in (dev, test))
    if not names or not len(on_test[names[0]]):
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name, areas in on_test.items():
        mean, low, high = (float(part[0]) for part in bootstrap(areas[:, None], key, resamples))
        found[name] = {"dev": float(np.mean(on_dev[name])) if len(on_dev[name]) else None, "test": mean}
        found[name] |= {"low": low, "high": high}
    best = select_best_free(found)
    for name, areas in on_test.items():
        if best and name != best:
            gap = compare(areas, on_test[best], key)
            found[name] |= {"difference": gap.difference, "difference_low": gap.low, "difference_high": gap.high}
            found[name] |= {"p": gap.p}
    return found


def _compute_aucs(name: str, pools: Sequence[Pool]) -> np.ndarray:
    """The score's AUC within each problem that has right and wrong solutions; which have them is the same for all."""
    import numpy as np

    areas = problem_aucs([pool.scores[name] for pool in pools], [pool.correct > 0 for pool in pools])
    return areas[~np.isnan(areas)]


def select_best_free(found: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The free score with the highest AUC on dev."""
    return max(
        (name for name in found if name in TRAINING_FREE), key=lambda name: found[name]["dev"] or 0.0, default=None
    )


def format_heading(found: Mapping[str, Mapping[str, Any]]) -> str:
    best = select_best_free(found)
    return "Ranking within a problem (AUC)" + (f"; best free on dev: {format_score_name(best)}" if best else "")


def format_rows(found: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Table rows as text, under `HEADER`."""
    table = []
    for name, own in found.items():
        dev = "" if own["dev"] is None else f"{own['dev']:.3f}"
        line = [format_score_name(name), dev, f"{own['test']:.3f}", f"{own['low']:.3f} to {own['high']:.3f}"]
        if "difference" in own:
            span = f"{own['difference_low']:+.3f} to {own['difference_high']:+.3f}"
            line += [f"{own['difference']:+.3f}", span, format_p_value(own["p"])]
        table.append([*line, *[""] * (len(HEADER) - len(line))])
    return table
