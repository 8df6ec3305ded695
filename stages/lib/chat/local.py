"""A chat with a language model in a folder, run in this process, on an accelerator where there is one."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from stages.lib.chat.base import Chat, Progress, Reply, Request, Usage, derive_seed
from stages.lib.chat.retry import NoAnswerError
from stages.lib.core import files
from stages.lib.core.errors import UserError
from stages.lib.core.params import Params

if TYPE_CHECKING:
    from stages.lib.inference.native_engine import NativeEngine

BATCH_WAIT = (
    0.02  # seconds in which others may join a batch: little beside an answer, much beside what lies between two
)


class LocalParams(Params):
    """A transformers model in a folder, run here: greedy at temperature 0."""

    model: str = Field(min_length=1)
    system: str | None = None  # a system turn before every prompt
    template: dict[str, Any] = {}  # further variables of the chat template, {enable_thinking: false} for instance
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")  # auto: an accelerator where there is one
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    max_rows: int = Field(64, ge=1)  # answers written at a time; changes speed and memory
    temperature: float = Field(0.0, ge=0)
    max_tokens: int = Field(256, ge=1)


class LocalChat(Chat):
    """A model in a folder behind the native engine: an answer depends on its own prompt and key alone, so on a CPU in
    float32 no batch, order or number of threads changes one (lib/inference/native_engine.py). Weights are read when first
    needed. A prompt that is too long is a NoAnswer of its own ask.

    Raises UserError for a folder without a model, for one whose template is missing or refuses the turns, and for a
    device that is not there.
    """

    def __init__(self, settings: LocalParams, cache: Path):
        from stages.lib.models import loading
        from stages.lib.models.encoding import Encoder
        from stages.lib.models.prompts import Prompt

        self.folder, self.settings = Path(settings.model), settings
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: not a folder; name one that `save_pretrained` wrote")
        loading.check_folder(self.folder)
        self.device = _resolve_device(settings.device)
        tokenizer = loading.load_tokenizer(self.folder)
        if not tokenizer.chat_template:
            raise UserError(f"{self.folder}: the tokenizer has no chat template; name a model that was tuned to chat")
        try:
            self.encoder = Encoder(tokenizer, Prompt(style="chat", system=settings.system, template=settings.template))
            self.encoder.prompt_ids("?")
        except UserError as error:
            turn = "a system turn; leave out `system`" if settings.system else "a user's turn; name another model"
            turn += ", or mend `template`" if settings.template else ""
            raise UserError(f"{self.folder}: the chat template refuses {turn} ({error.__context__ or error})") from None
        asked = settings.model_dump(exclude={"model", "device", "rows"})
        identity = {"kind": "hf", "engine": "native", "sha256": files.sha256(self.folder), **asked}
        super().__init__(identity, cache, Usage(), threads=min(settings.max_rows, 64))
        self._lock, self._queue = threading.Lock(), queue.SimpleQueue()
        self._executor = ThreadPoolExecutor(1)

    def ask(self, prompt: str, key: str) -> str:
        """Answered in one batch with what other threads ask at the time."""
        known = self._get_cached(prompt, key)
        if known is not None:
            return known
        answer: Future[str] = Future()
        self._queue.put(((prompt, key), answer))
        self._executor.submit(self._answer_queued)
        return answer.result()

    def ask_many(self, asks: Sequence[Request], progress: Progress | None = None) -> list[str | NoAnswerError]:
        with self._lock:  # one batch at a time
            return super().ask_many(asks, progress)

    def _answer_queued(self) -> None:
        if self._queue.empty():  # an earlier batch took it along
            return
        time.sleep(BATCH_WAIT)
        taken = [self._queue.get() for _ in range(self._queue.qsize())]
        try:
            for (_, answer), text in zip(taken, self.ask_many([ask for ask, _ in taken]), strict=True):
                if isinstance(text, NoAnswerError):
                    answer.set_exception(text)
                else:
                    answer.set_result(text)
        except BaseException as error:
            for _, answer in taken:
                answer.set_exception(error)

    def _iter_replies(self, asks: Sequence[Request]) -> Iterator[tuple[Request, str | NoAnswerError]]:
        keys: dict[str, list[str]] = {}  # of a prompt: its answers share the reading of it
        for ask in asks:
            known = self._get_cached(*ask)
            if known is not None:
                yield ask, known
            else:
                keys.setdefault(ask[0], []).append(ask[1])
        if keys:
            yield from self._generate(keys)

    def _generate(self, keys: dict[str, list[str]]) -> Iterator[tuple[Request, str | NoAnswerError]]:
        from stages.lib.models.encoding import check_context_length

        settings, prompts, read = self.settings, [], []
        for prompt, own in keys.items():
            ids = self.encoder.prompt_ids(prompt)
            limits = (settings.max_tokens, self._engine.context_length, "max_tokens")
            try:
                check_context_length(str(self.folder), ids, *limits, "lower max_tokens, or shorten the prompt")
            except UserError as error:
                yield from (((prompt, key), NoAnswerError(str(error))) for key in own)
            else:
                prompts.append(prompt)
                read.append(ids)
        draws = [[derive_seed(prompt, key) for key in keys[prompt]] for prompt in prompts]
        ends = self._engine.model.generation_config.eos_token_id
        stops = {
            *self.encoder.stops.token_ids,
            *(ends if isinstance(ends, list) else [ends] if ends is not None else []),
        }
        for i, own in self._engine.stream(read, draws, settings.temperature, settings.max_tokens, sorted(stops)):
            for key, draw in zip(keys[prompts[i]], own, strict=True):
                self.usage.add(tokens_in=len(read[i]), tokens_out=len(draw.ids))
                written = self.encoder.decode_text(draw.ids[:-1] if draw.finish == "stop" else draw.ids)
                reply = Reply(written, len(read[i]), len(draw.ids))
                yield (prompts[i], key), self._save_reply(prompts[i], key, reply)

    @cached_property
    def _engine(self) -> NativeEngine:
        from stages.lib.inference.native_engine import NativeEngine
        from stages.lib.models import loading

        return NativeEngine(
            loading.load_causal_lm(self.folder, self.settings.dtype).to(self.device), self.settings.max_rows
        )


def _resolve_device(name: str) -> str:
    import torch

    count = torch.cuda.device_count()
    if name == "auto":
        return "cuda" if count else "cpu"
    if name != "cpu" and int(name.partition(":")[2] or 0) >= count:
        raise UserError(f"device {name}: this machine has {count} accelerators; allowed: auto, cpu, cuda:0, cuda:1, ..")
    return name
