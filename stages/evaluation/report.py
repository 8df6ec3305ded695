"""The report: one HTML page with the results, how they came about, and a browser of problems and solutions.

Reads   what `best_of_n` reads and wrote, data/labels/audit.json, the metrics.json and history.csv of every stage,
        data/benchmarks/provenance.json, the models (their md5), params.yaml, the default preset, requirements.lock
Writes  data/report/{index.html, metrics.json}

The page needs no network and no server; open it from disk. It is a DVC output, so equal inputs give equal bytes: it names
every input by its md5 and states costs in tokens and operations, but no time, memory or commit. Those are in the journal;
`python -m stages report --out FILE.html` writes a copy that has them. Problems that do not fit into `max_megabytes` are
left out of the browser, as many of every set as possible, and the page says how many.

    python -m stages.evaluation.report
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from stages.lib.core.params import Params as Section
from stages.lib.run import execution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stages.lib.models.prompts import Prompt
    from stages.lib.reports.evaluation import EvalSet, Evaluation

STAGES = (
    "benchmarks",
    "aime",
    "ood",
    "base",
    "generator",
    "samples",
    "labels",
    "orm",
    "prm",
    "genrm",
    "scores",
    "best_of_n",
)
INPUTS = ("params.yaml", "requirements.lock", *(f"data/{stage}" for stage in STAGES))
TRAINED = {
    "base": "base model",
    "generator": "generator",
    "orm": "outcome verifier",
    "prm": "process verifier",
    "genrm": "generative verifier",
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
    from stages.lib.page import figures, glossary, lineage
    from stages.lib.reports import evaluation

    data = evaluation.load(run)
    metrics = {stage: json.loads(run.input_path(stage, "metrics.json").read_text("utf-8")) for stage in STAGES}
    best, likelihood = metrics["best_of_n"], metrics["best_of_n"]["best_likelihood"]
    curves = figures.parse_curves(run.input_path("best_of_n", "curve.csv").read_text("utf-8"))
    cells = figures.parse_matrix(run.input_path("best_of_n", "matrix.csv").read_text("utf-8"))
    matrix = figures.list_matrix(cells, data.trained_verifiers, likelihood)
    settings = best["chosen_on_dev"]
    rows = figures.list_headline(curves, best["n"], best["versus_majority"], settings, best["best_free"], likelihood)
    audit = json.loads(run.input_path("labels", "audit.json").read_text("utf-8"))
    first = best["first_error"]
    page = {
        "title": "Assay report",
        "subtitle": _describe_run(data, metrics),
        "headline": {"rows": rows, "problems": best["problems"], "n": best["n"]},
        "has_cost": True,
        "transfer": figures.list_transfer(cells, data.trained_verifiers, likelihood),
        "matrix": bool(matrix["rows"][1:]),
        "first_errors": {
            "threshold": first["threshold"],
            "rows": figures.list_first_errors(first, [row["name"] for row in matrix["rows"]]),
        }
        if first
        else None,
        "audit": audit,
        "reliability": True,
        "costs": lineage.list_costs(metrics, sum(len(some.samples) for some in data.sets.values())),
        "inputs": lineage.hash_inputs(run.root, INPUTS),
        "in_dvc": True,
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
            "verifier": (best["best_single"] or best["best_free"]).partition("_")[2].removeprefix("of_"),
            **_describe_solutions(run, data, settings),
        },
    )


def _describe_run(data: Evaluation, metrics: Mapping[str, Any]) -> str:
    """Two sentences: on what, and with what."""
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
    from stages.lib.core import params
    from stages.lib.page import lineage

    default, current = (
        params.to_plain(params.read_yaml(run.root / path)) for path in ("stages/presets/default.yaml", "params.yaml")
    )
    origins = {"problems": json.loads(run.input_path("benchmarks", "provenance.json").read_text("utf-8"))}
    origin = run.input_path("base", "model") / "origin.json"
    origins["base model"] = (
        json.loads(origin.read_text("utf-8")) if origin.exists() else {"source": current["base"]["source"]}
    )
    versions = lineage.list_versions((run.root / "requirements.lock").read_text("utf-8"))
    return {
        "changes": lineage.list_changes(default, current),
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

    from stages.lib.datasets import eval_sets
    from stages.lib.models.prompts import Prompt
    from stages.lib.page import solutions

    prompt = Prompt.read(run.input_path("generator", "prompt.json"))
    with_steps = {score.verifier for some in data.sets.values() for score in some.scores if score.step_scores}
    powers = {name: setting["power"] for name, setting in settings.items()}
    scores = solutions.describe_scores(data.test[0], powers, sorted(with_steps))
    sets: dict[str, list[Any]] = {}
    for name in ("test", *eval_sets.OOD, "dev"):
        makers = _make_describers(data.sets[name], prompt)
        for problem, pool, describe in zip(data.sets[name].problems, data.sets[name].pools, makers, strict=True):
            sets.setdefault(eval_sets.get_group_name(problem), []).append(partial(describe, pool, scores))
    return {"scores": scores, "sets": solutions.fit(sets, run.params.max_problems, int(run.params.max_megabytes * 1e6))}


def _make_describers(part: EvalSet, prompt: Prompt) -> list[Any]:
    """For each problem of a set the function of (pool, scores) that describes it."""
    from stages.lib.core.records import Score, group_by_problem
    from stages.lib.labels import first_error, truth
    from stages.lib.page import solutions

    samples = group_by_problem(sorted(part.samples, key=lambda sample: (sample.problem_id, sample.index)))
    judged: dict[tuple[str, int], list[Score]] = {}
    for score in part.scores:
        if score.step_scores or score.rationales:
            judged.setdefault((score.problem_id, score.index), []).append(score)

    def make_describer(problem: Any) -> Any:
        def describe(pool: Any, scores: Any) -> dict[str, Any]:
            labels = {
                text: truth.label_steps(problem, text, prompt.split_steps)
                for text in {s.text for s in samples[problem.id]}
            }
            own = [
                solutions.Solution(
                    prompt.split_steps(sample.text),
                    sample.answer,
                    sample.finish == "stop",
                    sample.tokens,
                    {x.verifier: x.step_scores for x in judged.get((problem.id, sample.index), ()) if x.step_scores},
                    None if labels[sample.text] is None else first_error.locate(labels[sample.text]),
                    {x.verifier: x.rationales for x in judged.get((problem.id, sample.index), ()) if x.rationales},
                )
                for sample in samples[problem.id]
            ]
            gold = [step.text for step in problem.steps or ()]
            question = solutions.Question(problem.id, problem.format_prompt(), problem.answer, gold, problem.parent)
            return solutions.describe_problem(question, own, pool, scores)

        return describe

    return [make_describer(problem) for problem in part.problems]


if __name__ == "__main__":
    main()
