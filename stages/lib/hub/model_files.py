"""The files of a model for others to load, with a worked example that says what the loaded model must give.

A generator, the base and a generative verifier are causal language models and stay as they are. An outcome or process
verifier becomes a token classifier where transformers has one of its type; else its folder stays as it is, a language
model beside a head of one linear layer.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch

from stages.lib.core import files
from stages.lib.core.records import Problem, Sample
from stages.lib.hub import token_classifier
from stages.lib.models import loading
from stages.lib.models.encoding import PROMPT_FILE, Encoder
from stages.lib.verifiers import registry, saving, verdicts
from stages.lib.verifiers.base import encode_sample, make_pool
from stages.lib.verifiers.generative import GenerativeVerifier, encode_question
from stages.lib.verifiers.outcome import OutcomeVerifier
from stages.lib.verifiers.process import ProcessVerifier

FORMAT_FILE = "format.json"
QUESTION, STEPS = "What is 1 + 1?", ["1 + 1 = 2.", "The answer is 2."]
_HEAD = """import json

import torch
{imports}

torch.set_grad_enabled(False)
example = json.load(open("format.json"))["example"]
ids = torch.tensor([example["ids"]])
"""
_CHECK = """print(p[example["positions"]], "should be", example["scores"])"""
USES = {
    "language model": _HEAD.format(imports="from transformers import AutoModelForCausalLM, AutoTokenizer")
    + """model = AutoModelForCausalLM.from_pretrained(".").eval()
tokenizer = AutoTokenizer.from_pretrained(".")
solution = model.generate(ids, max_new_tokens=100, do_sample=False)[0, ids.shape[1] :]
print(tokenizer.decode(solution))""",
    "two tokens": _HEAD.format(imports="from transformers import AutoModelForCausalLM")
    + """model = AutoModelForCausalLM.from_pretrained(".").eval()
p = model(ids).logits[0][:, example["tokens"]].softmax(-1)[:, 0]  # of the first against the second
"""
    + _CHECK,
    "token classifier": _HEAD.format(imports="from transformers import AutoModelForTokenClassification")
    + """model = AutoModelForTokenClassification.from_pretrained(".").eval()
p = model(ids).logits[0].softmax(-1)[:, 1]  # label 1: right
"""
    + _CHECK,
    "language model and head": _HEAD.format(
        imports="from safetensors.torch import load_file\nfrom transformers import AutoModel"
    )
    + """model = AutoModel.from_pretrained(".").eval()
head = load_file("head/head.safetensors")
p = (model(ids).last_hidden_state[0] @ head["weight"][0] + head["bias"]).sigmoid()
"""
    + _CHECK,
}


class ModelFiles(NamedTuple):
    """kind: outcome, process, generative or generator. form: a key of USES. use: code that reads the folder. notes:
    sentences on the form."""

    kind: str
    form: str
    use: str
    weights: int
    notes: list[str]


def write_model(source: Path, folder: Path, prompt: Path | None = None) -> ModelFiles:
    """Write a model's files and format.json to an existing folder. prompt: prompt.json of a generator.

    Raises UserError for a folder that holds no model in safetensors."""
    if not (source / saving.CONFIG_FILE).is_file():
        return _write_generator(source, folder, prompt)
    verifier = registry.load(source)
    problem, sample = _make_example()
    notes: list[str] = []
    if isinstance(verifier, GenerativeVerifier):
        ids, _ = encode_question(verifier.encoder, problem, sample.text, "direct")
        tokens = [
            verifier.encoder.encode_texts([verdicts.format_verdict(is_right)])[0][0] for is_right in (True, False)
        ]
        scores = [_compute_verdict(verifier.model, ids, tokens)]
        kind, form, extra = "generative", "two tokens", {"mode": verifier.mode, "tokens": tokens}
        example: dict[str, Any] = {"ids": ids, "positions": [len(ids) - 1], "tokens": tokens}
    else:
        kind, form, example, extra, scores = _describe_discriminative(verifier, problem, sample)
        if misfit := token_classifier.explain_misfit(verifier):
            notes.append(f"It keeps its own form: {misfit}.")
        else:
            form = "token classifier"
            loading.write_files(token_classifier.make_classifier(verifier), verifier.encoder.tokenizer, folder)
        if isinstance(verifier, ProcessVerifier) and verifier.concentration_head is not None:
            notes.append("Scores are the means of a beta distribution; its concentration is not exported.")
    if form != "token classifier":
        shutil.copytree(source, folder, dirs_exist_ok=True)
    encoder = verifier.encoder
    facts = {"question": QUESTION, "steps": encoder.prompt.split_steps(sample.text), **example, "scores": scores}
    files.write_json(folder / FORMAT_FILE, _describe_format(encoder) | extra | {"example": facts})
    use = USES[form].replace(".sigmoid()", ".clamp(0, 1)") if getattr(verifier, "loss", "") == "mse" else USES[form]
    return ModelFiles(kind, form, use, loading.count_stored_parameters(folder), notes)


def _write_generator(source: Path, folder: Path, prompt: Path | None) -> ModelFiles:
    loading.check_folder(source)
    shutil.copytree(source, folder, dirs_exist_ok=True)
    if prompt:
        shutil.copyfile(prompt, folder / PROMPT_FILE)
    encoder = Encoder.load(folder)
    example = {"question": QUESTION, "ids": encoder.prompt_ids(_make_example()[0], shots=True)}
    files.write_json(folder / FORMAT_FILE, _describe_format(encoder) | {"example": example})
    form = "language model"
    return ModelFiles("generator", form, USES[form], loading.count_stored_parameters(folder), [])


def _describe_discriminative(verifier: OutcomeVerifier | ProcessVerifier, problem: Problem, sample: Sample) -> tuple:
    """(kind, form as it is saved, example, fields of format.json, scores of the example)."""
    if isinstance(verifier, OutcomeVerifier):
        ids = encode_sample(verifier.encoder, problem, sample).ids
        scores = [verifier.score(problem, [sample])[0].score]
        return "outcome", "language model and head", {"ids": ids, "positions": [len(ids) - 1]}, {}, scores
    encoded = verifier.encode_sample(problem, sample)
    example: dict[str, Any] = {"ids": encoded.ids, "positions": encoded.score_positions}
    form = "language model and head"
    if verifier.head_type == "token_logits":
        form, example["tokens"] = "two tokens", verifier.head.tokens
    extra = {"after_step_is_scored": verifier.step_marker, "aggregation": verifier.aggregation}
    return "process", form, example, extra, verifier.score_steps(problem, [sample])[0]


def _describe_format(encoder: Encoder) -> dict[str, Any]:
    """How the ids of a solution are put together."""
    return {
        "prompt_style": encoder.prompt.style,
        "after_step": encoder.prompt.step_separator,
        "end_token_id": encoder.end_id,
        "tokenised": "prompt, each step with what follows it, and marker apart; their ids are put in a row",
    }


def _make_example() -> tuple[Problem, Sample]:
    problem, (sample,) = make_pool("example", QUESTION, ["\n".join(STEPS)], "integer")
    return problem, sample


@torch.inference_mode()
def _compute_verdict(model: Any, ids: list[int], tokens: list[int]) -> float:
    return model(torch.tensor([ids])).logits[0, -1, tokens].float().softmax(-1)[0].item()
