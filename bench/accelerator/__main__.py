"""What one accelerator does with real sizes: training, sampling, scoring, and GSM8K from end to end. One process.

    python -m bench.accelerator [--seconds 480] [--parts training sampling scoring pipeline] [--toy]
                                [--model FILE.gguf --gsm8k FOLDER]

training: tokens/s and MFU (6 x weights x tokens/s over the card's bf16 peak) of SFT on random Qwen2 models of the shapes of
Qwen2.5-0.5B and -1.5B: all weights, AdamW on float32 masters, bf16 autocast, 64 or 128 sequences of GSM8K's lengths, with
and without compiled layers and gradient checkpointing. The limit is the card's own rate of a large bf16 product.
sampling: 64 samples a prompt at temperature 1 with the same models in bf16, the native engine against
`transformers.generate` at its best batch size. About 1 token in 110 ends a sample.
scoring: a process verifier of the 0.5B shape in bf16 reads 64 distinct solutions a problem, as the pipeline does (shared
prefixes), in padded batches, and with one forward pass a step; and by how much their scores differ.
pipeline: the stages themselves, from SFT on GSM8K to the best-of-N table, with a real pretrained model from a GGUF file.

Each part says what it left out for want of time, prints its table, and goes on where one of its measurements fails. The
last line is JSON. It needs torch, transformers, accelerate, peft, pydantic, ruamel.yaml, typer, rich, safetensors, numpy
and pyarrow; part pipeline also what the grader imports.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from bench.accelerator.measuring import Clock
from bench.accelerator.pipeline import run_pipeline
from bench.accelerator.sampling import run_sampling
from bench.accelerator.scoring import run_scoring
from bench.accelerator.training import run_training

PARTS = ("training", "sampling", "scoring", "pipeline")
SHARES = {"training": 0.2, "sampling": 0.2, "scoring": 0.05, "pipeline": 0.55}  # of the time


def main() -> None:
    import torch

    from stages.lib.models import loading

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--toy", action="store_true", help="tiny sizes, to see that the script runs")
    parser.add_argument("--model", type=Path, help="a .gguf file, for part pipeline")
    parser.add_argument("--gsm8k", type=Path, help="a folder with train.jsonl and test.jsonl, for part pipeline")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    arguments = parser.parse_args()
    loading.silence_transformers()
    device = loading.resolve_device("auto")
    toy = arguments.toy or device.type == "cpu"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    print(f"{name}, torch {torch.__version__}{', toy sizes' if toy else ''}", flush=True)
    results: dict[str, Any] = {"device": name, "torch": torch.__version__, "toy": toy}
    total, share = Clock(arguments.seconds), sum(SHARES[part] for part in arguments.parts)
    for part in arguments.parts:
        clock = Clock(min(total.left, arguments.seconds * SHARES[part] / share))
        began = time.monotonic()
        print(f"---- {part}", flush=True)
        if part == "pipeline":
            results[part] = run_pipeline(device, clock, toy, arguments.model, arguments.gsm8k)
        else:
            results[part] = {"training": run_training, "sampling": run_sampling, "scoring": run_scoring}[part](
                device, clock, toy
            )
        results[part]["part_seconds"] = round(time.monotonic() - began, 1)
        if arguments.out:
            arguments.out.write_text(json.dumps(results))
    print(json.dumps(results))
    sys.exit(any("failed" in str(value) for value in results.values()))


if __name__ == "__main__":
    main()
