"""The filter of system calls that a decoder's process puts on itself (linux/seccomp.h, linux/filter.h).

It holds on every kernel that covey runs on, whatever Landlock's scopes do there. What is refused gives EPERM.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence

# Its number on x86_64 and on aarch64, which has no fork and vfork.
NUMBERS: dict[str, tuple[int, int | None]] = {
    # What makes sockets, and all that uses them.
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    # What runs programs and makes processes.
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    # What reaches into other processes.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "get_robust_list": (274, 100),
    "kcmp": (312, 272),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    # What goes around a filter, or has a history.
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
}
"""Refused, whatever the arguments."""

OWN: dict[str, tuple[int, int]] = {
    "prlimit64": (302, 261),
    "tgkill": (234, 131),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
}
"""Refused unless the first argument is 0 or the process itself: libc reads limits and aborts with them."""

_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15
_FIOSETOWN, _SIOCSPGRP = 0x8901, 0x8902
_PR_SCHED_CORE = 62
_BUT: tuple[tuple[tuple[int, int], int, tuple[int, ...]], ...] = (
    ((72, 25), 1, (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX)),
    ((16, 29), 1, (_FIOSETOWN, _SIOCSPGRP)),
    ((157, 167), 0, (_PR_SCHED_CORE,)),
)
"""fcntl, ioctl and prctl: which argument may not have which values. They have signals sent to others, and share
cores with them."""

_MACHINES = ("x86_64", "aarch64")
_AUDIT = (0xC000003E, 0xC00000B7)
_CLONE, _CLONE3 = (56, 220), 435
_CLONE_THREAD = 0x00010000

_LOAD, _JUMP_EQUAL, _JUMP_SET, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_REFUSE = _ERRNO | errno.EPERM
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

Instruction = tuple[int, int, int, int]


def number(name: str) -> int:
    """Of a refused system call on this machine. Raises KeyError and ValueError where there is none."""
    found = (NUMBERS | OWN)[name][_MACHINES.index(platform.machine())]
    if found is None:
        raise ValueError(name)
    return found


def filter_system_calls(libc: ctypes.CDLL) -> bool:
    """Filters those of this thread and of all that it starts, for good. False on a machine that is not known."""
    if platform.machine() not in _MACHINES:
        return False
    program = _program(_MACHINES.index(platform.machine()), os.getpid())
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, header, 0, 0) == 0)


def _program(machine: int, own: int) -> Sequence[Instruction]:
    """Refuses what is listed; `clone` may make threads only, and `clone3` is said not to exist, so that libc asks
    `clone`, whose flags a filter can see."""
    steps: list[Instruction] = [
        (_LOAD, 0, 0, _OFFSET_ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, _AUDIT[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE),
        (_JUMP_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for numbers in NUMBERS.values():
        if (refused := numbers[machine]) is not None:
            steps += [(_JUMP_EQUAL, 0, 1, refused), (_RETURN, 0, 0, _REFUSE)]
    for numbers in OWN.values():
        own_only: list[Instruction] = [(_JUMP_EQUAL, 2, 0, 0), (_JUMP_EQUAL, 1, 0, own), (_RETURN, 0, 0, _REFUSE)]
        steps += _by_argument(numbers[machine], 0, own_only)
    for both, argument, values in _BUT:
        steps += _by_argument(both[machine], argument, _none_of(values))
    steps += _by_argument(_CLONE[machine], 0, [(_JUMP_SET, 1, 0, _CLONE_THREAD), (_RETURN, 0, 0, _REFUSE)])
    return [*steps, (_RETURN, 0, 0, _ALLOW)]


def _by_argument(called: int, argument: int, judge: list[Instruction]) -> list[Instruction]:
    """Has `judge` look at the low half of an argument (both machines are little-endian) where this is called. Where it
    refuses nothing, the call is allowed."""
    load = (_LOAD, 0, 0, _OFFSET_ARGUMENTS + 8 * argument)
    return [(_JUMP_EQUAL, 0, len(judge) + 2, called), load, *judge, (_RETURN, 0, 0, _ALLOW)]


def _none_of(values: Sequence[int]) -> list[Instruction]:
    return [step for value in values for step in ((_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, _REFUSE))]
