"""Ask a language model in text: one small interface over any OpenAI-compatible server and over a local model.

`create(kind, cache, **settings)` gives a `Chat`, and `chat.ask(prompt, key)` the text of an answer. Answers are stored on
disk under (model, settings, prompt, key) before they are used, so a crash loses none that was paid for and a second run
pays nothing. Another key gives another answer. For many prompts use `ask_many`, or call `ask` from the threads of `map`:
a server gets several requests at once, and a local model answers in batches what is waiting.

`chat.usage` counts calls, tokens and cost. Kinds: openai (lib/chat/server.py), hf (lib/chat/local.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stages.lib.chat.base import Chat, Progress, Request, describe_cost
from stages.lib.chat.local import LocalChat, LocalParams
from stages.lib.chat.retry import NoAnswerError
from stages.lib.chat.server import OpenAIParams, create_server_chat
from stages.lib.core.errors import UserError
from stages.lib.core.params import Params
from stages.lib.core.records import explain_error

__all__ = ["Request", "Chat", "NoAnswerError", "Progress", "create", "describe_cost"]
BACKENDS: dict[str, tuple[type[Params], Callable[..., Chat]]] = {
    "openai": (OpenAIParams, create_server_chat),
    "hf": (LocalParams, LocalChat),
}


def create(kind: str, cache: Path, /, **settings: Any) -> Chat:
    """A chat of the kind (openai or hf), its answers stored in the folder `cache`. Raises UserError for bad settings."""
    if not isinstance(kind, str) or kind not in BACKENDS:
        raise UserError(f"chat kind {kind!r}: unknown; allowed: {', '.join(BACKENDS)}")
    section, build = BACKENDS[kind]
    if unknown := sorted(settings.keys() - section.model_fields):
        raise UserError(
            f"settings of the {kind} chat: {unknown[0]}: unknown key; allowed: {', '.join(section.model_fields)}"
        )
    try:
        params = section.model_validate(settings)
    except ValidationError as error:
        raise UserError(f"settings of the {kind} chat: {explain_error(error)}") from None
    return build(params, Path(cache))
