"""Tasks as people and programs ask for them: enqueue, abort, list, show."""

from __future__ import annotations

from typing import Any

import msgspec

from sexton.core.errors import UnknownTask, UsageError
from sexton.core.instant import Instant, iso
from sexton.core.kind import Kind
from sexton.core.queue import Output
from sexton.core.task import ANY_TARGET, PENDING, RUNNING, Task
from sexton.store import kinds, rows
from sexton.store.gap import last_success
from sexton.store.rows import NOTICE_SQL, SQL
from sexton.store.sqlite import Database, Refusal, Row


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for. Instants are microseconds since 1970; None: not said.

    `id`: the same id is obeyed once, however often it is sent. `at`: not before; `start_before`:
    not begun after. `force`: the reason that opens a period of its own.
    """

    payload: str = "{}"
    at: Instant | None = None
    start_before: Instant | None = None
    priority: int | None = None
    by: str = ""
    id: str = ""
    force: str = ""


def refuse_impossible(request: Request) -> None:
    """Raise UsageError for a request that could only expire."""
    if request.at is None or request.start_before is None or request.start_before > request.at:
        return
    raise UsageError(
        f"not before {iso(request.at)} and not after {iso(request.start_before)} is never",
        hint="Give start_before= a moment, or a length from now, that lies behind at=.",
    )


def refuse_unforced(kind: Kind, request: Request) -> None:
    """Raise UsageError for a request of a kind with a schedule that gives no reason."""
    if kind.has_schedule and not request.force:
        raise UsageError(
            f"{kind.name} has a schedule, and asking for it could touch everyone again",
            hint=f"Give a reason: {kind.name}.force('REASON'),"
            f" or sexton enqueue {kind.name} --force 'REASON'.",
        )


def _key_of(kind: Kind, request: Request) -> str | None:
    """The request's key by the kind as it is now: whoever asked may know an older definition.

    Raises UsageError for a payload that is no object of JSON, or has no such field.
    """
    try:
        payload = msgspec.json.decode(request.payload, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"{kind.name}: the payload is no object of JSON: {error}") from error
    return kind.key_of(payload)


class Asked(msgspec.Struct, frozen=True):
    """The row that a request made, or the one that waits already and that it joined.

    `task` is None for a request in a caller's own transaction: its row exists only after that.
    """

    task: Task | None
    is_new: bool

    def __str__(self) -> str:
        if self.task is None:
            return "asked for, once the caller's transaction commits"
        how = "waits" if self.is_new else "waited already; this request joined it"
        return f"task {self.id} of {self.task.kind} {how}"

    @property
    def id(self) -> int:
        """The row's id, or 0 while there is none."""
        return self.task.id if self.task else 0


class Tasks:
    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, id_: int) -> Task:
        """One row; raises UnknownTask."""
        task = rows.get(self._db, id_)
        if task is None:
            raise UnknownTask(f"no task has the id {id_}", hint="List them with `sexton tasks`.")
        return task

    def enqueue(self, kind: Kind, request: Request) -> Asked:
        """Ask for a task; a request whose like waits already joins it."""
        refuse_impossible(request)
        with self._db.transaction():
            now = self._db.now()
            return self.enqueue_within(kinds.put(self._db, kind, now).kind, request, now)

    def enqueue_within(self, kind: Kind, request: Request, now: Instant) -> Asked:
        """As `enqueue`, inside a transaction that the caller opened."""
        known = self._db.one(SQL.request, {"id": request.id}) if request.id else None
        task = rows.get(self._db, known["task"]) if known else None
        if task:
            return Asked(task, is_new=False)
        asked = self._ask(kind, request, now)
        if request.id:
            values = {"id": request.id, "task": asked.id, "now": now}
            self._db.run(SQL.put_request, values)
        return asked

    def _ask(self, kind: Kind, request: Request, now: Instant) -> Asked:
        refuse_unforced(kind, request)
        columns: dict[str, Any] = {
            "payload": request.payload,
            "key": _key_of(kind, request),
            "due_at": now if request.at is None else request.at,
            "expires_at": request.start_before,
            "priority": kind.priority if request.priority is None else request.priority,
            "asked_by": request.by,
            "note": request.force,
        }
        if request.force:
            columns["period"] = "forced:{id}"
        elif kind.min_gap_us:
            columns |= self._after_gap(kind, columns["due_at"], now)
        if joined := self._joined(kind, columns, now):
            return Asked(joined, is_new=False)
        return Asked(self._inserted(kind, columns, now), is_new=True)

    def _joined(self, kind: Kind, columns: dict[str, Any], now: Instant) -> Task | None:
        """The request that waits for the same already, with this one in it; None: there is none.

        One that came too late is settled first: this one did not.
        """
        if columns["key"] is None and not kind.min_gap_us:
            return None
        values = {"kind": kind.name, "target": ANY_TARGET, "period": ""} | columns
        values["key"] = columns["key"] or ""
        row = self._db.one(SQL.pending_of_key, values)
        if row is None:
            return None
        waits = rows.task_of(row)
        if waits.is_late(now):
            rows.expire(self._db, waits, kind, now)
            return None
        joined = self._db.one(SQL.join_pending, values)
        return rows.task_of(joined) if joined else None

    def _inserted(self, kind: Kind, columns: dict[str, Any], now: Instant) -> Task:
        chain = self._chain(kind, columns.get("period", ""))
        if chain:
            last = chain[-1]
            columns |= {"attempt": last.attempt + 1, "retry_of": last.id, "root": last.root}
        row = rows.insert(self._db, kind, now, status=PENDING, **columns)
        if row is None:
            raise Refusal(f"{kind.name} could not be asked for", hint="Run `sexton check`.")
        return row

    def _after_gap(self, kind: Kind, due_at: Instant, now: Instant) -> dict[str, Any]:
        """The period is the success that the run follows, and it waits until the gap is over.

        While one runs, a request waits behind it, as behind its success: it may have read the old
        state.
        """
        last = last_success(self._db, kind, now)
        period, began_at = (f"after:{last.task.id}", last.began_at) if last else ("after:0", None)
        chain = self._chain(kind, period)
        if chain and chain[-1].status == RUNNING:
            period, began_at = f"after:{chain[-1].id}", min(chain[-1].started_at or now, now)
        if began_at is not None:
            due_at = max(due_at, began_at + kind.min_gap_us)
        return {"period": period, "due_at": due_at}

    def _chain(self, kind: Kind, period: str) -> list[Task]:
        """Every attempt at a period of this kind, oldest first; of none, there are none."""
        return self.of_period(kind.name, period) if period else []

    def abort(self, id_: int, by: str, reason: str = "") -> Task:
        """Ask for a task's end: a Pending one is Aborted at once, a Running one by its executor.

        Returns the row as it is now; a final one is left as it is. Raises UnknownTask.
        """
        with self._db.transaction():
            now = self._db.now()
            task = self.get(id_)
            why = f"aborted by {by}" + (f": {reason}" if reason else "")
            if task.status == PENDING:
                kind = kinds.kind_of(self._db, task.kind)
                rows.settle(self._db, task, kind, now, reason="administrator", outcome=why)
            elif task.status == RUNNING:
                self._db.run(SQL.ask_abort, {"id": id_, "by": why})
            return self.get(id_)

    def newest(
        self,
        *,
        status: str = "",
        kind: str = "",
        reason: str = "",
        before: int | None = None,
        limit: int = 50,
    ) -> list[Task]:
        """Newest first; `before` is the id below which a further page starts."""
        values = {"status": status, "kind": kind, "reason": reason, "limit": limit}
        values["before"] = before if before is not None else (1 << 62)
        return [rows.task_of(row) for row in self._db.all(SQL.list, values)]

    def of_period(self, kind: str, period: str) -> list[Task]:
        """Every attempt at one period of a guarded kind, oldest first."""
        values = {"kind": kind, "target": ANY_TARGET, "key": "", "period": period}
        return [rows.task_of(row) for row in self._db.all(SQL.chain, values)]

    def chain(self, root: int) -> list[Task]:
        """Every attempt of a chain, oldest first."""
        return [rows.task_of(row) for row in self._db.all(SQL.chain_of_root, {"root": root})]

    def output(self, id_: int) -> Output:
        row = self._db.one(SQL.output, {"task": id_})
        return Output(row["head"], row["tail"], row["dropped"]) if row else Output()

    def late(self, id_: int) -> list[tuple[Instant, str]]:
        """What was reported after the row had been settled."""
        return [(row["at"], row["text"]) for row in self._db.all(SQL.late_of, {"task": id_})]

    def count(self) -> dict[str, int]:
        return {row["status"]: row["count"] for row in self._db.all(SQL.count)}

    def notices(self, kind: str = "", limit: int = 20) -> list[Row]:
        return self._db.all(NOTICE_SQL.list, {"kind": kind, "limit": limit})
