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
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

SEED = 7
PARTS = ("training", "sampling", "scoring", "pipeline")
SHARES = {"training": 0.2, "sampling": 0.2, "scoring": 0.05, "pipeline": 0.55}  # of the time
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}  # dense bf16, by the vendor
SHAPES = {  # hidden size, layers, heads, feed-forward size, vocabulary
    "0.5B": (896, 24, 14, 4864, 151936),
    "1.5B": (1536, 28, 12, 8960, 151936),
    "toy": (64, 2, 4, 128, 1024),
}


class Clock:
    """Seconds left until a deadline."""

    def __init__(self, seconds: float):
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self.end - time.monotonic()


def make_qwen2(shape: str, device: Any, dtype: str = "float32") -> Any:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    hidden, layers, heads, feed_forward, vocabulary = SHAPES[shape]
    torch.manual_seed(SEED)
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=2,
        intermediate_size=feed_forward,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
    )
    with torch.device(device):
        return Qwen2ForCausalLM(config).to(getattr(torch, dtype))


def synchronize(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


def measure_seconds(work: Callable[[], Any], device: Any) -> tuple[float, Any]:
    """(seconds until the device has finished, the result)."""
    synchronize(device)
    began = time.perf_counter()
    result = work()
    synchronize(device)
    return time.perf_counter() - began, result


def measure_memory(device: Any) -> float | None:
    """Peak GB since the last call."""
    import torch

    if device.type != "cuda":
        return None
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 2)


def measure_product(device: Any) -> float:
    """FLOP/s of a large product in bf16, the best of 10."""
    import torch

    n = 8192 if device.type == "cuda" else 512
    a = torch.randn(n, n, device=device, dtype=torch.bfloat16)
    seconds = min(measure_seconds(lambda: [a @ a for _ in range(4)], device)[0] for _ in range(10))
    return 4 * 2 * n**3 / seconds


def count_waits(work: Callable[[], Any], device: Any) -> int | None:
    """How often `work` makes the CPU wait for the GPU."""
    from torch.profiler import ProfilerActivity, profile

    if device.type != "cuda":
        return None
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as record:
        work()
    waits = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
    return sum(event.count for event in record.key_averages() if event.key in waits)


@contextmanager
def attempt(name: str, results: dict[str, Any]) -> Iterator[None]:
    """Report an error under `name` and go on."""
    import gc

    import torch

    try:
        yield
    except Exception as error:
        traceback.print_exc(limit=8)
        results[name] = f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
        print(f"{name}: {results[name]}", flush=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


# ---- training ---------------------------------------------------------------------------------------------------------


def measure_training(
    shape: str, device: Any, micro: int, compiled: bool, checkpointing: bool, steps: int, clock: Clock
) -> dict[str, Any]:
    import numpy as np

    from bench.training import make_params
    from stages.lib.core import seeds
    from stages.lib.models import loading
    from stages.lib.models.batch import Example
    from stages.lib.models.objectives import LanguageModelingObjective
    from stages.lib.run.execution import StageRun
    from stages.lib.training import data_loader
    from stages.lib.training.loop import Trainer

    rng, batch = np.random.default_rng(SEED), max(64, micro) if shape != "toy" else 8
    lengths = np.clip(rng.normal(210, 60, batch * 32), 80, 480).astype(int)  # GSM8K's questions and solutions
    examples = [
        Example(rng.integers(4, SHAPES[shape][4], n).tolist(), [0.0] * (n // 3) + [1.0] * (n - n // 3)) for n in lengths
    ]
    batches = data_loader.make_epoch_batches(lengths.tolist(), batch, seeds.rng(SEED, "bench"))
    params = make_params(
        global_batch_size=batch,
        device_batch_size=micro,
        lr=1e-5,
        precision="bf16",
        compile=compiled,
        gradient_checkpointing=checkpointing,
    )
    model = make_qwen2(shape, device)
    weights = loading.count_parameters(model)
    with tempfile.TemporaryDirectory() as folder:
        run = StageRun("generator", params, SEED, Path(folder), "key", 0, 1)
        trainer = Trainer(run, LanguageModelingObjective(model), examples, params, dropout=0.0)
        began = time.perf_counter()
        for step in range(2):
            trainer.step(step, batches[step], 1.0)
        synchronize(device)
        start_seconds, tokens, padded, count = time.perf_counter() - began, 0, 0, 0
        began = time.perf_counter()
        while count < steps and (count < 2 or clock.left > 0):
            indices = batches[2 + count % 30]
            trainer.step(2 + count, indices, 1.0)
            tokens += sum(int(lengths[i]) for i in indices)
            parts = [indices[i : i + micro] for i in range(0, len(indices), micro)]
            padded += sum(len(part) * max(int(lengths[i]) for i in part) for part in parts)
            count += 1
        synchronize(device)
        rate, memory = tokens / (time.perf_counter() - began), measure_memory(device)
        waits = count_waits(lambda: [trainer.step(40 + i, batches[i], 1.0) for i in range(2)], device)
    return {
        "tokens_per_s": round(rate),
        "tflops": round(6 * weights * rate / 1e12, 1),
        "padding": round(1 - tokens / padded, 3),
        "start_s": round(start_seconds, 1),
        "peak_gb": memory,
        "waits_per_step": None if waits is None else waits / 2,
        "steps": count,
    }


def run_training(device: Any, clock: Clock, toy: bool) -> dict[str, Any]:
    from stages.lib.models import objectives

    peak = find_peak(device)
    results: dict[str, Any] = {"product_tflops": round(measure_product(device) / 1e12, 1)}
    for vocabulary in (1000,) if toy else (151936, 262144):
        for name, chunk in (("whole", None), ("chunked", objectives.MAX_LOGITS // vocabulary)):
            with attempt(f"loss {vocabulary} {name}", results):
                results[f"loss {vocabulary} {name}"] = measure_loss(device, vocabulary, 64 if toy else 8192, chunk)
                print(f"loss, vocabulary {vocabulary}, {name}: {results[f'loss {vocabulary} {name}']}", flush=True)
    plan = [
        ("0.5B", 128, True, False),
        ("0.5B", 64, True, False),
        ("1.5B", 32, True, False),
        ("0.5B", 64, False, False),
        ("0.5B", 64, False, True),
        ("1.5B", 32, False, True),
        ("1.5B", 32, True, True),
        ("0.5B", 64, True, True),
    ]
    if toy:
        plan = [("toy", 8, False, False), ("toy", 4, False, True)]
    for shape, micro, compiled, checkpointing in plan:
        name = f"{shape} {micro}" + (" compiled" if compiled else "") + (" checkpointed" if checkpointing else "")
        if clock.left < 15 and not toy:
            results[name] = "left out: no time"
            continue
        with attempt(name, results):
            figures = measure_training(shape, device, micro, compiled, checkpointing, 3 if toy else 12, clock)
            if peak:
                figures["mfu"] = round(figures["tflops"] * 1e12 / peak, 3)
            results[name] = figures
            print(f"{name}: {figures}", flush=True)
    return results


def measure_loss(device: Any, vocabulary: int, places: int, chunk: int | None) -> dict[str, float]:
    """Milliseconds and peak GB of a loss with its gradients at `places` positions of width 896, in bf16. chunk: positions
    a chunk; None: torch's own loss over all logits at once."""
    import torch

    from stages.lib.models import objectives

    matrix = torch.randn(vocabulary, 896, device=device, requires_grad=True)
    hidden = torch.randn(places, 896, device=device, dtype=torch.bfloat16, requires_grad=True)
    ids, weight = torch.randint(vocabulary, (places,), device=device), torch.ones(places, device=device)
    config = make_qwen2("toy", "cpu").config

    def compute() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            inputs = hidden, matrix, None, ids, weight, config
            loss = objectives.ChunkedLoss.apply(*inputs, chunk) if chunk else objectives._sum_chunk(*inputs)
        loss.backward()

    seconds = min(measure_seconds(compute, device)[0] for _ in range(3))
    return {"ms": round(1000 * seconds, 1), "peak_gb": measure_memory(device)}


def find_peak(device: Any) -> float | None:
    import torch

    if device.type != "cuda":
        return None
    return next((peak for name, peak in PEAKS.items() if name in torch.cuda.get_device_name(device)), None)


# ---- sampling ---------------------------------------------------------------------------------------------------------


def run_sampling(device: Any, clock: Clock, toy: bool) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for shape in ("toy",) if toy else ("0.5B", "1.5B"):
        if clock.left < 20 and not toy:
            results[shape] = "left out: no time"
            continue
        with attempt(shape, results):
            results[shape] = compare_sampling(shape, device, clock)
            print(f"{shape}: {results[shape]}", flush=True)
    return results


def compare_sampling(shape: str, device: Any, clock: Clock) -> dict[str, Any]:
    """Tokens per second of both engines, how often the native one waits for the GPU, and how exact it is."""
    import numpy as np

    from bench import sampling
    from stages.lib.models.stops import StopCriteria

    toy, vocabulary = shape == "toy", SHAPES[shape][4]
    samples, count, limit = (16, 4, 24) if toy else (64, 64, 320)
    rng = np.random.default_rng(SEED)
    prompts = [rng.integers(4, vocabulary, rng.integers(64, 119)).tolist() for _ in range(count)]
    stops = list(range(1, vocabulary, 110))  # with random weights every token is about as likely
    model = make_qwen2(shape, device, "bfloat16").eval()

    def sample_few(tokens: int) -> int:
        return sampling.sample_with_native(model, prompts[:2], 16, 1.0, tokens, StopCriteria(None, []), 64)

    sample_few(8)
    few, many = (count_waits(lambda n=n: sample_few(n), device) for n in (4, 12))
    found: dict[str, Any] = {
        "waits_per_token": None if few is None or many is None else (many - few) / 8,
        "largest_logprob_difference": compare_logprobs(model, prompts[:8]),
    }
    sampling.sample_with_generate(model, prompts[:1], 4, 1.0, 4, stops, 1, device)  # first calls pay for imports

    def generate(batch: int) -> int:
        return sampling.sample_with_generate(model, prompts[:batch], samples, 1.0, limit, stops, batch, device)

    def sample(rows: int) -> int:
        return sampling.sample_with_native(model, prompts, samples, 1.0, limit, StopCriteria(None, stops), rows)

    runs = [(f"generate {n * samples}", partial(generate, n)) for n in ((2,) if toy else (16, 32, 8))]
    rows = 64 if toy else 4096
    runs.insert(1, (f"native {rows}", partial(sample, rows)))  # the ratio needs one of each, whatever time is left
    rates: dict[str, float] = {}
    for name, work in runs:
        if clock.left < 5 and not toy and len(rates) > 1:
            found[name] = "left out: no time"
            continue
        seconds, tokens = measure_seconds(work, device)
        rates[name] = tokens / seconds
        found[name] = {"tokens_per_s": round(rates[name]), "peak_gb": measure_memory(device)}
        print(f"{shape} {name}: {found[name]}", flush=True)
    best = [max(rate for name, rate in rates.items() if name.startswith(kind)) for kind in ("native", "generate")]
    return found | {"ratio": round(best[0] / best[1], 2)}


def compare_logprobs(model: Any, prompts: list[list[int]]) -> float:
    """The largest difference between a draw's log-probabilities and those of one pass over prompt and draw."""
    import torch

    from stages.lib.core import seeds
    from stages.lib.inference.native_engine import NativeEngine
    from stages.lib.inference.sampling import Distribution, sample

    keys = [[seeds.key("bench", i, j) for j in range(16)] for i in range(len(prompts))]
    worst = 0.0
    for prompt, draws in zip(
        prompts, sample(NativeEngine(model, 512), prompts, keys, Distribution(1.0), 32, []), strict=True
    ):
        ids = torch.tensor([prompt + draw.ids for draw in draws], device=model.device)
        with torch.inference_mode():
            logits = model(ids).logits[:, len(prompt) - 1 : -1].float().log_softmax(-1)
        expected = logits.gather(2, ids[:, len(prompt) :, None])[..., 0].cpu()
        worst = max(worst, float((expected - torch.tensor([draw.logprobs for draw in draws])).abs().max()))
    return worst


# ---- scoring ----------------------------------------------------------------------------------------------------------


def run_scoring(device: Any, clock: Clock, toy: bool) -> dict[str, Any]:
    import torch

    from bench import prm
    from stages.generators.base.tokenizer import build_tokenizer
    from stages.lib.models.encoding import Encoder
    from stages.lib.verifiers.process import ProcessVerifier

    results: dict[str, Any] = {}
    samples, count = (64, 3) if not toy else (8, 1)
    with attempt("scoring", results):
        model = make_qwen2("toy" if toy else "0.5B", device, "float32" if toy else "bfloat16").eval()
        verifier = ProcessVerifier("prm", model, Encoder(build_tokenizer()), "scalar").to(device)
        torch.nn.init.normal_(verifier.head.weight, std=0.05)
        pools = prm.make_pools(count, samples, (2, 3) if toy else (9, 10))
        pairs = [(problem, [sample for sample, _ in pool]) for problem, pool in pools]
        lengths = [len(verifier.encode_sample(p, s).ids) for p, group in pairs for s in group]
        results["tokens"] = round(sum(lengths) / len(lengths))
        methods = {
            "shared": verifier.score_steps,
            "padded": lambda *pair: prm.score_by_sample(verifier, *pair),
            "by step": lambda *pair: prm.score_by_step(verifier, *pair),
        }
        scores: dict[str, list[float]] = {}
        for name, method in methods.items():
            with attempt(name, results), torch.inference_mode():
                method(*pairs[0])
                seconds, made = measure_seconds(lambda method=method: [method(*pair) for pair in pairs], device)
                results[f"{name} solutions/s"] = round(count * samples / seconds, 1)
                results[f"{name} GB"] = measure_memory(device)
                scores[name] = [float(x) for pool in made for sample in pool for x in sample]
                print(f"{name}: {results[f'{name} solutions/s']} solutions/s", flush=True)
        for name in ("padded", "by step"):
            if name in scores and "shared" in scores:
                both = list(zip(scores["shared"], scores[name], strict=True))
                results[f"largest difference, {name}"] = max(abs(a - b) / max(abs(b), 1e-9) for a, b in both)
        print(results, flush=True)
    return results


# ---- pipeline ---------------------------------------------------------------------------------------------------------


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
