"""report.md, rounds.csv and curve.png of stage adaptation: what was weak, what was learned, what it gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.generators.adaptation.arms import ARMS
from stages.generators.adaptation.measures import START, format_loss, split_name
from stages.lib.core import files
from stages.lib.datasets import eval_sets
from stages.lib.display import charts, tables

if TYPE_CHECKING:
    from stages.generators.adaptation.__main__ import Params

NAMES = {
    START: "generator",
    "targeted": "targeted",
    "uniform": "every kind alike",
    "random": "random slices",
    "none": "no new problems",
}
SET_NAMES = {
    "ood": "out of distribution",
    "weak": "confirmed weak slices",
    "untouched": "all other slices",
    "unmade": "kinds never made",
    "test": "test, in distribution",
}
COLUMNS = ("round", "arm", "seed", "set", "problems", "acc", "lo", "hi", "tokens")


def write(folder: Path, params: Params, seed: int, results: dict[str, Any]) -> None:
    """Write report.md, rounds.csv and curve.png into the stage's folder."""
    files.write_text(folder / "report.md", tables.format_report(build_tables(results), build_notes(params, results)))
    files.write_text(folder / "rounds.csv", tables.format_csv(COLUMNS, list_rows(results, seed)))
    plot_curves(folder / "curve.png", results)


def count_tokens(results: dict[str, Any], arm: str, number: int) -> int:
    """Tokens of solutions that an arm has learned up to a round."""
    lessons = [each["lessons"][arm] for each in results["rounds"][:number] if "lessons" in each]
    return sum(lesson["tokens"] for lesson in lessons)


def list_rows(results: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """The rows of rounds.csv; round 0 is the generator, which all arms start from."""
    rows = []
    for name, sets in results["models"].items():
        arm, number = split_name(name)
        tokens = count_tokens(results, arm, number) if number else 0
        for part, own in sets.items():
            figures = {"problems": own["problems"], "acc": own["accuracy"], "lo": own["low"], "hi": own["high"]}
            rows.append({"round": number, "arm": arm, "seed": seed, "set": part, **figures, "tokens": tokens})
    return rows


def build_tables(results: dict[str, Any]) -> dict[str, tables.Table]:
    built: dict[str, tables.Table] = {}
    for each in results["rounds"]:
        number = each["round"]
        if each["proposed"]:
            rows = [describe_slice(row) for row in each["tests"]]
            built[f"Round {number}: slices that were proposed on probe and tested on fresh problems"] = (
                ("slice", "problems", "accuracy %", "gap, probe", "gap, fresh [95%]", "p (Holm)", "outcome"),
                rows,
            )
        if "lessons" in each:
            built[f"Round {number}: what each arm learned"] = (
                ("arm", "new", "old", "tokens", "new problems by kind"),
                [describe_lesson(arm, lesson) for arm, lesson in each["lessons"].items()],
            )
    sets = list(results["models"][START])
    names = [(name, *split_name(name)) for name in results["models"]]
    sizes = results["models"][START]
    built["Accuracy on the report stream, % [95%]"] = (
        ("model", "round", *(f"{SET_NAMES[part]} ({sizes[part]['problems']})" for part in sets)),
        [
            [NAMES[arm], str(number), *(format_accuracy(results["models"][name][part]) for part in sets)]
            for name, arm, number in names
        ],
    )
    if results["comparisons"]:
        built["Targeted minus the others by round, paired by problem"] = (
            ("round", "minus", "problems", "difference [95%]", "p (Holm)", "smallest difference that would show"),
            [describe_comparison(row) for row in results["comparisons"]],
        )
        last = max(number for _, _, number in names)
        shown = [name for name, _, number in names if number in (0, last)]
        kinds = [
            [kind, str(own["problems"]), *(f"{100 * own[name]:.1f}" for name in shown)]
            for kind, own in results["kinds"].items()
        ]
        if kinds:
            header = ("kind", "problems", *(NAMES[split_name(name)[0]] for name in shown))
            built["Accuracy by kind after the last round, %"] = header, kinds
    return built


def describe_slice(row: dict[str, Any]) -> list[str]:
    outcome = "confirmed" if row["confirmed"] else f"implied by {row['parent']}" if row["parent"] else "not confirmed"
    return [
        row["slice"],
        f"{row['n']} + {row['n_confirm']}",
        f"{100 * row['acc_confirm']:.1f}",
        f"{100 * row['gap_probe']:+.1f}",
        tables.format_gain([row["gap_confirm"], *row["ci"]]),
        tables.format_p_values(row["p_confirm"], row["p_holm"]),
        outcome,
    ]


def describe_lesson(arm: str, lesson: dict[str, Any]) -> list[str]:
    kinds = ", ".join(f"{count} {kind}" for kind, count in lesson["kinds"].items())
    return [NAMES[arm], str(lesson["new"]), str(lesson["replay"]), str(lesson["tokens"]), kinds]


def format_accuracy(own: dict[str, float]) -> str:
    return f"{100 * own['accuracy']:.1f} [{100 * own['low']:.1f}, {100 * own['high']:.1f}]"


def describe_comparison(row: dict[str, Any]) -> list[str]:
    return [
        str(split_name(row["first"])[1]),
        NAMES[split_name(row["second"])[0]],
        SET_NAMES[row["set"]],
        tables.format_gain([row["difference"], row["low"], row["high"]]),
        tables.format_p_values(row["p"], row["p_holm"]),
        "" if row["detectable"] is None else f"{100 * row['detectable']:.1f}",
    ]


def build_notes(params: Params, results: dict[str, Any]) -> list[str]:
    made, report = results["made"], results["streams"]["report"]
    notes = [f"Stopped: {results['stop']}."]
    if unmade := sorted(
        {kind for each in results["rounds"] for kind, own in each["kinds"].items() if not own["problems"]}
    ):
        notes.append(f"No problem of the verifiers' split can be changed to: {', '.join(unmade)}.")
    for each in results["rounds"]:
        probe, levels = each["probe"], each["kinds"]
        kinds = ", ".join(
            f"{kind} ({own['form']}) {100 * own['accuracy']:.1f}"
            for kind, own in levels.items()
            if own["accuracy"] is not None
        )
        notes.append(
            f"Round {each['round']}: {probe['problems']} problems with {params.samples} solutions each in probe, "
            f"{100 * probe['accuracy']:.1f}% right; by kind: {kinds}. {probe['slices']} slices were tested, "
            f"{len(each['proposed'])} proposed, {len(each['confirmed'])} confirmed."
        )
        moves = [
            f"{kind} from {own['form']} to {params.kinds[kind][each['levels'][kind]]}"
            for kind, own in levels.items()
            if "levels" in each and each["levels"][kind] != own["level"]
        ]
        if moves:
            notes.append(f"New problems of round {each['round']} have other forms: {', '.join(moves)}.")
        if "dev" in each:
            dev = each["dev"]
            notes.append(
                f"Dev after round {each['round']}: {100 * dev['targeted']:.1f}% by the targeted arm, "
                f"{100 * dev['start']:.1f}% by the generator: a loss of {format_loss(dev)} points [95%]."
            )
        if "rewording" in each:
            notes.append(describe_rewording(each["round"], each["rewording"]))
        if each.get("overlaps"):
            notes.append(
                f"Every slice of round {each['round']} shares a term with a confirmed one, so random slices are of these, "
                f"and no clean control: {', '.join(each['overlaps'])}."
            )
        if "lessons" in each:
            tokens = [lesson["tokens"] for lesson in each["lessons"].values()]
            notes.append(
                f"Arms of round {each['round']} learn equally many problems, and between {min(tokens)} and {max(tokens)} "
                "tokens of solutions; longer or shorter old problems make up for the new ones."
            )
    notes += [
        "The gap on probe is that by which a slice was found, so it is too large on average; the gap on fresh problems is "
        "not, over all that were proposed. Of those that are confirmed it is a little too large again, where the test "
        "finds few.",
        f"All models answer the same {report['problems']} problems of the report stream (digest {report['digest']}), "
        f"{params.report_samples} solution{'s' * (params.report_samples > 1)} each, which no round has seen.",
        f"{made['kept']} problems were made for the streams, {made['rejected']} tries gave none or one that existed.",
    ]
    sizes = {name: own["problems"] for name, own in results["models"][START].items()}
    if small := [SET_NAMES[name] for name, size in sizes.items() if size < eval_sets.MIN_PROBLEMS]:
        notes.append(
            f"Fewer than {eval_sets.MIN_PROBLEMS} problems, too few to compare arms on: {', '.join(small)}. "
            "adaptation.sizes makes them larger."
        )
    if "weak" in sizes:
        notes.append(
            "Kinds that are trained here are no longer out of distribution for these arms. Kinds never made still are."
        )
    return notes


def describe_rewording(number: int, told: dict[str, Any]) -> str:
    reasons = ", ".join(f"{count}: {reason}" for reason, count in told["kept"].items())
    kept = f"{sum(told['kept'].values())} kept their own" + (f" ({reasons})" if reasons else "")
    return f"The paraphraser put {told['reworded']} new problems of round {number} into other words; {kept}."


def plot_curves(path: Path, results: dict[str, Any]) -> None:
    """Accuracy by round, out of distribution and in it: a line for each arm, its interval as bars."""
    sizes = {name: own["problems"] for name, own in results["models"][START].items()}
    shown = ("ood", "weak", "test") if sizes.get("weak", 0) >= eval_sets.MIN_PROBLEMS else ("ood", "test")
    sets = [name for name in shown if name in sizes]
    figure, grid = charts.create_subplots((3.6 * len(sets), 3.8), ncols=len(sets), squeeze=False)
    last = max(split_name(name)[1] for name in results["models"])
    for axes, part in zip(grid[0], sets, strict=True):
        for i, arm in enumerate(ARMS):
            names = [START, *(f"{arm}-{number}" for number in range(1, last + 1))]
            own = [results["models"][name][part] for name in names]
            xs = [number + 0.03 * (i - 1.5) * (number > 0) for number in range(last + 1)]
            style = charts.get_style(i)
            axes.plot(xs, [100 * x["accuracy"] for x in own], **style, markersize=4.5, linewidth=1.5, label=NAMES[arm])
            low, high = ([100 * x[end] for x in own] for end in ("low", "high"))
            axes.vlines(xs, low, high, color=style["color"], linewidth=0.9, alpha=0.55)
        axes.set_xticks(range(last + 1))
        axes.set_xlabel("round")
        axes.set_ylim(bottom=0)
        charts.style_axes(axes, SET_NAMES[part], "y", fontsize=10)
    grid[0, 0].set_ylabel("accuracy, %")
    handles = grid[0, 0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0.09, 1, 1))
    figure.legend(*handles, loc="lower center", ncols=len(ARMS), fontsize=9, frameon=False)
    charts.save_figure(path, figure)
