"""The report: one HTML page with the results, how they came about, and a browser of problems and solutions.

Reads   what `best_of_n` reads and wrote, data/labels/audit.json, data/arena/{judges.json, ratings.csv, ratings.png,
        report.md}, figures and history.csv of the stages before, data/benchmarks/provenance.json, the models (their md5),
        params.yaml, the default preset, requirements.lock
Writes  data/report/{index.html, metrics.json}

The page needs no network and no server; open it from disk. It is a DVC output, so equal inputs give equal bytes: it names
every input by its md5 and states costs in tokens and operations, but no time, memory or commit. Those are in the journal;
`python -m stages report` writes a copy that has them, and `make repro` calls it. Problems that do not fit into
`max_megabytes` are left out of the browser, as many of every set as possible, and the page says how many.

    python -m stages.evaluation.report
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from stages.lib.core.params import Params as Section
from stages.lib.run import execution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stages.lib.core.records import Problem, Sample, Score
    from stages.lib.reports.evaluation import Evaluation
    from stages.lib.reports.pools import Pool

STAGES = (
    "benchmarks",
    "aime",
    "ood",
    "augmentation",
    "selection",
    "base",
    "generator",
    "samples",
    "labels",
    "orm",
    "prm",
    "genrm",
    "preference",
    "honesty",
    "adaptation",
    "scores",
    "best_of_n",
    "arena",
    "compression",
    "many_shot",
    "pseudocode",
)
INPUTS = ("params.yaml", "requirements.lock", *(f"data/{stage}" for stage in STAGES))
FIGURES = {  # stage: the file with all its figures
    **dict.fromkeys(("generator", "orm"), "metrics.json"),
    **dict.fromkeys(("samples", "labels", "prm", "genrm", "scores"), "results.json"),
}
TRAINED = {
    "base": "base model",
    "generator": "generator",
    "orm": "outcome verifier",
    "prm": "process verifier",
    "genrm": "generative verifier",
    "preference": "generator taught by pairs",
}
# Stages whose report.md and picture are a section each: stage -> (heading, what its tables mean, picture).
REPORTS = {
    "preference": (
        "Learning from pairs",
        "The generator learns to prefer the better of two of its own solutions. Start: before; after: taught. Each "
        "difference is paired over the same problems, in points; p is of that row alone, not corrected for their number. "
        "The verifiers learned from solutions of the start: where their AUC falls, they know the taught generator less.",
        "curve.png",
    ),
    "honesty": (
        "Saying: I do not know",
        "Coverage: what is answered; accuracy: of that. Refusal recall: refused of what has no answer; over-refusal: of "
        "what the generator knows. To refuse more always looks careful, so policies are compared with the verifier at "
        "equal coverage, paired over the same items. A score of 0 is what refusing everything earns.",
        "curve.png",
    ),
    "adaptation": (
        "Learning where it is weak",
        "Slices of new problems on which the generator solves less than on the rest, tested again on fresh problems; then "
        "four arms that learn equally many problems and tokens: of the weak slices, of every kind alike, of slices at "
        "random, and old ones alone. Only targeted minus the others, on test problems that no round has seen, says what "
        "looking for weak slices is worth. Stars survive the correction for all rows (Holm).",
        "curve.png",
    ),
    "compression": (
        "Compression and ability",
        "Small models that learn problems from nothing, and the base while it learns the same text, kept after every "
        "epoch. Do the bits per character that they need for a text tell how many steps of gold solutions they write "
        "word for word? r and rho are over checkpoints. A law is worth something where its error on a checkpoint that was "
        "left out is below that of the mean and of a line in log-compute.",
        "law.png",
    ),
    "many_shot": (
        "Many examples in the prompt",
        "Accuracy after K examples (shots). Numeric worlds have a function of their own in every episode, so what is "
        "right can only be learned from the shots; oracles read the same. The benchmark is answered by the generator.",
        "curves.png",
    ),
    "pseudocode": (
        "Reasoning along a program",
        "A program prints its state after every step, so the true trace is known. Models learn such programs from answers, "
        "worked steps or traces, from equally many target tokens. Differences are paired over the same programs; p in "
        "brackets is corrected for all of them (Holm).",
        "traces.png",
    ),
}


class Params(Section):
    max_problems: int = Field(ge=0)  # of each set in the solution browser
    max_megabytes: float = Field(gt=0, le=100)  # of the solution browser's data


class Report(NamedTuple):
    """page: what the template prints; data: what the page's script draws."""

    page: dict[str, Any]
    data: dict[str, Any]


def main() -> None:
    execution.run_stage("report", Params, body)


def body(run: execution.StageRun[Params]) -> dict[str, Any]:
    if not run.is_main:
        return {}
    from stages.lib.core import files
    from stages.lib.page import render

    report = build(run)
    html = render.render(*report)
    files.write_bytes(run.out_dir / "index.html", html)
    sets = report.data["sets"]
    return {
        "problems": sum(len(part["problems"]) for part in sets),
        "left_out": sum(part["left_out"] for part in sets),
        "solutions": sum(problem["n"] for part in sets for problem in part["problems"]),
        "bytes": len(html),
    }


def build(run: execution.StageRun[Params]) -> Report:
    """The page of the present outputs."""
    from stages.lib.page import arena, figures, glossary, lineage, render
    from stages.lib.reports import evaluation
    from stages.lib.reports.curves import parse_score_name

    data = evaluation.load(run)
    metrics = {stage: json.loads(run.input_path(stage, name).read_text("utf-8")) for stage, name in FIGURES.items()}
    best = json.loads(run.input_path("best_of_n", "results.json").read_text("utf-8"))
    likelihood = best["best_likelihood"]
    curves = figures.parse_curves(run.input_path("best_of_n", "curve.csv").read_text("utf-8"))
    cells = figures.parse_matrix(run.input_path("best_of_n", "matrix.csv").read_text("utf-8"))
    matrix = figures.list_matrix(cells, data.trained_verifiers, likelihood)
    settings = best["chosen_on_dev"]
    rows = figures.list_headline(curves, best["n"], best["versus_majority"], settings, best["best_free"], likelihood)
    audit = json.loads(run.input_path("labels", "audit.json").read_text("utf-8"))
    judges = json.loads(run.input_path("arena", "judges.json").read_text("utf-8"))
    transfer = figures.list_transfer(cells, data.trained_verifiers, likelihood)
    page = {
        "title": "Assay report",
        "subtitle": _describe_run(data, metrics),
        "headline": {"rows": rows, "problems": best["problems"], "n": best["n"]},
        "has_cost": True,
        "summary": figures.summarise(rows, transfer, best["best_single"], matrix["n"]),
        "transfer": transfer,
        "pooled": figures.count_pooled(cells),
        "pairs": figures.list_pairs(run.input_path("best_of_n", "pairs.csv").read_text("utf-8")),
        "matrix": matrix["n"] if matrix["rows"][1:] else 0,
        "first_errors": figures.list_first_errors(best["first_error"], [row["name"] for row in matrix["rows"]]),
        "audit": audit,
        "labels": glossary.describe_labels(metrics["prm"]),
        "labels_used": glossary.AUDIT_NAMES.get(metrics["prm"]["label_method"]),
        "label_terms": list(glossary.LABEL_TERMS.items()),
        "dated": render.UNDATED,
        "reliability": True,
        "arena": {
            "picture": render.embed(run.input_path("arena", "ratings.png")),
            **arena.describe(
                judges, *(run.input_path("arena", name).read_text("utf-8") for name in ("ratings.csv", "report.md"))
            ),
        },
        "reports": [
            render.describe_report(
                stage, title, meaning, run.input_path(stage, "report.md"), run.input_path(stage, picture)
            )
            for stage, (title, meaning, picture) in REPORTS.items()
        ],
        "costs": lineage.list_costs(metrics, best["cost"], sum(len(some.samples) for some in data.sets.values())),
        "inputs": lineage.hash_inputs(run.root, INPUTS),
        "licences": lineage.count_licences(problem for some in data.sets.values() for problem in some.problems),
        "operators": glossary.explain_operators([row["operator"] for row in matrix["rows"]]),
        "caveats": glossary.list_caveats(best, list(data.test[0].scores), metrics["samples"]["parameters"]),
        **_describe_lineage(run),
    }
    histories = {stage: run.input_path(stage, "history.csv").read_text("utf-8") for stage in TRAINED}
    lines = [{"label": TRAINED[stage], "lines": figures.list_history(text)} for stage, text in histories.items()]
    return Report(
        page,
        {
            "curves": figures.list_curves(curves, best["cost"], likelihood),
            "matrix": matrix,
            "reliability": figures.list_reliability(data),
            "histories": [history for history in lines if history["lines"]],
            "verifier": parse_score_name(best["best_single"] or best["best_free"]),
            **_describe_solutions(run, data, settings),
        },
    )


def _describe_run(data: Evaluation, metrics: Mapping[str, Any]) -> str:
    """What the figures are about: the question, the problems, the generator."""
    benchmark = data.sets["test"].problems[0].benchmark
    shifted = sum(len(some.problems) for name, some in data.sets.items() if name not in ("dev", "test"))
    samples = metrics["samples"]
    return (
        f"Which verifier still helps when the problems change? Benchmark {benchmark}: {len(data.test)} test problems in "
        f"distribution, {shifted:,} out of it; a generator of {samples['parameters']:,} weights that solves "
        f"{100 * samples['test']['pass_at_1']:.1f} % of the test problems with one solution."
    )


def _describe_lineage(run: execution.StageRun[Params]) -> dict[str, Any]:
    """Seeds, versions, origins, and parameters that differ from the default preset."""
    from stages.lib.core import params, settings
    from stages.lib.page import lineage

    default, current = (
        params.to_plain(params.read_yaml(run.root / path)) for path in ("stages/presets/default.yaml", "params.yaml")
    )
    origins = lineage.load_origins(run.root, current["base"]["source"])
    if current["benchmarks"]["source"] == "bundled":
        origins["problems"]["made by"] = "code of this repository, stages/lib/procedural/gradeschool"
    versions = lineage.list_versions((run.root / "requirements.lock").read_text("utf-8"))
    return {
        "changes": settings.list_changes(default, current),
        "facts": [
            ("seeds", f"seed {current['seed']}, test_seed {current['test_seed']}"),
            *lineage.list_origins(origins),
            ("versions", ", ".join(f"{name} {version}" for name, version in versions)),
        ],
    }


def _describe_solutions(
    run: execution.StageRun[Params], data: Evaluation, settings: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """`scores` and `sets` of the browser: the groups of every set, dev last."""
    from functools import partial

    from stages.lib.core.records import group_by_problem
    from stages.lib.datasets import eval_sets
    from stages.lib.models.prompts import Prompt
    from stages.lib.page import solutions

    split = Prompt.read(run.input_path("generator", "prompt.json")).split_steps
    with_steps = {score.verifier for part in data.sets.values() for score in part.scores if score.step_scores}
    powers = {name: setting["power"] for name, setting in settings.items()}
    scores = solutions.describe_scores(data.test[0], powers, sorted(with_steps))
    sets: dict[str, list[Callable[[], dict[str, Any]]]] = {}
    for name in ("test", *eval_sets.OOD, "dev"):
        part, judgements = data.sets[name], group_judgements(data.sets[name].scores)
        samples = group_by_problem(sorted(part.samples, key=lambda sample: (sample.problem_id, sample.index)))
        for problem, pool in zip(part.problems, part.pools, strict=True):
            make = partial(describe_problem, problem, samples[problem.id], judgements, split, pool, scores)
            sets.setdefault(eval_sets.get_group_name(problem), []).append(make)
    max_bytes = int(run.params.max_megabytes * 1e6)
    return {"scores": scores, "sets": solutions.fit(sets, run.params.max_problems, max_bytes)}


def group_judgements(scores: Iterable[Score]) -> dict[tuple[str, int], list[Score]]:
    """(problem id, index) -> the scores of this sample that say more than a number."""
    groups: dict[tuple[str, int], list[Score]] = {}
    for score in scores:
        if score.step_scores or score.rationales:
            groups.setdefault((score.problem_id, score.index), []).append(score)
    return groups


def describe_problem(
    problem: Problem,
    samples: Sequence[Sample],
    judgements: Mapping[tuple[str, int], Sequence[Score]],
    split: Callable[[str], list[str]],
    pool: Pool,
    scores: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """One problem of the browser; the first wrong step comes from the truth, where a program knows it."""
    from stages.lib.labels import first_error, truth
    from stages.lib.page import solutions

    labels = {text: truth.label_steps(problem, text, split) for text in {sample.text for sample in samples}}
    own = []
    for sample in samples:
        known, judged = labels[sample.text], judgements.get((problem.id, sample.index), ())
        own.append(
            solutions.Solution(
                split(sample.text),
                sample.answer,
                sample.finish == "stop",
                sample.tokens,
                {score.verifier: score.step_scores for score in judged if score.step_scores},
                None if known is None else first_error.locate(known),
                {score.verifier: score.rationales for score in judged if score.rationales},
            )
        )
    gold = [step.text for step in problem.steps or ()]
    question = solutions.Question(problem.id, problem.format_prompt(), problem.answer, gold, problem.parent)
    return solutions.describe_problem(question, own, pool, scores)


if __name__ == "__main__":
    main()
