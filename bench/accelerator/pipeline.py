"""Part pipeline: the stages themselves, from SFT on GSM8K to the best-of-N table."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.accelerator.measuring import Clock, attempt, measure_memory


def run_pipeline(device: Any, clock: Clock, toy: bool, model: Path | None, gsm8k: Path | None) -> dict[str, Any]:
    """The stages in this process, in a folder of their own, with the parameters of preset smollm2; without variants,
    competition problems and the generative verifier."""
    from stages.commands import preset
    from stages.lib.core import params

    if model is None or gsm8k is None:
        return {"pipeline": "left out: --model and --gsm8k name what it needs"}
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, attempt("pipeline", results):
        root = Path(folder)
        (root / "params.yaml").write_text(preset.stack_presets(["smollm2", "smollm2-cpu"] if toy else ["smollm2"]))
        document = params.read_yaml(root / "params.yaml")
        document["base"].update(
            source="path", path=str(model.resolve()), sha256="" if model.is_dir() else document["base"]["sha256"]
        )
        document["benchmarks"]["path"].update(
            {split: str((gsm8k / f"{split}.jsonl").resolve()) for split in ("train", "test")}
        )
        document["selection"]["model"] = str(Path("data/raw/base").resolve())
        document["scores"]["verifiers"] = ["orm", "prm"]
        document["prm"]["labels"] = ["binary_search"]
        if not toy:  # what eight minutes on an H100 allow
            document["benchmarks"]["sizes"].update(verifier=1000, dev=100)
            document["generator"].update(epochs=3.0, eval_samples=2, checkpoint_steps=1000)
            document["samples"]["n_verifier"] = 8
            document["labels"].update(problems=128, samples_per_problem=8)
            for stage in ("generator", "samples", "labels"):
                document[stage]["max_new_tokens"] = 220
        for place in (
            "ood/test",
            "ood/train",
            "aime/train",
            "aime/test",
            "aime/unseen",
            "augmentation/train",
            "augmentation/verifier",
        ):
            (root / "data" / place).parent.mkdir(parents=True, exist_ok=True)
            (root / "data" / f"{place}.jsonl").write_text("")
        for stage in (
            "benchmarks",
            "selection",
            "base",
            "generator",
            "samples",
            "labels",
            "orm",
            "prm",
            "scores",
            "best_of_n",
        ):
            if clock.left < 5 and not toy:
                results[stage] = "left out: no time"
                break
            began = time.perf_counter()
            results[stage] = run_stage_here(stage, root, document)
            seconds = round(time.perf_counter() - began, 1)
            results[stage] |= {"seconds": seconds, "peak_gb": measure_memory(device)}
            print(f"{stage}: {json.dumps(results[stage])[:600]}", flush=True)
    return results


def run_stage_here(stage: str, root: Path, document: Any) -> dict[str, Any]:
    import importlib

    from accelerate.state import AcceleratorState

    from stages.lib.core import files, params
    from stages.lib.run.execution import StageRun
    from stages.lib.workspace import chapters

    module = importlib.import_module(chapters.find_module(stage))
    section = params.validate_section(stage, module.Params, document, [(Path("params.yaml"), document)])
    # A stage has a process to itself, where its precision is set.
    AcceleratorState._reset_state(reset_partial_state=True)
    run = StageRun(stage, section, document["seed"], root, "key", 0, 1)
    run.out_dir.mkdir(parents=True, exist_ok=True)
    metrics = module.body(run)
    for name in ("metrics.json", "results.json"):  # later stages read either
        files.write_json(run.out_dir / name, metrics)
    shutil.rmtree(run.checkpoint_dir, ignore_errors=True)
    return metrics
