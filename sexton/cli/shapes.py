"""How rows look as JSON: the same names in every command, instants as ISO 8601 in UTC.

Left out is what only the machinery reads: a claim's nonce and the numbers of processes.
"""

from __future__ import annotations

import json
from typing import Any

from sexton.cli.say import stamp
from sexton.core import retry
from sexton.core.instant import SECOND_US
from sexton.core.kind import Kind
from sexton.core.ledger import Entry
from sexton.core.task import Task
from sexton.store.kinds import Registered


def task_shape(task: Task) -> dict[str, Any]:
    """A task; `payload` and `counts` are objects."""
    return {
        "id": task.id,
        "kind": task.kind,
        "target": task.target,
        "key": task.key,
        "period": task.period,
        "status": task.status,
        "reason": task.reason,
        "outcome": task.outcome,
        "counts": json.loads(task.counts),
        "attempt": task.attempt,
        "retry_of": task.retry_of,
        "root": task.root,
        "payload": json.loads(task.payload),
        "priority": task.priority,
        "asked_by": task.asked_by,
        "note": task.note,
        "abort_by": task.abort_by,
        "host": task.host,
        "asked_at": stamp(task.asked_at),
        "due_at": stamp(task.due_at),
        "expires_at": stamp(task.expires_at),
        "started_at": stamp(task.started_at),
        "ended_at": stamp(task.ended_at),
        "deadline_at": stamp(task.deadline_at),
    }


def entry_shape(entry: Entry) -> dict[str, Any]:
    """One item of the ledger."""
    return {
        "kind": entry.kind,
        "scope": entry.scope,
        "key": entry.key,
        "status": entry.status,
        "is_in_doubt": entry.is_in_doubt,
        "task": entry.task,
        "tries": entry.tries,
        "begun_at": stamp(entry.begun_at),
        "ended_at": stamp(entry.ended_at),
        "note": entry.note,
        "settled_by": entry.settled_by,
    }


def kind_shape(known: Registered) -> dict[str, Any]:
    """A registered kind; lengths in seconds, null where none is declared."""
    kind = known.kind
    return {
        "name": kind.name,
        "family": kind.family,
        "summary": kind.summary,
        "schedule": known.schedule.text if kind.has_schedule else "",
        "tz": kind.tz,
        "min_gap_s": _seconds(kind.min_gap_us),
        "early_s": _seconds(kind.early_us),
        "expires_s": _seconds(kind.expires_us),
        "timeout_s": _seconds(kind.timeout_us),
        "catch_up": kind.catch_up,
        "retry": retry.say(kind.retry),
        "in_doubt_policy": kind.in_doubt,
        "isolation": kind.isolation,
        "priority": kind.priority,
        "payload_schema": json.loads(kind.payload_schema) if kind.payload_schema else None,
        "known_since": stamp(known.anchor_at),
        "gone_at": stamp(known.gone_at),
    }


def _seconds(length_us: int) -> float | None:
    return length_us / SECOND_US if length_us else None


def timing(kind: Kind, known: Registered) -> str:
    """When it runs, in a few words for a table."""
    if kind.has_schedule:
        return f"{known.schedule.text} {known.schedule.zone_name}"
    return "with a minimum gap" if kind.min_gap_us else "when asked"
