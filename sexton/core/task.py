"""A task: its states, the table of their moves, and one row of it as a value.

    Pending -> Running -> Complete | Aborted          Pending -> Aborted

Nothing ever leaves a final state, and nothing goes back. A retry is a new row that names the row
it retries; so the id is the fence, and a process that wakes after its row was settled can change
nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from sexton.core.instant import Instant

Status = Literal["Pending", "Running", "Complete", "Aborted"]
Reason = Literal["", "failed", "timed out", "lost", "administrator", "expired", "superseded"]

PENDING: Status = "Pending"
RUNNING: Status = "Running"
COMPLETE: Status = "Complete"
ABORTED: Status = "Aborted"
FINAL = frozenset({COMPLETE, ABORTED})

# What may follow what, and the verb that does it. The store's triggers hold the same table.
MOVES: dict[tuple[Status, Status], str] = {
    ("Pending", "Running"): "claim",
    ("Running", "Complete"): "finish",
    ("Running", "Aborted"): "finish, abort or sweep",
    ("Pending", "Aborted"): "abort, expire or supersede",
}

ANY_TARGET = "any"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One row: one request that one server do one thing, and one attempt at it."""

    id: int
    kind: str
    target: str
    key: str
    period: str
    period_at: Instant | None
    lane: str
    status: Status
    reason: Reason
    attempt: int
    spent: int
    retry_of: int | None
    root: int
    payload: str
    priority: int
    asked_by: str
    note: str
    due_at: Instant
    expires_at: Instant | None
    asked_at: Instant
    started_at: Instant | None
    entered_at: Instant | None
    ended_at: Instant | None
    deadline_at: Instant | None
    lease_at: Instant | None
    claim: str
    owner: str
    leader: str
    abort_by: str
    outcome: str
    counts: str
    nth_success: int | None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    def is_late(self, now: Instant) -> bool:
        """Whether it may not begin any more."""
        return self.expires_at is not None and self.expires_at <= now

    @property
    def host(self) -> str:
        """The name of the machine that holds or held the claim; empty if none did."""
        named = str(msgspec.json.decode(self.owner)["host"]) if self.owner else ""
        return named.partition("/")[0]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The right to run one task: what an executor needs to know, and the fence it reports with."""

    task: int
    kind: str
    target: str
    key: str
    period: str
    payload: str
    attempt: int
    root: int
    nonce: str
    deadline_at: Instant
    expires_at: Instant | None

    def why_stop(self, now: Instant) -> Reason:
        """Why its run may begin nothing more; '' where it may."""
        if self.expires_at is not None and now >= self.expires_at:
            return "expired"
        return "timed out" if now >= self.deadline_at else ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended: `status` Complete, or Aborted with its reason; one sentence; counts."""

    status: Status
    reason: Reason = ""
    outcome: str = ""
    counts: dict[str, int] = {}

    @property
    def is_ok(self) -> bool:
        return self.status == COMPLETE
