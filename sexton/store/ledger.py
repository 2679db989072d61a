"""The ledger: which effects began and which are done, one commit an item.

Every write asks in its transaction whether its task is still the one that runs: a zombie's *begun*
must not slip in beside the sweep, and what it reports late is kept as evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sexton.core.errors import Fenced, UnknownTask, UsageError
from sexton.core.instant import Instant, to_datetime
from sexton.core.kind import InDoubt, Kind
from sexton.core.ledger import Begun, Cap, Ended, Entry, Wanted, step
from sexton.core.task import COMPLETE, PENDING, RUNNING, Claim
from sexton.store import rows
from sexton.store.kinds import kind_of
from sexton.store.queue import claim_of
from sexton.store.sql import Queries
from sexton.store.sqlite import Database, Row

SQL = Queries("ledger")
TASK_SQL = Queries("task")


def day_of(kind: Kind, now: Instant) -> str:
    """The calendar day in the kind's zone, for which a cap counts."""
    return to_datetime(now, ZoneInfo(kind.tz)).date().isoformat()


class StoreLedger:
    """`core.queue.Ledger` on the store, for one run of one plan."""

    def __init__(self, db: Database, kind: Kind, claim: Claim, cap: Cap | None = None) -> None:
        self._db = db
        self._kind = kind
        self._claim = claim
        self._cap = cap
        self._turn = db.transaction(is_one_of_many=True)
        # Every item asks for it, and it never changes while its task runs.
        self.scope_name = rows.scope_of(db, kind, claim)
        # Only what a person sent back is tried again.
        self._is_again = claim.period.startswith(rows.AGAIN)
        self._is_new = False
        self._scope = self._open()

    def _open(self) -> int:
        wide = bool(self._kind.scope)
        values = {
            "kind": "" if wide else self._kind.name,
            "target": "" if wide else self._claim.target,
            "key": "" if wide else self._claim.key,
            "name": self.scope_name,
        }
        row = self._db.one(SQL.scope, values)
        if row is None:
            self._is_new = True
            with self._db.transaction():
                self._db.run(SQL.put_scope, values)
                row = self._db.all(SQL.scope, values)[0]
        return int(row["id"])

    def known(self, key: str) -> str | None:
        """The status of an item that no attempt need come back to, or None: a point read, so that
        what is done costs no commit. A scope that this run opened knew nobody; `advance` asks
        again in any case."""
        if self._is_new:
            return None
        row = self._db.one(SQL.known, {"scope": self._scope, "key": key})
        return str(row["status"]) if row and row["status"] not in {"Begun", "Failed"} else None

    def advance(self, ended: Sequence[Ended], wanted: Sequence[Wanted]) -> list[Begun]:
        """Commit how items ended and which begin now; return an answer for each wanted one.

        Raises Fenced if this task was settled by somebody else: then `ended` is kept as evidence.
        """
        with self._turn:
            now = self._db.now()
            # An end that took says that the claim holds; where none did, it is asked.
            took = [self._end(item, now) for item in ended]
            if any(took) or self._holds():
                return [self._begin(item, now) for item in wanted]
            for item in ended:
                text = f"item {item.key} ended late: {item.status} {item.note}".rstrip()
                self._db.run(TASK_SQL.late, {"task": self._claim.task, "now": now, "text": text})
        raise Fenced(f"task {self._claim.task} of {self._claim.kind} was settled by somebody else")

    def _holds(self) -> bool:
        found = self._db.first(SQL.fence, {"task": self._claim.task})
        return found == (RUNNING, self._claim.nonce)

    def _end(self, item: Ended, now: Instant) -> bool:
        """Whether it took: it had begun under this claim, and the claim holds."""
        claim = self._claim
        if item.status != "Unbegun":
            # In the order of the statement's words: it is for every item, and names take time.
            ended = (item.status, now, item.note, self._scope, item.key, claim.task, claim.nonce)
            return self._db.run(SQL.end, ended) > 0
        values = {"scope": self._scope, "key": item.key, "now": now}
        values |= {"task": claim.task, "nonce": claim.nonce}
        if self._db.one(SQL.unbegin, values):
            self._db.run(SQL.free_slot, {"scope": self._scope, "key": item.key})
            return True
        return self._db.run(SQL.unbegin_again, values) > 0

    def _begin(self, item: Wanted, now: Instant) -> Begun:
        if self._cap is None and not self._is_again and (begun := self._begin_new(item, now)):
            return begun  # most are new and have no cap: one statement is all
        known = self._db.one(SQL.known, {"scope": self._scope, "key": item.key})
        if known and known["status"] != "Failed":
            return self._begin_known(item, known, now)
        if known is None and self._is_again:
            return Begun(item.key, "leave")
        if not self._has_slot(item, now):
            return Begun(item.key, "capped")
        if known:
            return self._begin_again(item.key, now, "Failed", known["task"])
        return self._begin_new(item, now) or Begun(item.key, "elsewhere")

    def _begin_new(self, item: Wanted, now: Instant) -> Begun | None:
        """Begin an item that the ledger does not know; None if it does."""
        begun = (self._scope, item.key, self._claim.task, self._kind.name, now)
        return Begun(item.key, "begin") if self._db.run(SQL.begin, begun) else None

    def _begin_again(self, key: str, now: Instant, leaves: str, of: int) -> Begun:
        """Begin an item once more, if it still is as it was judged."""
        values = {"scope": self._scope, "key": key, "task": self._claim.task, "now": now}
        row = self._db.one(SQL.begin_again, values | {"leaves": leaves, "of": of})
        return Begun(key, "begin", row["tries"]) if row else Begun(key, "elsewhere")

    def _begin_known(self, item: Wanted, known: Row, now: Instant) -> Begun:
        """An item that was begun before: by us, by a live task, or by a dead one."""
        owner = rows.get(self._db, known["task"])
        is_live = owner is not None and owner.status == RUNNING
        match step(known["status"], known["task"] == self._claim.task, is_live):
            case "doubt":
                return self._doubt(item, known, now, self._kind.in_doubt)
            case "elsewhere":
                return Begun(item.key, "elsewhere")
            case _:
                return Begun(item.key, "leave")

    def _doubt(self, item: Wanted, known: Row, now: Instant, policy: InDoubt) -> Begun:
        """Begun by a claim that is dead, and not done: the kind's policy decides."""
        judged = {"scope": self._scope, "key": item.key, "now": now}
        judged |= {"leaves": "Begun", "of": known["task"]}
        if policy == "probe":
            return Begun(item.key, "probe", known["tries"])
        if policy == "retry":
            return self._begin_doubted(item, known, now)
        note = f"in doubt: begun by task {known['task']}, which died"
        status = "Parked" if policy == "park" else "Skipped"
        self._db.run(SQL.mark, judged | {"status": status, "note": note})
        return Begun(item.key, "parked" if policy == "park" else "skipped")

    def _begin_doubted(self, item: Wanted, known: Row, now: Instant) -> Begun:
        """Try an item in doubt again, if today's cap leaves room; else it stays in doubt."""
        if not self._has_slot(item, now):
            return Begun(item.key, "capped")
        return self._begin_again(item.key, now, "Begun", known["task"])

    def probed(self, item: Wanted, was_done: bool | None) -> Begun:
        """Settle an item in doubt by what the probe saw; None: it could not tell, so park it."""
        key = item.key
        with self._db.transaction():
            now = self._db.now()
            if not self._holds():
                raise Fenced(f"task {self._claim.task} was settled by somebody else")
            at = {"scope": self._scope, "key": key}
            known = self._db.one(SQL.known, at)
            if known is None or known["status"] != "Begun" or known["task"] == self._claim.task:
                return Begun(key, "leave")
            judged = at | {"now": now, "leaves": "Begun", "of": known["task"]}
            if was_done is False:
                return self._begin_doubted(item, known, now)
            status, note = (
                ("Done", "the probe found it done") if was_done else ("Parked", "in doubt")
            )
            self._db.run(SQL.mark, judged | {"status": status, "note": note})
            return Begun(key, "leave" if was_done else "parked")

    def _has_slot(self, item: Wanted, now: Instant) -> bool:
        if self._cap is None:
            return True
        at: dict[str, Any] = {"cap": self._cap.name, "whom": item.whom}
        at["day"] = day_of(self._kind, now)
        at |= {"scope": self._scope, "key": item.key}
        if self._db.one(SQL.slot_of, at):
            return True
        slots = range(1, self._cap.count + 1)
        return any(self._db.one(SQL.take_slot, at | {"slot": slot}) for slot in slots)

    def keys(self) -> dict[str, str]:
        """Every key that this scope knows, with its status: to report what is no longer planned."""
        return {row["key"]: row["status"] for row in self._db.all(SQL.keys, {"scope": self._scope})}


def entry_of(row: Row) -> Entry:
    columns = {name: row[name] for name in Entry.__struct_fields__ if name in row}
    columns |= {"scope": row["scope_name"], "is_in_doubt": bool(row["is_in_doubt"])}
    return Entry(**columns)


class Items:
    """The ledger as people see and settle it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def entries(
        self,
        kind: str,
        *,
        in_doubt: bool = False,
        key: str = "",
        scope: str = "",
        limit: int = 1000,
    ) -> list[Entry]:
        values: dict[str, Any] = {"kind": kind, "key": key, "limit": limit}
        if in_doubt:
            return [entry_of(row) for row in self._db.all(SQL.in_doubt, values)]
        values["scope_name"] = scope
        return [entry_of(row) for row in self._db.all(SQL.list, values)]

    def scope_of(self, kind: Kind, claim: Claim) -> str:
        """What the items of this run are, or would be, distinct in."""
        return rows.scope_of(self._db, kind, claim)

    def scopes(self, kind: Kind, name: str) -> set[str]:
        """The scopes that a person means: the ledger's own name, or a period as tasks have it;
        empty if it is neither."""
        if kind.scope == name or self._db.one(SQL.named, {"kind": kind.name, "name": name}):
            return {name}
        ids = self._db.all(SQL.of_period, {"kind": kind.name, "period": name})
        tasks = [task for row in ids if (task := rows.get(self._db, row["id"]))]
        return {rows.scope_of(self._db, kind, claim_of(task)) for task in tasks}

    def statuses(self, kind: str, scope: str) -> dict[str, str]:
        """Every key of one scope with its status, or `In doubt`; `kind` is '' for a scope of its
        own name."""
        rows_ = self._db.all(SQL.statuses, {"kind": kind, "name": scope})
        return {row["key"]: row["status"] for row in rows_}

    def slots_left(self, kind: Kind, cap: Cap, whom: str) -> int:
        """How many more today under this cap."""
        at = {"cap": cap.name, "whom": whom, "day": day_of(kind, self._db.now())}
        return cap.count - int(self._db.all(SQL.slots_taken, at)[0]["count"])

    def holds_slot(self, kind: Kind, cap: Cap, whom: str, scope: str, key: str) -> bool:
        """Whether an item that is tried again has its slot of today already."""
        at = {"cap": cap.name, "whom": whom, "day": day_of(kind, self._db.now())}
        at |= {"kind": "" if kind.scope else kind.name, "name": scope, "key": key}
        return self._db.one(SQL.holds_slot, at) is not None

    def settle(self, kind: str, key: str, verdict: str, by: str) -> list[Entry]:
        """Settle the items in doubt of this kind, of one key or of all (`key` empty).

        `verdict`: `done` (it happened), `failed` (it did not, and shall not), `retry` (it did not:
        it is begun again, by an attempt that is asked for here if none is to come). Returns what
        was settled, as it was before.
        """
        status = {"done": "Done", "failed": "Rejected", "retry": "Failed"}[verdict]
        settled = []
        with self._db.transaction():
            now = self._db.now()
            if verdict == "retry":
                self._refuse_no_attempt(kind, key)
            values: dict[str, Any] = {"kind": kind, "key": key, "limit": -1}
            for row in self._db.all(SQL.in_doubt, values):
                change: dict[str, Any] = {"scope": row["scope"], "key": row["key"], "now": now}
                change |= {"leaves": row["status"], "of": row["task"], "status": status, "by": by}
                change |= {"note": f"settled as {verdict}"}
                if self._db.one(SQL.settle, change):
                    settled.append(entry_of(row))
                    if verdict != "done":
                        self._db.run(SQL.free_slot, {"scope": row["scope"], "key": row["key"]})
            if verdict == "retry":
                self._ask_again(kind, {entry.task for entry in settled}, now, by)
        return settled

    def _refuse_no_attempt(self, name: str, key: str) -> None:
        """Raise UsageError where no attempt can follow: nobody but its caller starts a program of
        `sexton once`, and a period that is Complete is not begun again."""
        kind = kind_of(self._db, name)
        if kind is None or kind.family != "once":
            return
        for row in self._db.all(SQL.in_doubt, {"kind": name, "key": key, "limit": -1}):
            began = rows.get(self._db, row["task"])
            chain = self._db.all(TASK_SQL.chain_of_root, {"root": began.root}) if began else []
            if any(attempt["status"] == COMPLETE for attempt in chain):
                raise UsageError(
                    f"{name}: {row['scope_name']} is Complete, and no attempt at {row['key']} is to"
                    " come",
                    hint="Do it by hand and settle it as done, or settle it as failed.",
                )

    def _ask_again(self, name: str, tasks: set[int], now: Instant, by: str) -> None:
        """One attempt for each chain whose items were sent back and that has none to come."""
        kind = kind_of(self._db, name)
        chains = {task.root: task for id_ in tasks if (task := rows.get(self._db, id_))}
        for root, task in chains.items():
            if kind is None or self._db.one(TASK_SQL.live_of_chain, {"root": root}):
                continue
            if kind.family == "once":
                continue  # its caller's next attempt at the period does it
            columns: dict[str, Any] = {"target": task.target, "key": task.key, "root": root}
            columns |= {"payload": task.payload, "retry_of": task.id, "asked_by": by}
            rows.insert(self._db, kind, now, status=PENDING, period=rows.AGAIN + "{id}", **columns)

    def begin(self, task: int, key: str) -> Begun:
        """Begin one item of a Running task, from any language; raises UnknownTask or Fenced."""
        return self._of(task).advance([], [Wanted(key)])[0]

    def end(self, task: int, ended: Ended) -> None:
        """End one item of a Running task; raises UnknownTask or Fenced, and then keeps it as
        evidence on the task's row."""
        row = rows.get(self._db, task)
        if row is not None and row.status != RUNNING:
            text = f"item {ended.key} ended late: {ended.status} {ended.note}".rstrip()
            with self._db.transaction():
                self._db.run(TASK_SQL.late, {"task": task, "now": self._db.now(), "text": text})
        self._of(task).advance([ended], [])

    def _of(self, task: int) -> StoreLedger:
        row = rows.get(self._db, task)
        kind = kind_of(self._db, row.kind) if row else None
        if row is None or kind is None:
            raise UnknownTask(f"no task has the id {task}")
        if row.status != RUNNING:
            raise Fenced(f"task {task} is {row.status} and begins no items")
        return StoreLedger(self._db, kind, claim_of(row))
