"""Stage honesty: teach the generator to say that it does not know, and compare it with a verifier that makes it silent.

Reads data/generator/{model, prompt.json}, data/samples/{verifier,dev,test,ood}.parquet with their problems, the model of a
verifier (data/{orm,prm,genrm}/model), data/aime/test.jsonl, and all evaluation sets, which must share no problem with what
is learned. Writes data/honesty/{models, train.jsonl, items.jsonl, replies.jsonl, history.csv, results.json, report.md,
curve.png, metrics.json}.

Items are known or unknown to this generator by its own samples, unanswerable by proof, or asked of a passage that does or
does not hold the fact (`items.py`). Policies: the generator as it is; the sentence that N/A is allowed in every prompt;
R-Tuning (2311.09677) and a certainty-filtered variant after CRaFT (2410.06913), both fine-tuned on refusals
(`knowledge.py`, `teaching.py`); and the generator silenced where a verifier's score is below a threshold chosen on dev,
which trains nothing. Policies are compared at equal coverage, since to refuse more always looks careful (`selective.py`).
An `agent`, any OpenAI-compatible server or local chat model, may reply in place of the generator; then nothing is trained
(`agent.py`).

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.generators.honesty
"""

from __future__ import annotations

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
    shuffled: bool  # a control, too: R-Tuning's problems, with as many refusals dealt out at random
    verifier: Literal["orm", "prm", "genrm"]  # whose score silences the generator
    penalty: float = Field(ge=0)  # of a wrong answer, where a right one earns 1: what the threshold is chosen for
    agent: AgentParams  # openai or hf: a chat that replies in place of the generator; nothing is trained
    judge: AgentParams  # of refusals that the list misses

    @model_validator(mode="after")
    def _check_bounds(self) -> Params:
        if self.unknown_at >= self.known_at:
            raise ValueError(f"unknown_at ({self.unknown_at}) must be below known_at ({self.known_at})")
        return self


class Data(NamedTuple):
    """candidates: of verifier, in keyed order; premise, facts: what else is learned from; items: what is measured; counts:
    samples of a problem behind c, at most, by the set that it is of."""

    candidates: list[Candidate]
    premise: list[Item]
    facts: list[Item]
    items: list[Item]
    counts: dict[str, int]


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.generators.honesty import agent, policies, report, teaching
    from stages.lib.core import files
    from stages.lib.run import distributed

    state = distributed.init_processes(run)
    chat = run.params.agent.create_chat(run.root)
    if chat and not run.is_main:
        return {}
    data = prepare(run)
    if chat:
        measured, found = agent.measure(run, data.items, chat)
        run.count(**chat.usage.get_totals())
        learned = teaching.LEARNED_NOTHING
    else:
        learned = teaching.teach(run, data, state.device)
        measured, found = data.items, policies.measure(run, data.items, learned, state.device)
    counts = dict.fromkeys(data.counts, run.params.samples) if chat else data.counts
    results: dict[str, Any] = {"training": learned.facts, "counts": counts, **policies.compare(run, measured, found)}
    results["judge"] = audit_refusals(run, found)
    results["shortcuts"] = policies.measure_shortcuts(measured)
    if run.is_main:
        learned.save(run.out_dir, run.seed)
        policies.write(run.out_dir, measured, found)
        report.write(run.out_dir, run.params, results, policies.trace_curves(measured, found))
        files.write_json(run.out_dir / "results.json", results)
    return select_headline(results)


def prepare(run: StageRun[Params]) -> Data:
    """All items. Raises UserError for a problem to learn from that an evaluation set holds, or a variant of it, and where
    there is nothing to learn from."""
    from stages.generators.honesty import items, policies
    from stages.generators.honesty.knowledge import Candidate
    from stages.lib.core import records
    from stages.lib.core.errors import UserError
    from stages.lib.datasets import eval_sets, firewall

    params, seed, sizes = run.params, run.seed, run.params.evaluate
    pools = {name: records.group_by_problem(policies.read_samples(run, name)) for name in ("verifier", "test", "ood")}
    problems = {name: eval_sets.load_problems(run, name) for name in ("verifier", "dev", "test", "ood", "aime")}

    spare = {name: {key: items.leave_out_reply(own) for key, own in pools[name].items()} for name in ("test", "ood")}
    counted = {"verifier": pools["verifier"], **spare}  # samples for c

    def rate(name: str, source: str, chosen: Sequence[Any]) -> list[Item]:
        return items.make_sampled_items(name, chosen, counted[source], params.samples, params.known_at)

    learnable = [p for p in problems["verifier"] if p.answer != items.NO_ANSWER and pools["verifier"].get(p.id)]
    ordered = items.select_problems(learnable, len(learnable), seed, "train")
    candidates = [
        Candidate(item, items.take_first(pools["verifier"][item.id], params.samples))
        for item in rate("train", "verifier", ordered)
    ]
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
    counts = {
        name: min(params.samples, max(map(len, own.values()), default=0)) for name, own in counted.items()
    }  # stage samples may have drawn fewer
    return Data(candidates, premise, facts, measured, counts)


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
    """The figures of results.json that metrics.json repeats; of a chat, those of its two policies."""
    from stages.generators.honesty.teaching import ARMS

    table = results["in_domain"]
    tuned = [name for name in ARMS if name in table] or ["prompt"]
    silent = [*tuned, *(name for name in ("verifier",) if name in table)]
    return {
        "items": table["vanilla"]["items"],
        **{f"coverage_{name}": table[name]["coverage"] for name in silent},
        **{f"accuracy_{name}": table[name]["accuracy"] for name in ("vanilla", *silent)},
        **{f"score_{name}": table[name]["scores"]["1"] for name in silent},
        **{f"recall_{name}": table[name]["refusal_recall"] for name in tuned},
        f"over_refusal_{tuned[-1]}": table[tuned[-1]]["over_refusal"],
    }


def main() -> None:
    run_stage("honesty", Params, body)


if __name__ == "__main__":
    main()
