"""What a decoder's process may not do, whatever a file makes it do.

It gives its rights up itself, before it opens the file, and nothing can give them back:

- limits of the kernel on memory, CPU, open files and what it writes (`setrlimit`),
- files: nothing but the one file and the installed libraries can be opened (Landlock, kernel 5.13 and later),
- network and processes: no socket, no other program; no other process, not even its limits (a seccomp filter).

All three work for an ordinary user account and in a container with default rules. `strict` needs all three.
"""

import ctypes
import os
import resource
import socket
import struct
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

from covey.analysis.media.filtering import filter_system_calls

LIMITS, FILES, NETWORK, PROCESSES = "limits", "files", "network", "processes"
ESSENTIAL = (LIMITS, FILES, NETWORK, PROCESSES)
"""What `sandbox = "strict"` insists on."""

MEANING = {
    LIMITS: "the kernel limits a decoder's memory, CPU time, open files and what it writes",
    FILES: "a decoder can open the one file it reads and no other (Landlock)",
    NETWORK: "a decoder cannot reach any network (seccomp)",
    PROCESSES: "a decoder cannot start or touch other processes (seccomp)",
}

_NICE = 10
_OPEN_FILES = 64
_GRACE_SECONDS = 5
_SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"),
    *("/dev/urandom", "/dev/null", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"),
)
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38


def limit(memory_bytes: int, cpu_seconds: int) -> bool:
    """Sets the kernel's limits for this process and makes it polite. True if all of them hold."""
    os.nice(_NICE)
    wanted = [
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ]
    try:
        for which, most in wanted:
            before = resource.getrlimit(which)[1]
            hard = most + _GRACE_SECONDS if which == resource.RLIMIT_CPU else most
            hard = hard if before == resource.RLIM_INFINITY else min(hard, before)
            resource.setrlimit(which, (min(most, hard), hard))
    except (ValueError, OSError):
        return False
    return True


def confine(readable: Iterable[Path]) -> dict[str, bool]:
    """Takes the rights to files, network and processes from this process. Answers what holds, by its name."""
    if sys.platform != "linux":
        return {FILES: False, NETWORK: False, PROCESSES: False}
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    files = _only_these_files(libc, readable)
    filtered = filter_system_calls(libc)
    return {
        FILES: files and _no_file(),
        NETWORK: filtered and _no_socket(),
        PROCESSES: filtered and _no_fork() and _no_reach(os.getppid()),
    }


def libraries() -> list[Path]:
    """What Python and the libraries below it are loaded from, and what they ask about the machine."""
    paths = {Path(path) for path in sys.path if path}
    paths |= {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {Path(path) for path in _SYSTEM}
    return sorted(path for path in paths if path.exists())


# ---- files: Landlock (linux/landlock.h)

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION = 1
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP = 0b11
_SCOPES = 0b11


def _only_these_files(libc: ctypes.CDLL, readable: Iterable[Path]) -> bool:
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        return False
    handled = struct.pack("=QQQ", _FILE_RIGHTS[min(version, 5)], _TCP, _SCOPES)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(_LANDLOCK_CREATE, handled, size, 0)
    if ruleset < 0:
        return False
    try:
        for path in readable:
            _allow(libc, ruleset, path)
        return bool(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path) -> None:
    opened = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    try:
        rights = _READ_FILE | _READ_DIR if path.is_dir() else _READ_FILE
        rule = struct.pack("=Qi", rights, opened)
        if libc.syscall(_LANDLOCK_ADD, ruleset, _RULE_PATH_BENEATH, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), "landlock_add_rule")
    finally:
        os.close(opened)


# ---- what holds, tried


def _no_file() -> bool:
    try:
        os.close(os.open("/", os.O_RDONLY))
    except OSError:
        return True
    return False


def _no_socket() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError:
        return True
    return False


def _no_fork() -> bool:
    try:
        child = os.fork()
    except OSError:
        return True
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return False


def _no_reach(other: int) -> bool:
    """Neither the limits of another process nor its signals. Nothing changes where it can: limits are only read, and
    signal 0 is none."""
    attempts: tuple[Callable[[], object], ...] = (
        lambda: resource.prlimit(other, resource.RLIMIT_NOFILE),
        lambda: os.kill(other, 0),
    )
    for attempt in attempts:
        try:
            attempt()
        except PermissionError:
            continue
        except OSError:
            return False
        return False
    return True
