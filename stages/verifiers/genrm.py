"""Stage genrm: train the generative verifier of Zhang et al. 2024 (GenRM, arXiv 2408.15240).

Reads data/{generator or base}/model (`init_from`), data/generator/prompt.json, data/samples/{verifier,dev}.parquet and
the problems of data/selection/{train,verifier}.jsonl and data/benchmarks/dev.jsonl. Writes data/genrm/{model,
history.csv, results.json, metrics.json}.

The verifier writes text: after a solution, a rationale and its verdict (cot), or the verdict alone (direct). The loss is
L_verification + lambda L_correct (section 3.3; lib/verifiers/generative_data.py). A teacher writes the first rationales
(lib/verifiers/rationales.py). In each of `rounds` the verifier of the round before, at first the one that the teacher
taught or the untrained model, writes its own instead (lib/verifiers/self_training.py). Then a model is trained for each
lambda of `lm_weights` and measured on dev in both modes; the one that is best in `mode` is kept, and stage scores asks it
in that mode. lib/verifiers/generative.py says how rationales are sampled.

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.verifiers.genrm
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams

if TYPE_CHECKING:
    from stages.lib.core.records import Problem, Sample
    from stages.lib.models.batch import Example
    from stages.lib.models.encoding import Encoder
    from stages.lib.run.distributed import Workers
    from stages.lib.training.loop import History
    from stages.lib.verifiers.base import Pool
    from stages.lib.verifiers.generative import GenerativeVerifier, Mode, RationaleSampling, RationaleVerdicts
    from stages.lib.verifiers.generative_data import Pair
    from stages.lib.verifiers.verdicts import Segment

    Rationales = list[tuple[Pair, list[Segment]]]

Weight = Annotated[float, Field(ge=0)]
HEADLINE = (
    *("samples", "share_right", "mode", "lm_weight", "steps", "examples", "loss"),
    *("dev.*.auc", "dev.*.brier", "dev.*.ece", "dev.cot.parsed"),
)


class Params(TrainingParams):
    init_from: Literal["generator", "base"]  # the model that training starts from
    mode: Literal["direct", "cot"]  # how it will be asked, for the verdict at once or for rationales; chooses lambda
    teacher: Literal["procedural", "model", "none"]  # of the rationales; none: the bare verdict alone is learnt
    chat: dict[str, Any]  # of a teacher that is a model: kind openai or hf and its settings (lib/chat)
    rounds: int = Field(ge=0, le=3)  # of self-training: rationales of the verifier of the round before
    rationales_per_sample: int = Field(gt=0)  # asked of a teacher that is a model, or sampled in a round
    rationale_style: Literal[
        "rederived", "annotated"
    ]  # of the procedural teacher: derive each line again, or repeat it with a mark
    refutation_weight: int = Field(ge=1)  # of the procedural teacher: weight of the words that refute a line
    direct_share: float = Field(ge=0, le=1)  # of the samples, that are also asked for the bare verdict
    balance_classes: bool  # as many right as wrong samples
    lm_weights: list[Weight] = Field(min_length=1)  # lambda: weight of right solutions beside the verification; 0: none
    lm_data: Literal["gold", "samples"]  # right solutions: gold ones, or the right samples themselves
    samples_per_problem: int = Field(gt=0)  # at most this many samples of a problem; an epoch sees each once
    votes: int = Field(ge=1, le=32)  # rationales a solution of dev: the largest K that is measured
    temperature: float = Field(gt=0)  # of the rationales
    max_new_tokens: int = Field(ge=1)  # of a rationale
    max_rows: int = Field(ge=16)  # rationales drawn at a time on each process; changes speed and memory, none of them
    eval_problems: int = Field(gt=0)  # of dev, with right and wrong samples both, to choose lambda by
    eval_samples: int = Field(gt=0)  # of each

    @model_validator(mode="after")
    def _check_teacher(self) -> Params:
        if self.teacher == "model" and "kind" not in self.chat:
            raise ValueError("teacher: model needs chat: {kind: openai or hf, model: ..}")
        if self.teacher == "model" and self.rationales_per_sample > 1 and self._is_greedy():
            raise ValueError(
                f"chat.temperature 0 gives the same rationale {self.rationales_per_sample} times; set 0.7, or "
                f"rationales_per_sample: 1"
            )
        if self.mode == "cot" and self.teacher == "none" and not self.rounds:
            raise ValueError("mode: cot needs a teacher of rationales or rounds: 1; choose one, or mode: direct")
        if self.mode == "direct" and not self.direct_share:
            raise ValueError(
                "mode: direct needs samples that are asked for the bare verdict; raise direct_share above 0"
            )
        return self

    def _is_greedy(self) -> bool:
        """Whether the teacher's answers are all one, by its settings or the default of its kind."""
        return self.chat.get("temperature", 0 if self.chat["kind"] == "hf" else None) == 0


def select_pairs(problems: dict[str, Problem], samples: list[Sample], params: Params, seed: int) -> list[Pair]:
    """The samples to learn from, each with its problem."""
    from stages.lib.verifiers import data, generative_data

    samples = data.select_samples(samples, params.samples_per_problem, skip_uniform=False)
    pairs = [(problems[sample.problem_id], sample) for sample in samples]
    return generative_data.balance_classes(pairs, seed) if params.balance_classes else pairs


def write_rationales(run: StageRun[Params], pairs: list[Pair]) -> tuple[Rationales, dict[str, int]]:
    """The rationales that the teacher writes, and how many were kept or refused, by reason."""
    from stages.lib import chat
    from stages.lib.verifiers import rationales

    params, counts = run.params, Counter()
    if params.teacher == "none":
        return [], {}
    if params.teacher == "procedural":
        write = partial(
            rationales.write_procedural, style=params.rationale_style, refutation_weight=params.refutation_weight
        )
        written = [[write(*pair)] for pair in pairs]
    else:
        settings = dict(params.chat)
        teacher = chat.create(settings.pop("kind"), run.root / ".assay" / "chat", **settings)
        progress = partial(run.track_progress, what="rationales")
        written = rationales.request_rationales(teacher, run.seed, pairs, params.rationales_per_sample, progress)
        run.count(**teacher.usage.get_totals())
    kept = []
    for pair, candidates in zip(pairs, written, strict=True):
        for segments, reject_reason in candidates:
            counts[f"refused, {reject_reason.split(':')[0]}" if reject_reason else "kept"] += 1
            if segments:
                kept.append((pair, segments))
    return kept, dict(sorted(counts.items()))


class Trial(NamedTuple):
    """One lambda: its training history, its verifier in each mode, and what was measured on dev."""

    history: History
    verifiers: dict[Mode, GenerativeVerifier]
    metrics: dict[str, Any]


def train_model(run: StageRun[Params], examples: list[Example]) -> tuple[Any, History]:
    """The model after training, with its adapters merged."""
    from stages.lib.models import loading, objectives
    from stages.lib.training import loop
    from stages.lib.verifiers import data

    model = data.load_model(run)
    history = loop.train(run, objectives.LanguageModelingObjective(model), examples, run.params)
    return loading.merge_lora(model), history


def make_verifier(run: StageRun[Params], model: Any, encoder: Encoder, mode: Mode, votes: int) -> GenerativeVerifier:
    from stages.lib.verifiers.generative import GenerativeVerifier, RationaleSampling

    p = run.params
    sampling = RationaleSampling(votes, p.temperature, p.max_new_tokens, p.max_rows, run.seed, "genrm")
    return GenerativeVerifier("genrm", model, encoder, sampling, mode)


def load_copy(sampling: RationaleSampling, dtype: str, path: Path, device: Any) -> GenerativeVerifier:
    from stages.lib.verifiers.generative import GenerativeVerifier

    return GenerativeVerifier.load(path, sampling, dtype).to(device)


@contextmanager
def open_workers(run: StageRun[Params], verifier: GenerativeVerifier) -> Iterator[Workers[GenerativeVerifier]]:
    """Workers that judge as this verifier: itself in every process, or copies of it on a Ray cluster."""
    from stages.lib.run import distributed, ray_cluster

    if not ray_cluster.load_settings():
        yield distributed.LocalWorkers(lambda: verifier)
        return
    run.checkpoint_dir.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=run.checkpoint_dir) as folder:
        path = Path(folder) / "model"
        if run.is_main:
            verifier.save(path)
        load = partial(load_copy, verifier.sampling, str(verifier.model.dtype).removeprefix("torch."))
        with distributed.open_workers(run, path, load, None) as workers:
            yield workers


def judge_pools(
    run: StageRun[Params], verifier: GenerativeVerifier, pools: list[Pool]
) -> list[list[RationaleVerdicts]]:
    from stages.lib.verifiers import data
    from stages.lib.verifiers.generative import GenerativeVerifier, RationaleVerdicts

    with open_workers(run, verifier) as workers:
        judge = GenerativeVerifier.judge_many
        judged = data.map_dev_pools(run, workers, verifier.mode, pools, judge, RationaleVerdicts)
    run.count(tokens=sum(x.tokens for pool in judged for x in pool if not x.is_duplicate))
    return judged


def train_itself(
    run: StageRun[Params], encoder: Encoder, pairs: list[Pair], examples: list[Example], device: Any
) -> tuple[Rationales, dict[str, int]]:
    """The rationales of one round, by the model that the examples make, or by the untrained one if there are none."""
    from stages.lib.models import loading
    from stages.lib.verifiers import data, self_training

    model = train_model(run, examples)[0] if examples else loading.merge_lora(data.load_model(run))
    pools = self_training.group_pairs(pairs)
    verifier = make_verifier(run, model, encoder, "cot", run.params.rationales_per_sample).to(device)
    return self_training.weigh_rationales(pools, judge_pools(run, verifier, pools))


def train_and_evaluate(
    run: StageRun[Params], encoder: Encoder, examples: list[Example], pools: list[Pool], modes: list[Mode]
) -> Trial:
    from stages.lib.verifiers import generative_metrics

    model, history = train_model(run, examples)
    metrics = {"steps": len(history.rows), "loss": history.rows[-1]["lm_loss"], "examples": len(examples)}
    verifiers: dict[Mode, GenerativeVerifier] = {
        mode: make_verifier(run, model, encoder, mode, run.params.votes) for mode in modes
    }
    verdicts: dict[str, Any] = {}
    for mode, verifier in verifiers.items():
        verdicts[mode] = judge_pools(run, verifier, pools)
        metrics[mode] = generative_metrics.compute_metrics(pools, verdicts[mode], run.params.votes)
    if len(modes) == 2:
        metrics["cot_minus_direct"] = generative_metrics.compare_modes(pools, **verdicts)
    return Trial(history, verifiers, metrics)


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.lib.core.errors import UserError
    from stages.lib.run import distributed
    from stages.lib.training import sft
    from stages.lib.verifiers import data, saving
    from stages.lib.verifiers.generative_data import build_examples

    params, state = run.params, distributed.init_processes(run)
    pairs = select_pairs(data.read_problems(run, "verifier"), data.read_samples(run, "verifier"), params, run.seed)
    with state.main_process_first():  # the others find a model's answers in its cache
        rationales, teacher = write_rationales(run, pairs)
    if not rationales and (params.teacher != "none" or not pairs):
        raise UserError(
            f"data/samples/verifier.parquet: {len(pairs)} samples to learn from and no rationale ({teacher or 'none'}); "
            f"raise benchmarks.sizes.verifier, or choose another genrm.teacher"
        )
    counts = {"teacher": teacher}
    data.warn_if_uniform(run, [sample for _, sample in pairs], "this verifier will say one thing")
    pools = data.read_dev_pools(run, params.eval_samples, mixed_only=True)
    if not pools and len(params.lm_weights) > 1:
        raise UserError(
            f"data/samples/dev.parquet: no problem whose first {params.eval_samples} samples are right and wrong, so none "
            f"to choose from the {len(params.lm_weights)} genrm.lm_weights by; name one, or raise benchmarks.sizes.dev"
        )
    encoder, gold = data.load_encoder(run), None
    if params.lm_data == "gold":
        problems = data.read_problems(run, "train").values()
        gold = [sft.make_sft_example(encoder, problem) for problem in problems if sft.get_steps(problem)]

    def build(weight: float) -> list[Example]:
        return build_examples(encoder, pairs, rationales, gold, params.direct_share, weight, run.seed)

    for i in range(1, params.rounds + 1):
        examples = build(params.lm_weights[0]) if rationales else []
        round_run = replace(run, key=f"{run.key}/round {i}")
        rationales, counts[f"round {i}"] = train_itself(round_run, encoder, pairs, examples, state.device)
    if params.mode == "cot" and not rationales:
        raise UserError(
            f"genrm: no rationale ends with a verdict ({counts}); choose a genrm.teacher, or genrm.mode: direct"
        )
    modes: list[Mode] = [*(["cot"] if rationales else []), *(["direct"] if params.direct_share else [])]
    best, best_auc, trials = params.lm_weights[0], -1.0, {}
    for i, weight in enumerate(params.lm_weights):
        trial = train_and_evaluate(replace(run, key=f"{run.key}/{i}"), encoder, build(weight), pools, modes)
        trials[weight] = trial.metrics
        auc = trial.metrics[params.mode]["auc"] or 0.0
        if auc > best_auc:
            best, best_auc = weight, auc
            saving.write_outputs(run, trial.verifiers[params.mode], trial.history)
    return {
        "samples": len(pairs),
        "share_right": sum(sample.is_right for _, sample in pairs) / len(pairs),
        **counts,
        "mode": params.mode,
        "lm_weight": best,
        **{key: trials[best][key] for key in ("steps", "examples", "loss")},
        "dev": {key: trials[best][key] for key in (*modes, "cot_minus_direct") if key in trials[best]},
        "sweep": {f"{weight:g}": {mode: trials[weight][mode]["auc"] for mode in modes} for weight in trials},
    }


def main() -> None:
    run_stage("genrm", Params, body, HEADLINE)


if __name__ == "__main__":
    main()
