"""Run a fixed program under a claim in the foreground: what `app.command` and `sexton once` do
when they are called directly. Its output is kept, and passed on to whoever watches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from sexton.core.errors import StoreError
from sexton.core.queue import Output
from sexton.core.task import ABORTED, COMPLETE, Claim, Reason, Result
from sexton.work.guard import Run
from sexton.work.holder import encode_leader
from sexton.work.launch import Launch
from sexton.work.process import NotStarted, Process

LOOK_S = 0.5


class Journal(Protocol):
    """Where the run's own process and its output are remembered."""

    def enter(self, claim: Claim, leader: str) -> bool: ...
    def log(self, claim: Claim, output: Output) -> None: ...


def run_program(
    run: Run,
    launch: Launch,
    journal: Journal,
    *,
    grace_s: float,
    output_bytes_max: int,
    tee: Callable[[bytes], None] = lambda _: None,
) -> Result:
    """Run it to its end; the task is Complete if it exits with 0."""
    try:
        process = Process(launch, output_bytes_max=output_bytes_max)
    except NotStarted as error:
        return Result(status=ABORTED, reason="failed", outcome=str(error))
    reason: Reason = ""
    with process:
        if not journal.enter(run.claim, encode_leader(process.pid, process.start)):
            return Result(status=ABORTED, reason="lost", outcome="settled before it began")
        while (ended := process.poll(time.monotonic())) is None:
            process.wait(LOOK_S)
            process.read()
            tee(process.output.taken()[1])
            reason = reason or _why_end(run)
            if reason:
                process.stop(grace_s, time.monotonic())
        tee(process.output.taken()[1])
        captured = process.output
        with suppress(StoreError):  # how it ended counts, also where its output cannot be kept
            journal.log(run.claim, Output(captured.head, captured.tail, captured.dropped_bytes))
    if reason:
        return Result(status=ABORTED, reason=reason, outcome=ended.words())
    if ended.signal is not None:
        return Result(status=ABORTED, reason="lost", outcome=ended.words())
    if ended.ok:
        return Result(status=COMPLETE, outcome=ended.words())
    return Result(status=ABORTED, reason="failed", outcome=ended.words())


def _why_end(run: Run) -> Reason:
    """Why it shall be ended now, or ''. `expired` keeps new items back, and ends nothing that has
    begun."""
    reason = run.stop()
    return "" if reason == "expired" else reason
