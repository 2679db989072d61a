"""The guard's side of the store: the right to run, taken from inside a function.

`take` is one transaction: read the rows of the period, let `core.guard` judge, and make or adopt
the Running row. The indexes refuse what two calls at once might make of it.
"""

from __future__ import annotations

from typing import Any

from sexton.core.guard import Adopt, Begin, Expire, Skip, Verdict, expires_at, judge, period_of_call
from sexton.core.instant import Instant
from sexton.core.kind import Kind
from sexton.core.queue import Call, Output, Refused, Renewed, Taken
from sexton.core.schedule import Period
from sexton.core.settings import Settings
from sexton.core.task import ABORTED, ANY_TARGET, PENDING, Claim, Result, Task
from sexton.store import kinds, rows
from sexton.store.gap import last_success
from sexton.store.queue import StoreQueue, claim_of
from sexton.store.rows import SQL
from sexton.store.sqlite import Database


class StoreGuard:
    """`core.queue.Guard` on the store, for one owner."""

    def __init__(self, db: Database, settings: Settings, owner: str) -> None:
        self._db = db
        self._settings = settings
        self._owner = owner
        self._queue = StoreQueue(db, settings, owner, ANY_TARGET)

    def holders(self, kind: Kind, key: str) -> list[Task]:
        """Who runs in this kind's lane, or may hold items of its scope: the dead among them are to
        be settled before a call."""
        if kind.scope:
            return [rows.task_of(row) for row in self._db.all(SQL.running)]
        lane = kind.lane_of(ANY_TARGET, key)
        return [rows.task_of(row) for row in self._db.all(SQL.holders, {"lane": lane})]

    def take(self, kind: Kind, call: Call) -> Taken | Refused:
        with self._db.transaction():
            return self._take(kind, call)

    def peek(self, kind: Kind, call: Call) -> Taken | Refused:
        """What `take` would answer now; nothing of it stays."""
        with self._db.rehearsal():
            return self._take(kind, call)

    def _take(self, kind: Kind, call: Call) -> Taken | Refused:
        now = self._db.now()
        known = kinds.put(self._db, kind, now)
        kind = known.kind
        if call.force:
            return self._force(kind, call, now)
        if kind.has_schedule:
            return self._take_period(known, call, now)
        if kind.min_gap_us:
            return self._take_after_gap(known, call, now)
        return self._take_asked(kind, call, now)

    def enter(self, claim: Claim, leader: str = "") -> bool:
        """Record that the body is about to start, here ('') or in a process of its own."""
        return self._queue.enter(claim, leader)

    def renew(self, claim: Claim) -> Renewed:
        return self._queue.renew([claim])[0]

    def finish(self, claim: Claim, result: Result, output: Output | None = None) -> Result | None:
        return self._queue.finish(claim, result, output)

    def _take_period(self, known: kinds.Registered, call: Call, now: Instant) -> Taken | Refused:
        """Once per period: for the latest due one, or for an older one that is still open."""
        kind, schedule = known.kind, known.schedule
        period = period_of_call(kind, schedule, known.anchor_at, now)
        if period is None:
            open_task = self._open_period(kind, now)
            if open_task is None:
                coming = schedule.next(max(now, known.anchor_at))
                at = coming.due_at if coming else None
                return Refused(Skip("not due"), coming.name if coming else "", at)
            chain = self._chain(kind, open_task.period)
            period = Period(open_task.period, open_task.period_at or now)
            expires = open_task.expires_at
        else:
            chain = self._chain(kind, period.name)
            expires = expires_at(kind, schedule, period)
        verdict = judge(kind, chain, expires, now)
        if kind.catch_up != "all" and not isinstance(verdict, Skip):
            rows.supersede(self._db, kind, period, now)
        columns = {"period": period.name, "period_at": period.due_at, "expires_at": expires}
        return self._obey(kind, verdict, call, now, columns)

    def _open_period(self, kind: Kind, now: Instant) -> Task | None:
        """The newest period of an older schedule, if an attempt at it may still follow."""
        row = self._db.one(SQL.newest_of_kind, {"kind": kind.name, "target": ANY_TARGET})
        newest = rows.task_of(row) if row else None
        return newest if newest and newest.expires_at and newest.expires_at > now else None

    def _chain(self, kind: Kind, period: str, key: str = "") -> list[Task]:
        values = {"kind": kind.name, "target": ANY_TARGET, "key": key, "period": period}
        return [rows.task_of(row) for row in self._db.all(SQL.chain, values)]

    def _take_after_gap(self, known: kinds.Registered, call: Call, now: Instant) -> Taken | Refused:
        """Not again before the minimum gap since the last success's start is over.

        The period is the success that it follows, so the same index decides the race.
        """
        kind = known.kind
        last = last_success(self._db, kind, now)
        if last:
            ends = last.began_at + kind.min_gap_us
            if ends > now:
                return Refused(Skip("gap", last.task), f"after:{last.task.id}", ends)
        period = f"after:{last.task.id if last else 0}"
        chain = self._chain(kind, period)
        if chain and chain[-1].status == PENDING and chain[-1].is_late(now):
            rows.expire(self._db, chain[-1], kind, now)  # too late for that request, not for this
            chain = self._chain(kind, period)
        verdict = judge(kind, chain, None, now)
        return self._obey(kind, verdict, call, now, {"period": period})

    def _take_asked(self, kind: Kind, call: Call, now: Instant) -> Taken | Refused:
        """A kind that is asked for: runs now, unless its lane is held or a joined one runs."""
        if kind.key is not None:
            values = {"kind": kind.name, "target": ANY_TARGET, "key": call.key, "period": ""}
            row = self._db.one(SQL.pending_of_key, values)
            waiting = rows.task_of(row) if row else None
            if waiting and waiting.is_late(now):
                # It is too late for that request, and not for this call.
                rows.expire(self._db, waiting, kind, now)
            elif waiting:
                return self._obey(kind, Adopt(waiting), call, now, {"key": call.key})
        return self._obey(kind, Begin(1, 0, None), call, now, {"key": call.key})

    def _force(self, kind: Kind, call: Call, now: Instant) -> Taken | Refused:
        """A reason, recorded, opens a period of its own."""
        columns = {"period": "forced:{id}", "note": call.force}
        if not kind.is_guarded:
            columns |= {"key": call.key or ""}
        return self._obey(kind, Begin(1, 0, None), call, now, columns)

    def _obey(
        self, kind: Kind, verdict: Verdict, call: Call, now: Instant, columns: dict[str, Any]
    ) -> Taken | Refused:
        """Make of the verdict what the indexes allow."""
        period = str(columns.get("period", ""))
        if isinstance(verdict, Skip):
            return Refused(verdict, period)
        if isinstance(verdict, Expire):
            return self._expire(kind, verdict, now, columns)
        # With its own id as its key, it has a lane of its own: it can meet nobody there.
        key = columns.get("key")
        has_own_lane = key is None and not (kind.is_guarded or kind.lane or period)
        lane = {"lane": kind.lane_of(ANY_TARGET, key or "")}
        if not has_own_lane and (holder := self._db.one(SQL.holders, lane)):
            task = rows.task_of(holder)
            return Refused(Skip("running" if task.kind == kind.name else "lane", task), period)
        claim = rows.claim_columns(
            now, self._settings.lease_us, kind.timeout_us, call.nonce, self._owner
        )
        if isinstance(verdict, Adopt):
            values = claim | {"id": verdict.task.id, "payload": call.payload}
            row = self._db.one(SQL.adopt, values)
            task_now = rows.task_of(row) if row else None
        else:
            task_now = self._begin(kind, verdict, call, now, columns | claim)
        if task_now is None:
            return Refused(Skip("running"), period)
        return Taken(claim_of(task_now), task_now)

    def _begin(
        self, kind: Kind, verdict: Begin, call: Call, now: Instant, columns: dict[str, Any]
    ) -> Task | None:
        last = verdict.last
        return rows.insert(
            self._db,
            kind,
            now,
            **columns,
            attempt=verdict.attempt,
            spent=verdict.spent,
            retry_of=last.id if last else None,
            root=last.root if last else None,
            payload=call.payload,
            asked_by=call.by,
        )

    def _expire(
        self, kind: Kind, verdict: Expire, now: Instant, columns: dict[str, Any]
    ) -> Refused:
        """Settle, or record, a period that was not begun in time."""
        if verdict.task:
            task = rows.expire(self._db, verdict.task, kind, now)
            return Refused(Skip("expired", task), str(columns["period"]))
        outcome = "not begun before it expired"
        ended = {"status": ABORTED, "reason": "expired", "ended_at": now, "outcome": outcome}
        row = rows.insert(self._db, kind, now, **(columns | ended))
        if row:
            rows.gave_up(self._db, now)
            rows.alert(self._db, row, now)
        return Refused(Skip("expired", row), str(columns["period"]))
