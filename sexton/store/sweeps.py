"""Settle what is Running and will not end by itself: lost, or completed by a reboot.

Who is dead is judged outside, where processes can be seen; here each verdict is one transaction
that names the state and the claim it was judged by.
"""

from __future__ import annotations

from sexton.core.instant import Instant
from sexton.core.task import COMPLETE, Task
from sexton.store import kinds, rows
from sexton.store.rows import MARK_SQL, SQL
from sexton.store.sqlite import Database

SUSPICION = "suspects itself"


class Sweeps:
    def __init__(self, db: Database) -> None:
        self._db = db

    def running(self) -> list[Task]:
        return [rows.task_of(row) for row in self._db.all(SQL.running)]

    def ends_with_reboot(self, task: Task) -> bool:
        kind = kinds.kind_of(self._db, task.kind)
        return kind is not None and kind.ends_with_reboot

    def settle_lost(self, task: Task, why: str) -> Task | None:
        """End a Running task whose owner is gone; what follows is asked for in the same commit.

        If a person had asked for its end, that is what it is, and nothing follows. None: it ended
        meanwhile, and that holds.
        """
        with self._db.transaction():
            kind = kinds.kind_of(self._db, task.kind)
            reason, outcome = ("lost", why)
            fresh = rows.get(self._db, task.id)
            if fresh and fresh.abort_by:
                reason, outcome = ("administrator", fresh.abort_by)
            now = self._db.now()
            return rows.settle(self._db, task, kind, now, reason=reason, outcome=outcome)  # type: ignore[arg-type]

    def settle_rebooted(self, task: Task) -> Task | None:
        """Complete a task whose end is that the machine starts anew."""
        with self._db.transaction():
            kind = kinds.kind_of(self._db, task.kind)
            now = self._db.now()
            outcome = "completed by the reboot"
            return rows.settle(
                self._db, task, kind, now, reason="", outcome=outcome, status=COMPLETE
            )

    def suspected_since(self) -> Instant | None:
        row = self._db.one(MARK_SQL.get, {"name": SUSPICION})
        return int(row["at"]) if row else None

    def suspect(self) -> Instant:
        """Remember that many leases lapsed together; return since when that is so."""
        with self._db.transaction():
            values = {"name": SUSPICION, "now": self._db.now(), "text": ""}
            self._db.run(MARK_SQL.put_once, values)
            return int(self._db.all(MARK_SQL.get, {"name": SUSPICION})[0]["at"])

    def trust(self) -> None:
        """Forget the suspicion, if there is one."""
        if self.suspected_since() is not None:
            with self._db.transaction():
                self._db.run(MARK_SQL.clear, {"name": SUSPICION})
