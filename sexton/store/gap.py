"""The success that a minimum gap is measured from.

A success that is dated later than the clock, since some clock was wrong, counts as dated when it
was first seen, and is an alert: at most one gap of delay, never a stop until that date comes true,
and never a run too early.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sexton.core.instant import Instant
from sexton.core.task import ANY_TARGET, Task
from sexton.store import kinds, rows
from sexton.store.kinds import AHEAD_US
from sexton.store.rows import SQL
from sexton.store.sqlite import Database


class Success(NamedTuple):
    """A run that ended Complete, and when it counts as begun."""

    task: Task
    began_at: Instant


def last_success(db: Database, known: kinds.Registered, now: Instant) -> Success | None:
    """The success that counts as the last to begin, inside a transaction that the caller opened."""
    values: dict[str, Any] = {"kind": known.kind.name, "target": ANY_TARGET, "key": ""}
    seen_id, seen_at = known.future_task or 0, known.future_seen_at
    if seen_at is not None and seen_at > now + AHEAD_US:  # that clock was wrong as well
        db.run(kinds.SQL.saw_future, {"name": known.kind.name, "task": seen_id, "now": now})
        seen_at = now
    ahead = db.one(SQL.success_ahead, values | {"after": seen_id, "until": now + AHEAD_US})
    if ahead:
        seen_id, seen_at = _see(db, rows.task_of(ahead), now), now
    row = db.one(SQL.last_success, values | {"after": seen_id})
    since = _last_of(db, rows.task_of(row), values) if row else None
    began_at = min(since.started_at or 0, now) if since else 0
    if since and (seen_at is None or began_at >= seen_at):
        return Success(since, began_at)
    seen = rows.get(db, seen_id) if seen_id else None
    return Success(seen, seen_at) if seen and seen_at is not None else None


def _last_of(db: Database, task: Task, values: dict[str, Any]) -> Task:
    """The end of the chain of successes that follow this one.

    A clock that stepped back may have dated a later one before it.
    """
    while row := db.one(SQL.success_after, values | {"id": task.id}):
        task = rows.task_of(row)
    return task


def _see(db: Database, task: Task, now: Instant) -> int:
    db.run(kinds.SQL.saw_future, {"name": task.kind, "task": task.id, "now": now})
    text = f"{task.kind}: the success of task {task.id} is dated later than the clock"
    rows.notice(db, f"future:{task.id}", "clock", task.kind, text, now, task.id)
    return task.id
