"""How params.yaml names an agent: nobody, a server or a local model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from stages.lib import chat
from stages.lib.core.params import Params

# How a study asks a model that it compares with others or takes as judge: always alike, and with room to reason.
GREEDY: dict[str, Any] = {"temperature": 0.0, "max_tokens": 1500}


class AgentParams(Params):
    """Who rewords or judges. rules: no model; openai: any compatible server; hf: a model folder."""

    kind: Literal["rules", "openai", "hf"]  # rules (no model), an OpenAI-compatible server, or a local model folder
    settings: dict[str, Any] = {}  # of the model: lib/chat

    def create_chat(self, root: Path, **defaults: Any) -> chat.Chat | None:
        """The model, its answers stored under the repository `root`; None: rules. defaults: of settings not named here."""
        if self.kind == "rules":
            return None
        return chat.create(self.kind, root / ".assay" / "chat", **{**defaults, **self.settings})
