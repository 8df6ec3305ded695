"""The sandbox: runs one Python program with its standard input in isolation and within limits.

A program that a model wrote, or that comes from a benchmark, runs in a separate process: a fresh interpreter that sees
neither the user's environment nor the start-up files of their packages, in an empty folder that is removed afterwards.

What is covered, each by a test that tries to break it (tests/lib/grading/test_sandbox.py):
  time       processor seconds, enforced by the kernel; and wall-clock seconds, for a program that sleeps
  memory     bytes of address space; output in bytes; no core dumps
  processes  none but its own: no fork, no signals to others, no look into them; threads are allowed
             (64 where namespaces are allowed and no administrator runs this, else what memory holds)
  network    no sockets at all, not even local ones
  writing    no file is made, changed or removed anywhere; what goes to /dev/null is gone
  reading    only the interpreter's own files, the system's libraries and the program itself
  secrets    no environment variable and no open file of the caller is passed on

Three layers of the Linux kernel keep these promises; all are tried, and none needs an administrator: a filter of system
calls (seccomp; x86_64 and aarch64), Landlock (Linux 5.13), and new user and network namespaces where a container allows
them. If no layer can keep a promise, nothing is run and UserError names it, unless the caller does without it.

What is not covered: bugs of the kernel and of the processor (use a virtual machine against those), the load on the machine
within the limits, and honesty: a program that shares its process with its tests can fake passing them. The sandbox stops
accidents and ordinary malice; do not run the code of someone who attacks you in particular.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import select
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from stages.lib.core.errors import UserError
from stages.lib.grading.sandbox import seccomp

MAX_THREADS = 64
LAYERS = ("filter", "landlock", "namespaces")
_SYSTEM_PATHS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/dev/urandom")
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONINTMAXSTRDIGITS": "0",  # integers of any length can be read and printed
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class Limits(NamedTuple):
    """What a program may use."""

    cpu_seconds: int = 10  # of the processor
    memory: int = 1 << 30  # bytes of address space
    output: int = 16 << 20  # bytes on standard output, and as many on standard error
    wall_seconds: float = 60.0  # generous, so that a right program does not fail on a busy machine


DEFAULT_LIMITS = Limits()


class Outcome(NamedTuple):
    """How a run ended, and what it printed; bytes that are no UTF-8 are surrogate escapes."""

    status: Literal["ok", "error", "time", "memory", "output"]
    stdout: str
    stderr: str
    wall_seconds: float
    is_conclusive: bool = True  # False if the machine may be to blame: it was busy, or out of memory

    @property
    def reason(self) -> str:
        """Why the program failed, in a few words; "" if it did not."""
        if self.status != "error":
            return "" if self.status == "ok" else f"{self.status} limit"
        last_line = self.stderr.strip().rpartition("\n")[2][:200]
        return f"error: {last_line}" if last_line else "error"


def run(
    source: str,
    stdin: str = "",
    limits: Limits = DEFAULT_LIMITS,
    without: tuple[str, ...] = (),
    layers: tuple[str, ...] = LAYERS,
) -> Outcome:
    """Run a program and wait for its end.

    without: promises (network, writing, reading, processes) that the caller can do without. layers: those to try. Raises
    UserError if this machine cannot keep another promise.
    """
    if not sys.platform.startswith("linux"):
        raise UserError("programs run only on Linux, whose kernel keeps them from the network and from files")
    with (
        tempfile.TemporaryDirectory(prefix="assay-") as folder,
        _make_sealed_file(stdin) as stdin_file,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        program = Path(folder) / "prog.py"
        program.write_text(source, encoding="utf-8", errors="surrogatepass", newline="")
        config = {
            "parent": os.getpid(),
            # Without the user's packages, start-up files and variables, as -I does, but with fixed hashes: runs repeat.
            "command": [sys.executable, "-P", "-s", "-B", str(program)],
            "environment": _ENVIRONMENT,
            "layers": layers,
            "without": without,
            "filter": (seccomp.build_filter() or b"").hex(),
            "filter_beside_landlock": (seccomp.build_filter(may_write=True) or b"").hex(),
            "limits": {
                "CPU": limits.cpu_seconds,
                "AS": limits.memory,
                "FSIZE": limits.output,
                "NOFILE": 64,
                "CORE": 0,
                "STACK": -1,  # as deep as its memory
            },
            "threads": MAX_THREADS,
            "readable": [folder, *_list_library_paths(), *_SYSTEM_PATHS],
            "writable": [os.devnull],
        }
        start = time.monotonic()
        code, timed_out, used = _run_jailed(config, folder, (stdin_file, out, err), limits.wall_seconds)
        seconds = time.monotonic() - start
        sizes = [os.fstat(file.fileno()).st_size for file in (out, err)]
        stdout, stderr = (_read_text(file) for file in (out, err))
        if max(sizes) >= limits.output:
            return Outcome("output", stdout, stderr, seconds)
        if timed_out:
            return Outcome("time", stdout, stderr, seconds, is_conclusive=False)
        if code == -signal.SIGKILL and used < limits.cpu_seconds - 1:  # a program cannot do this to itself
            return Outcome("memory", stdout, stderr, seconds, is_conclusive=False)
        if code in (-signal.SIGKILL, -signal.SIGXCPU):
            return Outcome("time", stdout, stderr, seconds)
        if code and stderr.rstrip().rpartition("\n")[2].startswith("MemoryError"):
            return Outcome("memory", stdout, stderr, seconds)
        return Outcome("error" if code else "ok", stdout, stderr, seconds)


def _make_sealed_file(stdin: str) -> IO[bytes]:
    """A read-only file in memory. A program may open it again as /dev/stdin, which is refused for a file in a folder."""
    file = os.fdopen(os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "r+b")
    file.write(stdin.encode("utf-8", "surrogateescape"))
    file.seek(0)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file


_running_pids: set[int] = set()  # programs of all threads; a pid is not reused before it is waited for


def stop_all() -> None:
    """Kill the programs of all threads, because their results are no longer needed."""
    for pid in tuple(_running_pids):
        os.kill(pid, signal.SIGKILL)


def _read_text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "surrogateescape")


def _list_library_paths() -> list[str]:
    paths = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sysconfig.get_paths().values()}
    return sorted(paths - {"/"})


def _run_jailed(
    config: dict[str, Any], folder: str, streams: tuple[IO[bytes], ...], wall_seconds: float
) -> tuple[int, bool, float]:
    """(exit status, whether `wall_seconds` ran out, processor seconds) of the program.

    Raises UserError if it must not run here.
    """
    from stages.lib.grading.sandbox import jail

    with tempfile.TemporaryFile() as config_file:
        marshal.dump(config, config_file)  # read by the same Python, which imports less for it than for JSON
        config_file.seek(0)
        report_end, report = os.pipe()
        try:
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", jail.__file__, str(config_file.fileno()), str(report)],
                stdin=streams[0],
                stdout=streams[1],
                stderr=streams[2],
                cwd=folder,
                env={},
                pass_fds=(config_file.fileno(), report),
                start_new_session=True,
            )
        finally:
            os.close(report)
        with open(report_end, encoding="utf-8") as file:
            setup, _, failure = file.read().partition("\n")  # ends when the program starts
        _running_pids.add(child.pid)
        try:
            timed_out = not _wait_for_exit(child.pid, wall_seconds)
        except BaseException:  # interrupted: leave nothing behind
            child.kill()
            child.wait()
            raise
        finally:
            _running_pids.discard(child.pid)
        if timed_out:
            os.kill(child.pid, signal.SIGKILL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if not setup:
        raise UserError(f"the sandbox did not start; the limits may be too small ({config['limits']})")
    if broken := sorted({*setup.split()} - {*config["without"], jail.SET_UP}):
        raise UserError(
            f"this machine cannot keep a program to its limits ({', '.join(broken)}), so none is run; "
            "it takes Linux 5.13 with seccomp and Landlock"
        )
    if failure:
        raise UserError(f"the sandbox cannot start {config['command'][0]} ({failure})")
    return child.returncode, timed_out, usage.ru_utime + usage.ru_stime


def _wait_for_exit(pid: int, seconds: float) -> bool:
    """Whether a process ends in time. Most take less than the 50 milliseconds between two looks of `Popen.wait`."""
    with open(os.pidfd_open(pid), "rb") as descriptor:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(1000 * seconds))
