"""How task rows come to be and how they end, inside a transaction that the caller opened.

Every room of the store that makes or settles a task does it here, so that a retry, an alert and
a period's numbering follow the same rules wherever a task ends.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sexton.core import retry
from sexton.core.guard import spent_with
from sexton.core.instant import Instant
from sexton.core.kind import Kind
from sexton.core.notice import NOTIFY, Notice
from sexton.core.schedule import Period
from sexton.core.task import (
    ABORTED,
    ANY_TARGET,
    COMPLETE,
    PENDING,
    RUNNING,
    Claim,
    Reason,
    Status,
    Task,
)
from sexton.store.sql import Queries
from sexton.store.sqlite import Database, Row

SQL = Queries("task")
NOTICE_SQL = Queries("notice")
MARK_SQL = Queries("mark")

GAVE_UP = "gave up"  # the mark of the latest moment at which a period was given up
FORCED = "forced:"
AGAIN = "again:"
# Periods that are no moment of a schedule: their items are distinct in the chain of attempts.
RUN_PERIODS = ("after:", FORCED, AGAIN)

_EMPTY: dict[str, Any] = {
    "period_at": None,
    "reason": "",
    "attempt": 1,
    "spent": 0,
    "retry_of": None,
    "root": None,
    "payload": "{}",
    "priority": 0,
    "asked_by": "",
    "note": "",
    "expires_at": None,
    "started_at": None,
    "entered_at": None,
    "ended_at": None,
    "deadline_at": None,
    "lease_at": None,
    "claim": "",
    "owner": "",
    "outcome": "",
    "counts": "{}",
}


def task_of(row: Row) -> Task:
    return Task(**row)


def get(db: Database, id_: int) -> Task | None:
    row = db.one(SQL.get, {"id": id_})
    return task_of(row) if row else None


def scope_of(db: Database, kind: Kind, claim: Claim) -> str:
    """What a run's items are distinct in: the scope declared, the period, or the run."""
    if kind.scope:
        return kind.scope
    if not claim.period.startswith(RUN_PERIODS):
        return claim.period or f"run:{claim.root}"
    root = get(db, claim.root)
    if root is None or root.period.startswith(RUN_PERIODS) or not root.period:
        return f"run:{claim.root}"
    return root.period


def insert(db: Database, kind: Kind, now: Instant, **given: Any) -> Task | None:
    """Make one row; None if a promise refused it, since what it would repeat is there already.

    Without `key`, the row's key is empty for guarded kinds and its own id for those that are
    asked for, so that nothing joins and nothing waits.
    """
    id_ = db.all(SQL.next_id)[0]["id"]
    values = _EMPTY | {"id": id_, "kind": kind.name, "target": ANY_TARGET, "period": ""}
    values |= {"asked_at": now, "due_at": now, "priority": kind.priority} | given
    if values["root"] is None:
        values["root"] = id_
    if values.get("key") is None:
        values["key"] = "" if kind.is_guarded or values["period"] else str(values["root"])
    values["period"] = values["period"].replace("{id}", str(id_))
    values["lane"] = kind.lane_of(values["target"], values["key"])
    row = db.one(SQL.insert, values)
    return task_of(row) if row else None


def claim_columns(
    now: Instant, lease_us: int, timeout_us: int, nonce: str, owner: str
) -> dict[str, Any]:
    """The columns of a row that a direct call makes Running at once: its body begins with it."""
    return {
        "status": RUNNING,
        "started_at": now,
        "entered_at": now,
        "lease_at": now + lease_us,
        "deadline_at": now + timeout_us,
        "claim": nonce,
        "owner": owner,
    }


def finish(
    db: Database,
    task: Task,
    kind: Kind | None,
    now: Instant,
    *,
    status: Status,
    reason: Reason = "",
    outcome: str,
    counts: dict[str, int] | None = None,
) -> Task | None:
    """End a Running row under its claim, and let follow what must; None: it had ended already."""
    values = {
        "id": task.id,
        "nonce": task.claim,
        "status": status,
        "reason": reason,
        "now": now,
        "outcome": outcome,
        "counts": msgspec.json.encode(counts or {}).decode(),
    }
    row = db.one(SQL.finish, values)
    return _followed(db, task_of(row), kind, now) if row else None


def settle(
    db: Database,
    task: Task,
    kind: Kind | None,
    now: Instant,
    *,
    reason: Reason,
    outcome: str,
    status: Status = ABORTED,
) -> Task | None:
    """End a row that its owner will not end, from the state and the claim that were judged.

    None: it moved on meanwhile, and that holds.
    """
    values = {
        "id": task.id,
        "nonce": task.claim,
        "leaves": task.status,
        "status": status,
        "reason": reason,
        "now": now,
        "outcome": outcome,
    }
    row = db.one(SQL.settle, values)
    if row is None:
        return None
    task = task_of(row)
    if reason in {"expired", "superseded"} and task.period_at is not None:
        gave_up(db, now)
    return _followed(db, task, kind, now)


def gave_up(db: Database, now: Instant) -> None:
    """Leave a witness of the clock by which a period was given up.

    Should the clock turn out to have run ahead, that period is yet to come, and is not missed.
    """
    db.run(MARK_SQL.put_latest, {"name": GAVE_UP, "now": now})


def expire(db: Database, task: Task, kind: Kind | None, now: Instant) -> Task | None:
    """Settle a Pending row that may not begin any more; None: it moved on meanwhile."""
    return settle(db, task, kind, now, reason="expired", outcome="not begun before it expired")


def _followed(db: Database, task: Task, kind: Kind | None, now: Instant) -> Task:
    """Ask for the next attempt of an Aborted task, or give the alert; the row itself is final."""
    if task.status == COMPLETE:
        db.run(SQL.park_left, {"id": task.id, "kind": task.kind, "now": now})
        _tell_of_doubt(db, task, now)
        if kind and kind.min_gap_us and task.period.startswith(FORCED):
            due_at = min(task.started_at or now, now) + kind.min_gap_us
            at = _key_of(task) | {"id": task.id, "gap_us": kind.min_gap_us}
            db.run(SQL.follow_forced, at | {"due_at": due_at})
        return task
    if kind is None:  # whether it may be tried again is not known, so a person must hear of it
        if task.reason not in {"administrator", "superseded"}:
            alert(db, task, now)
        return task
    if task.reason == "superseded":
        # The last of its chain, since what it would have tried again is for another period now.
        failed = get(db, task.retry_of) if task.retry_of and task.spent else None
        if failed and failed.reason not in {"administrator", "superseded"}:
            alert(db, failed, now)
        return task
    follows = _retry(db, task, kind, now)
    if not follows and task.reason != "administrator" and kind.name != NOTIFY.name:
        alert(db, task, now)
    return task


def _tell_of_doubt(db: Database, task: Task, now: Instant) -> None:
    """Tell once for a chain that it is Complete but for items that a person has to settle.

    Those that its own attempts left, or that it found in a wider scope and parked.
    """
    left = db.all(SQL.doubts_of_chain, {"kind": task.kind, "root": task.root})[0]["count"]
    doubts = max(left, int(msgspec.json.decode(task.counts).get("parked", 0)))
    if doubts:
        about = f"period {task.period}" if task.period else f"task {task.root}"
        text = (
            f"{task.kind}: {about} is Complete, and {doubts} of its items"
            f" {'is' if doubts == 1 else 'are'} in doubt:"
            f" sexton items {task.kind} --in-doubt"
        )
        notice(db, f"in doubt:{task.root}", _about(task, "in doubt", text, now), task.id)


def _retry(db: Database, task: Task, kind: Kind, now: Instant) -> bool:
    """Ask for the next attempt as a new row; False: there is none.

    Where its like waits already, that one is the next attempt.
    """
    spent = spent_with(task)
    delay: int | None
    if task.entered_at is None and task.reason == "lost":
        delay = 0 if task.attempt < spent + retry.NEVER_BEGUN_MAX else None
    else:
        delay = retry.delay_us(kind.retry, task.reason, max(spent, 1))
    if delay is None or (task.expires_at is not None and now + delay >= task.expires_at):
        return _becomes_attempt(db, task, kind, now)
    following = insert(
        db,
        kind,
        now,
        status=PENDING,
        target=task.target,
        key=task.key,
        period=task.period,
        period_at=task.period_at,
        attempt=task.attempt + 1,
        spent=spent,
        retry_of=task.id,
        root=task.root,
        payload=task.payload,
        priority=task.priority,
        asked_by="retry",
        due_at=now + delay,
        expires_at=task.expires_at,
    )
    if following and kind.min_gap_us:
        at = _key_of(task) | {"id": task.id, "next": following.id}
        db.run(SQL.follow_attempt, at | {"due_at": following.due_at + kind.min_gap_us})
    return True


def _becomes_attempt(db: Database, task: Task, kind: Kind, now: Instant) -> bool:
    """Let a request that waits behind a run be the next attempt at its period; False: none does."""
    if not kind.min_gap_us or not task.period.startswith("after:"):
        return False
    at = _key_of(task) | {"id": task.id, "period": task.period, "attempt": task.attempt + 1}
    # It was to wait until the gap after this run is over, and there is none now.
    at |= {"root": task.root, "now": now, "after_due_at": task.due_at + kind.min_gap_us}
    at["after_start_at"] = (task.started_at or task.due_at) + kind.min_gap_us
    return db.run(SQL.become_attempt, at) > 0


def _key_of(task: Task) -> dict[str, Any]:
    return {"kind": task.kind, "target": task.target, "key": task.key}


def supersede(db: Database, kind: Kind, newest: Period, now: Instant) -> None:
    """What waits from earlier periods gives way to the newest one: a backlog never bursts."""
    values = {"kind": kind.name, "target": ANY_TARGET, "period_at": newest.due_at}
    for row in db.all(SQL.older_pending, values):
        outcome = f"period {newest.name} came before it began"
        settle(db, task_of(row), kind, now, reason="superseded", outcome=outcome)


def _about(task: Task, code: str, text: str, now: Instant) -> Notice:
    target = "" if task.target == ANY_TARGET else task.target
    return Notice(kind=task.kind, target=target, period=task.period, code=code, text=text, at=now)


def alert(db: Database, task: Task, now: Instant) -> None:
    """Record one alert for the end of a chain of attempts, and ask for its delivery, once."""
    about = f"period {task.period}" if task.period else f"task {task.root}"
    attempts = f"attempt {task.attempt}" if task.attempt == 1 else f"all {task.attempt} attempts"
    text = f"{task.kind}: {about} ended Aborted/{task.reason} after {attempts}: {task.outcome}"
    name = f"{task.reason}:{task.root}"
    # One that a person sent back, or that begins anew after all attempts failed, is another chain.
    if task.period.startswith(AGAIN):
        name += f":{task.period}"
    elif (first := task.attempt - task.spent) > 1:
        name += f":{first}"
    notice(db, name, _about(task, task.reason, text, now), task.id)


def notice(db: Database, name: str, told: Notice, task: int | None = None) -> None:
    """Record a notice unless one of this name was ever recorded; where notices go somewhere, ask
    for its delivery."""
    values = {"name": name, "code": told.code, "kind": told.kind, "task": task}
    row = db.one(NOTICE_SQL.put, values | {"now": told.at, "text": told.text})
    if row is None or db.one(NOTICE_SQL.is_wanted) is None:
        return
    insert(
        db,
        NOTIFY,
        told.at,
        status=PENDING,
        period=f"notice:{row['id']}",
        payload=msgspec.json.encode(msgspec.structs.replace(told, id=row["id"])).decode(),
        asked_by="alert",
    )
