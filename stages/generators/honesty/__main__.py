"""Stage honesty: teach the generator to say that it does not know, and compare it with a verifier that makes it silent.

Reads data/generator/{model, prompt.json}, data/samples/{verifier,dev,test,ood}.parquet with their problems, the model of a
verifier (data/{orm,prm,genrm}/model), data/aime/test.jsonl, and all evaluation sets, which must share no problem with what
is learned. Writes data/honesty/{models, train.jsonl, items.jsonl, replies.jsonl, history.csv, results.json, report.md,
curve.png, metrics.json}.

Items are known or unknown to this generator by its own samples, unanswerable by proof, or asked of a passage that does or
does not hold the fact (`items.py`). Policies: the generator as it is; the sentence that N/A is allowed in every prompt;
R-Tuning (2311.09677) and a certainty-filtered variant after CRaFT (2410.06913), both fine-tuned on refusals
(`knowledge.py`); and the generator silenced where a verifier's score is below a threshold chosen on dev, which trains
nothing. Policies are compared at equal coverage, since to refuse more always looks careful (`selective.py`).

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.generators.honesty
"""

from __future__ import annotations

import csv
import io
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from stages.lib.chat.agent_params import AgentParams
from stages.lib.core.params import Params as Section
from stages.lib.inference.sampling_params import SamplingParams
from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stages.generators.honesty.items import Item
    from stages.generators.honesty.knowledge import Candidate
    from stages.generators.honesty.policies import Policy
    from stages.lib.models.batch import Example
    from stages.lib.models.encoding import Encoder

ARMS = ("r_tuning", "certain")  # that are trained, in this order: the first is the rehearsal of the second


class TrainSizes(Section):
    problems: int = Field(ge=1)  # of verifier, known or unknown, in each arm
    premise: int = Field(ge=0)  # unanswerable problems of them, and as many solvable twins
    facts: int = Field(ge=0)  # made-up facts; every second one is taught, the others are only asked
    fact_copies: int = Field(ge=1)  # times that a taught fact is repeated


class EvaluationSizes(Section):
    dev: int = Field(ge=1)  # problems for the verifier's threshold
    test: int = Field(ge=1)  # problems of test
    premise: int = Field(ge=0)  # pairs of an unanswerable problem and its twin, of ood
    deeper: int = Field(ge=0)  # problems with more steps, of ood
    passages: int = Field(ge=0)  # pairs of passages, four questions each
    unknowns: int = Field(ge=0)  # competition problems with a number hidden in equations


class Params(TrainingParams, SamplingParams):
    train: TrainSizes  # how much the tuned arms learn from
    evaluate: EvaluationSizes  # how much all policies answer
    samples: int = Field(ge=1)  # m: of a problem, for the share c of right ones
    known_at: float = Field(gt=0, le=1)  # c from which an item is known
    unknown_at: float = Field(ge=0, lt=1)  # c up to which the certainty-filtered arm refuses
    similarity: float = Field(ge=-1, le=1)  # cosine from which items of opposite labels are a static conflict
    drift: float = Field(ge=0, le=1)  # change of c in rehearsal above which an item is a dynamic conflict
    verifier: Literal["orm", "prm", "genrm"]  # whose score silences the generator
    penalty: float = Field(ge=0)  # of a wrong answer, where a right one earns 1: what the threshold is chosen for
    judge: AgentParams  # of refusals that the list misses

    @model_validator(mode="after")
    def _check_bounds(self) -> Params:
        if self.unknown_at >= self.known_at:
            raise ValueError(f"unknown_at ({self.unknown_at}) must be below known_at ({self.known_at})")
        return self


class Data(NamedTuple):
    """candidates: of verifier, in keyed order; premise, facts: what else is learned from; items: what is measured."""

    candidates: list[Candidate]
    premise: list[Item]
    facts: list[Item]
    items: list[Item]


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.generators.honesty import policies, report
    from stages.generators.honesty.knowledge import encode_target
    from stages.lib.core import files
    from stages.lib.models import loading
    from stages.lib.models.encoding import Encoder
    from stages.lib.run import distributed

    state = distributed.init_processes(run)
    folder = run.input_path("generator", "model")
    encoder = Encoder.load(folder, run.input_path("generator", "prompt.json"))
    data = prepare(run)
    start = loading.load_causal_lm(folder).to(state.device)
    models: dict[str, Any] = {}
    results: dict[str, Any] = {"training": {}}
    histories: list[str] = []
    taught: dict[str, list[tuple[Item, bool]]] = {}
    for arm in ARMS:
        chosen, results["training"][arm] = choose_items(run, arm, data, start, models, encoder)
        taught[arm] = list_taught(run, data, chosen)
        model, history = train(run, arm, [encode_target(encoder, *pair, run.seed) for pair in taught[arm]])
        models[arm] = model.to(state.device)
        histories.append(history)
        results["training"][arm]["steps"] = history.count("\n") - 1
    found = policies.measure(run, data.items, start, models, encoder, state.device)
    results |= policies.compare(run, data.items, found)
    results["judge"] = audit_refusals(run, found)
    results["shortcuts"] = policies.measure_shortcuts(data.items)
    if run.is_main:
        for arm, model in models.items():
            loading.save(model, encoder.tokenizer, run.out_dir / "models" / arm)
        files.write_text(run.out_dir / "history.csv", join_histories(histories))
        policies.write_taught(run.out_dir, encoder, taught, run.seed)
        policies.write(run.out_dir, data.items, found)
        report.write(run.out_dir, run.params, results, policies.trace_curves(data.items, found))
        files.write_json(run.out_dir / "results.json", results)
    return select_headline(results)


def prepare(run: StageRun[Params]) -> Data:
    """All items. Raises UserError for a problem to learn from that an evaluation set holds, or a variant of it, and where
    there is nothing to learn from."""
    from stages.generators.honesty import items
    from stages.generators.honesty.knowledge import Candidate
    from stages.lib.core import records
    from stages.lib.core.errors import UserError
    from stages.lib.datasets import eval_sets, firewall

    params, seed, sizes = run.params, run.seed, run.params.evaluate
    pools = {
        name: records.group_by_problem(records.read_samples(run.input_path("samples", f"{name}.parquet")))
        for name in ("verifier", "test", "ood")
    }
    problems = {name: eval_sets.load_problems(run, name) for name in ("verifier", "dev", "test", "ood", "aime")}

    def rate(name: str, source: str, chosen: Sequence[Any]) -> list[Item]:
        return items.make_sampled_items(name, chosen, pools[source], params.samples, params.known_at)

    learnable = [p for p in problems["verifier"] if p.answer != items.NO_ANSWER and pools["verifier"].get(p.id)]
    ordered = items.select_problems(learnable, len(learnable), seed, "train")
    candidates = [Candidate(item, pools["verifier"][item.id]) for item in rate("train", "verifier", ordered)]
    if not candidates:
        raise UserError(
            "honesty: data/samples/verifier.parquet has no samples of problems with an answer, so nothing is known or "
            "unknown; raise benchmarks.sizes.verifier"
        )
    premise = items.make_premise_items("train", learnable, params.train.premise, seed)
    firewall.check_firewall(
        [*learnable, *(x.problem for x in premise)], [q for n in eval_sets.SCORED for q in problems[n]]
    )
    facts = items.make_facts(params.train.facts, seed)
    ood = [p for p in problems["ood"] if p.operator]
    pairs = items.select_pairs([p for p in ood if p.operator == "premise"], sizes.premise, seed)
    deeper = [p for p in ood if (p.operator or "").split("@")[0] == "steps"]
    competition = records.read_problems(run.input_path("aime", "test.jsonl"))
    measured = [
        *rate("test", "test", items.select_problems(problems["test"], sizes.test, seed, "test")),
        *rate("premise", "ood", pairs),
        *rate("deeper", "ood", items.select_problems(deeper, sizes.deeper, seed, "deeper")),
        *items.make_passages(sizes.passages, seed),
        *facts,
        *items.make_unknowns(competition, sizes.unknowns, seed),
    ]
    return Data(candidates, premise, facts, measured)


def choose_items(
    run: StageRun[Params], arm: str, data: Data, start: Any, models: dict[str, Any], encoder: Encoder
) -> tuple[list[tuple[Item, bool]], dict[str, Any]]:
    """(items of verifier with whether the arm refuses each, what is to be said of them). Both arms have the same number,
    where the filters leave enough."""
    from stages.generators.honesty import knowledge
    from stages.lib.run import distributed

    params, n = run.params, run.params.train.problems
    if arm == "r_tuning":
        labelled = [(x.item, not knowledge.label_by_first(x.samples)) for x in data.candidates[:n]]
        return labelled, describe_items(labelled, data)
    pool = data.candidates[: 2 * n]
    labels = [knowledge.label_by_certainty(x.item.c or 0.0, params.known_at, params.unknown_at) for x in pool]
    sure = [(x, label) for x, label in zip(pool, labels, strict=True) if label is not None]
    features = knowledge.embed(start, encoder, [x.item for x, _ in sure])
    near = knowledge.find_static_conflicts(features, [label for _, label in sure], params.similarity)
    apart = [pair for pair, is_near in zip(sure, near, strict=True) if not is_near]

    def work(_: Any, shard: list[Candidate]) -> Any:
        for candidate in shard:
            yield [knowledge.measure_flow(candidate, start, models["r_tuning"], encoder)]

    workers = distributed.LocalWorkers(lambda: None)
    rows = distributed.map_sharded(
        run, workers, "flow", [x for x, _ in apart], work, knowledge.Flow, lambda candidate: candidate.item.id
    )
    flows = [rows[x.item.id][0] for x, _ in apart]
    still = [pair for pair, flow in zip(apart, flows, strict=True) if abs(flow.after - flow.before) <= params.drift]
    labelled = [(x.item, not label) for x, label in still[:n]]
    dropped = {
        "between": len(pool) - len(sure),
        "static": len(sure) - len(apart),
        "dynamic": len(apart) - len(still),
    }
    moved = sum(abs(flow.after - flow.before) for flow in flows) / len(flows) if flows else 0.0
    return labelled, describe_items(labelled, data) | {"pool": len(pool), "dropped": dropped, "mean_drift": moved}


def describe_items(labelled: list[tuple[Item, bool]], data: Data) -> dict[str, Any]:
    """How many items of each kind an arm learns, before copies."""
    return {
        "problems": len(labelled),
        "refused": sum(refuses for _, refuses in labelled),
        "unanswerable": sum(not item.is_answerable for item in data.premise),
        "twins": sum(item.is_answerable for item in data.premise),
        "facts": sum(item.kind == "known" for item in data.facts),
    }


def list_taught(run: StageRun[Params], data: Data, labelled: list[tuple[Item, bool]]) -> list[tuple[Item, bool]]:
    """What an arm learns, with whether it refuses: problems, premise items with their twins, and taught facts. Without a
    problem that the filters left, the others alone."""
    premise = [(item, not item.is_answerable) for item in data.premise]
    facts = [(item, False) for item in data.facts if item.kind == "known"] * run.params.train.fact_copies
    return [*labelled, *premise, *facts]


def train(run: StageRun[Params], arm: str, examples: list[Example]) -> tuple[Any, str]:
    """(the fine-tuned generator, its history as CSV). Raises UserError without an example."""
    from stages.lib.core import seeds
    from stages.lib.core.errors import UserError
    from stages.lib.models import loading, objectives
    from stages.lib.training import loop

    if not examples:
        raise UserError(
            f"honesty: nothing is left for arm {arm} to learn from; raise honesty.train.problems or honesty.similarity"
        )
    key = seeds.key(run.seed, run.name, "adapters")
    model = loading.add_lora(loading.load_causal_lm(run.input_path("generator", "model")), run.params.lora_rank, key)
    objective = objectives.LanguageModelingObjective(model)
    own = replace(run, key=f"{run.key}/{arm}", journal_entry=None)  # unfinished work and a log of its own
    history = loop.train(own, objective, examples, run.params)
    return loading.merge_lora(objective.model), history.to_csv()


def join_histories(texts: Sequence[str]) -> str:
    """One table, a row for each step, with a column for the loss of each arm; "" where an arm has fewer steps."""
    columns = [[row["lm_loss"] for row in csv.DictReader(io.StringIO(text))] for text in texts]
    rows = [",".join(("step", *(f"{arm}_loss" for arm in ARMS)))]
    for step, losses in enumerate(itertools.zip_longest(*columns, fillvalue=""), 1):
        rows.append(",".join((str(step), *losses)))
    return "\n".join(rows) + "\n"


def audit_refusals(run: StageRun[Params], found: dict[str, Policy]) -> dict[str, Any]:
    """How the list of refusals and a judge agree, for each policy that writes replies."""
    from stages.generators.honesty import refusals
    from stages.lib.chat import NoAnswerError

    judge = refusals.judge_by_rules
    chat = run.params.judge.create_chat(run.root)
    written = {name: policy.samples for name, policy in found.items() if policy.writes}
    if chat is not None and run.is_main:
        texts = sorted({sample.text for samples in written.values() for sample in samples if sample.finish == "stop"})
        requests = [(refusals.REQUEST.format(text=text), "honesty-judge") for text in texts]
        answers = chat.ask_many(requests, lambda done, total: run.track_progress(done, total, "judging"))
        verdicts = {
            text: None if isinstance(answer, NoAnswerError) else refusals.parse_judgement(answer)
            for text, answer in zip(texts, answers, strict=True)
        }
        run.count(**chat.usage.get_totals())
        return {name: refusals.audit(samples, verdicts.__getitem__) for name, samples in written.items()}
    return {name: refusals.audit(samples, judge) for name, samples in written.items()}


def select_headline(results: dict[str, Any]) -> dict[str, Any]:
    """The figures of results.json that metrics.json repeats."""
    table = results["in_domain"]
    return {
        "items": table["vanilla"]["items"],
        **{f"coverage_{name}": table[name]["coverage"] for name in (*ARMS, "verifier")},
        **{f"accuracy_{name}": table[name]["accuracy"] for name in ("vanilla", *ARMS, "verifier")},
        **{f"score_{name}": table[name]["scores"]["1"] for name in (*ARMS, "verifier")},
        **{f"recall_{name}": table[name]["refusal_recall"] for name in ARMS},
        "over_refusal_certain": table["certain"]["over_refusal"],
    }


def main() -> None:
    run_stage("honesty", Params, body)


if __name__ == "__main__":
    main()
