"""Stage scores: every sample of dev, test, ood and aime, scored by every verifier.

orm prm genrm   what the stages of these names trained
base_prm        the untrained base read in the trained process verifier's form: its words, mark and aggregation
base_genrm      the untrained base asked the generative verifier's question, with no rationale
others          published models, as `published` describes them (lib/verifiers/published_models.py)

Reads data/{base,orm,prm,genrm}/model, data/raw/verifiers, data/generator/prompt.json,
data/samples/{dev,test,ood,aime}.parquet and their problems; writes data/scores/{dev,test,ood,aime}.parquet and
metrics.json: weights, AUC within a problem, calibration, correlation of score and length, how often the lowest step is
the last, how many solutions a published model could not read. What was cut off has no answer and scores 0 with every
verifier. Solutions of a problem that are equal word for word are scored once. One verifier is in memory at a time.
Problems are dealt round the processes; finished ones are kept as they come, so a killed run goes on where it was.

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.evaluation.scores
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from stages.lib.core.params import Params as Strict
from stages.lib.datasets import eval_sets
from stages.lib.run.execution import StageRun, run_stage
from stages.lib.verifiers.aggregation import Aggregation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stages.lib.core.records import Problem, Sample, Score
    from stages.lib.models.prompts import Prompt
    from stages.lib.verifiers.outcome import Verifier


BUILTIN_VERIFIERS = ("orm", "prm", "genrm", "base_prm", "base_genrm")


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
    tag: str | None = None  # what follows every step; the form's own without
    good: str | None = None  # of the form `words`
    bad: str | None = None  # of the form `words`
    aggregation: Aggregation | None = None  # of step scores; the form's own without
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
            if name in BUILTIN_VERIFIERS or name.startswith("likelihood") or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(
                    f"published {name!r}: a name has small letters, digits and _, does not begin with likelihood, and is "
                    f"none of {', '.join(BUILTIN_VERIFIERS)}"
                )
        known = [*BUILTIN_VERIFIERS, *self.published]
        for name in self.verifiers:
            if name not in known:
                raise ValueError(
                    f"verifiers must be of {', '.join(known)}, or described in scores.published, not {name!r}"
                )
        if len(set(self.verifiers)) < len(self.verifiers):
            raise ValueError(f"verifiers must differ, not {', '.join(self.verifiers)}")
        return self


def resolve_folder(run: StageRun[Params], name: str) -> Path:
    """Where a verifier's model is; one of the hub is downloaded. Raises UserError for one that cannot be read."""
    from stages.lib.core.errors import UserError
    from stages.lib.models import loading

    if how := run.params.published.get(name):
        if how.repo:
            return loading.download_snapshot(how.repo, how.revision)
        if not (run.root / how.path).is_dir():
            raise UserError(
                f"scores.published.{name}: {how.path} is not a folder; data/raw/verifiers/README.md says what goes there"
            )
        return run.root / how.path
    if name == "base_prm" and not load_prm_config(run)["words"]:
        raise UserError(
            "scores.verifiers: base_prm is read by the words of prm.head_init_tokens, which are []; set two, or leave base_prm out"
        )
    return run.input_path("base" if name.startswith("base_") else name, "model")


def load_prm_config(run: StageRun[Params]) -> dict[str, Any]:
    """The form in which the trained process verifier reads."""
    import json

    return json.loads((run.input_path("prm", "model") / "verifier.json").read_text(encoding="utf-8"))


def load_verifier(run: StageRun[Params], name: str, path: Path, prompt: Prompt) -> Verifier:
    """The verifier of this name in a folder."""
    from stages.lib.models import loading
    from stages.lib.models.encoding import Encoder
    from stages.lib.verifiers import published_models
    from stages.lib.verifiers.generative import GenerativeVerifier, RationaleSampling
    from stages.lib.verifiers.outcome import OutcomeVerifier
    from stages.lib.verifiers.process import ProcessVerifier

    dtype, asked = run.params.dtype, RationaleSampling(**run.params.genrm.model_dump(), seed=run.seed)
    if how := run.params.published.get(name):
        options = how.model_dump(include={"tag", "good", "bad", "aggregation"}, exclude_none=True)
        verifier = published_models.load(how.form, path, name, dtype, **options)
        verifier.batch_size = how.batch_size
        if how.form != "reward":
            verifier.split_steps = prompt.split_steps
        return verifier
    if name in ("orm", "prm"):
        return {"orm": OutcomeVerifier, "prm": ProcessVerifier}[name].load(path, dtype)
    if name == "genrm":
        return GenerativeVerifier.load(path, asked, dtype)
    model, encoder = loading.load_causal_lm(path, dtype), Encoder.load(path, run.input_path("generator", "prompt.json"))
    if name == "base_genrm":
        return GenerativeVerifier(name, model, encoder, asked, "direct")
    facts = load_prm_config(run)  # a head that starts from words reads as they do, until it is trained
    return ProcessVerifier(name, model, encoder, "words", facts["words"], facts["mark"], facts["aggregation"])


def score_pool(verifier: Verifier, problem: Problem, samples: list[Sample]) -> list[Score]:
    """One Score for each sample; equal solutions share theirs."""
    first: dict[tuple[str, str], int] = {}
    same = [first.setdefault((sample.text, sample.finish), i) for i, sample in enumerate(samples)]
    distinct = sorted(set(same))
    found = dict(zip(distinct, verifier.score(problem, [samples[i] for i in distinct]), strict=True))
    return [found[i].model_copy(update={"index": sample.index}) for i, sample in zip(same, samples, strict=True)]


def score_pools(
    run: StageRun[Params], verifier: Verifier, pools: list[tuple[Problem, list[Sample]]], what: str
) -> Iterator[list[Score]]:
    """The scores of each problem, in any order; 0 for what was cut off."""
    if hasattr(verifier, "score_many"):
        found = verifier.score_many(pools)
    else:
        found = (score_pool(verifier, problem, samples) for problem, samples in pools)
    cut = {(sample.problem_id, sample.index) for _, pool in pools for sample in pool if sample.finish != "stop"}
    for scores in run.track_progress(found, len(pools), what):
        yield [
            score.model_copy(update={"score": 0.0}) if (score.problem_id, score.index) in cut else score
            for score in scores
        ]


def compute_metrics(pools: dict[str, list[Sample]], scores: list[Score], prompt: Prompt) -> dict[str, Any]:
    from stages.lib.metrics import ranking

    given = {(score.problem_id, score.index): score.score for score in scores}
    by_problem = [[given[s.problem_id, s.index] for s in pool] for pool in pools.values()]
    correct = [[bool(s.correct) for s in pool] for pool in pools.values()]
    card = ranking.compute(by_problem, correct, [[s.tokens for s in pool] for pool in pools.values()])
    stepped = {(score.problem_id, score.index): score.step_scores for score in scores if score.step_scores}
    own = [sample for pool in pools.values() for sample in pool if (sample.problem_id, sample.index) in stepped]
    steps = [stepped[sample.problem_id, sample.index][: len(prompt.split_steps(sample.text))] for sample in own]
    card |= {"lowest_last": lowest} if (lowest := ranking.lowest_step_last_share(steps)) else {}
    empty = {(sample.problem_id, sample.index) for pool in pools.values() for sample in pool if not sample.text.strip()}
    unread = [s for s in scores if s.step_scores == [] and (s.problem_id, s.index) not in empty]
    return card | ({"too_long": len(unread)} if unread else {})


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.lib.core import records
    from stages.lib.models import loading
    from stages.lib.models.prompts import Prompt
    from stages.lib.run import distributed

    prompt = Prompt.read(run.input_path("generator", "prompt.json"))
    state = distributed.init_processes(run)
    names, samples = run.params.verifiers, {}
    loading.check_bf16_support(state.device, run.params.dtype, "scores.dtype: float32")
    folders = {name: resolve_folder(run, name) for name in names}  # what is missing is told before anything is scored
    for split in eval_sets.SCORED:
        samples[split] = records.group_by_problem(records.read_samples(run.input_path("samples", f"{split}.parquet")))
    metrics: dict[str, Any] = {}
    for name in names:
        verifier = load_verifier(run, name, folders[name], prompt).to(state.device)
        metrics[name] = {"parameters": loading.count_parameters(verifier.model)}
        for split, pools in samples.items():
            what, problems = f"{name}-{split}", {problem.id: problem for problem in eval_sets.load_problems(run, split)}
            ids = distributed.select_shard(
                run, list(pools), distributed.load_finished(run.checkpoint_dir, what, records.Score)
            )
            own = [(problems[item], pools[item]) for item in ids]
            distributed.append_records(run, what, score_pools(run, verifier, own, what))
            tokens = sum(sample.tokens for pool in pools.values() for sample in pool)
            run.count(tokens=tokens, flops=loading.estimate_flops(verifier.model, tokens, training=False))
        del verifier
    state.wait_for_everyone()
    if run.is_main:
        for split, pools in samples.items():
            scores = {name: distributed.gather_records(run, f"{name}-{split}", pools, records.Score) for name in names}
            records.write_scores(
                run.out_dir / f"{split}.parquet", [score for each in scores.values() for score in each]
            )
            for name in names:
                metrics[name][split] = compute_metrics(pools, scores[name], prompt)
    return metrics


def main() -> None:
    run_stage("scores", Params, body)


if __name__ == "__main__":
    main()
