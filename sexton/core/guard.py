"""What a call of a guarded kind may do now: decided here, from rows and an instant.

Pure. The store reads the rows and acts on the verdict in the same transaction, and its indexes
refuse whatever two calls at once might make of it; so a verdict is politeness, never the promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from sexton.core import retry
from sexton.core.instant import Instant
from sexton.core.kind import LATE_US, Kind
from sexton.core.outcome import Code
from sexton.core.schedule import Period, Schedule
from sexton.core.task import COMPLETE, PENDING, RUNNING, Status, Task


class Begin(msgspec.Struct, frozen=True):
    """Make a Running row: this attempt, after `last` (None: the first)."""

    attempt: int
    spent: int
    last: Task | None


class Adopt(msgspec.Struct, frozen=True):
    """Take the row that already waits."""

    task: Task


class Expire(msgspec.Struct, frozen=True):
    """Too late: settle `task` as expired, or record a row that says so (None)."""

    task: Task | None


class Skip(msgspec.Struct, frozen=True):
    """Nothing to do, because of this row (None: there is none)."""

    code: Code
    task: Task | None = None


Verdict = Begin | Adopt | Expire | Skip


def period_of_call(kind: Kind, schedule: Schedule, anchor: Instant, now: Instant) -> Period | None:
    """The period that a call at `now` is for: the latest due one, or the coming one if `early`.

    None: no period has fallen due since the anchor.
    """
    if kind.early_us:
        coming = schedule.next(now)
        if coming and coming.due_at - kind.early_us <= now:
            return coming
    return schedule.latest(anchor, now)


def expires_at(kind: Kind, schedule: Schedule, period: Period) -> Instant | None:
    """The instant after which this period is not begun any more.

    Default: when the next one falls due; with catch_up="all" there is none, since each period
    that was missed shall still run.
    """
    if kind.expires_us:
        return period.due_at + kind.expires_us
    if kind.catch_up == "all":
        return None
    following = schedule.next(period.due_at)
    return following.due_at if following else None


def judge(kind: Kind, chain: Sequence[Task], expires: Instant | None, now: Instant) -> Verdict:
    """What a call may do, given all attempts of its period, oldest first."""
    complete, running, waiting = (_first(chain, it) for it in (COMPLETE, RUNNING, PENDING))
    if complete:
        return Skip("complete", complete)
    if running:
        return Skip("running", running)
    if expires is not None and expires <= now:
        return Expire(waiting) if waiting or not chain else Skip("expired", chain[-1])
    if waiting:
        return Adopt(waiting)
    return _after(kind, chain[-1]) if chain else Begin(1, 0, None)


def _first(chain: Sequence[Task], status: Status) -> Task | None:
    return next((task for task in chain if task.status == status), None)


def _after(kind: Kind, last: Task) -> Verdict:
    """What may follow a settled attempt, where nothing waits and nothing runs.

    A period that ended for good is followed by the next one. A minimum gap has no next period
    before a success, so there a settled attempt always leaves room for another, and once all were
    used up, for as many as at first.
    """
    spent = spent_with(last)
    if not kind.has_schedule:
        return Begin(last.attempt + 1, spent if retry.has_left(kind.retry, spent) else 0, last)
    if last.reason in {"expired", "superseded"}:
        return Skip("expired", last)
    if last.reason == "administrator":
        return Skip("aborted", last)
    if not retry.has_left(kind.retry, spent):
        return Skip("exhausted", last)
    return Begin(last.attempt + 1, spent, last)


def spent_with(task: Task) -> int:
    """The attempts that count, up to and with this settled one."""
    return task.spent + (1 if task.entered_at is not None else 0)


class Round(msgspec.Struct, frozen=True):
    """What the tick makes of a schedule: rows to ask for, and how many moments were missed."""

    ask: tuple[Period, ...]
    missed: int
    newest: Period | None
    why: Literal["", "expired", "superseded"] = ""


def round_of(kind: Kind, schedule: Schedule, scheduled_to: Instant, now: Instant) -> Round:
    """Which periods between two looks are asked for; the others are only counted.

    Takes the same time after a minute and after a year of downtime.
    """
    newest = schedule.latest(scheduled_to, now)
    if newest is None:
        return Round((), 0, None)
    fell_due = schedule.count(scheduled_to, now)
    if kind.catch_up == "all":
        due = schedule.due(scheduled_to, now, kind.catch_up_max)
        ask = tuple(it for it in due if not _is_over(kind, schedule, it, now))
        return Round(ask, fell_due - len(ask), newest, "superseded" if ask else "expired")
    late = kind.catch_up == "none" and newest.due_at + LATE_US < now
    if late or _is_over(kind, schedule, newest, now):
        return Round((), fell_due, newest, "expired")
    return Round((newest,), fell_due - 1, newest, "superseded")


def _is_over(kind: Kind, schedule: Schedule, period: Period, now: Instant) -> bool:
    expires = expires_at(kind, schedule, period)
    return expires is not None and expires <= now
