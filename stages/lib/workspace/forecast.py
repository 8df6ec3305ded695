"""How long stages take, as their last runs on this machine went. A run with other parameters takes another time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stages.lib.run import journal
from stages.lib.run.progress import describe_elapsed


class Forecast(NamedTuple):
    """Seconds by stage. last: what the newest finished run took; elapsed: since a run began that is not over."""

    last: Mapping[str, float]
    elapsed: Mapping[str, float]

    def estimate_left(self, stages: Iterable[str]) -> float:
        """Seconds until all of these have run. A stage without a finished run counts nothing."""
        return sum(max(0.0, self.last.get(stage, 0.0) - self.elapsed.get(stage, 0.0)) for stage in stages)

    def describe_running(self, stage: str) -> str:
        """How long it runs and has left, as its own lines say it."""
        return describe_elapsed(self.elapsed[stage], self.last.get(stage))


def make_forecast(entries: Iterable[journal.Entry]) -> Forecast:
    """From the journal's entries, oldest first."""
    infos = [entry.info for entry in entries]
    last = {info["stage"]: info["seconds"] for info in infos if info["status"] == journal.FINISHED}
    now = time.time()
    return Forecast(last, {x["stage"]: max(0.0, now - x["started"]) for x in infos if x["status"] == journal.RUNNING})
