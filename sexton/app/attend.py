"""What a tick does beside running tasks: it looks around before it claims, and while they run.

A long task must not hold up what falls due meanwhile, even where nothing starts a second tick.
"""

from __future__ import annotations

import math
import time

import msgspec

from sexton.app.here import Here
from sexton.core.errors import StoreError
from sexton.core.task import Claim, Result, Task
from sexton.store.sqlite import Database
from sexton.store.sweeps import Sweeps
from sexton.work.sweep import sweep

PATIENCE_SHARE = 0.2  # of a lease: how long a look may wait for what others left to end
LOOK_S = 1.0  # how often a tick with running tasks looks around


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """A task that ended otherwise than Complete, as whoever started the tick is told."""

    task: int
    kind: str
    period: str
    attempt: int
    reason: str
    outcome: str

    def __str__(self) -> str:
        about = f"period {self.period}, " if self.period else ""
        what = f"{about}task {self.task}, attempt {self.attempt}"
        return f"{self.kind}: {what} ended Aborted/{self.reason}: {self.outcome}"


class Starter:
    """Whoever started a tick. This one never wakes it, never asks for its end, and only listens."""

    def __init__(self) -> None:
        self.troubles: list[Trouble] = []

    def fds(self) -> list[int]:
        """Descriptors that mean, when they are readable, that there may be something new."""
        return []

    def wake(self) -> None:
        """Take what made the descriptors readable."""

    def is_over(self) -> bool:
        """Whether no more may begin."""
        return False

    def why_end(self) -> str:
        """Why what runs shall be ended now, or ''."""
        return ""

    def tell(self, trouble: Trouble) -> None:
        self.troubles.append(trouble)


class Found(msgspec.Struct, frozen=True):
    """What one look around did: tasks swept, requests drained, periods asked for."""

    swept: int
    drained: int
    asked: int


def look_around(here: Here, starter: Starter, patience_s: float = math.inf) -> Found:
    """Sweep, drain the outboxes, expire, schedule; tell of what was settled."""
    store = here.store
    others = _Others(store.db, here.owner)
    swept = sweep(others, here.process, store.now(), here.grace_s, patience_s)
    drained = store.outboxes.drain()
    for task in [*swept, *store.rounds.expire()]:
        if task.reason:
            starter.tell(_trouble_of(task))
    return Found(len(swept), drained, len(store.rounds.schedule()))


class _Others(Sweeps):
    """The Running tasks of everybody else: ours are alive, whatever a clock that jumped says."""

    def __init__(self, db: Database, owner: str) -> None:
        super().__init__(db)
        self._owner = owner

    def running(self) -> list[Task]:
        return [task for task in super().running() if task.owner != self._owner]


class Beside:
    """`work.executor.Attendant` for a tick."""

    def __init__(self, here: Here, starter: Starter) -> None:
        self._here = here
        self._starter = starter
        self._looked_s = time.monotonic()

    def fds(self) -> list[int]:
        return self._starter.fds()

    def turn(self) -> str:
        self._starter.wake()
        if time.monotonic() - self._looked_s >= LOOK_S and not self._starter.is_over():
            self._look()
            self._looked_s = time.monotonic()
        return self._starter.why_end()

    def _look(self) -> None:
        try:
            # The leases of what runs here are renewed after this.
            look_around(self._here, self._starter, self._here.lease_s * PATIENCE_SHARE)
        except StoreError:
            return  # what runs goes on, and the next look may reach the store

    def ended(self, claim: Claim, result: Result) -> None:
        if not result.is_ok:
            self._starter.tell(
                Trouble(
                    task=claim.task,
                    kind=claim.kind,
                    period=claim.period,
                    attempt=claim.attempt,
                    reason=result.reason,
                    outcome=result.outcome,
                )
            )


def _trouble_of(task: Task) -> Trouble:
    columns = {name: getattr(task, name) for name in Trouble.__struct_fields__ if name != "task"}
    return Trouble(task=task.id, **columns)
