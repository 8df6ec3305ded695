"""report.md and curve.png of stage preference: two policies side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.lib.core import files
from stages.lib.display import charts, tables

if TYPE_CHECKING:
    from stages.generators.preference.__main__ import Params

HEADER = ("test", "start %", "after %", "difference [95%]", "p")


def write(folder: Path, params: Params, results: dict[str, Any]) -> None:
    """Write report.md and curve.png into the stage's folder."""
    files.write_text(folder / "report.md", tables.format_report(build_tables(results), build_notes(params, results)))
    plot_curves(folder / "curve.png", results["test"]["curves"])


def build_tables(results: dict[str, Any]) -> dict[str, tables.Table]:
    test = results["test"]
    rows = [["greedy", f"{100 * test['start_greedy']:.1f}", f"{100 * test['greedy']:.1f}", "", ""]]
    for name, figures in test["methods"].items():
        rows.append(
            [
                name_method(name, test["n"]),
                f"{100 * figures['start']:.1f}",
                f"{100 * figures['policy']:.1f}",
                tables.format_gain([figures["difference"], figures["low"], figures["high"]]),
                tables.format_p_value(figures["p"]),
            ]
        )
    aucs = [
        [tables.format_score_name(name), *("" if own[x] is None else f"{own[x]:.3f}" for x in ("start", "policy"))]
        for name, own in test["auc"].items()
    ]
    draws = [
        [name, *(tables.format_number(test["draws"][x][name]) for x in ("start", "policy"))]
        for name in test["draws"]["start"]
    ]
    found: dict[str, tables.Table] = {f"Accuracy on {test['problems']} test problems, N = {test['n']}": (HEADER, rows)}
    if aucs:
        found["AUC within a problem, of verifiers trained on samples of the start"] = (
            ("verifier", "start", "after"),
            aucs,
        )
    found["Solutions"] = ("share or mean", "start", "after"), draws
    return found


def name_method(name: str, n: int) -> str:
    if name == "pass_1":
        return "pass@1"
    method = name.removesuffix("_n")
    return {"pass": f"pass@{n}", "majority": f"majority of {n}"}.get(method, f"{tables.format_method(method)}, N = {n}")


def build_notes(params: Params, results: dict[str, Any]) -> list[str]:
    pairs, training, held_out, kl = (results[x] for x in ("pairs", "training", "held_out", "kl"))
    alpha, tau = params.updates
    follows = f", which takes {alpha:g} of the policy every {tau} steps" if tau else ""
    notes = [
        f"{params.objective.upper()}, beta {params.beta:g}, {params.reference} reference{follows}; {training['steps']} "
        "steps.",
        f"{pairs['pairs']} pairs of {pairs['problems']} problems, judged by {params.pairs_by}: {100 * pairs['right']:.1f}% "
        f"agree with the truth, {100 * pairs['exchanged']:.1f}% are exchanged, {100 * pairs['equal']:.1f}% pair equals; "
        f"the chosen solution is {pairs['length_difference']:+.1f} tokens longer.",
    ]
    if teacher := results["teacher"]:
        values = ["unknown" if x is None else f"{x:.3f}" for x in teacher.values()]
        notes.append(
            f"AUC of the teacher within a problem: {values[0]} on the problems that it was trained on, which the pairs are "
            f"of, {values[1]} on dev."
        )
    if held_out["pairs"]:
        notes.append(
            f"Held out: {held_out['pairs']} pairs by the truth; {100 * held_out['accuracy']:.1f}% "
            f"(standard error {100 * held_out['error']:.1f}) moved the right way. By log-probability alone "
            f"{100 * held_out['start_ranking']:.1f}% were ranked rightly before, {100 * held_out['ranking']:.1f}% after."
        )
        notes.append(
            f"Mean log-probability of a held-out chosen solution moved by {held_out['chosen']:+.2f} nats from "
            f"{held_out['start_chosen']:.2f}, of a rejected one by {held_out['rejected']:+.2f} from "
            f"{held_out['start_rejected']:.2f}."
        )
    notes.append(
        f"KL(policy || start): {kl['mean']:.2f} nats a solution (standard error {kl['error']:.2f}), {kl['per_token']:.4f} "
        "a token, along draws at temperature 1."
    )
    if results["test"]["auc"]:
        notes.append("A weighted vote weighs a solution by its score itself (power 1); no power is chosen on dev here.")
    return notes


def plot_curves(path: Path, curves: dict[str, dict[str, list[float]]]) -> None:
    """Accuracy against k of both policies: a colour for each method, dashed before and solid after."""
    figure, axes = charts.create_subplots((8.4, 4.6))
    n = len(curves["start"]["pass"])
    ks = range(1, n + 1)
    for i, method in enumerate(curves["start"]):
        style = charts.get_style(i)
        for policy, line in (("start", "--"), ("policy", "-")):
            values = [100 * x for x in curves[policy][method]]
            label = f"{tables.format_method(method)}, {'before' if policy == 'start' else 'after'}"
            axes.plot(ks, values, line, color=style["color"], linewidth=1.7, label=label)
    charts.set_log2_ticks(axes, [2**i for i in range(n.bit_length())])
    axes.set_xlabel("k, solutions drawn per problem")
    axes.set_ylabel("accuracy, %")
    charts.style_axes(axes, "Before and after learning from pairs")
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    charts.save_figure(path, figure)
