"""What a process is started with, and what happens in it before its program begins.

`Launch` is plain data, so that it can be sent to a privileged half which starts the process.
`preparation` is the code that runs between fork and exec. It is a `preexec_fn`, which CPython
calls unsafe beside threads: another thread may hold a lock that the child then waits for. So it
takes no lock: all is looked up before the fork, and only system calls remain. The other way, a
launcher program in between, costs a further start of Python (20 ms) for each task and would have
to close the same race with the parent's death.
"""

from __future__ import annotations

import ctypes
import enum
import os
import resource
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

CHANNEL_BYTES_MAX = 1024 * 1024
CPU_GRACE_S = 5

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


class Channel(enum.Enum):
    """Stands in `argv` where the number of a descriptor is wanted."""

    GIVE = "give"  # the child reads from it what it was given
    TAKE = "take"  # the child writes its result lines to it


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process may use; None is what its parent may use. No core file in any case.

    `processes` counts all processes of the user, and binds root not at all: see setrlimit(2).
    Beyond `cpu_s` it gets SIGXCPU, and CPU_GRACE_S later SIGKILL.
    """

    memory_bytes: int | None = None
    processes: int | None = None
    cpu_s: int | None = None
    file_bytes: int | None = None
    open_files: int | None = None


@dataclass(frozen=True, slots=True)
class User:
    """Whom a process runs as; only root can name another than itself."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Launch:
    """One program to start: fixed argv and no shell, exactly this environment.

    `cookie` is added to it as SEXTON_CLAIM: it finds what leaves the process group.
    `give` is handed over by Channel.GIVE, at most CHANNEL_BYTES_MAX; `takes` opens Channel.TAKE.
    A child closes both before it starts anything itself.
    """

    argv: Sequence[str | Channel]
    cookie: str
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    limits: Limits = Limits()
    user: User | None = None
    give: bytes | None = None
    takes: bool = False
    no_new_privs: bool = False


def preparation(launch: Launch, kept: Sequence[int]) -> Callable[[], None]:
    """Make what the child calls before exec; `kept` are the descriptors that it inherits.

    It runs after the change of user, which would undo the tie to our death.
    1. No other descriptor survives exec, however low a limit then makes their numbers.
    2. Signals are as a fresh program expects them: none ignored, none blocked.
    3. The limits.
    4. SIGKILL when the thread that started it ends. If we ended before that was set, getppid()
       tells, and the child kills itself.
    """
    parent = os.getpid()
    limits = [(which, _within(which, soft, hard)) for which, soft, hard in _rlimits(launch.limits)]
    ignored = [s for s in signal.valid_signals() if signal.getsignal(s) is signal.SIG_IGN]
    prctl = _prctl()

    def prepare() -> None:
        _close_others(kept)
        for number in ignored:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for which, pair in limits:
            resource.setrlimit(which, pair)
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if launch.no_new_privs:
            prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare


def _rlimits(limits: Limits) -> list[tuple[int, int, int]]:
    """List which limits to set: (which, soft, hard)."""
    cpu_s = limits.cpu_s
    wanted = [
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        (resource.RLIMIT_NPROC, limits.processes, limits.processes),
        (resource.RLIMIT_CPU, cpu_s, None if cpu_s is None else cpu_s + CPU_GRACE_S),
        (resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
    ]
    return [(which, s, h) for which, s, h in wanted if s is not None and h is not None]


def _within(which: int, soft: int, hard: int) -> tuple[int, int]:
    """Keep a pair inside what we ourselves may use: nobody but root may raise it."""
    most = resource.getrlimit(which)[1]
    if most == resource.RLIM_INFINITY:
        return soft, hard
    return min(soft, most), min(hard, most)


def _close_others(kept: Sequence[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            # The listing's own descriptor is among the names, and closed by now.
            with suppress(OSError):
                os.set_inheritable(int(name), False)


def _prctl() -> Callable[[int, int, int, int, int], int]:
    function = ctypes.CDLL(None, use_errno=True).prctl
    function.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    function.restype = ctypes.c_int

    def prctl(option: int, *values: int) -> int:
        if function(option, *values) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return 0

    return prctl
