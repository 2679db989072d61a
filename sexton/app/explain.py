"""Why a kind did or did not do something, and where it stands, from the store alone."""

from __future__ import annotations

import msgspec

from sexton.core import retry
from sexton.core.errors import UnknownKind
from sexton.core.instant import Instant, iso
from sexton.core.near import nearest
from sexton.core.task import ABORTED, PENDING, RUNNING, Task
from sexton.core.words import clock_of
from sexton.store.kinds import Registered
from sexton.store.store import Store

RECENT = 5


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Where a kind stands. Instants are microseconds since 1970.

    `last`: the newest task that ended; `running`, `waiting`: live ones; `in_doubt`: items that a
    person should settle; `skips`: how often calls found nothing to do, by why.
    """

    kind: str
    summary: str
    schedule: str
    next_at: Instant | None
    next_period: str
    last: Task | None
    running: list[Task]
    waiting: list[Task]
    in_doubt: int
    skips: dict[str, int]
    is_gone: bool


def known(store: Store, name: str) -> Registered:
    """The kind as it is registered; raises UnknownKind with what comes near."""
    found = store.kinds.get(name)
    if found is None:
        near = nearest(name, [kind.kind.name for kind in store.kinds.all()])
        sync = "A new kind is registered by `sexton sync`, or by its first call."
        raise UnknownKind(
            f"the store knows no kind {name!r}",
            hint=f"Did you mean {near}? {sync}" if near else f"{sync} `sexton kinds` lists them.",
        )
    return found


def status(store: Store, name: str) -> Status:
    found = known(store, name)
    now = store.now()
    coming = found.schedule.next(now) if found.kind.has_schedule and not found.gone_at else None
    ended = [
        task
        for status in ("Complete", "Aborted")
        for task in store.tasks.newest(kind=name, status=status, limit=1)
    ]
    skips: dict[str, int] = {}
    for row in store.kinds.skips(name):
        skips[row["code"]] = skips.get(row["code"], 0) + row["count"]
    return Status(
        kind=name,
        summary=found.kind.summary,
        schedule=found.schedule.text if found.kind.has_schedule else "",
        next_at=coming.due_at if coming else None,
        next_period=coming.name if coming else "",
        last=max(ended, key=lambda task: task.ended_at or 0, default=None),
        running=store.tasks.newest(kind=name, status=RUNNING),
        waiting=store.tasks.newest(kind=name, status=PENDING),
        in_doubt=len(store.items.entries(name, in_doubt=True)),
        skips=skips,
        is_gone=found.gone_at is not None,
    )


def why(store: Store, name: str) -> str:
    """A few sentences, one a line: what it is waiting for, what it did last, what it skipped."""
    found, now = known(store, name), store.now()
    at = status(store, name)
    lines = [_timing(found, at, now)]
    lines += [_running(task, found, now) for task in at.running]
    lines += [_waiting(task, found, now) for task in at.waiting]
    lines += [_ended(task, found, now) for task in _recent(store, name)]
    for row in store.kinds.skips(name, RECENT):
        moment = clock_of(row["last_at"], found.kind, now)
        calls = "1 call," if row["count"] == 1 else f"{row['count']} calls, the last"
        lines.append(f"{calls} at {moment}: {row['last']}")
    if at.in_doubt:
        lines.append(
            f"{'1 item is' if at.in_doubt == 1 else f'{at.in_doubt} items are'} in doubt:"
            f" sexton items {name} --in-doubt shows what,"
            f" sexton settle {name} KEY done|failed|retry settles it"
        )
    for row in store.tasks.notices(name, RECENT):
        lines.append(f"alert at {clock_of(row['at'], found.kind, now)}: {row['text']}")
    return "\n".join(lines)


def _timing(found: Registered, at: Status, now: Instant) -> str:
    kind = found.kind
    if found.gone_at:
        return f"{kind.name} is no longer declared since {iso(found.gone_at)}; it runs no more"
    if kind.has_schedule:
        coming = f"next period {at.next_period}" if at.next_period else "no further period"
        words = found.schedule.explain()
        return (
            f"{kind.name} runs {words[:1].lower()}{words[1:]} ({found.schedule.text});"
            f" {coming}; known since"
            f" {clock_of(found.anchor_at, kind, now)}; retry: {retry.say(kind.retry)}"
        )
    if kind.min_gap_us:
        return f"{kind.name} runs when it is called, not again before its minimum gap is over"
    return f"{kind.name} runs when it is asked for"


def _running(task: Task, found: Registered, now: Instant) -> str:
    since = clock_of(task.started_at or now, found.kind, now)
    asked = f"; its end was asked for: {task.abort_by}" if task.abort_by else ""
    return f"task {task.id} runs since {since} on {task.host}, attempt {task.attempt}{asked}"


def _waiting(task: Task, found: Registered, now: Instant) -> str:
    about = f" for period {task.period}" if task.period else ""
    if found.gone_at:
        return f"task {task.id} waits{about}: its kind is no longer declared"
    if task.due_at > now:
        moment = clock_of(task.due_at, found.kind, now)
        return f"task {task.id} waits{about} until {moment}, attempt {task.attempt}"
    return f"task {task.id} waits{about} for a tick with a free place in its lane"


def _ended(task: Task, found: Registered, now: Instant) -> str:
    about = f"period {task.period}, " if task.period else ""
    how = f"Aborted/{task.reason}" if task.status == ABORTED else task.status
    ended = clock_of(task.ended_at or now, found.kind, now)
    return f"{about}task {task.id}, attempt {task.attempt}: {how} at {ended}: {task.outcome}"


def _recent(store: Store, name: str) -> list[Task]:
    tasks = store.tasks.newest(kind=name, limit=RECENT * 2)
    return [task for task in tasks if task.is_final][:RECENT]
