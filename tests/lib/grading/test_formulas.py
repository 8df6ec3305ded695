"""Formulas are compared in workers that neither hang nor outlive anyone, and no string takes long."""

import multiprocessing
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from stages.lib.core.errors import UserError
from stages.lib.grading import answers, formulas
from stages.lib.grading.answers import equal, equal_many, extract, group
from stages.lib.grading.formulas import pool

ROOT = Path(__file__).parents[3]
TYPES = [None, *answers.TYPES]


@pytest.fixture
def impatient(monkeypatch):
    """Workers with one second of processor time, in a pool of their own."""
    monkeypatch.setattr(pool, "CPU_SECONDS", 1.0)
    monkeypatch.setattr(pool, "idle_workers", [])
    monkeypatch.setattr(pool, "fatal_expressions", set())
    yield
    for worker in pool.idle_workers:
        pool._kill_worker(worker)


@pytest.mark.slow
def test_what_takes_for_ever_is_different_and_asked_once(impatient):
    tower = "9^{9^{9^9}}"
    assert equal_many([(tower, "x"), (r"\frac{2}{4}", r"\sqrt{\frac14}")], "latex") == [False, True]
    start = time.process_time()
    assert group([tower, "x", "y", tower, *(f"{n}x" for n in range(30))], "latex")[:4] == [0, 1, 2, 0]
    assert time.process_time() - start < 1
    assert pool.fatal_expressions == {tower}


SLOW = [r"\prod_{k=1}^{10^6} k", r"\binom{10^9}{5\cdot10^8}", "7^{7^{7^{7^7}}}", r"\sum_{k=1}^{10^7} \frac{1}{k}"]


@pytest.mark.slow
def test_the_worst_pair_and_a_large_pool_are_quick():
    equal("x+1", "1+x", "latex")  # a worker is running
    for text in SLOW:
        start = time.process_time()
        before = time.perf_counter()
        equal(text, "7", "latex")
        assert time.perf_counter() - before < 6 * pool.CPU_SECONDS and time.process_time() - start < 1
    texts = [rf"\frac{{x+{n}}}{{{n}x+1}}" for n in range(2, 66)] + [r"\frac{2x+4}{4x+2}"]
    assert group(texts, "latex") == [*range(64), 0]
    assert len(list(formulas.find_candidates(texts))) == 1  # of 2,080 pairs


HUGE = 10_000_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "9" * HUGE,
        "{" * HUGE,
        r"\boxed{" * (HUGE // 7),
        "answer: " * (HUGE // 8),
        "\n" * HUGE,
        "`" * HUGE,
        r"\(" * (HUGE // 2),
        "1," * (HUGE // 2),
        "A:\n" * (HUGE // 3),
        "Q:\n" * (HUGE // 3),
        "6 a, " * (HUGE // 5),
        "{" * 5000 + "1" + "}" * 5000,
        "5 a" + "-a" * 900,
        "1e999999999",
        "\ud800",
        "\0",
    ],
    ids=lambda text: f"{text[:6]!r}",
)
def test_no_string_takes_long(text):
    start = time.process_time()
    for answer_type in TYPES:
        extract(text, answer_type)
        assert equal(text, "7", answer_type) is False
        group([text, None], answer_type)
    assert time.process_time() - start < 10


PAIRS = [(rf"\frac{{{2 * n}}}{{{n}}}x", "2x") for n in range(2, 30)] + [(rf"{n}x", "2x") for n in range(3, 30)]


def test_threads_get_the_right_answers():
    with ThreadPoolExecutor(6) as threads:
        verdicts = list(threads.map(lambda pair: formulas.equal_many([pair])[0], PAIRS))
    assert verdicts == [True] * 28 + [False] * 27


def _compare(queue):
    queue.put((formulas.equal_many([("a+b", "b+a"), ("a+b", "b-a")]), [worker.pid for worker in pool.idle_workers]))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_has_workers_of_its_own(method):
    assert formulas.equal_many([("a+c", "c+a")]) == [True]
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_compare, args=(queue,))
    child.start()
    verdicts, child_pids = queue.get(timeout=600)
    child.join()
    assert verdicts == [True, False]
    assert child_pids and {worker.pid for worker in pool.idle_workers}.isdisjoint(child_pids)
    assert formulas.equal_many([("a+d", "d+a")]) == [True]


def test_workers_that_were_killed_are_replaced():
    pool.idle_workers.extend(pool._start_worker() for _ in range(3))
    for worker in pool.idle_workers:
        worker.kill()
        worker.poll = lambda: None  # its end has not been noticed yet
    assert formulas.equal_many([("b+d", "d+b")]) == [True]


PARENT = """
import os, sys, threading
from stages.lib.grading import formulas
from stages.lib.grading.formulas import pool
pool.CPU_SECONDS = 5.0
assert formulas.equal_many([("a+b", "b+a")]) == [True]
busy = threading.Thread(target=formulas.equal_many, args=([("9^{9^{9^9}}", "2")],))
if sys.argv[1] == "busy":
    busy.start()
print(*(child for child in os.popen(f"pgrep -P {os.getpid()} -f grading.formulas.worker").read().split()), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_no_worker_outlives_a_killed_parent(state):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, state], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert workers
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=90)
    assert not alive


def test_a_worker_that_cannot_start_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(pool, "idle_workers", [])
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(UserError, match="math-verify"):
        formulas.equal_many([("q+r", "r+q")])
