"""What each tick does for the whole store: ask for due periods, expire, mend the clock's jumps."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from sexton.core.errors import ScheduleError, SchemaError
from sexton.core.guard import Round, expires_at, round_of
from sexton.core.instant import Instant, iso
from sexton.core.kind import Kind
from sexton.core.notice import Notice
from sexton.core.schedule import Period
from sexton.core.settings import Settings
from sexton.core.task import ABORTED, ANY_TARGET, PENDING, Reason, Task
from sexton.store import kinds, rows
from sexton.store.gap import last_success
from sexton.store.idle import CLOCK_STEP_US, mark_tick
from sexton.store.rows import MARK_SQL, SQL
from sexton.store.sql import Queries
from sexton.store.sqlite import Database

IDLE_SQL = Queries("idle")


class Rounds:
    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings

    def schedule(self) -> list[Task]:
        """Ask for every period that has fallen due; return the rows that now wait.

        One transaction a kind, so that one kind's trouble is not another's.
        """
        due = self._db.all(kinds.SQL.due, {"now": self._db.now()})
        asked: list[Task] = []
        for row in due:
            try:
                asked += self._schedule(row["name"])
            except (ScheduleError, SchemaError) as error:
                self._tell(row["name"], str(error))
        return asked

    def _tell(self, name: str, error: str) -> None:
        """Alert once that a kind's definition cannot be read here: it waits, the others go on."""
        with self._db.transaction():
            text = f"{name} cannot be scheduled: {error}"
            told = Notice(kind=name, code="schedule", text=text, at=self._db.now())
            rows.notice(self._db, f"schedule:{name}", told)

    def _schedule(self, name: str) -> list[Task]:
        with self._db.transaction():
            now = self._db.now()
            known = kinds.get(self._db, name)
            if known is None or known.next_at is None or known.next_at > now:
                return []
            kind, schedule = known.kind, known.schedule
            found = round_of(kind, schedule, known.scheduled_to_at, now)
            following = schedule.next(now)
            values = {"name": name, "now": now, "seen_next_at": known.next_at}
            values |= {"next_at": following.due_at if following else None}
            if self._db.one(kinds.SQL.scheduled, values) is None:
                return []
            if found.newest and kind.catch_up != "all":
                rows.supersede(self._db, kind, found.newest, now)
            asked = [self._ask(known, period, now) for period in found.ask]
            self._count_missed(known, found, now)
        return [task for task in asked if task]

    def _ask(self, known: kinds.Registered, period: Period, now: Instant) -> Task | None:
        """A row for this period; None if a direct call was there before."""
        kind = known.kind
        return rows.insert(
            self._db,
            kind,
            now,
            status=PENDING,
            period=period.name,
            period_at=period.due_at,
            due_at=period.due_at,
            expires_at=expires_at(kind, known.schedule, period),
            asked_by="schedule",
        )

    def _count_missed(self, known: kinds.Registered, found: Round, now: Instant) -> None:
        """One row for all the moments at which nobody looked, however many they were.

        The newest one has a row of its own if it is too late for it, since that is an alert.
        """
        first = known.schedule.next(known.scheduled_to_at)
        if found.newest is None or first is None:
            return
        values = {"kind": known.kind.name, "target": ANY_TARGET, "until": now}
        values |= {"after": known.scheduled_to_at}
        with_rows = self._db.all(SQL.periods_with_rows, values)[0]["count"]
        if found.why == "expired":
            with_rows += self._too_late(known.kind, found.newest, now)
        missed = found.missed + len(found.ask) - with_rows
        if missed > 0:
            since = iso(known.scheduled_to_at)
            outcome = f"no tick came for {missed} of its moments since {since}"
            # Its name is no period's: if the clock was wrong, that period may yet be asked for.
            since_first = Period(f"missed:{first.name}", first.due_at)
            self._record(known.kind, since_first, now, "superseded", outcome, {"missed": missed})

    def _too_late(self, kind: Kind, newest: Period, now: Instant) -> int:
        row = self._record(kind, newest, now, "expired", "no tick came before it expired", {})
        if row and kind.catch_up != "none":
            rows.alert(self._db, row, now)
        return 1 if row else 0

    def _record(
        self,
        kind: Kind,
        period: Period,
        now: Instant,
        reason: Reason,
        outcome: str,
        counts: dict[str, int],
    ) -> Task | None:
        """A row that is settled from the start; None if the period has one already."""
        return rows.insert(
            self._db,
            kind,
            now,
            status=ABORTED,
            reason=reason,
            period=period.name,
            period_at=period.due_at,
            ended_at=now,
            asked_by="schedule",
            outcome=outcome,
            counts=msgspec.json.encode(counts).decode(),
        )

    def expire(self) -> list[Task]:
        """Settle what waited too long to begin."""
        with self._db.transaction():
            now = self._db.now()
            ended = []
            for row in self._db.all(SQL.expired, {"now": now}):
                task = rows.task_of(row)
                kind = kinds.kind_of(self._db, task.kind)
                ended.append(rows.expire(self._db, task, kind, now))
        return [task for task in ended if task]

    def mark_tick(self, host: str) -> Instant | None:
        """Mark that a tick came; if the clock went back since the last one, say by how much.

        Whatever a clock that ran ahead had put off is moved back to where it belongs, and an
        alert is given: a schedule must never stand still until a wrong date comes true.
        """
        with self._db.transaction():
            now = self._db.now()
            last_at = int(self._db.all(IDLE_SQL.look, {"now": now})[0]["last_at"])
            mark_tick(self._db, IDLE_SQL, now, host)
            is_behind = last_at > now + CLOCK_STEP_US
            if is_behind:
                self._mend_clock(now)
                text = f"the clock went back from {iso(last_at)} to {iso(now)}"
                rows.notice(self._db, f"clock:{last_at}", Notice(code="clock", text=text, at=now))
            self._see_ahead(now)
        return last_at - now if is_behind else None

    def _mend_clock(self, now: Instant) -> None:
        self._db.run(SQL.behind_ahead, {"now": now})
        self._db.run(SQL.dated_ahead, {"now": now})
        self._db.run(SQL.forget_ahead, {"now": now})
        self._db.run(MARK_SQL.not_ahead, {"now": now})
        self._db.run(SQL.lease_ahead, {"now": now, "lease_at": now + self._settings.lease_us})
        for known in kinds.readable(self._db):
            if known.kind.has_schedule and known.gone_at is None:
                with suppress(ScheduleError):  # it waits, and was told of; the others go on
                    self._mend_kind(known, now)

    def _see_ahead(self, now: Instant) -> None:
        """Note the successes of kinds with a gap that are dated later than the clock: a request
        that waits for the end of the gap must not wait until that date comes true."""
        for row in self._db.all(
            SQL.kinds_ahead, {"target": ANY_TARGET, "until": now + CLOCK_STEP_US}
        ):
            if kind := kinds.kind_of(self._db, row["name"]):
                last_success(self._db, kind, now)

    def _mend_kind(self, known: kinds.Registered, now: Instant) -> None:
        newest = known.schedule.latest(min(known.anchor_at, now), now)
        coming = newest or known.schedule.next(now)
        values = {"name": known.kind.name, "now": now}
        values |= {"scheduled_to_at": newest.due_at - 1 if newest else now}
        self._db.run(
            kinds.SQL.clock_went_back, values | {"next_at": coming.due_at if coming else None}
        )

    def last_tick(self) -> tuple[Instant, str] | None:
        """When the last tick came, and on which host; None: none ever did."""
        row = self._db.one(MARK_SQL.get, {"name": "tick"})
        return (int(row["at"]), str(row["text"])) if row else None

    def next_at(self) -> Instant | None:
        """When anything falls due next: a schedule's moment or a row that waits."""
        instants = [
            self._db.all(kinds.SQL.next_due)[0]["at"],
            self._db.all(SQL.next_due)[0]["at"],
        ]
        return min((at for at in instants if at is not None), default=None)
