"""Who holds a claim, and whether it is dead.

An owner is a process of one boot of one host: pid and start time name it, in its pid namespace.
Where boot and namespace are ours, its death is seen at once; elsewhere only its lease counts.
Wrongly *dead* lets a task run twice, wrongly *unknown* costs one lease: every doubt is *unknown*.
"""

from __future__ import annotations

import os

from sexton.work import host
from sexton.work.host import FIRST_PID_NAMESPACE, is_gone, look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sexton.core.sweep import Sight


class Owner(tuple[str, str, str, int, int]):
    """A process: host, boot id, pid namespace, pid, start (clock ticks since the boot).

    A plain tuple of five, so that it goes into a row and comes back: `Owner.of(*row)`.
    """

    __slots__ = ()

    @classmethod
    def of(cls, host: str, boot_id: str, pid_ns: str, pid: int, start: int) -> Owner:
        return cls((host, boot_id, pid_ns, pid, start))

    @classmethod
    def here(cls) -> Owner:
        """Name the process that asks. After a fork the child asks anew."""
        pid, namespace = os.getpid(), host.pid_namespace()
        seen = look(pid) if namespace else None
        return cls.of(host.host(), host.boot_id(), namespace, pid, seen.start if seen else 0)

    @property
    def host(self) -> str:
        """The host's name and the start of its machine id: `host-a/3d1219c7`."""
        return self[0]

    @property
    def host_name(self) -> str:
        """The host's name as people know it."""
        return self[0].partition("/")[0]

    @property
    def boot_id(self) -> str:
        return self[1]

    @property
    def pid_ns(self) -> str:
        return self[2]

    @property
    def pid(self) -> int:
        return self[3]

    @property
    def start(self) -> int:
        return self[4]

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host_name}"


def judge(owner: Owner, here: Owner) -> Sight:
    """Tell whether `owner` is alive, dead, or not to be judged from `here`.

    1. Without a boot id, a namespace or a start time (no /proc, as on macOS): unknown.
    2. Another boot: dead if it was surely this machine that started anew, else unknown.
    3. Another pid namespace of this boot, as in another container: unknown.
    4. Here: dead if it is absent, a zombie, or if its pid has another start time.

    A stopped process (SIGSTOP, a frozen cgroup, a debugger) is alive: it may go on at any time.
    """
    if owner == here:
        return "alive"
    if not all((*owner, *here)):
        return "unknown"
    if owner.boot_id != here.boot_id:
        return "dead" if _has_rebooted(owner, here) else "unknown"
    if owner.pid_ns != here.pid_ns:
        return "unknown"
    return _judge_local(owner)


def _judge_local(owner: Owner) -> Sight:
    seen = look(owner.pid)
    if seen is None:
        # A /proc with hidepid= shows no processes of others; signal 0 still tells who is there.
        return "dead" if is_gone(owner.pid) else "unknown"
    return "dead" if seen.start != owner.start or seen.is_dead else "alive"


def _has_rebooted(owner: Owner, here: Owner) -> bool:
    """Tell whether the machine of `owner` is ours, and so was started anew since.

    The name alone is only a name: the machine id must be equal too. And neither may be in a
    container: a pod that moved to another node keeps its name and the machine id of its image,
    while the old one may still run on a node that is cut off.
    """
    is_same_machine = owner.host == here.host and "/" in owner.host
    return is_same_machine and owner.pid_ns == here.pid_ns == FIRST_PID_NAMESPACE
