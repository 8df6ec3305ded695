"""The sandbox: each test breaks one promise on purpose, with every layer and, where it can, with one layer alone."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from stages.lib.core.errors import UserError
from stages.lib.grading import sandbox
from stages.lib.grading.sandbox import Limits, jail, run

ROOT = Path(__file__).parents[3]
ALL = ("network", "writing", "reading", "processes")
SHORT = Limits(cpu_seconds=2, memory=256 << 20, output=1 << 20, wall_seconds=20.0)


def alone(layer, source, **kwargs):
    """A run with one layer, without what it does not promise. Skips where the kernel does not have the layer."""
    without = tuple(promise for promise, layers in jail.LAYERS_BY_PROMISE.items() if layer not in layers)
    try:
        return run(source, limits=SHORT, layers=(layer,), without=without, **kwargs)
    except UserError as error:
        pytest.skip(f"no {layer} here: {error}")


def refused(outcome):
    assert outcome.status == "error" and "PermissionError" in outcome.stderr, outcome


def test_a_program_reads_its_input_and_prints():
    outcome = run(
        "import sys\nprint(sum(map(int, sys.stdin.read().split())), 'é')\nprint('x', file=sys.stderr)", "1 2\n3"
    )
    assert outcome[:3] == ("ok", "6 é\n", "x\n") and not outcome.reason


def test_an_error_and_an_exit_status_are_told():
    assert run("1/0").reason == "error: ZeroDivisionError: division by zero"
    assert run("raise SystemExit(3)").status == "error" and run("raise SystemExit(0)").status == "ok"
    assert run("import ctypes; ctypes.string_at(0)").status == "error"
    assert run("def f(:").reason.startswith("error: SyntaxError")


@pytest.mark.slow
def test_time_of_the_processor():
    outcome = run("while True: pass", limits=SHORT._replace(cpu_seconds=1))
    assert outcome.status == "time"


def test_time_of_the_clock_also_where_signals_are_ignored():
    source = (
        "import signal, time\nfor s in range(1, 30):\n try: signal.signal(s, signal.SIG_IGN)\n except OSError: pass\n"
    )
    outcome = run(source + "while True: time.sleep(100)", limits=SHORT._replace(wall_seconds=1.0))
    assert outcome.status == "time" and outcome.wall_seconds < 5


def test_memory():
    assert run("x = bytearray(1 << 30)", limits=SHORT).status == "memory"
    assert run("x = []\nwhile True: x.append(bytes(1 << 20))", limits=SHORT).status == "memory"


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_of_output(stream):
    source = (
        f"import sys\nwhile True:\n  try: sys.{stream}.write('x' * 65536); sys.{stream}.flush()\n  except OSError: pass"
    )
    outcome = run(source, limits=SHORT._replace(cpu_seconds=1))
    assert outcome.status == "output" and len(getattr(outcome, stream)) <= SHORT.output


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.fork()",
        "import os\nwhile True: os.fork()",
        "import subprocess\nsubprocess.run(['true'])",
        "import os, sys\nos.posix_spawn(sys.executable, ['x'], {})",
        "import multiprocessing\nmultiprocessing.Pool(2)",
        "import os\nos.kill(os.getppid(), 0)",
        "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)",
    ],
)
def test_no_other_processes(source):
    refused(run(source, limits=SHORT))


def test_a_raw_clone_is_refused_too():
    number = sandbox.seccomp._CALL_NUMBERS["clone"][sandbox.seccomp._ARCHITECTURES[os.uname().machine][1]]
    source = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    outcome = run(source + f"print(libc.syscall({number}, 17, 0, 0, 0, 0), ctypes.get_errno())", limits=SHORT)
    assert outcome.stdout == "-1 1\n"


def test_threads_are_allowed():
    source = "import threading\nt = threading.Thread(target=print, args=('hi',))\nt.start()\nt.join()"
    assert run(source, limits=SHORT).stdout == "hi\n"


def test_a_bomb_of_threads_ends():
    source = "import threading, time\nthreading.stack_size(32768)\n"
    source += "while True: threading.Thread(target=time.sleep, args=(99,)).start()"
    assert run(source, limits=SHORT._replace(wall_seconds=5.0)).status in ("error", "memory", "time")


def listening():
    server = socket.create_server(("127.0.0.1", 0))
    return server, server.getsockname()[1]


@pytest.mark.parametrize("layers", [sandbox.LAYERS, ("filter",), ("namespaces",)])
def test_no_network(layers):
    server, port = listening()
    server.settimeout(0.2)
    source = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2).send(b'x')"
    outcome = run(source, limits=SHORT) if layers == sandbox.LAYERS else alone(layers[0], source)
    assert outcome.status == "error" and "Error" in outcome.stderr
    with server, pytest.raises(TimeoutError):
        server.accept()


@pytest.mark.parametrize("kind", ["AF_INET, socket.SOCK_DGRAM", "AF_UNIX", "AF_INET6", "AF_NETLINK, socket.SOCK_RAW"])
def test_no_socket_of_any_kind(kind):
    refused(run(f"import socket\nsocket.socket(socket.{kind})", limits=SHORT))
    refused(run("import socket\nsocket.socketpair()", limits=SHORT))


@pytest.mark.parametrize("layer", ["filter", "landlock"])
@pytest.mark.parametrize(
    "change",
    [
        "open({new!r}, 'w')",
        "open({old!r}, 'a')",
        "open({old!r}, 'r+')",
        "os.remove({old!r})",
        "os.rename({old!r}, {new!r})",
        "os.mkdir({new!r})",
        "os.symlink('x', {new!r})",
        "open('prog.py', 'w')",
        "os.open('.', os.O_TMPFILE | os.O_WRONLY)",
        "os.open({new!r}, os.O_CREAT)",
    ],
)
def test_no_file_is_written_anywhere(tmp_path, layer, change):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("kept")
    outcome = alone(layer, "import os\n" + change.format(old=str(old), new=str(new)))
    refused(outcome)
    assert old.read_text() == "kept" and not new.exists()


@pytest.mark.parametrize("layers", [sandbox.LAYERS, ("filter",)])
def test_opening_for_reading_empties_no_file(layers):
    """What Landlock before its third version does not refuse, the filter does, also where writing is left to Landlock."""
    source = "import os\nos.open('prog.py', os.O_RDONLY | os.O_TRUNC)"
    refused(run(source, limits=SHORT) if layers == sandbox.LAYERS else alone(layers[0], source))


@pytest.mark.slow
def test_no_file_is_written_anywhere_with_all_layers(tmp_path):
    old = tmp_path / "old"
    old.write_text("kept")
    for path in (old, tmp_path / "new", "/dev/stdout", "/dev/stderr", "/proc/self/mem", "prog.py", "/dev/null/../x"):
        for mode in ("w", "a", "r+"):
            outcome = run(f"open({str(path)!r}, {mode!r})", limits=SHORT)
            assert outcome.status == "error" and "Error" in outcome.stderr, (path, mode, outcome)
    assert old.read_text() == "kept" and [path.name for path in tmp_path.iterdir()] == ["old"]


def test_permissions_and_times_stay(tmp_path):
    file = tmp_path / "kept"
    file.write_text("x")
    before = file.stat()
    refused(run(f"import os\nos.chmod({str(file)!r}, 0)", limits=SHORT))
    refused(run(f"import os\nos.utime({str(file)!r}, (0, 0))", limits=SHORT))
    assert file.stat() == before


def test_the_folder_is_empty_but_for_the_program_and_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    outcome = run("import os\nprint(os.listdir(), os.getcwd())", limits=SHORT)
    assert outcome.stdout.startswith("['prog.py'] ") and str(tmp_path) in outcome.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_nothing_of_the_user_can_be_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    for path in (secret, ROOT / "README.md", "/etc/passwd", "/proc/self/environ", f"/proc/{os.getpid()}/environ"):
        refused(run(f"print(open({str(path)!r}).read())", limits=SHORT))
    refused(run("import os\nprint(os.listdir('/'))", limits=SHORT))
    refused(run(f"import os\nos.chdir('/')\nos.chroot({str(tmp_path)!r})", limits=SHORT))


def test_no_secret_of_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    outcome = run("import os\nprint(sorted(os.environ))", limits=SHORT)
    assert outcome.stdout == f"{sorted(sandbox._ENVIRONMENT)}\n"


def test_no_open_file_is_passed_on(tmp_path):
    with open(tmp_path / "open", "w") as file:
        os.set_inheritable(file.fileno(), True)
        source = "import os\nfor fd in range(3, 64):\n  try: os.fstat(fd); print(fd)\n  except OSError: pass"
        assert run(source, limits=SHORT).stdout == ""


def test_integers_are_as_long_as_memory():
    assert run("n = int('9' * 9000)\nprint(len(str(n + 1)), len(str(10**5000)))").stdout == "9001 5001\n"


@pytest.mark.parametrize(
    "read",
    [
        "open('/dev/stdin').read().split()",
        "open(0).read().split()",
        "sys.stdin.buffer.read().decode().split()",
        "[*input().split(), *sys.stdin.readline().split()]",
        "os.read(os.open('/dev/stdin', os.O_RDONLY), 99).decode().split()",
        "open('/dev/fd/0').read().split()",
        "open('/proc/self/fd/0').read().split()",
    ],
)
def test_standard_input_is_read_by_any_name(read):
    assert run(f"import os, sys\nprint({read})", "1 2\n3\n", SHORT).stdout == "['1', '2', '3']\n"


def test_a_large_input_is_whole():
    text = "x" * (3 << 20)
    assert run("print(len(input()), len(open('/dev/stdin').read()))", text, SHORT).stdout == f"{3 << 20} {3 << 20}\n"


@pytest.mark.parametrize(
    "change",
    [
        "os.write(0, b'x')",
        "os.truncate(0, 0)",
        "open('/dev/stdin', 'w').write('x')",
        "open('/dev/stdin', 'ab', 0).write(b'x')",
    ],
)
def test_standard_input_cannot_be_changed(change):
    assert "PermissionError" in run(f"import os\n{change}", "kept", SHORT).stderr


def test_what_goes_to_dev_null_is_gone():
    source = "import os, sys\nsys.stderr = open(os.devnull, 'w')\nprint('lost', file=sys.stderr, flush=True)\n"
    source += "open('/dev/null', 'r+b').write(b'x')\nopen('/dev/null', 'ab')\nprint(repr(open('/dev/null').read()))"
    assert run(source, limits=SHORT)[:3] == ("ok", "''\n", "")


DEEP = "import sys\nfrom functools import cache\nsys.setrecursionlimit(10**6)\n"
DEEP += "@cache\ndef depth(n):\n    return n and 1 + depth(n - 1)\n"


@pytest.mark.slow
def test_a_program_may_recurse_as_deep_as_it_asks():
    assert "RecursionError" in run("def f(n): return n and 1 + f(n - 1)\nf(2000)").stderr
    assert run(f"{DEEP}print(depth(50000))").stdout == "50000\n"
    threaded = f"{DEEP}import threading\nthreading.stack_size(1 << 28)\n"
    threaded += "t = threading.Thread(target=lambda: print(depth(50000)))\nt.start()\nt.join()"
    assert run(threaded).stdout == "50000\n"


@pytest.mark.slow
def test_what_the_machine_may_have_done_is_told_apart():
    assert run("while True: pass", limits=SHORT._replace(cpu_seconds=1)).is_conclusive
    assert not run("import time\ntime.sleep(9)", limits=SHORT._replace(wall_seconds=0.5)).is_conclusive


def test_nothing_of_the_project_is_imported():
    assert "ModuleNotFoundError" in run("import stages", limits=SHORT).stderr
    assert "ModuleNotFoundError" in run("import jail", limits=SHORT).stderr


def test_equal_runs_print_equal_bytes():
    outcomes = {run("print({'a', 'b', 'c', 'd', 'e'})", limits=SHORT).stdout for _ in range(3)}
    assert len(outcomes) == 1


def test_a_promise_that_no_layer_keeps_stops_the_run():
    with pytest.raises(UserError, match="cannot keep a program to its limits .network, processes, reading, writing"):
        run("print(1)", limits=SHORT, layers=())
    assert run("print(1)", limits=SHORT, layers=(), without=ALL).stdout == "1\n"


def test_a_sandbox_that_does_not_start_is_told(monkeypatch):
    monkeypatch.setattr(jail, "__file__", "/nowhere/jail.py")
    with pytest.raises(UserError, match="the sandbox did not start"):
        run("print(1)", limits=SHORT)


def test_a_program_ends_with_the_one_who_asked():
    source = (
        "from stages.lib.grading import sandbox\n"
        "sandbox.run('import time; time.sleep(60)', limits=sandbox.Limits(wall_seconds=60.0))"
    )
    asking = subprocess.Popen([sys.executable, "-c", source], cwd=ROOT)

    def children():
        return Path(f"/proc/{asking.pid}/task/{asking.pid}/children").read_text().split()

    deadline = time.monotonic() + 300
    while not children() and time.monotonic() < deadline:
        time.sleep(0.02)
    (child,) = children()
    while b"prog.py" not in Path(f"/proc/{child}/cmdline").read_bytes() and time.monotonic() < deadline:
        time.sleep(0.02)
    asking.send_signal(signal.SIGKILL)
    asking.wait()
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.slow
def test_programs_run_side_by_side():
    outcomes = {}
    threads = [
        threading.Thread(target=lambda i=i: outcomes.update({i: run("print(input())", str(i), SHORT).stdout}))
        for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {i: f"{i}\n" for i in range(6)}
