"""What stage honesty and the study of its arms say alike: about the list that reads refusals, and about kinds of item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KINDS_TITLE = "By kind of item: refused where there is no answer / of unknown / of known items / accuracy of answers, %"


def describe_judgement(name: str, counts: Mapping[str, Any]) -> str | None:
    """A sentence, without its full stop, about the replies of a policy or an arm; None where nobody reads a refusal.

    counts: replies; listed, those that the list reads as refusals; untaught, those of them in words that are not taught;
    missed and extra, those that the judge alone or the list alone does; unread, those of which the judge says neither.
    """
    if not (counts["listed"] or counts["missed"] or counts["unread"]):
        return None
    text = f"{name}: of {counts['replies']} replies the list reads {counts['listed']} as refusals"
    text += f", {counts['untaught']} in words that are not taught" if counts["listed"] else ""
    if counts["missed"] or counts["extra"] or counts["unread"]:
        text += f"; the judge takes {counts['missed']} more for one and {counts['extra']} of these for none"
    return text + (f"; to {counts['unread']} it says neither yes nor no" if counts["unread"] else "")
