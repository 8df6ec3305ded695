"""The seccomp filter: the system calls that a program in the sandbox may not make (seccomp(2), bpf of kernel 3.5).

Calls that reach out of the process are refused: sockets, new processes, signals to others, any change of a file,
namespaces, and kernel administration. Everything else is allowed: an interpreter needs a hundred calls, and which ones
changes with every libc. Threads are allowed, and so is reading files, which Landlock restricts (`jail.py`). So is opening
files for writing where Landlock works: a filter sees no path, and writing to /dev/null must be possible.
"""

from __future__ import annotations

import errno
import platform
import struct
from functools import lru_cache

# name -> number on x86_64 and aarch64 (-: the call does not exist there)
_REFUSED_CALLS = """
socket 41 198, socketpair 53 199, io_uring_setup 425 425,
fork 57 -, vfork 58 -, kill 62 129, tkill 200 130, tgkill 234 131, rt_sigqueueinfo 129 138,
rt_tgsigqueueinfo 297 240, pidfd_open 434 434, pidfd_send_signal 424 424, pidfd_getfd 438 438, ptrace 101 117,
process_vm_readv 310 270, process_vm_writev 311 271, process_madvise 440 440, setpriority 141 140, ioprio_set 251 30,
sched_setaffinity 203 122, sched_setscheduler 144 119, sched_setparam 142 118, sched_setattr 314 274,
creat 85 -, truncate 76 45, unlink 87 -, unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276, mkdir 83 -,
mkdirat 258 34, rmdir 84 -, link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36, mknod 133 -, mknodat 259 33,
chmod 90 -, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, chown 92 -, lchown 94 -, fchown 93 55, fchownat 260 54,
utime 132 -, utimes 235 -, futimesat 261 -, utimensat 280 88, setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7,
removexattr 197 14, lremovexattr 198 15, fremovexattr 199 16, name_to_handle_at 303 264, open_by_handle_at 304 265,
memfd_create 319 279, memfd_secret 447 447, mq_open 240 180, shmget 29 194, semget 64 190, msgget 68 186,
unshare 272 97, setns 308 268, chroot 161 51, pivot_root 155 41, mount 165 40, umount2 166 39, fsopen 430 430,
open_tree 428 428, move_mount 429 429, mount_setattr 442 442, bpf 321 280, perf_event_open 298 241,
userfaultfd 323 282, add_key 248 217, request_key 249 218, keyctl 250 219, init_module 175 105,
finit_module 313 273, kexec_load 246 104, reboot 169 142, sethostname 170 161, settimeofday 164 170,
clock_settime 227 112, adjtimex 159 171, clock_adjtime 305 266, syslog 103 116, quotactl 179 60, swapon 167 224,
acct 163 89, iopl 172 -, ioperm 173 -, setuid 105 146, setgid 106 144, setgroups 116 159
"""
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # AUDIT_ARCH_* and the column above
_CALL_NUMBERS = {"open": (2, None), "openat": (257, 56), "openat2": (437, 437), "clone": (56, 220)}  # refused in part
_CALL_NUMBERS |= {"clone3": (435, 435), "prlimit64": (302, 261)}
_WRITE_FLAGS, _CREATE_FLAGS = 0o1 | 0o2, 0o100 | 0o1000  # O_WRONLY, O_RDWR; O_CREAT, O_TRUNC
_CLONE_THREAD = 0x10000  # CLONE_THREAD
_X32_BIT = 0x40000000  # the second numbering of x86_64

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NR, _ARCH = 0, 4  # offsets in struct seccomp_data; its arguments are 64 bits wide


@lru_cache
def build_filter(may_write: bool = False) -> bytes | None:
    """The filter as an array of struct sock_filter; None for an unknown kind of processor.

    may_write: files may be opened for writing, because Landlock restricts that. Truncating a file by opening it for
    reading stays refused: Landlock ignores that before its third version.
    """
    if platform.system() != "Linux" or platform.machine() not in _ARCHITECTURES:
        return None
    audit, column = _ARCHITECTURES[platform.machine()]
    code = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL)]
    code += [(_LOAD, 0, 0, _NR), (_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    for number in _list_refused(column):
        code += _match_call(number, [(_RETURN, 0, 0, _ERROR | errno.EPERM)])
    numbers = {name: columns[column] for name, columns in _CALL_NUMBERS.items()}
    for name, flags in (("open", 1), ("openat", 2)):
        then = _match_argument(
            flags, _ANY_BIT, _CREATE_FLAGS if may_write else _WRITE_FLAGS | _CREATE_FLAGS, refused=True
        )
        if may_write:
            then = [then[0], (_ANY_BIT, 0, 1, _WRITE_FLAGS), (_RETURN, 0, 0, _ALLOW), *then[1:]]
        code += _match_call(numbers[name], then)
    code += _match_call(numbers["clone"], _match_argument(0, _ANY_BIT, _CLONE_THREAD, refused=False))
    code += _match_call(numbers["prlimit64"], _match_argument(0, _EQUAL, 0, refused=False))  # of other processes
    for name in ("clone3", "openat2"):  # their flags lie in memory; libc falls back to the calls above
        code += _match_call(numbers[name], [(_RETURN, 0, 0, _ERROR | errno.ENOSYS)])
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in code)


def _list_refused(column: int) -> list[int]:
    numbers = [entry.split()[1 + column] for entry in _REFUSED_CALLS.split(",")]
    return [int(number) for number in numbers if number != "-"]


def _match_call(number: int | None, then: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """The instructions `then` for one call. The accumulator holds the call's number, before and (for others) after."""
    return [] if number is None else [(_EQUAL, 0, len(then), number), *then]


def _match_argument(index: int, test: int, value: int, refused: bool) -> list[tuple[int, int, int, int]]:
    """Refuse a call if its argument passes the test, or (`refused` false) if it does not."""
    actions = (_ERROR | errno.EPERM, _ALLOW) if refused else (_ALLOW, _ERROR | errno.EPERM)
    low = 16 + 8 * index  # little-endian
    return [(_LOAD, 0, 0, low), (test, 0, 1, value), (_RETURN, 0, 0, actions[0]), (_RETURN, 0, 0, actions[1])]
