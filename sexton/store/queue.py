"""The queue of this store: claim, enter, renew, log, finish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sexton.core.kind import TIMEOUT_US, Kind
from sexton.core.queue import Output, Renewed
from sexton.core.settings import Settings
from sexton.core.task import ABORTED, RUNNING, Claim, Result, Task
from sexton.store import rows
from sexton.store.idle import CLOCK_STEP_US, PAUSE_US
from sexton.store.kinds import kind_of
from sexton.store.rows import SQL
from sexton.store.sql import Queries
from sexton.store.sqlite import Database, Row

LEDGER_SQL = Queries("ledger")
BUT = "; "  # between what a program said of its end and what it left


def claim_of(task: Task) -> Claim:
    """What an executor needs of a Running row."""
    return Claim(
        task=task.id,
        kind=task.kind,
        target=task.target,
        key=task.key,
        period=task.period,
        payload=task.payload,
        attempt=task.attempt,
        root=task.root,
        nonce=task.claim,
        deadline_at=task.deadline_at or 0,
        expires_at=task.expires_at,
    )


class StoreQueue:
    """`core.queue.Queue` on the store, for one owner on one target."""

    def __init__(self, db: Database, settings: Settings, owner: str, target: str) -> None:
        self._db = db
        self._settings = settings
        self._owner = owner
        self._host = str(msgspec.json.decode(owner)["host"])
        self._target = target

    def claim(self, nonce: str) -> Claim | None:
        with self._db.transaction():
            again = self._db.one(SQL.claimed, {"nonce": nonce})
            if again:
                return claim_of(rows.task_of(again))
            now = self._db.now()
            values = {
                "nonce": nonce,
                "now": now,
                "lease_at": now + self._settings.lease_us,
                "timeout_us": TIMEOUT_US,
                "owner": self._owner,
                "host": self._host,
                "target": self._target,
                "parallel": self._settings.parallel,
                "step_us": CLOCK_STEP_US,
                "pause_us": PAUSE_US,
            }
            row = self._db.one(SQL.claim, values)
        return claim_of(rows.task_of(row)) if row else None

    def enter(self, claim: Claim, leader: str) -> bool:
        with self._db.transaction():
            values = {"id": claim.task, "nonce": claim.nonce, "leader": leader}
            return self._db.one(SQL.enter, values | {"now": self._db.now()}) is not None

    def renew(self, claims: Sequence[Claim]) -> list[Renewed]:
        """Hold the claims; a lease is written anew only when a third of it is gone."""
        now = self._db.now()
        rewrite_at = now + self._settings.lease_us * 2 // 3
        found = [self._db.one(SQL.held, _fence(claim)) for claim in claims]
        if not any(row and row["lease_at"] < rewrite_at for row in found):
            return [_renewed(claim, row) for claim, row in zip(claims, found, strict=True)]
        with self._db.transaction():
            lease = {"lease_at": self._db.now() + self._settings.lease_us}
            return [
                _renewed(claim, self._db.one(SQL.renew, _fence(claim) | lease)) for claim in claims
            ]

    def log(self, claim: Claim, output: Output) -> None:
        with self._db.transaction():
            self._put_output(claim, output)

    def _put_output(self, claim: Claim, output: Output) -> None:
        values = {"task": claim.task, "head": output.head, "tail": output.tail}
        self._db.run(SQL.put_output, values | {"dropped": output.dropped_bytes})

    def finish(self, claim: Claim, result: Result, output: Output | None = None) -> Result | None:
        """End the task, with the last of its output in the same commit.

        If somebody else settled it, the report is kept as evidence first and then told no.
        """
        with self._db.transaction():
            now = self._db.now()
            task = rows.get(self._db, claim.task)
            if task is None:
                return None
            if task.status == RUNNING and task.claim == claim.nonce:
                kind = kind_of(self._db, task.kind)
                result = self._with_items(claim, kind, result)
                if output:
                    self._put_output(claim, output)
                rows.finish(
                    self._db,
                    task,
                    kind,
                    now,
                    status=result.status,
                    reason=result.reason,
                    outcome=result.outcome,
                    counts=result.counts,
                )
                return result
            if task.claim == claim.nonce and _has_ended_so(task, result):
                return msgspec.structs.replace(
                    result, status=task.status, reason=task.reason, outcome=task.outcome
                )
            how = f"{result.status}/{result.reason}".rstrip("/")
            text = f"finished late as {how}: {result.outcome}"
            self._db.run(SQL.late, {"task": claim.task, "now": now, "text": text})
            return None

    def _with_items(self, claim: Claim, kind: Kind | None, result: Result) -> Result:
        """What ended well and left items to try again is not complete; a plan says so itself."""
        if kind is None or kind.family == "plan" or not result.is_ok:
            return result
        at: dict[str, Any] = {"kind": kind.name, "target": claim.target, "key": claim.key}
        at["task"] = claim.task
        at["name"] = rows.scope_of(self._db, kind, claim)
        failed = self._db.all(LEDGER_SQL.failed, at)[0]["count"]
        if not failed:
            return result
        items = "1 item is" if failed == 1 else f"{failed} items are"
        outcome = f"{result.outcome}{BUT}{items} to be tried again"
        return msgspec.structs.replace(result, status=ABORTED, reason="failed", outcome=outcome)


def _has_ended_so(task: Task, result: Result) -> bool:
    """Whether the row says what this report says, perhaps with the items that it left.

    They are not counted anew: the next attempt may have begun them.
    """
    if (task.status, task.reason) == (result.status, result.reason):
        return task.outcome == result.outcome
    return (
        result.is_ok and task.reason == "failed" and task.outcome.startswith(result.outcome + BUT)
    )


def _fence(claim: Claim) -> dict[str, Any]:
    return {"id": claim.task, "nonce": claim.nonce}


def _renewed(claim: Claim, row: Row | None) -> Renewed:
    return Renewed(claim.task, row is not None, row["abort_by"] if row else "")
