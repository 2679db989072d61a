"""What the kernel of this host says about itself and about its processes.

Light on purpose: every tick and every direct call read it, so it imports `os` and nothing more.
Whatever cannot be read comes back empty, never as an error: no answer is then taken for a death.
Source: proc(5), pid_namespaces(7), machine-id(5).
"""

from __future__ import annotations

import os

BOOT_ID = "/proc/sys/kernel/random/boot_id"
MACHINE_ID = "/etc/machine-id"
PID_NAMESPACE = "/proc/self/ns/pid"

# The inode of the machine's first pid namespace is a constant of the kernel (PROC_PID_INIT_INO):
# who has it is in no container.
FIRST_PID_NAMESPACE = "4026531836"

_MACHINE_ID_DIGITS = 8
_DEAD_STATES = ("Z", "X", "x")


class Seen(tuple[int, str, int, int, int, int, int]):
    """One process at one moment: pid, state, parent, group, session, threads, start.

    `start` is in clock ticks since the boot; with the pid it names a process of this boot.
    A tuple and no dataclass: that import alone would double the cost of an idle tick.
    """

    __slots__ = ()

    @property
    def pid(self) -> int:
        return self[0]

    @property
    def state(self) -> str:
        """One letter: R, S, D, T (stopped), t (traced), Z, X, I."""
        return self[1]

    @property
    def parent(self) -> int:
        return self[2]

    @property
    def group(self) -> int:
        return self[3]

    @property
    def session(self) -> int:
        return self[4]

    @property
    def threads(self) -> int:
        return self[5]

    @property
    def start(self) -> int:
        return self[6]

    @property
    def key(self) -> tuple[int, int]:
        """What names this process and no later one with its pid."""
        return self[0], self[6]

    @property
    def is_dead(self) -> bool:
        """Whether it will never run again: ended, even if nobody has reaped it.

        A first thread that ended while others run on also shows as Z: those are counted.
        """
        return self[1] in _DEAD_STATES and self.threads <= 1


def look(pid: int) -> Seen | None:
    """Show one process, or None where it is not there or may not be seen."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            line = stat.read()
    except OSError:
        return None
    return parse(line)


def parse(stat: bytes) -> Seen | None:
    """Read one line of /proc/PID/stat; None if it is none.

    The command's name stands in parentheses and may hold spaces and parentheses itself:
    the last one closes it.
    """
    opened, closed = stat.find(b"("), stat.rfind(b")")
    fields = stat[closed + 1 :].split()
    if opened < 0 or len(fields) < 20:
        return None
    state, parent, group, session = fields[0].decode(), *map(int, fields[1:4])
    threads, start = int(fields[17]), int(fields[19])
    return Seen((int(stat[:opened]), state, parent, group, session, threads, start))


def everyone() -> dict[int, Seen]:
    """Show every process that can be seen from here, by pid."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return {}
    found = (look(int(name)) for name in names if name.isdigit())
    return {seen.pid: seen for seen in found if seen is not None}


def is_gone(pid: int) -> bool:
    """Tell whether surely no process has this pid, also where /proc hides those of others."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def boot_id() -> str:
    """Name this boot of this machine; '' where there is no such file."""
    return _text(BOOT_ID)


def pid_namespace() -> str:
    """Name the namespace that our pids belong to by its inode; '' where that is not to be had.

    Also '' where /proc belongs to another namespace than we do: its pids are not ours.
    """
    try:
        if os.readlink("/proc/self") != str(os.getpid()):
            return ""
        link = os.readlink(PID_NAMESPACE)
    except OSError:
        return ""
    return link.removeprefix("pid:[").removesuffix("]")


def host() -> str:
    """Name this host: `name/3d1219c7`, or `name` where there is no machine id.

    Two hosts may share a name. The first digits of the machine id tell them apart; the whole
    of it is confidential by machine-id(5) and belongs in no database.
    """
    name, machine = os.uname().nodename, _text(MACHINE_ID)[:_MACHINE_ID_DIGITS]
    return f"{name}/{machine}" if machine else name


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(256).strip()
    except OSError:
        return ""
