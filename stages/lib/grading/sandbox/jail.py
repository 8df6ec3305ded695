"""The child's side of the sandbox: a fresh interpreter that gives up its rights, then becomes the program.

It runs as `python -I -S jail.py` with its orders (marshalled) on descriptor `orders`, and writes on descriptor `report`
which protections it could not set up. It imports nothing of this project, because nothing of it is in reach, and little
else: programs are many and short, and most of their time is this start.
"""

from __future__ import annotations

import ctypes
import errno
import marshal
import os
import resource
import struct
import sys

# Which layers keep which promise; one of them is enough. Each is tried, so where the kernel has all there are two locks.
LAYERS_BY_PROMISE = {
    "network": ("filter", "namespaces"),
    "writing": ("filter", "landlock"),
    "reading": ("landlock",),
    "processes": ("filter",),
}
_NEW_USER, _NEW_NET, _NEW_IPC = 0x10000000, 0x40000000, 0x08000000  # sched.h
_DEATH_SIGNAL, _SET_SECCOMP, _DROP_CAPABILITY, _NO_NEW_PRIVILEGES = 1, 22, 24, 38  # prctl(2)
_FILTER_MODE = 2
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # landlock(7): equal numbers on every processor
_PATH_BENEATH, _O_PATH = 1, 0o10000000
_EVERY_RIGHT = (1 << 13) - 1  # of the first version of Landlock: to execute, read, write, list, make, remove
_READ_FILE, _READ_FOLDER, _WRITE_FILE = 1 << 0 | 1 << 2, 1 << 3, 1 << 1  # execute and read; write


def set_limits(orders: dict) -> None:
    """Processor seconds, bytes of address space, bytes of a file, open files, no core. Inherited by the program."""
    for name, value in orders["limits"].items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, most = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY:
            value = most if value == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (value, value))


def enter_namespaces(libc: ctypes.CDLL, orders: dict) -> bool:
    """A network without any interface, and nobody's rights. Not allowed everywhere: containers often refuse it."""
    if libc.unshare(_NEW_USER | _NEW_NET | _NEW_IPC) != 0:
        return False
    resource.setrlimit(resource.RLIMIT_NPROC, (orders["threads"],) * 2)  # in here; outside the user has many already
    return True


def apply_landlock(libc: ctypes.CDLL, orders: dict) -> bool:
    """Of the whole file system only `readable` can be read and `writable` written (Linux 5.13, where switched on)."""
    attributes = struct.pack("=Q", _EVERY_RIGHT)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    for path in orders["readable"] + orders["writable"]:
        try:
            beneath = os.open(path, _O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not on this system
        rights = _READ_FILE | (_READ_FOLDER if os.path.isdir(path) else 0)
        rights |= _WRITE_FILE if path in orders["writable"] else 0
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, beneath), 0)
        os.close(beneath)
    done = libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return done


def apply_seccomp(libc: ctypes.CDLL, code: str) -> bool:
    """The filter of system calls (`filters.py`)."""
    if not code:
        return False
    code = ctypes.create_string_buffer(bytes.fromhex(code))
    head = struct.pack("@HP", (len(code) - 1) // 8, ctypes.addressof(code))
    return libc.prctl(_SET_SECCOMP, ctypes.c_ulong(_FILTER_MODE), head, 0, 0) == 0


def imprison(orders: dict) -> list[str]:
    """Set up every layer that the kernel offers; the promises that none of them keeps."""
    libc = ctypes.CDLL(None, use_errno=True)
    set_limits(orders)
    standing = set()
    if "namespaces" in orders["layers"] and enter_namespaces(libc, orders):
        standing.add("namespaces")
    for capability in range(64):  # of the administrator, where it is one who runs this
        libc.prctl(_DROP_CAPABILITY, ctypes.c_ulong(capability), 0, 0, 0)
    libc.prctl(_NO_NEW_PRIVILEGES, ctypes.c_ulong(1), 0, 0, 0)
    libc.prctl(_DEATH_SIGNAL, ctypes.c_ulong(9), 0, 0, 0)  # never outlive the one who asked
    if os.getppid() != orders["parent"]:
        os._exit(1)
    if "landlock" in orders["layers"] and apply_landlock(libc, orders):
        standing.add("landlock")
    beside = "beside" if "landlock" in standing else "alone"
    if "filter" in orders["layers"] and apply_seccomp(libc, orders["filter"][beside]):
        standing.add("filter")
    return [promise for promise, layers in LAYERS_BY_PROMISE.items() if not standing & {*layers}]


def main() -> None:
    orders_from, report_to = map(int, sys.argv[1:])
    with open(orders_from, "rb") as file:
        orders = marshal.load(file)
    os.set_inheritable(report_to, False)  # closes when the program starts
    lacking = imprison(orders)
    os.write(report_to, " ".join(["standing", *lacking]).encode())
    if set(lacking) <= set(orders["without"]):
        try:
            os.execve(orders["command"][0], orders["command"], orders["environment"])
        except OSError as error:
            os.write(report_to, f"\n{errno.errorcode[error.errno]}".encode())
    os._exit(1)


if __name__ == "__main__":
    main()
