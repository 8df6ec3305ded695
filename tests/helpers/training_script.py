"""A small training that tests start, kill and start again: `python -m tests.helpers.training_script FOLDER key=value ...`.

Writes FOLDER/final.safetensors and FOLDER/history.csv. Keys are of Optimisation; `dropout` goes to `train`;
`interrupted` ends the first epoch with an error and starts again from what was saved; `beta_binomial` trains two heads;
`reference` (fixed, soft or hard) trains on pairs, with `alpha` and `tau`.
"""

import os
import random
import sys
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML
from safetensors.torch import save_file

from stages.lib.models import heads, loading, objectives
from stages.lib.models.batch import Example
from stages.lib.models.preference import Pair, PreferenceObjective
from stages.lib.models.reference import make_reference
from stages.lib.run.execution import StageRun
from stages.lib.training import loop
from tests.helpers import tiny_models


def make_examples(count: int = 45) -> list[Example]:
    """Labelled by a rule that can be learnt: whether token 7 is there."""
    generator, found = random.Random(3), []
    for _ in range(count):
        n = generator.randint(4, 30)
        ids = [generator.randrange(2, 100) for _ in range(n - 1)] + [1]
        weights = [0.0, 0.0] + [1.0] * (n - 2)
        found.append(Example(ids, weights, [float(7 in ids)] * n, weights))
    return found


def make_pairs(count: int = 20) -> list[Pair]:
    """Solutions of different lengths after a prompt of two tokens; the chosen one counts up, the rejected one down."""
    generator, pairs = random.Random(5), []
    for _ in range(count):
        prompt, first = [generator.randrange(2, 100) for _ in range(2)], generator.randrange(30, 60)
        solutions = [[*prompt, *(first + sign * i for i in range(generator.randint(2, 12))), 1] for sign in (1, -1)]
        pairs.append(Pair(*(Example(ids, [0.0, 0.0] + [1.0] * (len(ids) - 2)) for ids in solutions)))
    return pairs


def make_preference(
    run: StageRun, model: Any, count: int, reference: str, alpha: float = 0.5, tau: int = 2
) -> PreferenceObjective:
    """DPO for a training on so many pairs."""
    alpha, tau = (1.0 if reference == "hard" else alpha), (0 if reference == "fixed" else tau)
    updates = loop.count_steps(run, count, run.params) // tau if tau else 0
    return PreferenceObjective(model, make_reference(model, alpha, tau, updates), "dpo", 0.3)


class Interrupted(Exception):
    pass


def main(
    folder: Path,
    dropout: float = 0.0,
    interrupted: bool = False,
    beta_binomial: bool = False,
    count: int = 45,
    reference: str = "",
    alpha: float = 0.5,
    tau: int = 2,
    **changes,
) -> None:
    run = tiny_models.make_run(folder, "orm", tiny_models.make_training_params(**changes))
    examples: list[Any] = make_pairs(count) if reference else make_examples(count)
    run.rank, run.world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))

    def stop(epoch: int, losses: objectives.VerificationObjective) -> dict[str, float]:
        raise Interrupted

    for on_epoch in [stop, None] if interrupted else [None]:
        torch.manual_seed(0)
        model = loading.add_lora(tiny_models.make_model("lfm2"), run.params.lora_rank, 1)
        losses = objectives.VerificationObjective(model, torch.nn.Linear(32, 1))
        if reference:
            losses = make_preference(run, model, len(examples), reference, alpha, tau)
        elif beta_binomial:
            losses = objectives.BetaBinomialObjective(model, losses.head, heads.make_concentration_head(32), 4)
            examples = [e._replace(target_tries=[4.0] * len(e.ids)) for e in examples]
        try:
            history = loop.train(run, losses, examples, run.params, dropout=dropout, on_epoch=on_epoch)
        except Interrupted:
            continue
    if run.is_main:
        save_file({k: v.detach().clone() for k, v in losses.named_parameters()}, folder / "final.safetensors")
        (folder / "history.csv").write_text(history.to_csv())


if __name__ == "__main__":
    main(Path(sys.argv[1]), **{k: YAML(typ="safe").load(v) for k, v in (a.split("=") for a in sys.argv[2:])})
