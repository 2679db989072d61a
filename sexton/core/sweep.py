"""Who of the Running is lost, given what could be seen of their owners. Pure.

A dead owner is known at once where its processes can be seen. Elsewhere only the lapsed lease
counts; and if many leases lapse together, the fault is more likely here than everywhere else.
"""

from __future__ import annotations

from typing import Literal

from sexton.core.instant import Instant
from sexton.core.task import Task

Sight = Literal["alive", "dead", "unknown"]

LAPSED_TOGETHER_MORE_THAN = 3
LAPSED_TOGETHER_SHARE = 0.30
SUSPICION_US_MAX = 600_000_000  # ten minutes


def is_lost(task: Task, sight: Sight, now: Instant) -> bool:
    """Whether the owner is seen dead, or its lease has lapsed."""
    return sight == "dead" or has_lapsed(task, now)


def has_lapsed(task: Task, now: Instant) -> bool:
    return task.lease_at is not None and task.lease_at <= now


def is_suspicious(lapsed: int, running: int) -> bool:
    """Whether so many leases lapsed together that we had better doubt ourselves."""
    return lapsed > LAPSED_TOGETHER_MORE_THAN and lapsed > running * LAPSED_TOGETHER_SHARE


def is_over(suspected_since: Instant, now: Instant) -> bool:
    """Whether a suspicion has lasted as long as it may."""
    return now - suspected_since >= SUSPICION_US_MAX
