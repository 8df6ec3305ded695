"""Stage genrm: the generative verifier of Zhang et al. 2024 (GenRM, arXiv 2408.15240).

Reads data/{generator or base}/model (`start`), data/generator/prompt.json,
data/samples/{verifier,dev}.parquet and the problems of
data/benchmarks/{train,verifier,dev}.jsonl; writes data/genrm/{model, history.csv, metrics.json}. It goes on writing text:
after a solution, a rationale and its verdict (cot), or the verdict alone (direct); the loss is L_verification + lambda
L_correct, each a mean over tokens, of rationales and of bare verdicts alike, where L_correct falls on right solutions, for
who can solve can check (section 3.3 of the paper). Each lambda of `lm_weights` is trained; both modes are measured on dev,
and the lambda is kept that is best in `mode`, the one in which stage scores will ask. Who teaches the rationales is told
in lib/verifiers/rationales.py, how they are drawn in lib/verifiers/generative.py.

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.verifiers.genrm
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.lib.core.records import Problem, Sample
    from stages.lib.models.batch import Example
    from stages.lib.models.encoding import Encoder
    from stages.lib.verifiers.generative import GenerativeVerifier, Mode, RationaleVerdicts
    from stages.lib.verifiers.verdicts import Segment

VERSION = 1  # part of every key
Pair = tuple["Problem", "Sample"]


class Params(TrainingParams):
    init_from: Literal["generator", "base"]  # the model that it starts from
    mode: Literal["direct", "cot"]  # how it will be asked, for the verdict at once or for rationales; chooses lambda
    teacher: Literal["procedural", "model", "none"]  # of the rationales; none: the bare verdict alone is learnt
    chat: dict[str, Any]  # of a teacher that is a model: kind openai or hf and its settings (lib/chat)
    rationales_per_sample: int = Field(gt=0)  # asked of such a teacher for each sample
    rationale_style: Literal[
        "rederived", "annotated"
    ]  # of the procedural teacher: each line derived anew, or said again and marked
    refutation_weight: int = Field(ge=1)  # of the procedural teacher: weight of the words that refute a line
    direct_share: float = Field(ge=0, le=1)  # of the samples, that are also asked for the bare verdict
    balance_classes: bool  # as many right as wrong samples
    lm_weights: list[float] = Field(min_length=1)  # lambda: weight of right solutions beside the verification; 0: none
    lm_data: Literal["gold", "samples"]  # right solutions: gold ones, or the right samples themselves
    samples_per_problem: int = Field(gt=0)  # the first so many of the pool; an epoch sees each once
    votes: int = Field(ge=1, le=32)  # rationales a solution of dev: the largest K that is measured
    temperature: float = Field(gt=0)  # of the rationales
    max_new_tokens: int = Field(ge=1)  # of a rationale
    max_rows: int = Field(ge=16)  # rationales drawn at a time on each process; changes speed and memory, none of them
    eval_problems: int = Field(gt=0)  # of dev, with right and wrong samples both, to choose lambda by
    eval_samples: int = Field(gt=0)  # of each

    @model_validator(mode="after")
    def _check_teacher(self) -> Params:
        if any(weight < 0 for weight in self.lm_weights):
            raise ValueError("lm_weights must be 0 or more")
        if self.teacher == "model" and "kind" not in self.chat:
            raise ValueError("teacher: model needs chat: {kind: openai or hf, model: ..}")
        if self.teacher == "model" and self.rationales_per_sample > 1 and self._is_greedy():
            raise ValueError(
                f"chat.temperature 0 gives the same rationale {self.rationales_per_sample} times; set 0.7, or rationales: 1"
            )
        if self.mode == "cot" and self.teacher == "none":
            raise ValueError("mode: cot needs a teacher of rationales; choose one, or mode: direct")
        if self.mode == "direct" and not self.direct_share:
            raise ValueError(
                "mode: direct needs samples that are asked for the bare verdict; raise direct_share above 0"
            )
        return self

    def _is_greedy(self) -> bool:
        """Whether the teacher's answers are all one, by its settings or the default of its kind."""
        return self.chat.get("temperature", 0 if self.chat["kind"] == "hf" else None) == 0


def select_pairs(problems: dict[str, Problem], samples: list[Sample], params: Params, seed: int) -> list[Pair]:
    """The samples to learn from; with `balance` a keyed choice of the more frequent kind, as many as there are others."""
    from stages.lib.core import seeds
    from stages.lib.verifiers import rationales

    pairs = [(problems[s.problem_id], s) for s in samples if s.index < params.samples_per_problem]
    kinds = [[pair for pair in pairs if pair[1].is_right == right] for right in (True, False)]
    fewer = min(map(len, kinds))
    if not params.balance_classes or not fewer:
        return pairs

    def order(pair: Pair) -> int:
        return seeds.key(seed, "genrm", VERSION, pair[1].problem_id, pair[1].index, "balance")

    kept = {(p.id, s.index) for kind in kinds for p, s in sorted(kind, key=order)[:fewer]}
    return [pair for pair in pairs if (pair[0].id, pair[1].index) in kept]


def write_rationales(
    run: StageRun[Params], pairs: list[Pair]
) -> tuple[list[tuple[Pair, list[Segment]]], dict[str, int]]:
    """(sample, rationale) as the teacher writes them, and how many were kept or refused, by reason."""
    from stages.lib import chat
    from stages.lib.verifiers import rationales

    params, counts = run.params, Counter()
    if params.teacher == "none":
        return [], {}
    if params.teacher == "procedural":
        found = [
            [rationales.write_procedural(*pair, params.rationale_style, params.refutation_weight)] for pair in pairs
        ]
    else:
        settings = dict(params.chat)
        teacher = chat.create(settings.pop("kind"), run.root / ".assay" / "chat", **settings)
        progress = partial(run.track_progress, what="rationales")
        found = rationales.request_rationales(teacher, run.seed, pairs, params.rationales_per_sample, progress)
        run.count(**teacher.usage.get_totals())
    kept = []
    for pair, own in zip(pairs, found, strict=True):
        for written in own:
            reason = written.reject_reason and written.reject_reason.split(":")[0]
            counts[f"refused, {reason}" if reason else "kept"] += 1
            if written.segments:
                kept.append((pair, written.segments))
    return kept, dict(sorted(counts.items()))


class EncodedPair(NamedTuple):
    """A text to learn from, its solution's tokens weighing nothing; where they stand; and whether it is right."""

    example: Example
    solution_span: slice
    is_correct: bool


def encode_pair(encoder: Encoder, pair: Pair, mode: Mode, segments: list[Segment]) -> EncodedPair:
    """Question and solution, then segments by their weights, and the end."""
    from stages.lib.models.batch import Example
    from stages.lib.verifiers import rationales
    from stages.lib.verifiers.generative import encode_question

    problem, sample = pair
    ids, solution = encode_question(encoder, problem, sample.text, mode)
    weights = [0.0] * len(ids)
    texts = [text for text, _ in segments]  # in one call: a call costs as much as its texts
    for piece, (_, weight) in zip(encoder.encode_texts(texts), segments, strict=True):
        ids, weights = ids + piece, weights + [float(weight)] * len(piece)
    example = Example([*ids, encoder.end_id], [*weights, 1.0])
    return EncodedPair(example, solution, sample.is_right)


def normalize_weights(cases: list[EncodedPair], lm: float) -> list[Example]:
    """The examples of one kind. Their verification weighs 1 each on average, their right solutions `lm` times that.

    A step's loss is divided by the weight of its tokens, so what counts is weight against weight: were the two kinds
    scaled as one, the many tokens of rationales would drown the verdicts, and the solutions each verdict of its own.
    """
    verification = sum(sum(each.example.lm_weight) for each in cases)
    solved = sum(each.solution_span.stop - each.solution_span.start for each in cases if each.is_correct)
    made = []
    for example, solution, right in cases:
        weights = [weight * len(cases) / verification for weight in example.lm_weight]
        if right:
            weights[solution] = [lm * len(cases) / solved] * (solution.stop - solution.start)
        made.append(example._replace(lm_weight=weights))
    return made


def build_examples(
    encoder: Encoder,
    pairs: list[Pair],
    kept: list[tuple[Pair, list[Segment]]],
    solved: list[Problem],
    params: Params,
    seed: int,
    lm_weight: float,
) -> list[Example]:
    """All that is learnt at one lambda: rationales, bare verdicts and, of other problems than these, gold solutions."""
    from stages.lib.core import seeds
    from stages.lib.training import sft
    from stages.lib.verifiers import rationales, verdicts

    reasoned = [encode_pair(encoder, pair, "cot", segments) for pair, segments in kept]
    bare = []
    for pair in pairs:
        if seeds.uniforms(seed, "genrm", VERSION, pair[0].id, pair[1].index, "direct", n=1)[0] < params.direct_share:
            verdict = verdicts.format_verdict(pair[1].is_right)
            bare.append(encode_pair(encoder, pair, "direct", [(verdict, verdicts.DIRECT_VERDICT_WEIGHT)]))
    own = lm_weight if params.lm_data == "samples" else 0.0
    made = [*normalize_weights(reasoned, own), *normalize_weights(bare, own)]
    if params.lm_data == "samples" or not lm_weight:
        return made
    solutions = [sft.make_sft_example(encoder, problem) for problem in solved if sft.get_steps(problem)]
    each = lm_weight * len(made) / max(1.0, sum(sum(solution.lm_weight) for solution in solutions))
    return made + [
        solution._replace(lm_weight=[each * weight for weight in solution.lm_weight]) for solution in solutions
    ]


def judge_pools(
    run: StageRun[Params], name: str, verifier: GenerativeVerifier, pools: list[Any]
) -> list[list[RationaleVerdicts]]:
    """Every pool judged, the problems dealt round the processes; finished ones are kept, so that a killed run goes on."""
    from stages.lib.models.forward import autocast
    from stages.lib.run import distributed
    from stages.lib.verifiers.generative import RationaleVerdicts

    def work(mine: list[Any]) -> Iterator[list[RationaleVerdicts]]:
        with autocast(verifier.model, run.params.precision):
            yield from run.track_progress(verifier.judge_many(mine), len(mine), name)

    found = distributed.map_sharded(run, name, pools, work, RationaleVerdicts, lambda pool: pool[0].id)
    run.count(tokens=sum(one.tokens for judged in found.values() for one in judged if not one.is_duplicate))
    return [found[problem.id] for problem, _ in pools]


def compute_metrics(pools: list[Any], found: list[list[RationaleVerdicts]], votes: int) -> dict[str, Any]:
    """Ranking, its standard error over problems, and calibration; of rationales also ranking by their number, the share
    that parse, and what missed them all."""
    from stages.lib.metrics import ranking

    correct, scores = collect_outcomes(pools), [[one.score() for one in judged] for judged in found]
    flat, truth = [x for row in scores for x in row], [c for row in correct for c in row]
    metrics = {
        **summarize_aucs(compute_aucs([scores], correct)),
        "brier": ranking.brier_score(flat, truth) if flat else None,
        "ece": ranking.expected_calibration_error(flat, truth) if flat else None,
    }
    own = [one for judged in found for one in judged if not one.is_duplicate]
    drawn = [vote for one in own for vote in one.p_yes]
    if drawn:

        def turns(k: int) -> list[list[list[float]]]:
            return [[[one.score(k, turn) for one in row] for row in found] for turn in range(votes // k)]

        metrics |= {
            "by_votes": {
                str(k): summarize_aucs(compute_aucs(turns(k), correct))
                for k in sorted({1, 2, 4, 8, 16, votes})
                if k <= votes
            },
            "parsed": sum(vote is not None for vote in drawn) / len(drawn),
            "all_missing": sum(one.direct_p_yes is not None for one in own),
        }
    metrics |= {"solutions": len(own), "tokens": sum(one.tokens for one in own)}
    return metrics


def compare_modes(
    pools: list[Any], cot: list[list[RationaleVerdicts]], direct: list[list[RationaleVerdicts]]
) -> dict[str, float | None]:
    """What rationales rank better than bare verdicts on the same problems."""
    by_cot, by_direct = (
        compute_aucs([[[one.score() for one in row] for row in found]], collect_outcomes(pools))
        for found in (cot, direct)
    )
    return summarize_aucs([a - b for a, b in zip(by_cot, by_direct, strict=True)])


def collect_outcomes(pools: list[Any]) -> list[list[bool]]:
    from stages.lib.verifiers import rationales

    return [[sample.is_right for sample in samples] for _, samples in pools]


def compute_aucs(turns: list[list[list[float]]], correct: list[list[bool]]) -> list[float]:
    """AUC within each problem, the mean of several turns, each scored by other rationales. turns: (turns, problems,
    samples)."""
    from stages.lib.metrics.ranking import problem_aucs

    by_turn = [problem_aucs(turn, correct).tolist() for turn in turns]
    return [sum(own) / len(turns) for own in zip(*by_turn, strict=True)]


def summarize_aucs(values: list[float]) -> dict[str, float | None]:
    """The mean over problems and its standard error."""
    from statistics import fmean, stdev

    error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return {"auc": fmean(values) if values else None, "auc_se": error}


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.lib.core import files, records, seeds
    from stages.lib.core.errors import UserError
    from stages.lib.models import loading, objectives
    from stages.lib.models.encoding import Encoder
    from stages.lib.run import distributed
    from stages.lib.training import loop
    from stages.lib.verifiers import rationales
    from stages.lib.verifiers.generative import GenerativeVerifier, RationaleSampling

    params = run.params
    problems = {
        split: {
            problem.id: problem for problem in records.read_problems(run.input_path("benchmarks", f"{split}.jsonl"))
        }
        for split in ("train", "verifier", "dev")
    }
    state = distributed.init_processes(run)
    pool = records.read_samples(run.input_path("samples", "verifier.parquet"))
    pairs = select_pairs(problems["verifier"], pool, params, run.seed)
    with state.main_process_first():  # the others find a model's answers in its cache
        kept, teacher = write_rationales(run, pairs)
    if not kept and (params.teacher != "none" or not pairs):
        raise UserError(
            f"data/samples/verifier.parquet: {len(pairs)} samples to learn from and no rationale ({teacher or 'none'}); "
            f"raise benchmarks.sizes.verifier, or choose another genrm.teacher"
        )
    right = sum(sample.is_right for _, sample in pairs) / len(pairs)
    if right in (0, 1) and run.is_main:
        print("genrm: warning: all samples are right, or all wrong: this verifier will say one thing", file=sys.stderr)
    path = run.input_path(params.init_from, "model")
    encoder = Encoder.load(path, run.input_path("generator", "prompt.json"))
    dev: dict[str, list[Any]] = {}
    for sample in records.read_samples(run.input_path("samples", "dev.parquet")):
        if sample.index < params.eval_samples:
            dev.setdefault(sample.problem_id, []).append(sample)
    mixed = {name: own for name, own in dev.items() if len({sample.is_right for sample in own}) == 2}
    pools = [(problems["dev"][name], own) for name, own in mixed.items()][: params.eval_problems]
    if not pools and len(params.lm_weights) > 1:
        raise UserError(
            f"data/samples/dev.parquet: no problem whose first {params.eval_samples} samples are right and wrong, so none "
            f"to choose from the {len(params.lm_weights)} genrm.lm_weights by; name one, or raise benchmarks.sizes.dev"
        )
    modes = (["cot"] if kept else []) + (["direct"] if params.direct_share else [])
    how = RationaleSampling(params.votes, params.temperature, params.max_new_tokens, params.max_rows, run.seed, "genrm")
    best, sweep = None, {}
    for i, weight in enumerate(params.lm_weights):
        made = build_examples(encoder, pairs, kept, list(problems["train"].values()), params, run.seed, weight)
        trained = replace(run, key=f"{run.key}/{i}")  # checkpoints of its own
        model = loading.add_lora(
            loading.load_causal_lm(path), params.lora_rank, seeds.key(run.seed, run.name, "adapters")
        )
        history = loop.train(trained, objectives.LanguageModelingObjective(model), made, params)
        facts = {"steps": len(history.rows), "loss": history.rows[-1]["lm_loss"], "examples": len(made)}
        whole = loading.merge_lora(model)
        verifiers = {mode: GenerativeVerifier("genrm", whole, encoder, how, mode) for mode in modes}
        found = {mode: judge_pools(trained, mode, verifier, pools) for mode, verifier in verifiers.items()}
        facts |= {mode: compute_metrics(pools, own, params.votes) for mode, own in found.items()}
        facts |= {"cot_minus_direct": compare_modes(pools, **found)} if len(found) == 2 else {}
        sweep[f"{weight:g}"] = facts
        auc = facts[params.mode]["auc"] or 0.0
        if best is None or auc > best[0]:
            best = (auc, weight)
            if run.is_main:
                verifiers[params.mode].save(run.out_dir / "model")
                files.write_text(run.out_dir / "history.csv", history.to_csv())
    facts = sweep[f"{best[1]:g}"]
    return {
        "samples": len(pairs),
        "share_right": right,
        "teacher": teacher,
        "mode": params.mode,
        "lm_weight": best[1],
        "steps": facts["steps"],
        "examples": facts["examples"],
        "loss": facts["loss"],
        "dev": {name: facts[name] for name in (*modes, "cot_minus_direct") if name in facts},
        "sweep": {weight: {mode: own[mode]["auc"] for mode in modes} for weight, own in sweep.items()},
    }


def main() -> None:
    run_stage("genrm", Params, body)


if __name__ == "__main__":
    main()
