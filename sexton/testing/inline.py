"""One tick in the test's own process: what cron would start, without the processes.

Functions run here, where a debugger and the test's own objects are; programs run as they always
do. Everything else is the same code, on the same store.
"""

from __future__ import annotations

import msgspec

from sexton.app import Sexton, Task, ticker
from sexton.app.here import Here
from sexton.core.errors import UsageError
from sexton.core.kind import Kind
from sexton.core.task import ABORTED, Claim, Result
from sexton.work.effect import said
from sexton.work.executor import Executor, Means, Tally
from sexton.work.guard import Run, run_claimed
from sexton.work.sweep import sweep

ROUNDS_MAX = 1000


def tick(app: Sexton) -> Tally:
    """Sweep, schedule and run until nothing is due; return how the tasks ended."""
    here = app.here
    total = Tally()
    for _ in range(ROUNDS_MAX):
        sweep(here.sweeps(), here.process, here.now(), here.grace_s)
        app.store.outboxes.drain()
        app.store.rounds.expire()
        app.store.rounds.schedule()
        ran = Executor(app.store.queue(here.owner), _means(app, here)).execute(lambda: False)
        if ran == Tally():
            break
        total = Tally(total.complete + ran.complete, total.aborted + ran.aborted)
    return total


def _means(app: Sexton, here: Here) -> Means:
    """As a tick runs a claim, but every function inline."""
    usual = ticker.means(app.store, app.place)

    def definition(claim: Claim) -> Kind:
        return msgspec.structs.replace(usual.kind(claim), isolation="inline")

    # One at a time, since beside a program that runs nothing runs inline.
    return usual._replace(kind=definition, inline=lambda claim: _run(app, here, claim), parallel=1)


def _run(app: Sexton, here: Here, claim: Claim) -> Result:
    if not here.guard().enter(claim):
        return Result(status=ABORTED, reason="lost", outcome="settled before it began")
    try:
        declared = app[claim.kind]
        if not isinstance(declared, Task):
            raise UsageError(f"{claim.kind} is no function: it cannot run here")
        served = declared.body(declared.payload.decode(claim.payload))

        def body(run: Run) -> tuple[Result, None]:
            return served(run)[0], None

        return run_claimed(here, claim, body)[0]
    # The user's function: recorded, as a tick does.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return Result(status=ABORTED, reason="failed", outcome=said(error))
