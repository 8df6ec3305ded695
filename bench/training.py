"""Tokens per second of training, against a plain loop and against the machine's matrix products.

    python -m bench.training [--steps 8] [--rounds 3]

An LFM2 of the bundled model's size predicts every token of random sequences of 120 to 320 tokens, 16 a step, in float32.
ours: stages/lib/training/loop.py with the default optimizer, Muon. plain: transformers' own loss, the same batches in the
same order, padded by tokenizer-style attention masks, and torch.optim.AdamW; plain_muon: the same with torch.optim.Muon for
the inner matrices. limit: only the matrix products of such a step, 6 x weights x tokens operations, at the rate of the
model's most frequent shape.

Each measurement is a process of its own with one thread, the kinds alternate, and the fastest round counts. Times are
processor seconds, so that waiting for a core does not count; a busy machine still slows caches and memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SEED, BATCH, VOCABULARY, OUTER = 7, 16, 944, ("embed", "lm_head")
KINDS = ("ours", "plain", "plain_muon", "limit")


def make_setting(steps: int) -> tuple[Any, list[Any], list[list[int]]]:
    """(model, examples, the batches of one epoch as indices)."""
    import random

    import torch
    from transformers import AutoModelForCausalLM

    from bench.prm import make_config
    from stages.lib.models.batch import Example
    from stages.lib.training import data_loader

    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    rows = [[rng.randrange(2, VOCABULARY) for _ in range(rng.randint(120, 320))] for _ in range(steps * BATCH)]
    examples = [Example(row, [1.0] * len(row)) for row in rows]
    batches = data_loader.make_epoch_batches([len(row) for row in rows], BATCH, rng)
    return AutoModelForCausalLM.from_config(make_config("lfm2", VOCABULARY)), examples, batches


def make_params(**settings: Any) -> Any:
    """Training parameters of a benchmark: nothing that changes the rate, and no checkpoints."""
    from stages.lib.training.training_params import make_training_params

    return make_training_params(**{"lr": 1e-4, "matrix_lr": 1e-2, "checkpoint_steps": 10**6, **settings})


def measure_ours(steps: int) -> float:
    from stages.lib.models.objectives import LanguageModelingObjective
    from stages.lib.run.execution import StageRun
    from stages.lib.training.loop import Trainer

    model, examples, batches = make_setting(steps)
    params = make_params(global_batch_size=BATCH, device_batch_size=BATCH, optimizer="muon", lr=1e-3)
    with tempfile.TemporaryDirectory() as folder:
        run = StageRun("base", params, SEED, Path(folder), "key", 0, 1)
        trainer = Trainer(run, LanguageModelingObjective(model), examples, params, dropout=0.0)
        return measure_steps(lambda step: trainer.step(step, batches[step], 1.0), examples, batches)


def measure_plain(steps: int, use_muon: bool) -> float:
    import torch

    model, examples, batches = make_setting(steps)
    matrices = [p for n, p in model.named_parameters() if use_muon and p.ndim == 2 and not any(o in n for o in OUTER)]
    rest = [p for p in model.parameters() if not any(p is matrix for matrix in matrices)]
    optimizers: list[Any] = [torch.optim.AdamW(rest, lr=1e-3)]
    if use_muon:
        optimizers.append(torch.optim.Muon(matrices, lr=1e-2))

    def step(number: int) -> None:
        rows = [torch.tensor(examples[i].ids) for i in batches[number]]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        labels = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)
        model(input_ids=ids, attention_mask=(labels >= 0).long(), labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    model.train()
    return measure_steps(step, examples, batches)


def measure_limit(steps: int) -> float:
    import torch

    model, _, _ = make_setting(1)
    weights, x, w = sum(p.numel() for p in model.parameters()), torch.randn(BATCH * 220, 112), torch.randn(112, 256)
    x @ w
    start = time.process_time()
    for _ in range(50 * steps):
        x @ w
    return 2 * x.numel() * 256 * 50 * steps / (time.process_time() - start) / (6 * weights)


def measure_steps(step: Any, examples: list[Any], batches: list[list[int]]) -> float:
    """Tokens per processor second over all steps but the first two."""
    tokens, start = 0, 0.0
    for number, indices in enumerate(batches):
        if number == 2:
            tokens, start = 0, time.process_time()
        step(number)
        tokens += sum(len(examples[i].ids) for i in indices)
    return tokens / (time.process_time() - start)


def measure_in_process(kind: str, steps: int) -> float:
    command = [sys.executable, "-m", "bench.training", "--measure", kind, "--steps", str(steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--measure", choices=KINDS, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.measure:
        if options.measure == "ours":
            print(measure_ours(options.steps))
        elif options.measure == "limit":
            print(measure_limit(options.steps))
        else:
            print(measure_plain(options.steps, options.measure == "plain_muon"))
        return
    rates = dict.fromkeys(KINDS, 0.0)
    for _ in range(options.rounds):
        rates = {kind: max(rate, measure_in_process(kind, options.steps)) for kind, rate in rates.items()}
    report = {f"{kind}_tokens_per_cpu_s": round(rate) for kind, rate in rates.items()}
    ratios = {f"ours_over_{kind}": round(rates["ours"] / rates[kind], 2) for kind in KINDS[1:]}
    print(json.dumps(report | ratios, indent=2))


if __name__ == "__main__":
    main()
