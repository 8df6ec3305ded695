"""Bytes a weight of training, measured against the formula: `python -m bench.training_memory [--hidden 768]`.

Two steps of stages/lib/training/loop.py on a CPU, on a random Llama of 105 million weights and 2 sequences of 8 tokens, so
that activations hardly count. Measured is the growth of the process's peak memory over that of the same steps on a model of
next to no weights. The formula (stages/generators/README.md) counts weights, gradients, states of the optimizer and what
Muon holds during a step. Freed memory is given back, unlike in a stage on a CPU (stages/lib/core/heap.py), as a GPU's
allocator uses it again. Each case is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

BATCH, TOKENS, VOCABULARY, LAYERS = 2, 8, 1000, 11
HALF = {"master": "bfloat16", "precision": "bf16"}
LARGEST = 0.5  # share of the weights that have one shape: gate and up matrices, 4 times as wide as the model
CASES = {  # name -> (settings, bytes a weight)
    "adamw, float32": ({}, 16),
    "adamw, bfloat16 masters": (HALF, 8),
    "muon, float32": ({"optimizer": "muon"}, 12 + 4 + 24 * LARGEST),
    "muon, bfloat16 masters": ({"optimizer": "muon"} | HALF, 6 + 2 + 12 * LARGEST),
    "adamw, LoRA, float32": ({"lora_rank": 16}, 4),
}


def train(hidden: int, layers: int, settings: dict) -> tuple[int, int]:
    """Two steps. Returns the numbers of weights and of those in adapters."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    from bench.training import make_params
    from stages.lib.core import heap
    from stages.lib.models import loading
    from stages.lib.models.batch import Example
    from stages.lib.models.objectives import LanguageModelingObjective
    from stages.lib.run.execution import StageRun
    from stages.lib.training import loop

    heap.keep_freed_memory = lambda: None
    sizes = {"hidden_size": hidden, "intermediate_size": 4 * hidden, "num_hidden_layers": layers}
    config = LlamaConfig(vocab_size=VOCABULARY, num_attention_heads=12, **sizes)
    params = make_params(global_batch_size=BATCH, device_batch_size=BATCH, **settings)
    model = loading.add_lora(AutoModelForCausalLM.from_config(config), params.lora_rank, 1)
    adapters = sum(p.numel() for p in model.parameters() if p.requires_grad) if params.lora_rank else 0
    examples = [Example(list(range(2, 2 + TOKENS)), [1.0] * TOKENS) for _ in range(BATCH)]
    with tempfile.TemporaryDirectory() as folder:
        run = StageRun("base", params, 1, Path(folder), "key", 0, 1)
        trainer = loop.Trainer(run, LanguageModelingObjective(model), examples, params, dropout=0.0)
        for step in range(2):
            trainer.step(step, list(range(BATCH)), 1.0)
    return loading.count_parameters(model) - adapters, adapters


def measure(settings: dict, hidden: int) -> dict[str, int]:
    from accelerate.state import AcceleratorState

    train(24, 1, settings)
    AcceleratorState._reset_state()
    before = read_peak()
    weights, adapters = train(hidden, LAYERS, settings)
    return {"weights": weights, "adapters": adapters, "bytes": read_peak() - before}


def read_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--case", choices=list(CASES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(CASES[arguments.case][0], arguments.hidden)))
        return
    for name, (_, per_weight) in CASES.items():
        command = [sys.executable, "-m", "bench.training_memory", "--case", name, "--hidden", str(arguments.hidden)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        formula = per_weight * found["weights"] + 16 * found["adapters"]
        line = f"{found['bytes'] / found['weights']:.1f} bytes a weight, measured / formula"
        print(f"{name}: {line} {found['bytes'] / formula:.2f}", flush=True)


if __name__ == "__main__":
    main()
