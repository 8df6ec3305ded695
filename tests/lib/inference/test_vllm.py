"""The vllm engine against a stand-in for vllm that notes what it is asked: the package needs a GPU."""

import os
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from stages.lib.core.errors import UserError
from stages.lib.inference import sampling
from stages.lib.inference.engines import make_engine
from stages.lib.inference.vllm_engine import VISIBLE_DEVICES
from stages.lib.models.calculator import Calculator

PROMPTS, KEYS = [[5, 6], [7], [8, 9, 10], [4]], [[2**63 + 7, 3, 5], [8], [], [1, 2]]


class Stub:
    """Each step ends one request, with its seed's last digit, the first token of its prompt and the end token."""

    def __init__(self):
        self.model_config = SimpleNamespace(max_model_len=64)
        self.waiting, self.begun, self.aborted = {}, [], []

    def add_request(self, name, prompt, settings):
        assert name not in self.waiting
        self.waiting[name] = (prompt["prompt_token_ids"], settings)

    def step(self):
        self.begun.append(len(self.waiting))
        name = list(self.waiting)[-1]  # the last that came ends first
        unfinished = SimpleNamespace(finished=False, request_id=next(iter(self.waiting)), outputs=[])
        prompt, settings = self.waiting.pop(name)
        ids = [settings.seed % 10, prompt[0], 2]
        logprobs = [{token: SimpleNamespace(logprob=-float(token))} for token in ids]
        done = SimpleNamespace(token_ids=ids, logprobs=logprobs, finish_reason="stop" if ids[0] else "length")
        return [unfinished, SimpleNamespace(finished=True, request_id=name, outputs=[done])]

    def abort_request(self, names):
        self.aborted += names
        for name in names:
            del self.waiting[name]


@pytest.fixture
def stub(monkeypatch):
    """The engine, and in `made` what it was made with."""
    engine = Stub()

    def load(path, **settings):
        engine.made = settings | {"path": path, "visible": os.environ.get(VISIBLE_DEVICES)}
        return SimpleNamespace(llm_engine=engine)

    vllm, parameters = ModuleType("vllm"), ModuleType("vllm.sampling_params")
    vllm.LLM, vllm.SamplingParams = load, lambda **settings: SimpleNamespace(**settings)
    parameters.RequestOutputKind = SimpleNamespace(FINAL_ONLY="final")
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", parameters)
    return engine


def test_all_requests_wait_at_once_and_come_back_by_prompt(stub, tmp_path):
    engine = make_engine("vllm", tmp_path, 16, "bfloat16")
    assert engine.context_length == 64 and stub.made["max_num_seqs"] == 16 and stub.made["dtype"] == "bfloat16"
    draws = sampling.sample(engine, PROMPTS, KEYS, sampling.Distribution(0.7), 9, [2])
    assert stub.begun == [6, 5, 4, 3, 2, 1], "the engine never waited for one prompt before it saw the next"
    assert [[draw.ids for draw in own] for own in draws] == [
        [[(key >> 1) % 10, prompt[0], 2] for key in own] for prompt, own in zip(PROMPTS, KEYS, strict=True)
    ]
    assert draws[1][0] == sampling.Draw([4, 7, 2], [-4.0, -7.0, -2.0], "stop") and draws[3][0].finish == "length"
    assert not stub.aborted and sampling.sample(engine, [], [], sampling.Distribution(0.7), 9, [2]) == []


def test_a_prompt_is_handed_out_when_its_last_draw_ends(stub, tmp_path):
    stream = make_engine("vllm", tmp_path, 16).stream(PROMPTS, KEYS, sampling.Distribution(0.7), 9, [2])
    assert next(stream)[0] == 2 and next(stream)[0] == 3 and len(stub.waiting) == 4
    stream.close()
    assert sorted(stub.aborted) == ["0/0", "0/1", "0/2", "1/0"] and not stub.waiting


def test_auto_leaves_the_number_of_requests_to_vllm(stub, tmp_path):
    make_engine("vllm", tmp_path, "auto")
    assert "max_num_seqs" not in stub.made


def test_a_calculator_is_refused(stub, tmp_path):
    stream = make_engine("vllm", tmp_path, 16).stream(PROMPTS, KEYS, sampling.GREEDY, 9, [2], Calculator(None, len))
    with pytest.raises(UserError, match="calculator's values; set engine: native"):
        next(stream)
    assert not stub.waiting


@pytest.mark.parametrize(
    ("device", "before", "seen"),
    [("cuda:0", None, "0"), ("cuda:3", None, "3"), ("cuda:1", "4,6", "6"), ("cuda", "4,6", "4,6"), ("cpu", None, None)],
)
def test_each_process_has_its_own_device(stub, tmp_path, monkeypatch, device, before, seen):
    monkeypatch.delenv(VISIBLE_DEVICES, raising=False)
    if before:
        monkeypatch.setenv(VISIBLE_DEVICES, before)
    make_engine("vllm", tmp_path, 16, device=torch.device(device))
    assert stub.made["visible"] == seen and os.environ.get(VISIBLE_DEVICES) == before


def test_vllm_missing_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match="pip install"):
        make_engine("vllm", tmp_path, 16)
