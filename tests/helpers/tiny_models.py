"""Tiny random models of five architectures, arithmetic problems, and stages run without a workspace."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stages.lib.core.records import Problem, Sample, Source, Step
from stages.lib.run.execution import StageRun
from stages.lib.training import training_params
from stages.lib.training.training_params import TrainingParams
from tests.helpers import processes

ROOT = Path(__file__).parents[2]
ARCHITECTURES = ("lfm2", "llama", "qwen2", "qwen3", "mistral")
TRAINING_PARAMS = training_params.make_training_params(warmup_ratio=0.1, checkpoint_steps=4).model_dump()


def make_model(name: str, vocabulary: int = 100, seed: int = 0, **changes: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models import gemma2, lfm2, llama, mistral, qwen2, qwen3

    torch.manual_seed(seed)
    shared = dict(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        pad_token_id=0,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=1,
    )
    shared |= changes
    config = {
        "lfm2": lambda: lfm2.Lfm2Config(**shared, layer_types=["conv", "full_attention"] * 2),
        "llama": lambda: llama.LlamaConfig(**shared),
        "qwen2": lambda: qwen2.Qwen2Config(**shared),
        "qwen3": lambda: qwen3.Qwen3Config(**shared, head_dim=8),
        "mistral": lambda: mistral.MistralConfig(**{"sliding_window": 8} | shared),
        "gemma2": lambda: gemma2.Gemma2Config(**shared, head_dim=8),
    }[name]()
    return AutoModelForCausalLM.from_config(config).eval()


def save_outcome_verifier(folder: Path, tokenizer: Any) -> None:
    """An ORM with random weights, whose head tells `Right` from `Wrong`."""
    from stages.lib.models.encoding import Encoder
    from stages.lib.verifiers.outcome import OutcomeVerifier

    verifier = OutcomeVerifier("orm", make_model("qwen2", len(tokenizer)), Encoder(tokenizer), "bce")
    verifier.init_head_from_tokens("Right", "Wrong")
    verifier.save(folder)


def make_run(root: Path, name: str, params: Any, seed: int = 1) -> StageRun:
    """A StageRun of one process, without journal and lock."""
    run = StageRun(name, params, seed, root, "key", 0, 1)
    run.out_dir.mkdir(parents=True, exist_ok=True)
    return run


def make_training_params(**changes: Any) -> TrainingParams:
    return training_params.make_training_params(**{**TRAINING_PARAMS, **changes})


def make_problem(i: int, split: str = "train") -> Problem:
    a, b = i % 7 + 1, i // 7 % 7 + 1
    steps = [f"{a} + {b} = <<{a}+{b}={a + b}>>{a + b}", f"#### {a + b}"]
    return Problem(
        id=f"sums/{split}/{i:03}",
        benchmark="sums",
        split=split,
        question=f"Ann has {a} and buys {b}. How many?",
        answer=str(a + b),
        answer_type="number",
        steps=[Step(text=text) for text in steps],
        licence="MIT",
        source=Source(url="none"),
    )


def get_problems_path(root: Path, split: str) -> Path:
    """Where stages read the problems of a split of the benchmark."""
    return root / "data" / ("selection" if split in ("train", "verifier") else "benchmarks") / f"{split}.jsonl"


def make_sample(problem: Problem, index: int, error: int, finish: str = "stop") -> Sample:
    """A solution whose sum is off by `error`; longer for higher indices."""
    value = int(problem.answer) + error
    text = f"{'so ' * index}it is {value}\n#### {value}\n"
    return Sample(
        problem_id=problem.id,
        index=index,
        text=text,
        answer=str(value),
        correct=error == 0,
        finish=finish,
        logprob=-1.0,
        min_logprob=-0.5,
        tokens=len(text),
    )


def run_stages(count: int, jobs: list[tuple[Path, str, dict[str, Any]]]) -> None:
    """Run the bodies of stages, (root, name, parameters) each, one after the other, by so many processes."""
    arguments = json.dumps([(str(root), name, settings) for root, name, settings in jobs])
    processes.run_module(count, "tests.helpers.stage_script", arguments, cwd=jobs[0][0])


def train_on_processes(
    count: int, jobs: list[tuple[Path, str, dict[str, Any]]]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Training stages, one after the other, each on a copy of its root, by so many processes: their metrics and weights."""
    from safetensors.torch import load_file

    copies = [(root.with_name(f"{root.name}-{count}"), name, settings) for root, name, settings in jobs]
    for (root, _, _), (copy, _, _) in zip(jobs, copies, strict=True):
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".checkpoints"))
    run_stages(count, copies)
    outs = [copy / "data" / name for copy, name, _ in copies]
    return [
        (json.loads((out / "metrics.json").read_text("utf-8")), load_file(out / "model/model.safetensors"))
        for out in outs
    ]


def has_same_weights(first: dict[str, Any], second: dict[str, Any], atol: float = 2e-4) -> bool:
    """Whether two models are equal up to the order in which gradients are summed."""
    return first.keys() == second.keys() and all(first[key].allclose(second[key], atol=atol) for key in first)


def approx_nested(value: Any, atol: float = 1e-3) -> Any:
    """`pytest.approx` for every number in nested mappings."""
    if isinstance(value, dict):
        return {key: approx_nested(item, atol) for key, item in value.items()}
    return pytest.approx(value, abs=atol) if isinstance(value, float) else value


@contextmanager
def count_waits(patch: Any) -> Iterator[list[str]]:
    """Inside, the names of the calls that would make a CPU wait for a GPU, those for the values of tensors. What torch
    itself asks of tensors on the CPU, such as `collate`'s, does not count."""
    import torch

    waits: list[str] = []

    def make_counted(name: str, plain: Any) -> Any:
        def counted(tensor: Any, *arguments: Any) -> Any:
            waits.append(name)
            return plain(tensor, *arguments)

        return counted

    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__"):
        patch.setattr(torch.Tensor, name, make_counted(name, getattr(torch.Tensor, name)))
    yield waits
    patch.undo()
