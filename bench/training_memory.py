"""Bytes a weight of training, measured against the formula: `python -m bench.training_memory [--hidden 768]`.

Two steps of stages/lib/training/loop.py on a CPU, on a random Llama of about 100 million weights and 8 sequences of 16
tokens, so that activations hardly count. Measured is the growth of the process's peak memory from before the model exists.
The formula (stages/generators/README.md) counts weights, gradients, optimizer states and bfloat16 copies. Each case is a
process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

BATCH, TOKENS, VOCABULARY = 8, 16, 1000
CASES = {  # name -> (settings, bytes a weight, bytes a weight of the adapters)
    "adamw, float32": ({}, 16.0, 0),
    "adamw, bfloat16 masters": ({"master": "bfloat16", "precision": "bf16"}, 8.0, 0),
    "muon, float32": ({"optimizer": "muon"}, 12.0, 0),
    "muon, bfloat16 masters": ({"optimizer": "muon", "master": "bfloat16", "precision": "bf16"}, 6.0, 0),
    "adamw, LoRA, float32": ({"lora_rank": 16}, 4.0, 16),
}


def measure(name: str, hidden: int) -> dict[str, float]:
    """{weights, adapters: how many; bytes: peak growth}."""
    from peft import LoraConfig  # noqa: F401  # imports count before the model does
    from transformers import AutoModelForCausalLM, LlamaConfig

    from bench.training import make_params
    from stages.lib.models import loading
    from stages.lib.models.batch import Example
    from stages.lib.models.objectives import LanguageModelingObjective
    from stages.lib.run.execution import StageRun
    from stages.lib.training.loop import Trainer

    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=11,
        num_attention_heads=12,
    )
    AutoModelForCausalLM.from_config(LlamaConfig(**config.to_dict() | {"num_hidden_layers": 1, "hidden_size": 96}))
    examples = [Example(list(range(2, 2 + TOKENS)), [1.0] * TOKENS) for _ in range(BATCH)]
    params = make_params(global_batch_size=BATCH, device_batch_size=BATCH, **CASES[name][0])
    before = read_peak()
    model = loading.add_lora(AutoModelForCausalLM.from_config(config), params.lora_rank, 1)
    adapters = sum(p.numel() for p in model.parameters() if p.requires_grad) if params.lora_rank else 0
    with tempfile.TemporaryDirectory() as folder:
        run = StageRun("base", params, 1, Path(folder), "key", 0, 1)
        trainer = Trainer(run, LanguageModelingObjective(model), examples, params, dropout=0.0)
        for step in range(2):
            trainer.step(step, list(range(BATCH)), 1.0)
    weights = loading.count_parameters(model) - adapters
    return {"weights": weights, "adapters": adapters, "bytes": read_peak() - before}


def read_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--case", choices=list(CASES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(arguments.case, arguments.hidden)))
        return
    for name, (_, per_weight, per_adapter) in CASES.items():
        command = [sys.executable, "-m", "bench.training_memory", "--case", name, "--hidden", str(arguments.hidden)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        formula = per_weight * found["weights"] + per_adapter * found["adapters"]
        ratio = found["bytes"] / formula
        print(
            f"{name}: {found['bytes'] / found['weights']:.1f} bytes a weight; measured / formula {ratio:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
