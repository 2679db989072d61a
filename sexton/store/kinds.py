"""The closed table of kinds, as `sync` or a first call saw them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec

from sexton.core import kind as kinds
from sexton.core import schedule as schedules
from sexton.core.errors import ScheduleError, SchemaError
from sexton.core.instant import Instant
from sexton.core.kind import Kind
from sexton.core.notice import NOTIFY
from sexton.core.schedule import Schedule
from sexton.store.idle import CLOCK_STEP_US, has_changed
from sexton.store.sql import Queries
from sexton.store.sqlite import Database, Row

SQL = Queries("kind")


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A kind with what the store knows of it."""

    kind: Kind
    anchor_at: Instant
    scheduled_to_at: Instant
    next_at: Instant | None
    gone_at: Instant | None

    @property
    def schedule(self) -> Schedule:
        return schedule_of(self.kind, self.anchor_at)


def schedule_of(kind: Kind, anchor_at: Instant) -> Schedule:
    return schedules.parse(
        kind.schedule or None, tz=kind.tz, every=kind.every_us or None, anchor=anchor_at
    )


def registered_of(row: Row) -> Registered:
    """Raises SchemaError for a definition that is none."""
    columns = {name: row[name] for name in Registered.__struct_fields__ if name != "kind"}
    try:
        return Registered(kind=kinds.decode(row["definition"]), **columns)
    except msgspec.DecodeError as error:
        raise SchemaError(
            f"the definition of the kind {row['name']} in the store cannot be read: {error}",
            hint="`sexton sync` writes it anew; `sexton check` looks for more.",
        ) from error


def get(db: Database, name: str) -> Registered | None:
    row = db.one(SQL.get, {"name": name})
    return registered_of(row) if row else None


def _readable(db: Database, name: str) -> Registered | None:
    """As `get`, but None for what cannot be read: a sync writes it anew."""
    with suppress(SchemaError):
        return get(db, name)
    return None


def kind_of(db: Database, name: str) -> Kind | None:
    """The definition of a kind inside a transaction; None if nobody declared it, or it cannot be
    read: one kind's damage is not another's trouble."""
    if name == NOTIFY.name:
        return NOTIFY
    found = _readable(db, name)
    return found.kind if found else None


def put(db: Database, kind: Kind, now: Instant, *, is_sync: bool = False) -> Registered:
    """Register a kind or take its new definition, inside a transaction that the caller opened.

    A definition that differs from what was synced, and not by an edit since, is that of a process
    which still runs an older release: it changes nothing. A kind that was first seen by a clock
    that ran ahead is seen anew: else it would stand still until that date comes true.
    """
    old = _readable(db, kind.name) if is_sync else get(db, kind.name)
    if old and _stays(db, old, kind, now, is_sync=is_sync):
        return old
    known = old if old and old.gone_at is None and _is_seen(old, now) else None
    same = known is not None and _timing(known.kind) == _timing(kind)
    since = _still_due(known, kind, now) if known else now
    following = schedule_of(kind, since).next(since) if kind.has_schedule else None
    values: dict[str, Any] = {
        "name": kind.name,
        "definition": kinds.encode(kind),
        "min_gap_us": kind.min_gap_us,
        "since": since,
        "next_at": following.due_at if following else None,
        "is_same_schedule": same,
    }
    db.run(SQL.look_into_outboxes)
    return registered_of(db.all(SQL.put, values)[0])


def _stays(
    db: Database, old: Registered, kind: Kind, now: Instant, *, is_sync: bool = False
) -> bool:
    """Whether what is registered stays as it is: it is the same, or whoever calls may not change
    it."""
    if not _is_seen(old, now):
        return False
    is_same = old.gone_at is None and old.kind == kind
    return is_same or not (is_sync or _may_change(db, old))


def _is_seen(old: Registered, now: Instant) -> bool:
    """Whether it was first seen by a clock that can have been right."""
    return old.anchor_at <= now + CLOCK_STEP_US


def _may_change(db: Database, old: Registered) -> bool:
    """Whether a call may change a kind, or bring one back that a sync found gone: it was not
    synced, or its sources were edited since."""
    synced = {row["name"]: str(row["value"]) for row in db.all(SQL.synced)}
    is_synced = old.gone_at is not None or old.kind.name in synced.get("kinds", "").split()
    return not is_synced or has_changed(synced.get("sources", ""))


def _still_due(old: Registered, kind: Kind, now: Instant) -> Instant:
    """Since when an edited schedule counts: from now on, but for a period that has fallen due
    under the old one, that no tick has asked for yet, and that the new one names as well."""
    if old.next_at is None or old.next_at > now or not kind.has_schedule:
        return now
    try:
        due = old.schedule.latest(old.scheduled_to_at, now)
    except ScheduleError:  # what no version of ours wrote names no moments
        return now
    if due is None or schedule_of(kind, now).latest(due.due_at - 1, due.due_at) != due:
        return now
    return due.due_at - 1


def readable(db: Database) -> list[Registered]:
    """Every kind whose definition can be read."""
    found = []
    for row in db.all(SQL.all):
        with suppress(SchemaError):
            found.append(registered_of(row))
    return found


def unreadable(db: Database) -> list[str]:
    """The kinds whose definition cannot be read, one sentence each."""
    problems = []
    for row in db.all(SQL.all):
        try:
            registered_of(row)
        except SchemaError as error:
            problems.append(str(error))
    return problems


def _timing(kind: Kind) -> tuple[str, str, int]:
    return (kind.schedule, kind.tz, kind.every_us)


class Kinds:
    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, name: str) -> Registered | None:
        return get(self._db, name)

    def all(self) -> list[Registered]:
        return [registered_of(row) for row in self._db.all(SQL.all)]

    def ensure(self, kind: Kind) -> Registered:
        """The kind as it is registered; a new or changed one is registered first."""
        old = get(self._db, kind.name)
        if old and _stays(self._db, old, kind, self._db.now()):
            return old
        with self._db.transaction():
            return put(self._db, kind, self._db.now())

    def sync(self, declared: list[Kind]) -> tuple[list[str], list[str], list[str]]:
        """Take what the app declares as the closed table; return the names that are new, changed
        and gone. The history of a gone kind stays under its name; its next moment is forgotten.
        """
        now = self._db.now()
        added, changed = [], []
        with self._db.transaction():
            names = [row["name"] for row in self._db.all(SQL.all)]
            before = {name: _readable(self._db, name) for name in names}
            for kind in [*declared, NOTIFY]:
                old = before.get(kind.name)
                if old is None or old.gone_at is not None:
                    added.append(kind.name)
                elif old.kind != kind:
                    changed.append(kind.name)
                put(self._db, kind, now, is_sync=True)
            current = {kind.name for kind in declared} | {NOTIFY.name}
            gone = [
                name
                for name, known in before.items()
                if name not in current
                and (known is None or (known.gone_at is None and known.kind.family != "once"))
            ]
            for name in gone:
                # What cannot be read is forgotten, and not guessed: a later call registers it anew.
                sql = SQL.forget if before[name] is None else SQL.gone
                self._db.run(sql, {"name": name, "now": now})
        return [name for name in added if name != NOTIFY.name], changed, gone

    def count_skip(self, kind: str, period: str, code: str, sentence: str) -> None:
        """Count a call that found nothing to do. Nothing is promised by a counter, so this does
        not wait for the disk."""
        values = {"kind": kind, "target": "any", "period": period, "code": code}
        with self._db.relax():
            self._db.run(SQL.count_skip, values | {"sentence": sentence, "now": self._db.now()})

    def skips(self, kind: str, limit: int = 10) -> list[Row]:
        return self._db.all(SQL.skips, {"kind": kind, "limit": limit})
