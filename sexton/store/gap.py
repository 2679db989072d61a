"""The success that a minimum gap is measured from.

Which was the last is told by the order in which they ended. One that is dated later than the clock,
since some clock was wrong, counts as dated when it was first seen, and is an alert: at most one gap
of delay, never a stop until that date comes true, and never a run too early.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sexton.core.gap import began_at
from sexton.core.instant import Instant
from sexton.core.kind import Kind
from sexton.core.notice import Notice
from sexton.core.task import ANY_TARGET, Task
from sexton.store import rows
from sexton.store.idle import CLOCK_STEP_US, PAUSE_US
from sexton.store.rows import MARK_SQL, SQL
from sexton.store.sqlite import Database


class Success(NamedTuple):
    """A run that ended Complete, and when it counts as begun."""

    task: Task
    began_at: Instant


def last_success(db: Database, kind: Kind, now: Instant) -> Success | None:
    """The success that counts as the last to begin, inside a transaction that the caller opened.

    If its date lies in the future, that is noted here, and told once.
    """
    at: dict[str, Any] = {"kind": kind.name, "target": ANY_TARGET, "key": ""}
    last, until = db.one(SQL.last_success, at), now + CLOCK_STEP_US
    task = rows.get(db, last["id"]) if last else None
    if last is None or task is None:
        return None
    started_at, seen_at = last["started_at"], last["seen_at"]
    if started_at > until and (seen_at is None or seen_at > until):
        _see_ahead(db, task, now)
        seen_at = now
    return Success(task, min(began_at(started_at, seen_at, _steady_since(db, now), until), now))


def _steady_since(db: Database, now: Instant) -> Instant:
    """Since when ticks have come without a pause; now, if the last one is too long ago."""
    last = db.one(MARK_SQL.get, {"name": "tick"})
    if last is None or not -CLOCK_STEP_US <= now - last["at"] <= PAUSE_US:
        return now
    return int(last["since"])


def _see_ahead(db: Database, task: Task, now: Instant) -> None:
    db.run(SQL.behind_ahead, {"now": now})
    db.run(SQL.see_ahead, {"id": task.id, "now": now})
    text = f"{task.kind}: the success of task {task.id} is dated later than the clock"
    told = Notice(kind=task.kind, code="clock", text=text, at=now)
    rows.notice(db, f"future:{task.id}", told, task.id)
