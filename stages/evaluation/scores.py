"""Stage scores: every sample of dev, test, ood and aime, scored by every verifier.

orm prm genrm   trained by the stages of these names
prm_<method>    process verifiers that stage prm has trained on labels of a further method, such as prm_exact
base_orm        the untrained base, read like the outcome verifier before its training: the logits of two words at the end
base_prm        the untrained base, read like the trained process verifier: same tokens, step marker and aggregation
base_genrm      the untrained base, asked the generative verifier's question without a rationale
others          published models, as `published` describes them (lib/verifiers/published_models.py)

Reads data/{base,orm,prm,genrm}/model, data/prm/others, data/raw/verifiers, data/generator/prompt.json,
data/samples/{dev,test,ood,aime}.parquet and their problems. Writes data/scores/{dev,test,ood,aime}.parquet and
results.json: number of weights, AUC within a problem, calibration, correlation of score and length, how often the
lowest step is the last, how many solutions a published model could not read; and metrics.json with the AUCs.
A solution that was cut off has no answer: it scores 0 with every verifier, and none reads it. Equal solutions of a
problem are scored once. One verifier is in memory at a time. The processes share the problems, and finished ones are
kept, so a killed run resumes.

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.evaluation.scores
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import Field, model_validator

from stages.lib.core.params import Params as Strict
from stages.lib.core.records import LabelMethod
from stages.lib.datasets import eval_sets
from stages.lib.run.execution import StageRun, run_stage
from stages.lib.verifiers.aggregation import Aggregation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stages.lib.core.records import Sample, Score
    from stages.lib.models.prompts import Prompt
    from stages.lib.verifiers.base import Pool, Verifier


OTHER_PRMS = tuple(f"prm_{method}" for method in get_args(LabelMethod))
HEADLINE = ("*.test.auc", "*.ood.auc")
BUILTIN_VERIFIERS = ("orm", "prm", *OTHER_PRMS, "genrm", "base_orm", "base_prm", "base_genrm")


class RationaleParams(Strict):
    """How rationales are drawn, where the generative verifier was chosen to write them (genrm.mode: cot)."""

    votes: int = Field(ge=1, le=32)  # K, rationales per solution
    temperature: float = Field(gt=0)  # of the rationales
    max_new_tokens: int = Field(ge=1)  # tokens of a rationale at most
    max_rows: int = Field(ge=16)  # rationales drawn at a time; changes speed and memory, none of them


class PublishedVerifier(Strict):
    """A verifier that others have published: a folder in data/raw/verifiers/, or a hub repository at a commit."""

    form: Literal["classes", "words", "separator", "reward"]  # how it gives a score (lib/verifiers/published_models.py)
    path: str | None = Field(default=None, pattern=r"^data/raw/verifiers/[^/.][^/]*$")  # its folder
    repo: str | None = None  # owner/name on the hub
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")  # full commit id
    tag: str | None = None  # text after every step; null: that of the form
    good: str | None = None  # of the form `words`
    bad: str | None = None  # of the form `words`
    aggregation: Aggregation | None = None  # of step scores; null: that of the form
    batch_size: int = Field(
        default=8, ge=1
    )  # solutions in a forward pass; changes speed, memory and a score's last digits

    @model_validator(mode="after")
    def _check_source(self) -> PublishedVerifier:
        if (self.path is None) == (self.repo is None) or (self.repo is None) != (self.revision is None):
            raise ValueError("must have path, or repo and revision (a full commit hash, since a branch moves)")
        return self


class Params(Strict):
    verifiers: list[str] = Field(min_length=1)  # which verifiers score the samples
    published: dict[str, PublishedVerifier]  # by name
    dtype: Literal["float32", "bfloat16"]  # number format of the weights
    genrm: RationaleParams  # rationales of the generative verifier, if genrm.mode is cot

    @model_validator(mode="after")
    def _check_names(self) -> Params:
        for name in self.published:
            taken = name in BUILTIN_VERIFIERS or name.startswith(("likelihood", "ensemble"))
            if taken or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(
                    f"published {name!r}: a name has small letters, digits and _, does not begin with likelihood or "
                    f"ensemble, and is none of {', '.join(BUILTIN_VERIFIERS)}"
                )
        allowed = [*BUILTIN_VERIFIERS, *self.published]
        for name in self.verifiers:
            if name not in allowed:
                raise ValueError(
                    f"verifiers must be of {', '.join(allowed)}, or described in scores.published, not {name!r}"
                )
        if len(set(self.verifiers)) < len(self.verifiers):
            raise ValueError(f"verifiers must differ, not {', '.join(self.verifiers)}")
        return self


def resolve_folder(run: StageRun[Params], name: str) -> Path:
    """The folder of a verifier's model, downloaded if it is on the hub. Raises UserError if it cannot be read."""
    from stages.lib.core.errors import UserError
    from stages.lib.models import loading
    from stages.lib.verifiers import saving

    if published := run.params.published.get(name):
        if published.repo and published.revision:
            return loading.download_snapshot(published.repo, published.revision)
        path = run.root / str(published.path)
        if not path.is_dir():
            raise UserError(
                f"scores.published.{name}: {published.path} is not a folder; see data/raw/verifiers/README.md"
            )
        return path
    for untrained, stage, kind in (("base_prm", "prm", "process"), ("base_orm", "orm", "outcome")):
        if name == untrained and not saving.read_config(run.input_path(stage, "model"), kind)["head_init_tokens"]:
            raise UserError(
                f"scores.verifiers: {name} reads the tokens of {stage}.head_init_tokens, which are []; set two, or leave "
                f"{name} out"
            )
    if name in OTHER_PRMS:
        method = name.removeprefix("prm_")
        path = run.root / "data/prm/others" / method / "model"
        if not path.is_dir():
            raise UserError(
                f"scores.verifiers: {name} is not trained; name {method} behind the first of prm.labels, or leave it out"
            )
        return path
    return run.input_path("base" if name.startswith("base_") else name, "model")


def read_trained_config(run: StageRun[Params], name: str) -> dict[str, Any]:
    """What an untrained verifier takes from the trained one's verifier.json; nothing for the others."""
    from stages.lib.verifiers import saving

    stage = {"base_orm": "orm", "base_prm": "prm"}.get(name)
    return saving.read_config(run.input_path(stage, "model")) if stage else {}


def load_verifier(
    params: Params, seed: int, name: str, prompt: Prompt, trained: dict[str, Any], path: Path, device: Any
) -> Verifier:
    """The verifier of this name from its folder. trained: as `read_trained_config` returns it."""
    from stages.lib.models import loading

    loading.check_bf16_support(device, params.dtype, "scores.dtype: float32")
    return _load_verifier(params, seed, name, prompt, trained, path).to(device)


def _load_verifier(
    params: Params, seed: int, name: str, prompt: Prompt, trained: dict[str, Any], path: Path
) -> Verifier:
    from stages.lib.models import loading
    from stages.lib.models.encoding import Encoder
    from stages.lib.verifiers import published_models, registry
    from stages.lib.verifiers.generative import GenerativeVerifier, RationaleSampling
    from stages.lib.verifiers.outcome import OutcomeVerifier
    from stages.lib.verifiers.process import ProcessVerifier

    dtype, sampling = params.dtype, RationaleSampling(**params.genrm.model_dump(), seed=seed)
    if published := params.published.get(name):
        options = published.model_dump(include={"tag", "good", "bad", "aggregation"}, exclude_none=True)
        verifier = published_models.load(published.form, path, name, dtype, **options)
        verifier.batch_size = published.batch_size
        if published.form != "reward":
            verifier.split_steps = prompt.split_steps
        return verifier
    if not name.startswith("base_"):
        return registry.load(path, dtype, sampling)
    model, encoder = loading.load_causal_lm(path, dtype), Encoder.load(path, prompt)
    if name == "base_genrm":
        return GenerativeVerifier(name, model, encoder, sampling, "direct")
    if name == "base_orm":
        verifier = OutcomeVerifier(name, model, encoder, "bce")
        verifier.init_head_from_tokens(*trained["head_init_tokens"])
        return verifier
    # A scalar head that starts from two tokens reads as their logits do, until it is trained.
    options = {key: trained[key] for key in ("head_init_tokens", "step_marker", "aggregation")}
    return ProcessVerifier(name, model, encoder, "token_logits", **options)


def count_weights(verifier: Verifier) -> int:
    from stages.lib.models import loading

    return loading.count_parameters(verifier.model)


def score_pools(verifier: Verifier, pools: list[Pool]) -> Iterator[list[Score]]:
    """The scores of each pool, in any order of pools; 0 for solutions that were cut off, which nothing reads."""
    samples_of = {problem.id: samples for problem, samples in pools}
    finished = [(problem, [sample for sample in samples if sample.finish == "stop"]) for problem, samples in pools]
    for problem, some in finished:
        if not some:
            yield [verifier.make_score(sample, 0.0, 0) for sample in samples_of[problem.id]]
    readable = [pool for pool in finished if pool[1]]
    for scores in verifier.score_many(readable):
        by_index = {score.index: score for score in scores}
        yield [by_index.get(x.index) or verifier.make_score(x, 0.0, 0) for x in samples_of[scores[0].problem_id]]


def compute_metrics(pools: dict[str, list[Sample]], scores: list[Score], prompt: Prompt) -> dict[str, Any]:
    from stages.lib.metrics import ranking

    by_sample = {(score.problem_id, score.index): score for score in scores}
    pairs = [[(s, by_sample[s.problem_id, s.index]) for s in pool] for pool in pools.values()]
    metrics: dict[str, Any] = ranking.compute(
        [[score.score for _, score in pool] for pool in pairs],
        [[bool(sample.correct) for sample, _ in pool] for pool in pairs],
        [[sample.tokens for sample, _ in pool] for pool in pairs],
    )
    flat = [pair for pool in pairs for pair in pool]
    steps = [score.step_scores[: len(prompt.split_steps(s.text))] for s, score in flat if score.step_scores]
    if lowest := ranking.lowest_step_last_share(steps):
        metrics["lowest_last"] = lowest
    if too_long := sum(score.step_scores == [] and bool(sample.text.strip()) for sample, score in flat):
        metrics["too_long"] = too_long
    return metrics


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.lib.core import records
    from stages.lib.models import loading
    from stages.lib.models.prompts import Prompt
    from stages.lib.run import distributed

    names, state = run.params.verifiers, distributed.init_processes(run)
    prompt = Prompt.read(run.input_path("generator", "prompt.json"))
    folders = {name: resolve_folder(run, name) for name in names}  # fails before anything is scored
    samples = {
        split: records.group_by_problem(records.read_samples(run.input_path("samples", f"{split}.parquet")))
        for split in eval_sets.SCORED
    }
    problems = {split: {x.id: x for x in eval_sets.load_problems(run, split)} for split in eval_sets.SCORED}
    metrics: dict[str, Any] = {}
    for name in names:
        load = partial(load_verifier, run.params, run.seed, name, prompt, read_trained_config(run, name))
        with distributed.open_workers(run, folders[name], load, state.device) as workers:
            weights = workers.apply(count_weights)
            metrics[name] = {"parameters": weights}
            for split, samples_of in samples.items():
                pools = [(problems[split][key], samples_of[key]) for key in samples_of]
                distributed.make_records(
                    run, workers, f"{name}-{split}", pools, score_pools, records.Score, lambda pool: pool[0].id
                )
                tokens = sum(sample.tokens for _, pool in pools for sample in pool if sample.finish == "stop")
                run.count(tokens=tokens, flops=loading.estimate_flops(weights, tokens, training=False))
    state.wait_for_everyone()
    if run.is_main:
        for split, pools in samples.items():
            scores = {name: distributed.gather_records(run, f"{name}-{split}", pools, records.Score) for name in names}
            records.write_scores(run.out_dir / f"{split}.parquet", [x for group in scores.values() for x in group])
            for name in names:
                metrics[name][split] = compute_metrics(pools, scores[name], prompt)
    return metrics


def main() -> None:
    run_stage("scores", Params, body, HEADLINE)


if __name__ == "__main__":
    main()
