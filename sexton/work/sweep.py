"""Find who of the Running died, was cut off or overstayed, and settle it.

1. Look at each owner: alive, dead, or not to be judged from here.
2. Where many leases lapsed together among those we cannot see, doubt ourselves for a while.
3. End the process group of what is lost and lies on this machine, and only then settle it.

Runs in every tick and before every direct call; two sweeps at once settle each row once.
"""

from __future__ import annotations

import math
import time
from typing import Protocol

from sexton.core.instant import Instant
from sexton.core.sweep import Sight, has_lapsed, is_lost, is_over, is_suspicious
from sexton.core.task import Task
from sexton.work.group import end_group
from sexton.work.holder import decode_leader, decode_owner
from sexton.work.owner import Owner, judge

NO_PID = -1


class Sweeps(Protocol):
    """What a sweep needs of the store."""

    def running(self) -> list[Task]: ...
    def ends_with_reboot(self, task: Task) -> bool: ...
    def settle_lost(self, task: Task, why: str) -> Task | None: ...
    def settle_rebooted(self, task: Task) -> Task | None: ...
    def suspected_since(self) -> Instant | None: ...
    def suspect(self) -> Instant: ...
    def trust(self) -> None: ...


def sweep(
    sweeps: Sweeps, here: Owner, now: Instant, grace_s: float, patience_s: float = math.inf
) -> list[Task]:
    """Settle every lost task; return the rows as they ended.

    Who has tasks of its own to mind has little `patience_s`: that long, about, it waits for others
    to end, and what is left then is for the next sweep.
    """
    until_s = time.monotonic() + patience_s
    running = sweeps.running()
    seen = [(task, judge(decode_owner(task.owner), here)) for task in running]
    is_doubtful = _doubt_ourselves(sweeps, seen, now)
    settled = []
    for task, sight in seen:
        if time.monotonic() >= until_s:
            break
        if is_lost(task, sight, now) and not (sight == "unknown" and is_doubtful):
            settled.append(settle(sweeps, task, sight, here, min(grace_s, patience_s)))
    return [task for task in settled if task]


def sweep_lane(
    sweeps: Sweeps, holders: list[Task], here: Owner, now: Instant, grace_s: float
) -> list[Task]:
    """Settle what stands in one lane, if it is lost; a direct call does so before it asks."""
    settled = []
    for task in holders:
        sight = judge(decode_owner(task.owner), here)
        if sight == "unknown" and has_lapsed(task, now):
            return sweep(sweeps, here, now, grace_s)  # which looks whether many lapsed together
        if is_lost(task, sight, now):
            settled.append(settle(sweeps, task, sight, here, grace_s))
    return [task for task in settled if task]


def are_lost(tasks: list[Task], here: Owner, now: Instant) -> bool:
    """Whether a sweep would settle all of these, seen from here, and there is one."""
    sights = [judge(decode_owner(task.owner), here) for task in tasks]
    pairs = zip(tasks, sights, strict=True)
    return bool(tasks) and all(is_lost(task, sight, now) for task, sight in pairs)


def settle(sweeps: Sweeps, task: Task, sight: Sight, here: Owner, grace_s: float) -> Task | None:
    """End what is left of a lost task on this machine, then settle it.

    None: it ended meanwhile, or some of it could not be killed, and then it stays as it is.
    """
    owner = decode_owner(task.owner)
    has_rebooted = sight == "dead" and owner.boot_id != here.boot_id
    if has_rebooted and sweeps.ends_with_reboot(task):
        return sweeps.settle_rebooted(task)
    leader = decode_leader(task.leader)
    if sight != "unknown" and not has_rebooted:
        # Without a leader only the cookie tells: a program may have started just before the end.
        pid, start = (leader.pid, leader.start) if leader else (NO_PID, 0)
        if end_group(pid, start, task.claim, grace_s):
            return None
    return sweeps.settle_lost(task, _why(owner, sight, has_rebooted))


def _why(owner: Owner, sight: Sight, has_rebooted: bool) -> str:
    if has_rebooted:
        return f"interrupted by a reboot of {owner.host_name}"
    if sight == "dead":
        return f"{owner} died"
    return f"{owner} did not renew its lease"


def _doubt_ourselves(sweeps: Sweeps, seen: list[tuple[Task, Sight]], now: Instant) -> bool:
    """Whether to settle nothing by a lapsed lease alone, since too many lapsed together."""
    lapsed = [task for task, sight in seen if sight == "unknown" and has_lapsed(task, now)]
    if not is_suspicious(len(lapsed), len(seen)):
        sweeps.trust()
        return False
    return not is_over(sweeps.suspect(), now)
