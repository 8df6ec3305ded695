"""The process verifier against its peers: training tokens per second, and scoring 64 samples per problem.

    python -m bench.prm [--examples 256] [--problems 2] [--samples 64]

Training: TRL's PRMTrainer (trl.experimental.prm, TRL 1.9 to 1.12) and stages/lib/training/loop.py fit the same binary step
labels on the same sequences, from problems of 2 to 8 steps like GSM8K's. Both train a Qwen2 of 8 layers and width 112 from
random weights in float32 with AdamW, 32 sequences per step, one epoch, no language loss. It is Qwen2 because TRL needs a
token classifier, which LFM2 lacks. Padding does not count as tokens.

Scoring: an LFM2 of the bundled model's size reads procedural problems with 64 distinct solutions each (real pools repeat
solutions, which would favour us). Peers: one forward pass per step over a batch of 64 prefixes, as published scorers do;
and one padded pass over whole samples. All three must agree to 1e-5.

Times are processor seconds on one thread, so load on the machine does not count; for scoring, the fastest of three runs.
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
    """(processor seconds of the fastest of `times` runs, the last result)."""
    seconds, result = [], None
    for _ in range(times):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return min(seconds), result


def make_pools(count: int, samples: int, steps: tuple[int, int] = (2, 8)) -> list[tuple[Any, list[Any]]]:
    """Procedural problems, each with distinct solutions that hold at most one slip: [(problem, [(sample, labels)])]."""
    from stages.lib.core import seeds
    from stages.lib.core.expressions import strip_annotations
    from stages.lib.core.records import Sample
    from stages.lib.procedural import gradeschool

    pools = []
    blank = dict(answer=None, finish="stop", logprob=0.0, min_logprob=0.0, tokens=1)
    for problem in gradeschool.generate_problems("verifier", count, SEED, steps=steps, max_value=60):
        rng, solutions = seeds.rng(SEED, "bench", problem.id), {}
        while len(solutions) < samples:
            fault = gradeschool.Fault("slip", rng.randint(-20, 30))
            faults = {rng.randrange(int(problem.difficulty) + 2): fault}
            lines = gradeschool.solve_program(problem.program.params, faults)
            text = "".join(f"{strip_annotations(line.text)}\n" for line in lines)
            solutions.setdefault(text, [line.is_correct for line in lines])
        pool = []
        for i, (text, labels) in enumerate(solutions.items()):
            sample = Sample(problem_id=problem.id, index=i, text=text, correct=labels[-1], **blank)
            pool.append((sample, list(map(float, labels))))
        pools.append((problem, pool))
    return pools


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


def measure_training(tokenizer: Any, solutions: list[tuple[Any, Any, list[float]]]) -> float:
    """Tokens per second of training."""
    from transformers import AutoModelForCausalLM

    from bench.training import make_params
    from stages.lib.models.encoding import Encoder
    from stages.lib.run.execution import StageRun
    from stages.lib.training import loop
    from stages.lib.verifiers.process import ProcessVerifier, make_example

    verifier = ProcessVerifier(
        "prm", AutoModelForCausalLM.from_config(make_config("qwen2", len(tokenizer))), Encoder(tokenizer), "scalar"
    )
    examples = []
    for problem, sample, labels in solutions:
        encoded = verifier.encode_sample(problem, sample)
        examples.append(
            make_example(encoded, dict(enumerate(labels)), bool(sample.correct), learn_after_first_error=True, lm=False)
        )
    params = make_params(global_batch_size=BATCH, device_batch_size=BATCH)
    with tempfile.TemporaryDirectory() as folder:
        run = StageRun("prm", params, SEED, Path(folder), "key", 0, 1)
        seconds, _ = measure_seconds(lambda: loop.train(run, verifier.make_objective(lm_weight=0.0), examples, params))
    return sum(len(e.ids) for e in examples) / seconds


def measure_trl_training(tokenizer: Any, solutions: list[tuple[Any, Any, list[float]]]) -> float | None:
    """Tokens per second of PRMTrainer with its defaults; None if TRL is not installed."""
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
            "prompt": PLAIN_TEMPLATE.format(question=problem.format_prompt()),
            "completions": split_steps(sample.text),
            "labels": [bool(label) for label in labels],
        }
        for problem, sample, labels in solutions
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
        seconds, _ = measure_seconds(trainer.train)
    return tokens / seconds


def score_by_step(verifier: Any, problem: Any, samples: list[Any]) -> list[list[float]]:
    """One forward pass per step and one for the end: all samples' prefixes in one padded batch each."""
    encoded = [verifier.encode_sample(problem, sample) for sample in samples]
    scores: list[list[float]] = [[] for _ in samples]
    for step in range(max(len(e.score_positions) for e in encoded)):
        alive = [i for i, e in enumerate(encoded) if step < len(e.score_positions)]
        rows = [encoded[i].ids[: encoded[i].score_positions[step] + 1] for i in alive]
        for i, probabilities in zip(alive, run_padded(verifier, rows), strict=True):
            scores[i].append(float(probabilities[-1]))
    return scores


def score_by_sample(verifier: Any, problem: Any, samples: list[Any]) -> list[list[float]]:
    """One padded forward pass over whole samples, prompts included."""
    encoded = [verifier.encode_sample(problem, sample) for sample in samples]
    rows = run_padded(verifier, [e.ids for e in encoded])
    return [row[e.score_positions].tolist() for e, row in zip(encoded, rows, strict=True)]


def run_padded(verifier: Any, rows: list[list[int]]) -> list[Any]:
    """For each row, the head's probabilities at each of its tokens."""
    import torch

    from stages.lib.models import heads

    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    with torch.inference_mode():
        hidden = verifier.model.base_model(input_ids=ids.to(verifier.model.device), use_cache=False).last_hidden_state
        logits = heads.compute_logits(verifier.head, hidden).double().sigmoid().cpu()
    return [x[: len(row)] for x, row in zip(logits, rows, strict=True)]


def measure_scoring(tokenizer: Any, count: int, samples: int) -> dict[str, float]:
    import torch
    from transformers import AutoModelForCausalLM

    from stages.lib.models.encoding import Encoder
    from stages.lib.verifiers.process import ProcessVerifier

    model = AutoModelForCausalLM.from_config(make_config("lfm2", len(tokenizer))).eval()
    verifier = ProcessVerifier("prm", model, Encoder(tokenizer), "scalar")
    torch.nn.init.normal_(verifier.head.weight)
    pools = [(problem, [sample for sample, _ in pool]) for problem, pool in make_pools(count, samples)]
    methods = {
        "shared": verifier.score_steps,
        "step": lambda *x: score_by_step(verifier, *x),
        "padded": lambda *x: score_by_sample(verifier, *x),
    }
    verifier.score_steps(*pools[0])  # the first call pays for imports
    seconds, scores = {}, {}
    for name, method in methods.items():
        seconds[name], pool_scores = measure_seconds(lambda method=method: [method(*pool) for pool in pools], 3)
        scores[name] = [score for pool in pool_scores for sample in pool for score in sample]
    pairs = [pair for name in ("step", "padded") for pair in zip(scores["shared"], scores[name], strict=True)]
    difference = max(abs(a - b) for a, b in pairs)
    assert difference < 1e-5, f"the three ways differ by {difference}"
    return {
        "step_ratio": seconds["step"] / seconds["shared"],
        "padded_ratio": seconds["padded"] / seconds["shared"],
        **{f"{name}_solutions_per_s": count * samples / seconds[name] for name in seconds},
        "largest_difference": difference,
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
    pools = make_pools(-(-arguments.examples // 4), 4)
    solutions = [(problem, sample, labels) for problem, pool in pools for sample, labels in pool][: arguments.examples]
    measure_training(tokenizer, solutions[:BATCH])  # the first call pays for imports
    ours, theirs = measure_training(tokenizer, solutions), measure_trl_training(tokenizer, solutions)
    figures = {
        "ratio": ours / theirs if theirs else None,
        "tokens_per_s": ours,
        "trl_tokens_per_s": theirs,
        **measure_scoring(tokenizer, arguments.problems, arguments.samples),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
