"""A stage's arms: copies of one model, each fine-tuned on examples of its own."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages.lib.core import seeds
from stages.lib.models import loading, objectives
from stages.lib.models.batch import Example
from stages.lib.run.execution import StageRun
from stages.lib.training import loop


def fine_tune(run: StageRun[Any], arm: str, folder: Path, examples: Sequence[Example]) -> tuple[Any, str]:
    """(the model of a folder after training on the examples with the stage's parameters, adapters merged; its history as
    CSV). arm: names what a killed run finds again. Raises UserError without an example, and where the loss fails."""
    key = seeds.key(run.seed, run.name, "adapters")
    model = loading.add_lora(loading.load_causal_lm(folder), run.params.lora_rank, key)
    objective = objectives.LanguageModelingObjective(model)
    own = replace(run, key=f"{run.key}/{arm}", journal_entry=None)  # unfinished work and a log of its own
    history = loop.train(own, objective, examples, run.params)
    return loading.merge_lora(objective.model), history.to_csv()


def join_histories(histories: Mapping[str, str]) -> str:
    """One CSV table of the histories of arms, a row for each step, with a column for the loss of each arm; "" where an arm
    has fewer steps. An arm that was not trained has an empty history."""
    columns = [[row["lm_loss"] for row in csv.DictReader(io.StringIO(text))] for text in histories.values()]
    rows = [",".join(("step", *(f"{arm}_loss" for arm in histories)))]
    for step, losses in enumerate(itertools.zip_longest(*columns, fillvalue=""), 1):
        rows.append(",".join((str(step), *losses)))
    return "\n".join(rows) + "\n"
