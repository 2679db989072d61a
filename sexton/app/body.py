"""What a task's own process does: take its task from a pipe, run the body, report on another.

It begins nothing before it has the whole of its task, and that comes only after the claim is
entered in the store. For a `command` kind it becomes the program.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import msgspec

from sexton.app.command import Command, environment
from sexton.app.load import load
from sexton.app.place import Place, find
from sexton.app.plan import Plan
from sexton.core.errors import Fenced, SextonError
from sexton.core.notice import NOTIFY, Notice
from sexton.core.task import ABORTED, COMPLETE, Claim, Reason, Result
from sexton.store import open_store
from sexton.store.store import Store
from sexton.work.effect import said
from sexton.work.guard import Run

READ_BYTES_MAX = 1 << 20
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class Errand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A claim, and where to find the code and the store."""

    claim: Claim
    store: str
    app: str
    directory: str
    settings_path: str


def main(give: int, take: int) -> int:
    """Run one errand; the exit code says only whether a report was made."""
    errand = _read(give)
    if errand is None:
        return 0  # whoever started this died before the claim was entered: nothing began
    ours = os.getpid()
    os.set_inheritable(take, False)
    os.environ["SEXTON_STORE"] = errand.store
    if errand.settings_path:
        os.environ["SEXTON_SETTINGS"] = errand.settings_path
    os.environ["SEXTON_APP"] = errand.app
    try:
        result = _run(errand)
    except Fenced as error:
        result = Result(status=ABORTED, reason="lost", outcome=str(error))
    except SextonError as error:
        sys.stderr.write(f"sexton: {error}\n")
        result = Result(status=ABORTED, reason="failed", outcome=str(error))
    except BaseException as error:  # noqa: BLE001 -- foreign code; the task's output tells it
        traceback.print_exception(type(error), error, theirs(error))
        result = Result(status=ABORTED, reason="failed", outcome=said(error))
    with suppress(OSError, ValueError, AttributeError):  # the body may have closed or replaced it
        sys.stdout.flush()
    if os.getpid() == ours:  # a child that the body forked, and let return, speaks for nobody
        os.write(take, msgspec.json.encode(result) + b"\n")
    return 0


def theirs(error: BaseException) -> TracebackType | None:
    """Where it was raised, from the first frame that is not ours: that is what a user looks for."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_globals.get("__name__", "").startswith("sexton."):
        trace = trace.tb_next
    return trace


def _read(give: int) -> Errand | None:
    with os.fdopen(give, "rb") as pipe:
        text = pipe.read(READ_BYTES_MAX + 1)
    return msgspec.json.decode(text, type=Errand) if text else None


def _run(errand: Errand) -> Result:
    place = find(start=errand.directory)
    if errand.claim.kind == NOTIFY.name:
        return notify(errand.claim, place)
    return run_in(errand.claim, place)


def run_in(claim: Claim, place: Place, stop: Callable[[], Reason] | None = None) -> Result:
    """Run the body of a claim in this process; without `stop`, it is a process of its own."""
    app = load(place)
    declared = app[claim.kind]
    if isinstance(declared, Command):
        return _become(declared, claim, place)
    before = dict(os.environ)
    _be_in(environment(claim, place.store))
    arguments = declared.payload.decode(claim.payload)
    stop = stop or Stop(claim, place, is_plan=isinstance(declared, Plan))
    try:
        result, _ = declared.body(arguments)(Run(claim, stop))
    finally:  # of a tick that runs it inline, the next task is another one
        _be_in(before)
    return result


def _be_in(environ: Mapping[str, str]) -> None:
    """Make this process's environment exactly this one; what is so already is not touched."""
    for name in [name for name in os.environ if name not in environ]:
        del os.environ[name]
    for name, value in environ.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _become(command: Command, claim: Claim, place: Place) -> Result:
    """Become the program; its exit code is the report. Returns only if it cannot be started."""
    environ = environment(claim, place.store)
    for number in IGNORED_BY_PYTHON:  # or a writer to a closed pipe would go on for ever
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(command.argv[0], command.argv, environ)  # noqa: S606 -- a fixed argv, no shell
    except OSError as error:
        outcome = f"{command.argv[0]} cannot be started: {error.strerror}"
        return Result(status=ABORTED, reason="failed", outcome=outcome)


class Stop:
    """Whether and why to begin no more items: the deadline, the expiry, or TERM.

    A plan that gets TERM ends the item at hand and writes it down; a plain function ends at once,
    as any program does. Both are lost then, and made good: who aborts a task tells the executor,
    which knows the reason; a TERM from elsewhere is the machine going down.
    """

    def __init__(self, claim: Claim, place: Place, *, is_plan: bool) -> None:
        self._claim = claim
        self._place = place
        # Opened when first asked: while a plain function runs, no descriptor of the store is in
        # its process, where a stray close or write could do harm.
        self._store: Store | None = None
        self._is_asked = False
        if is_plan:
            signal.signal(signal.SIGTERM, self._note)

    def _note(self, *_: Any) -> None:
        self._is_asked = True

    def __call__(self) -> Reason:
        if self._store is None:
            self._store = open_store(self._place.store, self._place.settings)
        return self._claim.why_stop(self._store.now()) or ("lost" if self._is_asked else "")


def notify(claim: Claim, place: Place) -> Result:
    """Deliver one notice to whoever the settings name; failed if any of them did not take it.

    Who took it in an earlier attempt is not told twice; the counts name them.
    """
    # Mail and TLS cost each task 20 ms, and only notices need them.
    from sexton.work.notify import deliver

    took = _took(claim, place)
    notice = msgspec.json.decode(claim.payload, type=Notice)
    targets = {name: it for name, it in place.settings.notify.targets.items() if name not in took}
    deliveries = deliver(notice, list(targets.values()))
    outcome = "; ".join(f"{d.to}: {d.text}" for d in deliveries) or "nobody to notify"
    counts = {name: 1 for name, it in zip(targets, deliveries, strict=True) if it.ok}
    if all(delivery.ok for delivery in deliveries):
        return Result(status=COMPLETE, outcome=outcome, counts=counts)
    return Result(status=ABORTED, reason="failed", outcome=outcome, counts=counts)


def _took(claim: Claim, place: Place) -> set[str]:
    """Which targets took this notice already."""
    store = open_store(place.store, place.settings)
    try:
        attempts = store.tasks.chain(store.tasks.get(claim.task).root)
    finally:
        store.close()
    return {name for task in attempts for name in msgspec.json.decode(task.counts)}
