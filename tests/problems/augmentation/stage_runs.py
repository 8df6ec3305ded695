"""Runs of the stage augmentation on a small benchmark."""

import importlib
import json

from stages.lib.core import records
from stages.lib.procedural import gradeschool
from stages.problems.augmentation.section import Params
from tests.helpers import tiny_models

augmentation = importlib.import_module("stages.problems.augmentation.__main__")
RULES = {"kind": "rules"}
METHODS = ["operators", "rephrase", "fobar", "self_verification"]
SETTINGS = {
    "methods": METHODS,
    "problems_per_method": 8,
    "verifier_problems_per_method": 0,
    "operators": ["numbers", "steps"],
    "writer": RULES,
    "judge": RULES,
    "solver": RULES,
    "max_tries": 2,
    "solver_samples": 3,
    "answers": {"sampler": "solver", "model": "data/raw/base", "samples_per_problem": 2, "max_per_problem": 2},
    "self_instruct": {"seeds": "", "rounds": 1, "requests_per_round": 1},
    "evolve": {"rounds": 1, "agreement": 0.6},
}
FILES = ("train.jsonl", "verifier.jsonl", "lineage.jsonl", "rejects.jsonl", "audit.json", "audit.md")


def write_inputs(root):
    """Benchmark problems of four splits, and empty sets of the other stages."""
    for split in ("train", "verifier", "dev", "test"):
        problems = gradeschool.generate_problems(split, 12, 3, steps=(2, 4), max_value=60)
        records.write_problems(root / f"data/benchmarks/{split}.jsonl", problems)
    for path in ("aime/dev", "aime/test", "aime/unseen", "ood/test"):
        records.write_problems(root / f"data/{path}.jsonl", [])
    return root


def run(root, **changes):
    execution = tiny_models.make_run(root, "augmentation", Params(**{**SETTINGS, **changes}))
    metrics = augmentation.body(execution)
    return metrics, records.read_problems(execution.out_dir / "train.jsonl")


def read(root, name):
    return [json.loads(line) for line in (root / "data/augmentation" / name).read_text().splitlines()]
