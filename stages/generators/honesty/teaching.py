"""What the tuned arms learn, and their training: R-Tuning, and the certainty-filtered one that it rehearses."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.generators.honesty import knowledge, policies
from stages.generators.honesty.items import VERSION, Item
from stages.generators.honesty.knowledge import Candidate
from stages.lib.core import files, seeds
from stages.lib.core.errors import UserError
from stages.lib.models import loading
from stages.lib.models.batch import Example
from stages.lib.models.encoding import Encoder
from stages.lib.run import distributed
from stages.lib.run.execution import StageRun
from stages.lib.training import fine_tuning

if TYPE_CHECKING:
    from stages.generators.honesty.__main__ import Data, Params

ARMS = ("r_tuning", "certain")  # in this order: the first is the rehearsal of the second
CONTROL = "shuffled"  # a third arm, with `shuffled: true`: R-Tuning's problems, the refusals dealt out at random


class Learned(NamedTuple):
    """start: the generator; models, taught, facts and histories by arm: the tuned generators, what they learned, what is to
    be said of it, and the training's history as CSV. All empty where a chat replies (`LEARNED_NOTHING`)."""

    start: Any
    encoder: Any
    models: dict[str, Any]
    taught: dict[str, list[tuple[Item, bool]]]
    facts: dict[str, Any]
    histories: dict[str, str]

    def save(self, folder: Path, seed: int) -> None:
        """models, train.jsonl and history.csv, empty where nothing was learned: DVC expects them."""
        shutil.rmtree(folder / "models", ignore_errors=True)  # of an earlier run by hand
        (folder / "models").mkdir(parents=True)
        for arm, model in self.models.items():
            loading.save(model, self.encoder.tokenizer, folder / "models" / arm)
        histories = dict.fromkeys(ARMS, "") | self.histories
        files.write_text(folder / "history.csv", fine_tuning.join_histories(histories))
        policies.write_taught(folder, self.encoder, self.taught, seed)


LEARNED_NOTHING = Learned(None, None, {}, {}, {}, {})


def teach(run: StageRun[Params], data: Data, device: Any) -> Learned:
    """The generator and its tuned arms."""
    folder = run.input_path("generator", "model")
    encoder = Encoder.load(folder, run.input_path("generator", "prompt.json"))
    learned = Learned(loading.load_causal_lm(folder).to(device), encoder, {}, {}, {}, {})
    for arm in (*ARMS, CONTROL) if run.params.shuffled else ARMS:
        chosen, facts = choose_items(run, arm, data, learned.start, learned.models, encoder)
        learned.taught[arm] = list_taught(run, data, chosen)
        model, history = train(
            run, arm, [knowledge.encode_target(encoder, *pair, run.seed) for pair in learned.taught[arm]]
        )
        learned.models[arm] = model.to(device)
        learned.histories[arm] = history
        learned.facts[arm] = facts | {"steps": history.count("\n") - 1}
    return learned


def choose_items(
    run: StageRun[Params], arm: str, data: Data, start: Any, models: dict[str, Any], encoder: Encoder
) -> tuple[list[tuple[Item, bool]], dict[str, Any]]:
    """(items of verifier with whether the arm refuses each, what is to be said of them). Both arms have the same number,
    where the filters leave enough."""
    params, n = run.params, run.params.train.problems
    if arm in ("r_tuning", CONTROL):
        labelled = [(x.item, not knowledge.label_by_first(x.samples)) for x in data.candidates[:n]]
        labelled = shuffle_labels(labelled, run.seed) if arm == CONTROL else labelled
        return labelled, describe_items(labelled, data)
    pool = data.candidates[: 2 * n]
    labels = [knowledge.label_by_certainty(x.item.c or 0.0, params.known_at, params.unknown_at) for x in pool]
    sure = [(x, label) for x, label in zip(pool, labels, strict=True) if label is not None]
    features = knowledge.embed(start, encoder, [x.item for x, _ in sure])
    near = knowledge.find_static_conflicts(features, [label for _, label in sure], params.similarity)
    apart = [pair for pair, is_near in zip(sure, near, strict=True) if not is_near]

    def work(_: Any, shard: list[Candidate]) -> Any:
        for candidate in shard:
            yield [knowledge.measure_flow(candidate, start, models["r_tuning"], encoder, params.distribution)]

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


def shuffle_labels(labelled: Sequence[tuple[Item, bool]], seed: int) -> list[tuple[Item, bool]]:
    """The same items, as many of them refused, but which ones is drawn by key: what is gained by refusals that do not
    follow from what the generator knows."""
    ranked = sorted(labelled, key=lambda pair: (seeds.key(seed, "honesty", VERSION, pair[0].id, CONTROL), pair[0].id))
    refused = {item.id for item, _ in ranked[: sum(refuses for _, refuses in labelled)]}
    return [(item, item.id in refused) for item, _ in labelled]


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
    if not examples:
        raise UserError(
            f"honesty: nothing is left for arm {arm} to learn from; raise honesty.train.problems or honesty.similarity"
        )
    return fine_tuning.fine_tune(run, arm, run.input_path("generator", "model"), examples)
