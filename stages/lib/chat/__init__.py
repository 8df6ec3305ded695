"""Text from a language model: one small interface over any OpenAI-compatible server and over a local model.

`create(kind, cache, **settings)` returns a `Chat`; `chat.ask(prompt, key)` returns the text of the answer. An answer is
stored under (model, settings, prompt, key) before it is used, so a crash loses none that was paid for and a second run
costs nothing; another key draws another answer. Many prompts go to `ask_many`, or are asked from the threads of `map`: a
server then gets several at once, and a local model answers in batches. `chat.usage` counts tokens and cost.

Kinds: openai (server.py), hf (local.py). Knows neither problems nor verifiers: it sees prompts alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from stages.lib.chat.base import Chat, Progress, Request
from stages.lib.chat.local import LocalChat, LocalParams
from stages.lib.chat.retry import NoAnswerError
from stages.lib.chat.server import OpenAIParams, create_server_chat
from stages.lib.core.errors import UserError
from stages.lib.core.params import Params
from stages.lib.core.records import explain_error

__all__ = ["Request", "Chat", "NoAnswerError", "Progress", "create"]
BACKENDS: dict[str, tuple[type[Params], Callable[..., Chat]]] = {
    "openai": (OpenAIParams, create_server_chat),
    "hf": (LocalParams, LocalChat),
}


def create(kind: Literal["openai", "hf"], cache: Path, /, **settings: Any) -> Chat:
    """A chat of the kind, its answers kept in the folder `cache`. Raises UserError for settings that do not fit."""
    if not isinstance(kind, str) or kind not in BACKENDS:
        raise UserError(f"chat kind {kind!r}: unknown; allowed: {', '.join(BACKENDS)}")
    section, build = BACKENDS[kind]
    if unknown := sorted(settings.keys() - section.model_fields):
        raise UserError(
            f"settings of the {kind} chat: {unknown[0]}: unknown key; allowed: {', '.join(section.model_fields)}"
        )
    try:
        checked = section.model_validate(settings)
    except ValidationError as error:
        raise UserError(f"settings of the {kind} chat: {explain_error(error)}") from None
    return build(checked, Path(cache))
