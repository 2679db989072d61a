"""Claim and run until nothing is due: the same code wherever the queue is.

    claim -> start the process -> enter -> hand it its task -> renew, log -> finish

A task runs in a process and group of its own. Its body begins only after *enter* is on disk: the
process waits for its task on a pipe, so whatever dies before that leaves nothing done. One loop on
one thread watches all of them: output, deadline, abort, lease.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from sexton.core.errors import SchemaError, SextonError, StoreError
from sexton.core.kind import Kind
from sexton.core.queue import Output, Queue
from sexton.core.task import ABORTED, COMPLETE, Claim, Reason, Result
from sexton.work.ended import Ended
from sexton.work.holder import encode_leader, nonce
from sexton.work.launch import Launch
from sexton.work.process import NotStarted, Process

LOOK_S = 1.0  # how often a running task's claim is looked at, for aborts
LEASE_SHARE = 0.8  # of a lease that could not be renewed, after which a task is ended
LOG_S = 2.0  # how often new output is kept while a task runs


class Means(NamedTuple):
    """What the executor is given by the room above it.

    `kind`: the definition of a claim's kind. `launch`: the program for a claim. `inline`: runs a
    claim in this process, or is None where that is refused.
    """

    kind: Callable[[Claim], Kind]
    launch: Callable[[Claim, Kind], Launch]
    inline: Callable[[Claim], Result] | None
    parallel: int
    lease_s: float
    grace_s: float


class Attendant(Protocol):
    """Who sits beside the loop: looks around between claims, and hears how each task ended."""

    def fds(self) -> list[int]:
        """Descriptors that end the loop's wait when they are readable."""

    def turn(self) -> str:
        """Look around, once each time the loop wakes; why what runs shall be ended, or ''."""

    def ended(self, claim: Claim, result: Result) -> None:
        """Hear how a task ended."""


class Nobody:
    """The attendant of a loop that only claims and runs."""

    def fds(self) -> list[int]:
        return []

    def turn(self) -> str:
        return ""

    def ended(self, claim: Claim, result: Result) -> None: ...


class Tally(NamedTuple):
    """How many tasks ended Complete, and how many otherwise."""

    complete: int = 0
    aborted: int = 0

    def plus(self, is_ok: bool) -> Tally:
        return Tally(self.complete + is_ok, self.aborted + (not is_ok))


def execute(queue: Queue, means: Means, until: Callable[[], bool] = lambda: False) -> Tally:
    """Claim and run until nothing is due or `until` says so; return how the tasks ended.

    What runs when `until` says so is still run to its end.
    """
    return Executor(queue, means).execute(until)


class Executor:
    """One loop over the tasks that run here."""

    def __init__(self, queue: Queue, means: Means, attendant: Attendant | None = None) -> None:
        self._queue = queue
        self._means = means
        self._attendant = attendant or Nobody()
        self._runs: list[Run] = []
        self._unentered: list[Claim] = []
        self._looked_s = time.monotonic()
        self._tally = Tally()
        self._pid = os.getpid()

    def execute(self, until: Callable[[], bool]) -> Tally:
        is_hungry = True
        try:
            while True:
                if is_hungry:
                    self._claim_all(until)
                if not self._runs and not self._unentered:
                    return self._tally
                if not self._runs:
                    self._give_back()
                    is_hungry = True
                    continue
                is_hungry = _wait(self._runs, self._attendant.fds())
                if why := self._attendant.turn():
                    for run in self._runs:
                        run.interrupt(why)
                # Output alone is no reason to ask for more: a claim takes the store's write lock.
                is_hungry |= self._look()
                running = len(self._runs)
                self._runs = [run for run in self._runs if not self._is_over(run)]
                is_hungry |= len(self._runs) < running
        finally:
            # A child that an inline body forked, and let return, ends nothing of ours.
            if os.getpid() == self._pid:
                for run in self._runs:
                    run.process.end()

    def _claim_all(self, until: Callable[[], bool]) -> None:
        """Begin what is due, as far as there is room."""
        while len(self._runs) < self._means.parallel and not until():
            claim = self._claim()
            if claim is None:
                return
            self._begin(claim)

    def _claim(self) -> Claim | None:
        """The next claim; a store that does not answer must not end what runs already."""
        try:
            return self._queue.claim(nonce())
        except StoreError:
            if not self._runs:
                raise
            return None

    def _begin(self, claim: Claim) -> None:
        """Start a claim's process; or run it here, or fail it.

        Here only while nothing else runs: meanwhile nobody would look after that.
        """
        try:
            kind = self._means.kind(claim)
        except SchemaError as error:
            self._fail(claim, error)
            return
        is_inline = kind.isolation == "inline" and kind.family != "command" and not self._runs
        if is_inline and self._means.inline:
            self._finish(claim, self._means.inline(claim), None)
            return
        try:
            launch = self._means.launch(claim, kind)
            process = Process(launch, output_bytes_max=kind.output_bytes_max)
        except NotStarted as error:
            self._fail(claim, error)
            return
        try:
            holds = self._queue.enter(claim, encode_leader(process.pid, process.start))
        except BaseException as error:
            process.end()  # it still waits for its task, and has begun nothing
            if not isinstance(error, StoreError) or not self._runs:
                raise
            self._unentered.append(claim)  # given back when the store answers again
            return
        if holds:
            self._runs.append(Run(claim, kind, process, self._means))
        else:
            process.end()

    def _fail(self, claim: Claim, error: SextonError) -> None:
        """End what could not be started. It counts as an attempt, or it would be tried for ever."""
        self._queue.enter(claim, "")
        self._finish(claim, Result(status=ABORTED, reason="failed", outcome=str(error)), None)

    def _look(self) -> bool:
        """Renew the leases and learn of aborts, once in LOOK_S; whether it was time for it."""
        if time.monotonic() - self._looked_s < LOOK_S:
            return False
        self._looked_s = time.monotonic()
        try:
            self._give_back()
            answers = self._queue.renew([run.claim for run in self._runs])
        except StoreError:
            for run in self._runs:
                run.mind_the_lease()
            return True
        for run, answer in zip(self._runs, answers, strict=True):
            run.look(answer.holds, answer.abort_by)
        return True

    def _give_back(self) -> None:
        """End the claims that could not be entered: as lost before they began, which counts as no
        attempt, so that they are asked for again at once."""
        while self._unentered:
            why = "the store did not answer when it was to begin"
            result = Result(status=ABORTED, reason="lost", outcome=why)
            self._queue.finish(self._unentered[-1], result)
            self._unentered.pop()

    def _is_over(self, run: Run) -> bool:
        """Move a run along; True once its end is written.

        An end that the store cannot take now is kept and told again, for as long as its lease.
        """
        result = run.step(self._queue)
        if result is None:
            return False
        try:
            self._finish(run.claim, result, run.output())
        except StoreError:
            if run.is_lease_over:
                raise
            return False
        return True

    def _finish(self, claim: Claim, result: Result, output: Output | None) -> None:
        written = self._queue.finish(claim, result, output)
        self._tally = self._tally.plus(written is not None and written.is_ok)
        self._attendant.ended(claim, written or result)


class Run:
    """One task that runs: its process, and what was last told of it."""

    def __init__(self, claim: Claim, kind: Kind, process: Process, means: Means) -> None:
        now_s = time.monotonic()
        self.claim = claim
        self.process = process
        self._means = means
        self._is_program = kind.family == "command"
        self._deadline_s = now_s + kind.timeout_us / 1_000_000
        self._renewed_s = now_s
        self._logged_s = now_s
        self._logged_bytes = 0
        self._result: Result | None = None
        self._ended: Result | None = None
        self._stopped: Reason = ""
        self._why = ""

    def step(self, queue: Queue) -> Result | None:
        """Move it along without waiting; how it ended, or None."""
        if self._ended:
            return self._ended
        now_s = time.monotonic()
        self.process.read()
        self._read_result()
        if now_s >= self._deadline_s:
            self._stop("timed out", "its time was up", self._means.grace_s)
        self._log(queue, now_s)
        ended = self.process.poll(now_s)
        if ended is None:
            return None
        self._read_result()
        self._ended = self._judged(ended)
        return self._ended

    def look(self, holds: bool, abort_by: str) -> None:
        """Take the store's answer to a renewal."""
        self._renewed_s = time.monotonic()
        if abort_by:
            self._stop("administrator", abort_by, self._means.grace_s)
        elif not holds:
            self._stop("lost", "somebody else settled it", 0.0)

    @property
    def is_lease_over(self) -> bool:
        """Whether it is so long since the last renewal that another may begin soon."""
        return time.monotonic() - self._renewed_s > self._means.lease_s * LEASE_SHARE

    def mind_the_lease(self) -> None:
        """The store does not answer: end before the lease lapses and another one begins."""
        if self.is_lease_over:
            self._stop("lost", "the store could not be reached to renew the lease", 0.0)

    def interrupt(self, why: str) -> None:
        """End it since we are to end: lost, so that it is made good by the next tick."""
        self._stop("lost", why, self._means.grace_s)

    def output(self) -> Output:
        captured = self.process.output
        return Output(captured.head, captured.tail, captured.dropped_bytes)

    def next_s(self, now_s: float) -> float:
        """How long nothing has to be done for it."""
        wake_s = self.process.wake_in_s(now_s)
        return max(0.0, min(LOOK_S, self._deadline_s - now_s, LOOK_S if wake_s is None else wake_s))

    def _stop(self, reason: Reason, why: str, grace_s: float) -> None:
        if not self._stopped or (grace_s == 0 and self._stopped != reason):
            self._stopped, self._why = reason, why
            self.process.stop(grace_s, time.monotonic())

    def _log(self, queue: Queue, now_s: float) -> None:
        captured = self.process.output
        if now_s - self._logged_s < LOG_S or captured.seen_bytes == self._logged_bytes:
            return
        self._logged_s, self._logged_bytes = now_s, captured.seen_bytes
        try:
            queue.log(self.claim, self.output())
        except StoreError:
            return  # it comes again, at the latest with finish

    def _read_result(self) -> None:
        """Take the last whole result line; what is no Result is no report."""
        for line in self.process.results.taken():
            try:
                self._result = msgspec.json.decode(line, type=Result)
            except (msgspec.DecodeError, msgspec.ValidationError):
                continue

    def _judged(self, ended: Ended) -> Result:
        """What the end of its process means for the task.

        A report counts only if the process then ended as it should: a crash after it is a crash.
        A program reports by its exit code; a function that left without a report did not return.
        """
        if self._stopped and not (self._result and self._result.is_ok and ended.ok):
            counts = self._result.counts if self._result else {}
            outcome = f"{self._why}; {self._result.outcome if self._result else ended.words()}"
            return Result(status=ABORTED, reason=self._stopped, outcome=outcome, counts=counts)
        if ended.signal is not None:
            return Result(status=ABORTED, reason="lost", outcome=ended.words())
        if self._result is not None:
            return self._result
        if ended.ok and self._is_program:
            return Result(status=COMPLETE, outcome=ended.words())
        outcome = ended.words() if self._is_program else f"it never returned: {ended.words()}"
        return Result(status=ABORTED, reason="failed", outcome=outcome)


def _wait(runs: list[Run], fds: list[int]) -> bool:
    """Wait until one of the runs has work; whether it was one of `fds` that ended the wait."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    for run in runs:
        for fd in run.process.readers():
            poll.register(fd, select.POLLIN)
        for fd in run.process.writers():
            poll.register(fd, select.POLLOUT)
    now_s = time.monotonic()
    ready = poll.poll(1000 * min(run.next_s(now_s) for run in runs))
    return any(fd in fds for fd, _ in ready)
