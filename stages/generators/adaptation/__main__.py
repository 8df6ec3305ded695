"""Stage adaptation: find where the generator is weak, make more of that, train on it, look again.

Reads data/generator/{model, prompt.json}, data/selection/{train, verifier}.jsonl, and all evaluation sets, of which dev
watches and test and ood report. Writes data/adaptation/{model, slices.jsonl, plan.json, train.jsonl, rounds.csv,
history.csv, results.json, report.md, curve.png, metrics.json}.

A round: `probe` draws solutions of new problems of every kind and tests every slice of known attributes; `confirm` tests
the weakest on fresh problems, since the gap that a slice was found by is too large; `train` makes new problems of the
confirmed ones, by weights and at levels that follow accuracy, in other words where there is a `paraphraser`, and
fine-tunes on them and on as many old ones. Three other arms learn as much: of every kind alike, of slices drawn at random,
and of old problems alone. Only the last comparison, on test problems that no round has seen, says whether it was worth
anything. Rounds end after `rounds`, where no slice is confirmed, or where dev falls by more than `retention_loss`.

Rounds are one stage and no entry of dvc.yaml each: whether there is a second one depends on what the first finds, DVC has
no cycles and no conditions, and one entry is read at once. Each part of a round is kept as it is finished, so a killed run
goes on where it was.

Sources: weak slices by significance, EvalTree (Zeng et al. 2025, arXiv 2503.08893); problems made where a model fails, SwS
(Liang et al. 2025, 2506.08989); the generator of data sees the state of the model, DataEnvGym (Khan et al. 2025,
2410.06215); problems made anew by programs, DyVal (Zhu et al. 2024, 2309.17167).

    accelerate launch --config_file stages/launch/cpu.yaml -m stages.generators.adaptation
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from stages.lib.chat.agent_params import AgentParams
from stages.lib.core.errors import UserError
from stages.lib.core.params import Params as Section
from stages.lib.inference.sampling_params import SamplingParams
from stages.lib.operators import registry
from stages.lib.procedural import dyval
from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams

Count = Annotated[int, Field(ge=1)]
Level = Annotated[int, Field(ge=0)]


class Sizes(Section):
    probe: Count  # problems of each kind
    confirm: Count  # fresh problems of each kind, and of each proposed slice at least
    train: Count  # new problems of an arm in a round, at most
    dev: Count  # problems of dev, which tell before a further round whether too much is forgotten
    test: Count  # problems of test in the report
    ood: Count  # problems of each set of ood in the report


class Params(TrainingParams, SamplingParams):
    kinds: dict[str, list[str | Level]]  # of new problems: a name, and its forms from easy to hard
    sizes: Sizes  # problems in each stream
    paraphraser: AgentParams  # who rewords new problems to train on; rules: nobody
    rounds: int = Field(ge=1, le=9)  # at most
    samples: Count  # m: solutions of a problem, in probe, confirm and dev
    report_samples: Count  # solutions of a problem of the report
    smallest_slice: Count  # problems in a slice that is tested, at least
    proposals: Count  # slices that are tested on fresh problems, at most
    false_discovery: float = Field(gt=0, lt=1)  # q of proposals (Benjamini & Hochberg)
    significance: float = Field(gt=0, lt=1)  # level of confirmation (Holm)
    permutations: int = Field(ge=99)  # of a test
    replay: float = Field(ge=0, lt=1)  # share of old problems among what an arm learns
    train_from: Literal["start", "last"]  # start: the generator learns all rounds; last: the arm's model the last
    retention_loss: float = Field(ge=0, le=1)  # loss of accuracy on dev after which no further round begins

    @model_validator(mode="after")
    def _check_kinds(self) -> Params:
        if not self.kinds:
            raise ValueError("kinds: empty, so nothing can be made; name one, as in numbers: [numbers, larger]")
        for kind, forms in self.kinds.items():
            _check_forms(kind, forms)
        return self


def _check_forms(kind: str, forms: list[str | int]) -> None:
    """Raises ValueError for a kind that cannot be made."""
    if not forms or len({*forms}) < len(forms):
        raise ValueError(f"kinds.{kind}: {forms}; must name different forms, from easy to hard")
    if all(isinstance(form, int) for form in forms):
        levels = dyval.LEVELS.get(kind)
        if levels is None:
            raise ValueError(f"kinds.{kind}: numbers are levels of a DyVal task; tasks are {', '.join(dyval.TASKS)}")
        if unknown := [form for form in forms if form not in levels]:
            raise ValueError(f"kinds.{kind}: level {unknown[0]} does not exist, only {', '.join(map(str, levels))}")
        return
    for form in forms:
        if isinstance(form, int):
            raise ValueError(f"kinds.{kind}: {forms}; must be operators, or levels of a DyVal task, not both")
        try:
            contract = registry.get_contract(registry.format_name(form))
        except UserError as error:
            raise ValueError(f"kinds.{kind}: {error}") from None
        if contract == "unsolvable":
            raise ValueError(f"kinds.{kind}: {form} has no solution to learn; use another operator")


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.generators.adaptation import report, rounds
    from stages.lib.core import files
    from stages.lib.run import distributed

    distributed.init_processes(run)
    study = rounds.Study(run)
    while study.stop is None:
        study.run_round()
    results = study.evaluate()
    if run.is_main:
        study.write()
        report.write(run.out_dir, run.params, run.seed, results)
        files.write_json(run.out_dir / "results.json", results)
    return select_headline(results)


def select_headline(results: dict[str, Any]) -> dict[str, Any]:
    """The figures of results.json that metrics.json repeats; None where nothing was trained. gain_NAME: targeted minus
    NAME, out of distribution."""
    from stages.generators.adaptation.arms import ARMS
    from stages.generators.adaptation.measures import START, split_name

    trained = [each for each in results["rounds"] if "lessons" in each]
    gains = {
        (row["set"], split_name(row["second"])[0]): row["difference"]
        for row in results["comparisons"]
        if row["first"] == f"targeted-{len(trained)}"  # after the last round
    }
    ood = {name: own["ood"]["accuracy"] for name, own in results["models"].items() if "ood" in own}
    return {
        "rounds": len(trained),
        "proposed": sum(len(each["proposed"]) for each in results["rounds"]),
        "confirmed": sum(len(each["confirmed"]) for each in results["rounds"]),
        "new_problems": sum(each["lessons"]["targeted"]["new"] for each in trained),
        "ood_start": ood.get(START),
        **{f"ood_{arm}": ood.get(f"{arm}-{len(trained)}") for arm in ARMS},
        **{f"gain_{name}": gains.get(("ood", name)) for name in (*ARMS[1:], START)},
        "weak_gain_uniform": gains.get(("weak", "uniform")),
        "test_change": gains.get(("test", START)),
    }


def main() -> None:
    run_stage("adaptation", Params, body)


if __name__ == "__main__":
    main()
