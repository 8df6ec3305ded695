"""Part scoring: solutions per second of a process verifier, with shared prefixes, padded, and a pass for each step."""

from __future__ import annotations

from typing import Any

from bench.accelerator.measuring import Clock, attempt, make_qwen2, measure_memory, measure_seconds


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
