"""Stage compression: how far does a model's compression of text tell its ability? (Huang et al. 2024, arXiv 2404.09937)

Reads data/benchmarks/{train,dev,test}.jsonl, data/ood/test.jsonl, data/base/model, data/generator/{model, prompt.json} and
data/raw/prose/text.txt. Writes data/compression/{bpc.jsonl, law.json, report.md, law.png, metrics.json}.

The ladder has small models of several widths, trained here on the text of some train problems, and the base while it
learns the same text; each is kept after every epoch. Of every checkpoint the stage measures bits per character
(lib/compression) of five corpora, how many gold steps it writes word for word, and the log-probability of their results, in
and out of distribution (abilities.py). With `solve_problems` it also counts problems solved by a greedy solution, which
takes most of the time. The law score = a + b * bits is fitted over the checkpoints for every corpus and score. Matched text
(problems of dev) stands beside mismatched (random graphs, prose); text that was learned beside its siblings shows how much
contamination lowers the bits. The generator is predicted by the law and not fitted. `models` names further ones (peers.py).

    python -m stages.evaluation.compression
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from stages.evaluation.compression.peers import Peer
from stages.lib.run.execution import StageRun, run_stage
from stages.lib.training.training_params import TrainingParams

if TYPE_CHECKING:
    from stages.evaluation.compression.ladder import Rung
    from stages.lib.compression.documents import Corpus
    from stages.lib.core.records import Problem
    from stages.lib.models.prompts import Prompt

VERSION = 1  # part of every key
PROSE = Path("data/raw/prose/text.txt")


class Params(TrainingParams):
    widths: list[Annotated[int, Field(ge=8, multiple_of=8)]]  # of the models that are trained from nothing
    num_layers: int = Field(ge=2, multiple_of=2)  # of these: convolution, attention, convolution, ..
    tune_lr: float = Field(ge=0)  # rate of the base while it learns the same text; 0: it does not
    base_tokens: int = Field(ge=0)  # that the base was trained on before; 0: unknown, so no correlation given compute
    models: dict[str, Peer]  # from elsewhere, by name: they join the law; peers.py says how one is named
    learn_problems: int = Field(ge=1)  # of train, to learn from, at most 3 in 4; the others are fresh text
    tune_problems: int = Field(ge=1)  # of these, that the base learns from
    problems: int = Field(ge=1)  # of test, and as many of ood, whose gold steps every checkpoint predicts
    solve_problems: int = Field(ge=0)  # of these, that every checkpoint also solves by a greedy solution; 0: none
    chars: int = Field(ge=100)  # of each corpus, in whole documents
    block: int = Field(ge=0)  # tokens of a window, at least 2; 0: the model's context, at most 2048
    resamples: int = Field(ge=100, le=100_000)  # of the models, for intervals
    max_new_tokens: int = Field(ge=1)  # tokens of a solution at most
    max_rows: int = Field(ge=16)  # solutions drawn at a time; changes none of them

    @model_validator(mode="after")
    def _check_ladder(self) -> Params:
        if self.epochs != int(self.epochs):
            raise ValueError(f"epochs must be a whole number, got {self.epochs}: a checkpoint is kept after each")
        if len(set(self.widths)) < len(self.widths):
            raise ValueError("widths must differ")
        for name in self.models:
            if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) or name in ("base", "generator"):
                raise ValueError(f"models {name!r}: a name has letters, digits and ._-, and is not base or generator")
        if self.block == 1:
            raise ValueError("block must be 0 or at least 2, not 1: a token is predicted from one before it")
        rungs = int(self.epochs) * (len(self.widths) + bool(self.tune_lr)) + 1
        rungs += sum(peer.fitted for peer in self.models.values())
        if rungs < 4:
            raise ValueError(f"widths, epochs and tune_lr make {rungs} checkpoints; a law needs 4, better 12")
        if self.master != "float32":
            raise ValueError("master must be float32: snapshots are saved as they are trained")
        return self


def select_problems(problems: list[Problem], n: int, seed: int) -> list[Problem]:
    """n problems in keyed order; a larger n adds to them."""
    from stages.lib.core import seeds

    return sorted(problems, key=lambda problem: seeds.key(seed, "compression", VERSION, problem.id, "select"))[:n]


def body(run: StageRun[Params]) -> dict[str, Any]:
    from stages.evaluation.compression import corpora, ladder, peers, summary
    from stages.lib.models.encoding import Encoder
    from stages.lib.models.prompts import Prompt
    from stages.lib.run import distributed

    state: Any = distributed.init_processes(run)
    base = run.input_path("base", "model")
    learned, sets, asked = select_sets(run)
    texts = corpora.make_corpora(sets, run.root / PROSE, run.params.chars)
    plain = Prompt(marked=True)
    origins = {name: peers.resolve(name, peer) for name, peer in run.params.models.items() if run.is_main}
    rungs = ladder.climb(run, base, Encoder.load(base, plain), learned)
    if not run.is_main:
        return {}
    for name, (path, origin) in origins.items():
        peer = run.params.models[name]
        rungs.append(ladder.Rung(name, "elsewhere", path, None, peer.fitted, peer.tokens, origin))
    generator = run.input_path("generator", "model")
    rungs.append(ladder.Rung("generator", "generator", generator, None, fitted=False))
    own = Prompt.read(run.input_path("generator", "prompt.json"))
    rows = [
        measure(run, rung, texts, asked, own if rung.path == generator else plain, state.device)
        for rung in run.track_progress(rungs, len(rungs), "measuring checkpoints")
    ]
    return summary.write(run, rows, texts, asked)


def select_sets(
    run: StageRun[Params],
) -> tuple[list[Problem], dict[str, list[Problem]], dict[str, list[Problem]]]:
    """(problems that the ladder learns from, those of each corpus, those to solve), without sets that are empty. At least a
    quarter of train stays fresh. Raises UserError where no problem of test has a gold solution."""
    from stages.lib.core import records
    from stages.lib.core.errors import UserError
    from stages.lib.datasets import eval_sets
    from stages.lib.training import sft

    splits = eval_sets.read_splits(run, "benchmarks", ("train", "dev", "test"))
    shifted = records.read_problems(run.input_path("ood", "test.jsonl"))

    def select(problems: list[Problem]) -> list[Problem]:
        return select_problems([problem for problem in problems if sft.get_steps(problem)], len(problems), run.seed)

    train = select(splits["train"])
    count = min(run.params.learn_problems, 3 * len(train) // 4)
    variants, graphs = ([p for p in shifted if (p.benchmark == "dyval") == is_graph] for is_graph in (False, True))
    sets = {
        "matched": select(splits["dev"]) or select(splits["test"]),
        "learned": train[:count],
        "fresh": train[count:],
        "dyval": select(graphs),
    }
    asked = {
        name: select(problems)[: run.params.problems]
        for name, problems in (("test", splits["test"]), ("ood", variants))
    }
    if not asked["test"]:
        raise UserError("compression: test has no problem with a gold solution; raise benchmarks.sizes.test")
    sets, asked = ({name: problems for name, problems in x.items() if problems} for x in (sets, asked))
    return train[:count], sets, asked


def measure(
    run: StageRun[Params],
    rung: Rung,
    corpora: list[Corpus],
    asked: dict[str, list[Problem]],
    prompt: Prompt,
    device: Any,
) -> dict[str, Any]:
    """All figures of one checkpoint: what it is, its bits for each corpus and its scores. A killed run keeps them."""
    from stages.evaluation.compression import abilities
    from stages.lib.compression import bits
    from stages.lib.core import files
    from stages.lib.models import loading, sources
    from stages.lib.models.encoding import Encoder

    done = run.checkpoint_dir / "figures" / f"{rung.name}.json"
    if done.exists():
        return json.loads(done.read_text("utf-8"))
    model, tokenizer = sources.read(rung.path)
    model = model.to(device)
    encoder = Encoder.load(rung.path, prompt) if rung.path.is_dir() else Encoder(tokenizer, prompt)
    scores: dict[str, float] = {}
    for name, problems in asked.items():
        tasks = abilities.make_tasks(encoder, problems)
        scores[f"accuracy_{name}"], scores[f"logprob_{name}"] = abilities.measure_gold(model, tasks)
        if few := problems[: run.params.solve_problems]:
            scores[f"solved_{name}"] = abilities.measure_solved(run, model, encoder, few)
    weights, flops = loading.count_parameters(model), rung.flops
    if rung.tokens:
        flops = loading.estimate_flops(weights, rung.tokens, training=True)
    row = {
        "name": rung.name,
        "family": rung.family,
        "fitted": rung.fitted,
        "weights": weights,
        "flops": flops,
        **({"origin": rung.origin} if rung.origin else {}),
        "scores": scores,
        "bits": {
            text.name: bits.measure(model, tokenizer, text, run.params.block or None).describe() for text in corpora
        },
    }
    files.write_json(done, row)
    return json.loads(done.read_text("utf-8"))  # in the order of keys that a resumed run reads


def main() -> None:
    run_stage("compression", Params, body)


if __name__ == "__main__":
    main()
