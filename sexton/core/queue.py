"""The protocols between those who run tasks and those who remember them.

`Queue` is what an executor needs, and all that a server without the store will ever have. `Guard`
and `Ledger` are for code that runs where the store is. Every verb may be sent twice and answers
the same; each is one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from sexton.core.guard import Skip
from sexton.core.instant import Instant
from sexton.core.kind import Kind
from sexton.core.ledger import Begun, Ended, Wanted
from sexton.core.task import Claim, Result, Task


class Renewed(msgspec.Struct, frozen=True):
    """Whether the claim still holds, and who asked for its end ('' if nobody did)."""

    task: int
    holds: bool
    abort_by: str = ""


class Output(msgspec.Struct, frozen=True):
    """What was captured of a task's output so far: its head, its tail, and the bytes between."""

    head: bytes = b""
    tail: bytes = b""
    dropped_bytes: int = 0


class Queue(Protocol):
    def claim(self, nonce: str) -> Claim | None:
        """Make the most urgent task that may run now Running, for us; None if there is none.

        The same nonce again answers the same claim, so a lost answer loses no task.
        """

    def enter(self, claim: Claim, leader: str) -> bool:
        """Record that the body is about to start, and in which process; False: settled already."""

    def renew(self, claims: Sequence[Claim]) -> list[Renewed]:
        """Hold the claims for another lease, and learn who shall be ended."""

    def log(self, claim: Claim, output: Output) -> None:
        """Keep what the task wrote so far."""

    def finish(self, claim: Claim, result: Result, output: Output | None = None) -> Result | None:
        """End the task, with the last of its output; how it ended, now or before.

        That is what was told, unless items were left to be tried again. None: somebody else
        settled it; the report is kept as evidence and changes nothing.
        """


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One direct call: its payload as JSON, its nonce, who calls, and what makes it distinct.

    `key`: None for the task's own id. `force`: the reason that opens a period of its own.
    """

    nonce: str
    payload: str = "{}"
    key: str | None = None
    force: str = ""
    by: str = ""


class Taken(msgspec.Struct, frozen=True):
    """A direct call's right to run: its claim and the row as it is now."""

    claim: Claim
    task: Task


class Refused(msgspec.Struct, frozen=True):
    """Why a direct call has nothing to do, with all that its sentence needs."""

    skip: Skip
    period: str = ""
    at: Instant | None = None


class Guard(Protocol):
    def holders(self, kind: Kind, key: str) -> list[Task]:
        """The Running tasks that may stand in this kind's way: of its lane, or of its scope."""

    def take(self, kind: Kind, call: Call) -> Taken | Refused:
        """Take the right to run this kind now, or learn why not."""

    def renew(self, claim: Claim) -> Renewed:
        """Hold the claim for another lease."""

    def finish(self, claim: Claim, result: Result) -> Result | None:
        """End the task as `Queue.finish` does."""


class Ledger(Protocol):
    """The ledger of one run of a plan: which effects began and which are done."""

    @property
    def scope_name(self) -> str:
        """What the keys of this run's items are distinct in."""

    def known(self, key: str) -> str | None:
        """The status of an item that no attempt need come back to, or None."""

    def advance(self, ended: Sequence[Ended], wanted: Sequence[Wanted]) -> list[Begun]:
        """Commit how items ended and which begin now; an answer for each wanted one.

        Raises Fenced if the claim no longer holds; then `ended` is kept as evidence.
        """

    def probed(self, item: Wanted, was_done: bool | None) -> Begun:
        """Settle an item in doubt by what a probe saw; None: it could not tell."""

    def keys(self) -> dict[str, str]:
        """Every key that this scope knows, with its status."""
