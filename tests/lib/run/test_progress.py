"""Lines about a stage at work where there is no terminal."""

import itertools
import re
import sys
import threading
from types import SimpleNamespace

import pytest

from stages.lib.core.durations import format_duration
from stages.lib.run import progress
from tests.helpers.toy_pipeline import create_pipeline


def test_a_line_at_the_start_and_then_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(progress, "INTERVAL", 0.001)
    stage, is_there = progress.Progress("orm", 130.0), threading.Event()
    describe = stage.describe

    def describe_and_tell():
        is_there.set() if stage.done == 2 else None
        return describe()

    monkeypatch.setattr(stage, "describe", describe_and_tell)
    with stage.report():
        for i in stage.track(range(5), 5, "training"):
            assert i != 2 or is_there.wait(60)
        assert stage.part is None
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "orm: started; the last run took 2:10"
    assert any(re.fullmatch(r"orm: training, 2 of 5, about \d.*s left", line) for line in lines)
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_between_parts_the_last_run_says_what_is_left(monkeypatch):
    clock = itertools.count(100.0, 30.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert progress.Progress("ood", 50.0).describe() == "ood: running for 30 s, about 20 s left as the last run went"
    assert progress.Progress("ood", 5.0).describe() == "ood: running for 30 s"
    assert progress.Progress("ood").describe() == "ood: running for 30 s"
    tracked = progress.Progress("ood")
    items = tracked.track("abcd", 4, "items")
    next(items)
    assert tracked.describe() == "ood: items, 0 of 4", "one is begun, none is done"
    next(items)
    assert tracked.describe() == "ood: items, 1 of 4, about 3:00 left"


def test_a_fault_stops_the_lines(capsys):
    with pytest.raises(ValueError, match="broken"), progress.Progress("orm").report():
        raise ValueError("broken")
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_a_terminal_has_the_bar_instead(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    stage = progress.Progress("orm", 130.0)
    with stage.report():
        assert list(stage.track(range(3), 3, "training")) == [0, 1, 2]
    assert "started" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_stage_in_a_pipe_says_when_it_starts_and_what_it_took_before(tmp_path):
    project = create_pipeline(tmp_path)
    first, second = (project.run_stage("one").stderr.splitlines() for _ in range(2))
    assert "one: started" in first and first[-1].startswith("one: done in ")
    assert any(line.startswith("one: started; the last run took ") for line in second)


@pytest.mark.parametrize(("seconds", "text"), [(0.44, "0.4 s"), (12.4, "12 s"), (185, "3:05"), (3723, "1:02:03")])
def test_durations(seconds, text):
    assert format_duration(seconds) == text
