"""A task's row for tests of what is decided about it: everything that is not said is empty."""

from __future__ import annotations

from typing import Any

from sexton.core.task import Task

EMPTY: dict[str, Any] = {
    "kind": "daily",
    "target": "any",
    "key": "",
    "period": "p",
    "period_at": None,
    "lane": "daily",
    "status": "Pending",
    "reason": "",
    "attempt": 1,
    "spent": 0,
    "retry_of": None,
    "root": 1,
    "payload": "{}",
    "priority": 0,
    "asked_by": "",
    "note": "",
    "due_at": 0,
    "expires_at": None,
    "asked_at": 0,
    "started_at": None,
    "entered_at": None,
    "ended_at": None,
    "deadline_at": None,
    "lease_at": None,
    "claim": "",
    "owner": "",
    "leader": "",
    "abort_by": "",
    "outcome": "",
    "counts": "{}",
    "nth_success": None,
}


def task(id_: int, **given: Any) -> Task:
    return Task(id=id_, **(EMPTY | given))
