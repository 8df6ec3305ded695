"""A card: README.md of a model or a data set on the hub, with the front matter that the hub reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

# Identifiers of the hub (hub-docs, docs/hub/repositories-licenses.md) for names that are not SPDX's in small letters.
HUB_LICENCES = {"none stated": "unknown"}
KNOWN = (
    "mit",
    "apache-2.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-nc-4.0",
    "cc0-1.0",
    "odc-by",
    "bsd-3-clause",
    "unknown",
)


def describe_licence(licences: Iterable[str]) -> dict[str, str]:
    """The front matter's `license` of what is made from parts under these licences: `other`, named, if there are several
    or one that the hub does not know; nothing if there are none."""
    names = sorted(set(licences))
    hub = sorted({HUB_LICENCES.get(name, name.lower()) for name in names})
    if len(hub) == 1 and hub[0] in KNOWN:
        return {"license": hub[0]}
    return {"license": "other", "license_name": " and ".join(names)} if names else {}


def format_card(front: Mapping[str, Any], title: str, lead: str, sections: Mapping[str, str]) -> str:
    """Front matter, title, a sentence, and sections; those without text are left out."""
    yaml, text = YAML(), StringIO()
    yaml.default_flow_style = False
    yaml.dump({key: value for key, value in front.items() if value}, text)
    body = "\n".join(f"## {heading}\n\n{content.strip()}\n" for heading, content in sections.items() if content.strip())
    return f"---\n{text.getvalue()}---\n\n# {title}\n\n{lead}\n\n{body}"


def format_code(text: str, language: str = "") -> str:
    return f"```{language}\n{text}\n```\n"
