"""The guard, taken from inside a function, whoever calls it: cron, a console, a view, a test.

1. Settle what stands in the lane and is dead.
2. Take the right to run, or answer in a sentence why there is nothing to do.
3. Run the body in the caller's process, while a thread renews the lease.
4. Write how it ended; a plain function's own exception then goes on to the caller, unchanged.

If the store cannot be asked, the body does not run.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from sexton.core import queue as core
from sexton.core import words
from sexton.core.errors import Fenced, SextonError
from sexton.core.instant import Instant
from sexton.core.kind import Kind
from sexton.core.outcome import Outcome
from sexton.core.queue import Call, Refused, Renewed, Taken
from sexton.core.task import ABORTED, COMPLETE, Claim, Reason, Result
from sexton.work import sweep
from sexton.work.effect import refuse_unrun, said
from sexton.work.owner import Owner

LATE_SHARE = 0.5  # of a lease that was not renewed, after which it is not left to the thread


class House(Protocol):
    """What a direct call needs of the place where it runs."""

    process: Owner
    lease_s: float
    grace_s: float

    def now(self) -> Instant: ...
    def guard(self) -> core.Guard: ...
    def sweeps(self) -> sweep.Sweeps: ...
    def anchor(self, kind: Kind) -> Instant: ...
    def count_skip(self, kind: Kind, outcome: Outcome[Any], period: str) -> None: ...
    def renew(self, claim: Claim) -> Renewed: ...


class Run(NamedTuple):
    """One run of a body in this process: its claim, and whether and why to begin no more."""

    claim: Claim
    stop: Callable[[], Reason]


Body = Callable[[Run], tuple[Result, Any]]


def call(
    house: House,
    kind: Kind,
    asked: Call,
    body: Body,
    told: Callable[[Outcome[Any]], None] = lambda _: None,
) -> Outcome[Any]:
    """Run the body if it is due, free and not done; raises what a plain function raised.

    `told` hears the outcome that such an exception leaves nobody to answer with.
    """
    guard = house.guard()
    holders = guard.holders(kind, asked.key or "")
    if holders:
        sweep.sweep_lane(house.sweeps(), holders, house.process, house.now(), house.grace_s)
    taken = guard.take(kind, asked)
    if isinstance(taken, Refused):
        outcome = words.refused(kind, taken, house.anchor(kind), house.now())
        house.count_skip(kind, outcome, taken.period)
        return outcome
    return _run(house, guard, taken, body, told)


def _run(
    house: House,
    guard: core.Guard,
    taken: Taken,
    body: Body,
    told: Callable[[Outcome[Any]], None],
) -> Outcome[Any]:
    ours = os.getpid()
    error: BaseException | None = None
    result, value = Result(status=ABORTED, reason="failed"), None
    try:
        result, value = run_claimed(house, taken.claim, body)
    except Fenced as fenced:
        return words.ended(taken.task, _failed(fenced), held=False)
    except BaseException as raised:  # foreign code: recorded, then raised, since it is the caller's
        if os.getpid() != ours:
            raise  # of a child that the body forked: it speaks for nobody
        error, result = raised, _failed(raised)
    written = guard.finish(taken.claim, result)
    outcome = words.ended(taken.task, written or result, held=written is not None)
    if error is not None:
        told(outcome)
        raise error
    return Outcome(
        outcome.code, outcome.sentence, value, outcome.counts, outcome.period, outcome.task
    )


def run_claimed(house: House, claim: Claim, body: Body) -> tuple[Result, Any]:
    """Run a body under a claim, with a thread that renews the lease; returns how it ended."""
    with _renewed(house, claim) as lease:

        def stop() -> Reason:
            lease.renew_if_late()
            return claim.why_stop(house.now()) or lease.why_end

        return body(Run(claim, stop))


class Lease:
    """A claim's lease, as a direct call holds it. `why_end`: why to end ('' = go on)."""

    def __init__(self, house: House, claim: Claim) -> None:
        self.why_end: Reason = ""
        self._house = house
        self._claim = claim
        self._renewed_s = time.monotonic()

    def renew(self) -> None:
        """Hold it for another while, and learn whether to end."""
        try:
            answer = self._house.renew(self._claim)
        except SextonError:
            return  # the next round may reach the store; else the ledger's fence decides
        self._renewed_s = time.monotonic()
        if answer.abort_by:
            self.why_end = "administrator"
        elif not answer.holds:
            self.why_end = "lost"

    def renew_if_late(self) -> None:
        """As `renew`, where the thread that should have done it was kept from running: asked
        before each item."""
        if time.monotonic() - self._renewed_s > self._house.lease_s * LATE_SHARE:
            self.renew()


@contextmanager
def _renewed(house: House, claim: Claim) -> Iterator[Lease]:
    """Renew the lease from a thread of its own, until the block ends."""
    over = threading.Event()
    lease = Lease(house, claim)

    def renew() -> None:
        while not over.wait(house.lease_s / 3):
            lease.renew()

    thread = threading.Thread(target=renew, name=f"sexton-lease-{claim.task}", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        over.set()
        thread.join()


def _failed(error: BaseException) -> Result:
    return Result(status=ABORTED, reason="failed", outcome=said(error))


def plain(function: Callable[[], Any]) -> Body:
    """The body of a plain function: Complete when it returns."""

    def body(_: Run) -> tuple[Result, Any]:
        value = function()
        refuse_unrun(value)
        return Result(status=COMPLETE, outcome="returned"), value

    return body
