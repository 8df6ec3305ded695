"""The process verifier against its peers: training tokens a second, and scoring 64 samples a problem.

    python -m bench.prm [--examples 256] [--problems 2] [--samples 64]

Training: TRL's PRMTrainer (trl.experimental.prm, TRL 1.9 to 1.12) and stages/lib/training/loop.py fit the same two-way step
labels on the same sequences, of problems of 2 to 8 steps as GSM8K's: a Qwen2 of 8 layers and width 112, random weights,
float32, AdamW, 32 sequences a step, one epoch, no language loss; Qwen2 because TRL needs a token classifier, and of LFM2
there is none. Real tokens count, padding does not.

Scoring: an LFM2 of the bundled model's size reads procedural problems and 64 distinct solutions each (real pools repeat
themselves, which would flatter). Peers: one forward pass a step, as published scorers do, its 64 prefixes in one batch; and
one padded pass over whole samples. All three must agree to 1e-5.

Times are processor seconds on one thread, so that a busy machine does not count; of scoring, the fastest of three runs.
Install TRL beside the project with `pip install --target FOLDER --no-deps trl==1.12.0` and set PYTHONPATH=FOLDER; without
it the training ratio is null.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SEED, BATCH, WIDTH, LAYERS = 7, 32, 112, 8


def measure_seconds(work: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    """(processor seconds of the fastest of so many runs, what it returned)."""
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        found = work()
        best = min(best, time.process_time() - began)
    return best, found


def make_pools(count: int, samples: int) -> list[tuple[Any, list[Any]]]:
    """Procedural problems, each with distinct solutions that hold at most one slip."""
    from stages.lib.core import seeds
    from stages.lib.core.records import Sample
    from stages.lib.models.encoding import strip_annotations
    from stages.lib.procedural import gradeschool

    found = []
    for problem in gradeschool.generate_problems("verifier", count, SEED, steps=(2, 8), max_value=60):
        rng, texts = seeds.rng(SEED, "bench", problem.id), {}
        while len(texts) < samples:
            fault = gradeschool.Fault("slip", rng.randint(-20, 30))
            lines = gradeschool.solve_program(
                problem.program.params, {rng.randrange(int(problem.difficulty) + 2): fault}
            )
            texts.setdefault("".join(f"{strip_annotations(line.text)}\n" for line in lines), lines)
        pool = [
            (
                Sample(
                    problem_id=problem.id,
                    index=i,
                    text=text,
                    answer=None,
                    correct=lines[-1].right,
                    finish="stop",
                    logprob=0.0,
                    min_logprob=0.0,
                    tokens=1,
                ),
                [float(line.right) for line in lines],
            )
            for i, (text, lines) in enumerate(texts.items())
        ]
        found.append((problem, pool))
    return found


def make_config(kind: str, vocabulary: int) -> Any:
    from transformers import Lfm2Config, Qwen2Config

    shared = dict(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=256,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
        initializer_range=0.05,
    )
    if kind == "qwen2":
        return Qwen2Config(**shared, num_labels=2)
    types = ["conv", "full_attention"] * (LAYERS // 2)
    return Lfm2Config(**shared, layer_types=types, block_auto_adjust_ff_dim=False, conv_L_cache=4)


def measure_training(tokenizer: Any, made: list[tuple[Any, Any, list[float]]]) -> float:
    """Real tokens a second of training."""
    from transformers import AutoModelForCausalLM

    from stages.lib.models.encoding import Encoder
    from stages.lib.run.execution import StageRun
    from stages.lib.training import loop
    from stages.lib.training.training_params import TrainingParams
    from stages.lib.verifiers.process import ProcessVerifier, make_example

    verifier = ProcessVerifier(
        "prm", AutoModelForCausalLM.from_config(make_config("qwen2", len(tokenizer))), Encoder(tokenizer), "head"
    )
    examples = []
    for problem, sample, labels in made:
        read = verifier.encode_sample(problem, sample)
        examples.append(
            make_example(read, dict(enumerate(labels)), bool(sample.correct), learn_after_first_error=True, lm=False)
        )
    params = TrainingParams(
        epochs=1.0,
        global_batch_size=BATCH,
        device_batch_size=BATCH,
        optimizer="adamw",
        lr=1e-4,
        matrix_lr=1e-2,
        weight_decay=0.0,
        warmup_ratio=0.0,
        max_grad_norm=1.0,
        precision="no",
        gradient_checkpointing=False,
        lora_rank=0,
        checkpoint_steps=10**6,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = StageRun("prm", params, SEED, Path(folder), "key", 0, 1)
        taken, _ = measure_seconds(lambda: loop.train(run, verifier.make_objective(lm_weight=0.0), examples, params))
    return sum(len(e.ids) for e in examples) / taken


def measure_trl_training(tokenizer: Any, made: list[tuple[Any, Any, list[float]]]) -> float | None:
    """The same of PRMTrainer with its defaults; None where TRL is not installed."""
    try:
        from trl.experimental.prm import PRMConfig, PRMTrainer
    except ImportError as error:
        print(f"TRL's PRMTrainer cannot be imported ({error}); python -m bench.prm --help says how to install it")
        return None
    from datasets import Dataset
    from transformers import AutoModelForTokenClassification

    from stages.lib.models.encoding import split_steps
    from stages.lib.models.prompts import PLAIN_TEMPLATE

    rows = [
        {
            "prompt": PLAIN_TEMPLATE.format(question=problem.prompt()),
            "completions": split_steps(sample.text),
            "labels": [bool(label) for label in labels],
        }
        for problem, sample, labels in made
    ]
    with tempfile.TemporaryDirectory() as folder:
        settings = PRMConfig(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=1e-4,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            max_length=None,
            seed=SEED,
        )
        model = AutoModelForTokenClassification.from_config(make_config("qwen2", len(tokenizer)))
        trainer = PRMTrainer(
            model=model, args=settings, processing_class=tokenizer, train_dataset=Dataset.from_list(rows)
        )
        tokens = sum(len(row) for row in trainer.train_dataset["input_ids"])
        taken, _ = measure_seconds(trainer.train)
    return tokens / taken


def score_by_step(verifier: Any, problem: Any, samples: list[Any]) -> list[list[float]]:
    """One forward pass for every step and one for the end: all samples' prefixes in one padded batch each."""
    found = [verifier.read(problem, sample) for sample in samples]
    places = [[*read.steps, read.end] for read in found]
    scores: list[list[float]] = [[] for _ in samples]
    for step in range(max(map(len, places))):
        alive = [i for i, own in enumerate(places) if step < len(own)]
        rows = [found[i].ids[: places[i][step] + 1] for i in alive]
        for i, says in zip(alive, run_padded(verifier, rows), strict=True):
            scores[i].append(float(says[-1]))
    return scores


def score_by_sample(verifier: Any, problem: Any, samples: list[Any]) -> list[list[float]]:
    """One padded forward pass over whole samples, prompts and all."""
    found = [verifier.read(problem, sample) for sample in samples]
    says = run_padded(verifier, [read.ids for read in found])
    return [row[[*read.steps, read.end]].tolist() for read, row in zip(found, says, strict=True)]


def run_padded(verifier: Any, rows: list[list[int]]) -> list[Any]:
    """For each row, the head's probabilities at each of its tokens."""
    import torch

    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    with torch.inference_mode():
        says = verifier.head(verifier.model.base_model(input_ids=ids, use_cache=False).last_hidden_state)
    return [own[: len(row), 0].double().sigmoid() for own, row in zip(says, rows, strict=True)]


def measure_scoring(tokenizer: Any, count: int, samples: int) -> dict[str, float]:
    import torch
    from transformers import AutoModelForCausalLM

    from stages.lib.models.encoding import Encoder
    from stages.lib.verifiers.process import ProcessVerifier

    model = AutoModelForCausalLM.from_config(make_config("lfm2", len(tokenizer))).eval()
    verifier = ProcessVerifier("prm", model, Encoder(tokenizer), "head")
    torch.nn.init.normal_(verifier.head.weight)
    work = [(problem, [sample for sample, _ in pool]) for problem, pool in make_pools(count, samples)]
    methods = {
        "shared": verifier.score_steps,
        "step": lambda *x: score_by_step(verifier, *x),
        "padded": lambda *x: score_by_sample(verifier, *x),
    }
    verifier.score_steps(*work[0])  # the first call pays for imports
    taken, scores = {}, {}
    for name, method in methods.items():
        taken[name], scores[name] = measure_seconds(lambda method=method: [method(*one) for one in work], 3)
    apart = max(
        abs(a - b)
        for name in ("step", "padded")
        for mine, theirs in zip(scores["shared"], scores[name], strict=True)
        for x, y in zip(mine, theirs, strict=True)
        for a, b in zip(x, y, strict=True)
    )
    assert apart < 1e-5, f"the three ways differ by {apart}"
    per_second = {f"{name}_solutions_per_s": count * samples / taken[name] for name in taken}
    return {
        "step_ratio": taken["step"] / taken["shared"],
        "padded_ratio": taken["padded"] / taken["shared"],
        **per_second,
        "largest_difference": apart,
    }


def main() -> None:
    import torch

    from stages.generators.base.tokenizer import build_tokenizer
    from stages.lib.models.loading import silence_transformers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=256)
    parser.add_argument("--problems", type=int, default=2)
    parser.add_argument("--samples", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    silence_transformers()
    tokenizer = build_tokenizer()
    made = [(problem, s, labels) for problem, pool in make_pools(-(-arguments.examples // 4), 4) for s, labels in pool]
    made = made[: arguments.examples]
    measure_training(tokenizer, made[:BATCH])  # the first call pays for imports
    ours, theirs = measure_training(tokenizer, made), measure_trl_training(tokenizer, made)
    figures = {
        "ratio": ours / theirs if theirs else None,
        "tokens_per_s": ours,
        "trl_tokens_per_s": theirs,
        **measure_scoring(tokenizer, arguments.problems, arguments.samples),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
