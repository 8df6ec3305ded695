"""Tiny random models of five architectures, arithmetic problems and an execution without a workspace around it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from stages.lib.execution import Execution
from stages.lib.optimisation import Optimisation
from stages.lib.records import Problem, Sample, Source, Step

ROOT = Path(__file__).parent.parent
ARCHITECTURES = ("lfm2", "llama", "qwen2", "qwen3", "mistral")
OPTIMISATION = dict(
    epochs=1.0, global_batch=8, device_batch=8, optimizer="adamw", lr=3e-3, matrix_lr=0.02, weight_decay=0.0,
    warmup=0.1, clip=1.0, packing=True, precision="no", gradient_checkpointing=False, lora_rank=0, checkpoint_steps=4,
)  # fmt: skip


def model(name: str, vocabulary: int = 100, seed: int = 0) -> Any:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models import lfm2, llama, mistral, qwen2, qwen3

    torch.manual_seed(seed)
    shared = dict(vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=4, pad_token_id=0,
                  num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.1,
                  bos_token_id=None, eos_token_id=1)  # fmt: skip
    config = {
        "lfm2": lambda: lfm2.Lfm2Config(**shared, layer_types=["conv", "full_attention"] * 2),
        "llama": lambda: llama.LlamaConfig(**shared),
        "qwen2": lambda: qwen2.Qwen2Config(**shared),
        "qwen3": lambda: qwen3.Qwen3Config(**shared, head_dim=8),
        "mistral": lambda: mistral.MistralConfig(**shared, sliding_window=8),
    }[name]()
    return AutoModelForCausalLM.from_config(config).eval()


def execution(root: Path, name: str, params: Any, seed: int = 1) -> Execution:
    """As `execution.run` would make it, on one process, without journal and lock."""
    run = Execution(name, params, seed, root, "key", 0, 1)
    run.out.mkdir(parents=True, exist_ok=True)
    return run


def optimisation(**changes: Any) -> Optimisation:
    return Optimisation(**{**OPTIMISATION, **changes})


def problem(i: int, split: str = "train") -> Problem:
    a, b = i % 7 + 1, i // 7 % 7 + 1
    steps = [f"{a} + {b} = <<{a}+{b}={a + b}>>{a + b}", f"#### {a + b}"]
    return Problem(
        id=f"sums/{split}/{i:03}", benchmark="sums", split=split, question=f"Ann has {a} and buys {b}. How many?",
        answer=str(a + b), answer_type="number", steps=[Step(text=text) for text in steps], licence="MIT",
        source=Source(url="none"),
    )  # fmt: skip


def sample(of: Problem, index: int, error: int, finish: str = "stop") -> Sample:
    """A solution whose sum is off by `error`; longer for higher indices."""
    value = int(of.answer) + error
    text = f"{'so ' * index}it is {value}\n#### {value}\n"
    return Sample(problem_id=of.id, index=index, text=text, answer=str(value), correct=error == 0, finish=finish,
                  logprob=-1.0, min_logprob=-0.5, tokens=len(text))  # fmt: skip


def processes(count: int, *command: str, cwd: Path = ROOT) -> None:
    """Run `python <command>` on so many CPU processes joined by gloo."""
    env = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    env |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"] if count > 1 else []
    done = subprocess.run([sys.executable, *launcher, *command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
