"""A chat with a language model in a folder, run in this process on an accelerator if there is one."""

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

from stages.lib.chat.base import Chat, Progress, Prompt, Reply, Request, Usage, derive_seed
from stages.lib.chat.retry import NoAnswerError
from stages.lib.core import files
from stages.lib.core.errors import UserError
from stages.lib.core.params import Params
from stages.lib.inference.sampling import Distribution

if TYPE_CHECKING:
    from stages.lib.inference.native_engine import NativeEngine

BATCH_WAIT = 0.02  # seconds in which other threads may join a batch; short beside an answer


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
    """A model in a folder behind the native engine. An answer depends on its prompt and key alone, so on a CPU in float32
    batch, order and number of threads change nothing (lib/inference/native_engine.py). Weights are loaded on first use.
    A prompt that is too long gives a NoAnswerError.

    Raises UserError for a folder without a model, a chat template that is missing or refuses the turns, and a device that
    this machine lacks.
    """

    def __init__(self, settings: LocalParams, cache: Path):
        from stages.lib.models import loading, prompts  # imports torch, which a chat with a server does not need
        from stages.lib.models.encoding import Encoder

        self.folder, self.settings = Path(settings.model), settings
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: not a folder; name one that `save_pretrained` wrote")
        loading.check_folder(self.folder)
        self.device = loading.resolve_device(settings.device)
        tokenizer = loading.load_tokenizer(self.folder)
        if not tokenizer.chat_template:
            raise UserError(f"{self.folder}: the tokenizer has no chat template; name a model that was tuned to chat")
        try:
            self.encoder = Encoder(
                tokenizer, prompts.Prompt(style="chat", system=settings.system, template=settings.template)
            )
            self.encoder.prompt_ids("?")
        except UserError as error:
            turn = "a system turn; leave out `system`" if settings.system else "a user's turn; name another model"
            turn += ", or mend `template`" if settings.template else ""
            raise UserError(f"{self.folder}: the chat template refuses {turn} ({error.__context__ or error})") from None
        relevant = settings.model_dump(exclude={"model", "device", "max_rows"})
        identity = {"kind": "hf", "engine": "native", "sha256": files.sha256(self.folder), **relevant}
        super().__init__(identity, cache, Usage(), threads=min(settings.max_rows, 64))
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Request, Future[str]]] = queue.SimpleQueue()
        self._executor = ThreadPoolExecutor(1)

    def ask(self, prompt: Prompt, key: str) -> str:
        """Answered in one batch with the requests of other threads at that time."""
        cached = self._get_cached(prompt, key)
        if cached is not None:
            return cached
        future: Future[str] = Future()
        self._queue.put(((prompt, key), future))
        self._executor.submit(self._answer_queued)
        return future.result()

    def ask_many(self, requests: Sequence[Request], progress: Progress | None = None) -> list[str | NoAnswerError]:
        with self._lock:  # one batch at a time
            return super().ask_many(requests, progress)

    def _answer_queued(self) -> None:
        if self._queue.empty():  # an earlier batch included it
            return
        time.sleep(BATCH_WAIT)
        batch = [self._queue.get() for _ in range(self._queue.qsize())]
        try:
            answers = self.ask_many([request for request, _ in batch])
            for (_, future), answer in zip(batch, answers, strict=True):
                if isinstance(answer, NoAnswerError):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        except BaseException as error:
            for _, future in batch:
                future.set_exception(error)

    def _iter_replies(self, requests: Sequence[Request]) -> Iterator[tuple[Request, str | NoAnswerError]]:
        keys: dict[Prompt, list[str]] = {}  # by prompt: its answers share the encoded prompt
        for prompt, key in requests:
            cached = self._get_cached(prompt, key)
            if cached is not None:
                yield (prompt, key), cached
            else:
                keys.setdefault(prompt, []).append(key)
        if keys:
            yield from self._generate(keys)

    def _generate(self, keys: dict[Prompt, list[str]]) -> Iterator[tuple[Request, str | NoAnswerError]]:
        from stages.lib.models.encoding import check_context_length

        settings = self.settings
        limits = (
            settings.max_tokens,
            self._engine.context_length,
            "max_tokens",
            "lower max_tokens, or shorten the prompt",
        )
        encoded: dict[Prompt, list[int]] = {}
        for prompt in keys:
            ids = self.encoder.prompt_ids(prompt) if isinstance(prompt, str) else self.encoder.encode_talk(prompt)
            try:
                check_context_length(str(self.folder), ids, *limits)
                encoded[prompt] = ids
            except UserError as error:
                yield from (((prompt, key), NoAnswerError(str(error))) for key in keys[prompt])
        prompts, rows = list(encoded), list(encoded.values())
        seeds = [[derive_seed(prompt, key) for key in keys[prompt]] for prompt in prompts]
        ends = self._engine.model.generation_config.eos_token_id
        stops = {*self.encoder.stops.token_ids, *(ends if isinstance(ends, list) else [] if ends is None else [ends])}
        distribution = Distribution(settings.temperature)
        for i, draws in self._engine.stream(rows, seeds, distribution, settings.max_tokens, sorted(stops)):
            for key, draw in zip(keys[prompts[i]], draws, strict=True):
                self.usage.add(tokens_in=len(rows[i]), tokens_out=len(draw.ids))
                text = self.encoder.decode_text(draw.ids[:-1] if draw.finish == "stop" else draw.ids)
                reply = Reply(text, len(rows[i]), len(draw.ids), finish=draw.finish)
                yield (prompts[i], key), self._save_reply(prompts[i], key, reply)

    @cached_property
    def _engine(self) -> NativeEngine:
        from stages.lib.inference.native_engine import NativeEngine
        from stages.lib.models import loading

        model: Any = loading.load_causal_lm(self.folder, self.settings.dtype)
        return NativeEngine(model.to(self.device), self.settings.max_rows)
