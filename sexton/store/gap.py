"""The success that a minimum gap is measured from.

A success that is dated later than the clock, since some clock was wrong, counts as dated when it
was first seen, and is an alert: at most one gap of delay, never a stop until that date comes true,
and never a run too early.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sexton.core.instant import Instant
from sexton.core.kind import Kind
from sexton.core.notice import Notice
from sexton.core.task import ANY_TARGET, Task
from sexton.store import rows
from sexton.store.idle import CLOCK_STEP_US
from sexton.store.rows import SQL
from sexton.store.sqlite import Database


class Success(NamedTuple):
    """A run that ended Complete, and when it counts as begun."""

    task: Task
    began_at: Instant


def last_success(db: Database, kind: Kind, now: Instant) -> Success | None:
    """The success that counts as the last to begin, inside a transaction that the caller opened."""
    values: dict[str, Any] = {"kind": kind.name, "target": ANY_TARGET, "key": ""}
    values |= {"now": now, "until": now + CLOCK_STEP_US}
    _see_ahead(db, values)
    found = [
        row for row in (db.one(SQL.last_success, values), db.one(SQL.last_ahead, values)) if row
    ]
    last = max(found, key=lambda row: (row["began_at"], row["id"]), default=None)
    # One that followed it came later, whatever the clock dated it.
    while last and (following := db.one(SQL.success_after, values | {"id": last["id"]})):
        last = following
    task = rows.get(db, last["id"]) if last else None
    return Success(task, min(last["began_at"], now)) if last and task else None


def _see_ahead(db: Database, values: dict[str, Any]) -> None:
    """Note what is dated later than the clock, and tell once of the newest."""
    db.run(SQL.seen_too_late, values)
    seen = db.all(SQL.see_ahead, values)
    if seen:
        newest = max(row["task"] for row in seen)
        text = f"{values['kind']}: the success of task {newest} is dated later than the clock"
        told = Notice(kind=values["kind"], code="clock", text=text, at=values["now"])
        rows.notice(db, f"future:{newest}", told, newest)
