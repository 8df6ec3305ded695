"""`python -m stages export DIR --out FOLDER`: a model or a data set in the form of the Hugging Face hub, with its card."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.lib.core.errors import UserError

if TYPE_CHECKING:
    from stages.lib.workspace.lineage import Lineage

TITLES = {
    "outcome": "outcome verifier (ORM)",
    "process": "process verifier (PRM)",
    "generative": "generative verifier (GenRM)",
    "generator": "generator of solutions",
    "base": "pretrained language model",
}
_CHOOSE = "Use it to choose among several solutions of a problem (weighted vote, best of N)"
INTENDED = {
    "outcome": "It gives a whole solution the probability that its final answer is right, read at its last token. "
    f"{_CHOOSE}.",
    "process": "It gives every step of a solution the probability that it is right, read at the step's last token, and "
    f"one for the end. {_CHOOSE}, or to point at a first error.",
    "generative": "It is asked in words whether a solution is right; the probability of Yes against No is the score. "
    f"{_CHOOSE}.",
    "generator": "It writes solutions, one step a line, which the verifiers of the same lineage were trained to judge.",
    "base": "Generator and verifiers were trained from it.",
    "data": "To train and test verifiers of mathematical and other reasoning, and to compare them on shifted problems. "
    "Train on no split that you report figures on.",
}
ORIGIN = "Written by Assay, a workspace for training verifiers and testing them where they were not trained."
PIPELINE_TAGS = {
    "language model": "text-generation",
    "two tokens": "text-generation",
    "token classifier": "token-classification",
}
MAX_METRICS = 40  # rows of the stage's own metrics.json
JSON_NOTE = "`program` and `tests` are JSON text."
REFERENCE_NOTE = "`problem_id` is the `id` of a problem in the data sets benchmarks, ood and aime of the same lineage."
TINY = 50_000_000  # weights


def export(
    source: Annotated[
        Path, typer.Argument(metavar="DIR", help="A model or data set, such as data/prm/model, data/ood.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write, new or empty.")],
) -> None:
    """Write a model or a data set for the Hugging Face hub: files that transformers, vLLM and datasets read, and a card.

    The card says use, data, licences, results with intervals, lineage and limits. An outcome or process verifier becomes a
    token classifier (label 1: right), where transformers has one for its type of model. Upload it with
    `hf upload NAME FOLDER`."""
    from stages.lib.core import files

    root = Path.cwd()
    files.check_output("--out", out, is_folder=True)
    if not source.is_dir():
        raise UserError(f"{source}: not a folder; name one such as data/prm/model, data/ood or data/samples")
    source = source / "model" if (source / "model/config.json").is_file() else source
    check_out(out, source)
    traced, warning = trace(root, source)
    with files.atomic_write_dir(out) as folder:
        is_model = (source / "config.json").is_file()
        write = export_model if is_model else export_data
        card, summary = write(root, source, folder, traced, warning)
        files.write_text(folder / "README.md", card)
    print(f"{out}: {summary} Read README.md, then `hf upload {'' if is_model else '--repo-type dataset '}NAME {out}`")
    if warning:
        print(f"{out}: {warning}, so the card states no data, results or lineage")


def check_out(out: Path, source: Path) -> None:
    """Raises UserError for a place that holds something, or lies in what is exported."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out}: exists already and is not empty; name a new folder")
    if out.resolve().is_relative_to(source.resolve()):
        raise UserError(f"--out {out}: is inside {source}; name a folder elsewhere")


def trace(root: Path, source: Path) -> tuple[Lineage | None, str]:
    """(the lineage, "") of an output as dvc.lock names it; else (None, why its lineage is not known)."""
    from stages.lib.core import digests
    from stages.lib.workspace import lineage

    try:
        traced = lineage.trace(root, str(source))
    except UserError:
        return None, f"{source} is no output that dvc.lock names"
    if any(not (root / path).exists() or digests.md5(root / path) != md5 for path, md5 in traced.outputs.items()):
        return None, f"{source} differs from what dvc.lock names"
    return traced, ""


def export_model(root: Path, source: Path, folder: Path, traced: Lineage | None, warning: str) -> tuple[str, str]:
    """(card, summary) of a model whose files it writes."""
    from stages.lib.hub import card, model_files

    stage = traced.steps[-1].stage if traced else ""
    prompt = root / "data/generator/prompt.json"
    written = model_files.write_model(source, folder, prompt if stage == "generator" and prompt.is_file() else None)
    kind = "base" if written.kind == "generator" and stage != "generator" else written.kind
    is_verifier = kind not in ("generator", "base")
    name = json.loads((source / "verifier.json").read_text("utf-8"))["name"] if is_verifier else stage
    origins, licences = describe_origins(root, traced)
    front = {
        **card.describe_licence(licences),
        "library_name": "transformers",
        "pipeline_tag": PIPELINE_TAGS.get(written.form),
        "base_model": (origins.get("base model") or {}).get("repo"),
        "tags": ["assay", "reasoning", "verifier" if is_verifier else kind],
    }
    text = card.format_card(
        front,
        f"{name or source.name}: {TITLES[kind]}",
        f"{written.weights:,} weights in safetensors; form: {written.form}. {ORIGIN}",
        {
            "Intended use": INTENDED[kind] + "".join(f" {note}" for note in written.notes),
            "How to use it": card.format_code(written.use, "python")
            + "\nRun in this folder. `format.json` says how problem and solution become token ids, with this example.",
            "Data and licences": format_licences(traced, origins),
            "Results": format_results(root, stage, name, traced, warning),
            "Lineage": format_lineage(traced),
            "Limits": format_limits(is_verifier, written.weights),
        },
    )
    return text, " ".join([f"{written.form}, {written.weights:,} weights.", *written.notes])


def export_data(root: Path, source: Path, folder: Path, traced: Lineage | None, warning: str) -> tuple[str, str]:
    """(card, summary) of a data set whose files it writes."""
    from stages.lib.core import records
    from stages.lib.display.tables import format_markdown
    from stages.lib.hub import card, data_files

    origins, licences = describe_origins(root, traced)
    splits = data_files.write_data(source, folder)
    if any("gpqa" in split.benchmarks for split in splits):
        raise UserError(
            f"{source}: made from GPQA, whose terms forbid to republish it; share it in your team: `dvc push`"
        )
    names = [name for name, _ in splits[0].columns]
    kinds = (records.Problem, records.Sample, records.StepLabel, records.Score)
    record = next((kind for kind in kinds if list(kind.model_fields) == names), None)
    files = [{"split": split.name, "path": split.path} for split in splits]
    front = {
        **card.describe_licence(licences),
        "language": ["en"],
        "tags": ["assay", "reasoning", "verifier"],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    text = card.format_card(
        front,
        f"{source.name}: {traced.steps[-1].desc if traced else 'a data set'}",
        f"`datasets.load_dataset(FOLDER)` reads {len(splits)} splits. {ORIGIN}",
        {
            "Intended use": INTENDED["data"],
            "Splits": format_markdown(["split", "rows"], [[split.name, f"{split.rows:,}"] for split in splits]),
            "Columns": (f"{inspect.cleandoc(record.__doc__ or '')}\n\n" if record else "")
            + format_markdown(["column", "type"], splits[0].columns)
            + f"\n{JSON_NOTE if record is records.Problem else REFERENCE_NOTE}",
            "Data and licences": format_licences(traced, origins),
            "Results": format_results(root, source.name, "", traced, warning),
            "Lineage": format_lineage(traced),
        },
    )
    return text, f"{len(splits)} splits, {sum(split.rows for split in splits):,} rows."


def describe_origins(root: Path, traced: Lineage | None) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """(what is recorded of problems and base model, the licences of both)."""
    from stages.commands import lineage

    if traced is None:
        return {}, set()
    origins = lineage.load_origins(root, traced)
    licences = {licence for counts in traced.licences.values() for licence in counts}
    if "base model" in origins:
        licences.add(origins["base model"]["licence"].partition(",")[0])
    return origins, licences


def format_licences(traced: Lineage | None, origins: dict[str, dict[str, Any]]) -> str:
    from stages.lib.display.tables import format_list, format_markdown
    from stages.lib.page.lineage import list_origins

    if traced is None:
        return "Not recorded: say where it comes from, and under which licence, before you publish it."
    counts = traced.licences.items()
    rows = [[name, licence, f"{count:,}"] for name, own in counts for licence, count in own.items()]
    origin = format_list(f"{what}: {words}" for what, words in list_origins(origins))
    return format_markdown(["problems from", "licence", "number"], rows) + f"\n{origin}"


def format_lineage(traced: Lineage | None) -> str:
    from stages.commands import lineage
    from stages.lib.hub.card import format_code

    if traced is None:
        return ""
    text = format_code(lineage.format_lineage(Path.cwd(), traced))
    return f"From `python -m stages lineage`; hashes are the first digits of DVC's md5.\n\n{text}"


def format_results(root: Path, stage: str, name: str, traced: Lineage | None, warning: str) -> str:
    """Figures of this very model or data set: of best_of_n, with 95 % intervals, if it read it; then the stage's own."""
    from stages.lib.display.tables import format_markdown, format_number
    from stages.lib.workspace import lineage

    if traced is None:
        return f"None: {warning}."
    try:
        tested = lineage.trace(root, "data/best_of_n/results.json").steps
    except UserError:
        tested = []
    current = {path: md5 for step in tested for path, md5 in step.outputs.items()}
    is_tested = all(current.get(path) == md5 for path, md5 in traced.outputs.items())
    rows, note = [], "Not tested by stage best_of_n yet."
    if is_tested and not any(step.outdated for step in tested):
        best = json.loads((root / "data/best_of_n/results.json").read_text("utf-8"))
        rows = list_test_results(best, name)
        note = f"Test: {best.get('problems')} problems, 95 % bootstrap intervals over problems, one training seed; "
        note += "weights of votes were chosen on dev. Lines without `test` are the stage's own."
    own = flatten(read_metrics(root, stage, name))[:MAX_METRICS]
    rows += [[what, format_number(value)] for what, value in own if value is not None]
    return f"{format_markdown(['figure', 'value'], rows)}\n{note}"


def list_test_results(best: dict[str, Any], name: str) -> list[list[str]]:
    """(figure, value with interval) of best_of_n's metrics: of the generator, and of the score `name` if it has one."""
    from stages.lib.display.tables import format_number

    n, at_n, auc = best.get("n"), best.get("at_n", {}), best.get("auc", {}).get(name, {})
    gain = best.get("versus_majority", {}).get(f"weighted_{name}", {})
    variants, others, whole = (
        best.get("matrix", {}).get(group, {}).get(f"weighted_{name}_gain")
        for group in ("all variants", "all other kinds", "all sets")
    )
    figures = {
        "pass@1 of the generator, test": best.get("pass_1"),
        f"majority vote of {n}, test": at_n.get("majority"),
        f"weighted vote of {n} by this model, test": at_n.get(f"weighted_{name}"),
        f"best of {n} by this model, test": at_n.get(f"best_of_{name}"),
        "gain of the weighted vote over majority, test": {**gain, "mean": gain["difference"]} if gain else None,
        "the same gain on variants of the test problems": variants,
        "the same gain on problems of other kinds": others,
        "the same gain, all out-of-distribution test sets": whole,
        "AUC within a problem, test": {**auc, "mean": auc["test"]} if auc else None,
    }
    return [[what, format_number(value)] for what, value in figures.items() if value]


def read_metrics(root: Path, stage: str, name: str) -> dict[str, Any]:
    """metrics.json of a stage; of `prm_exact` the part of that other model."""
    path = root / "data" / stage / "metrics.json"
    metrics = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    others = metrics.pop("others", {})
    return others.get(name.removeprefix(f"{stage}_"), metrics)


def flatten(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """[("dev auc", 0.8)] of {"dev": {"auc": 0.8}}; an interval is one leaf."""
    if not isinstance(tree, dict) or {"mean", "low", "high"} <= tree.keys():
        return [(path, tree)]
    return [leaf for key, value in tree.items() for leaf in flatten(value, f"{path} {key}".strip())]


def format_limits(is_verifier: bool, weights: int) -> str:
    from stages.lib.display.tables import format_list

    limits = [
        "Tested on solutions of one generator, and on the problems that are named above; elsewhere, test it first."
    ]
    if is_verifier:
        limits.append(
            "A score is no proof: out of distribution verifiers keep a part of their gain, on some sets none of it."
        )
    if weights < TINY:
        limits.append("A tiny model: it shows that the method works, and is of no use for real problems.")
    return format_list(limits)
