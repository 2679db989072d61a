"""Kill a run at every boundary in turn, and let a test look at what is left.

Each run happens in a process forked before the store is opened, on a fresh copy of the store as it
was when the loop began, and ends by SIGKILL: before its first statement on the store, before its
second, … and after each commit. The loop ends when a run comes to its end alive.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from sexton.app import Command, Sexton, Task
from sexton.app.task import Using
from sexton.core import instant
from sexton.core.errors import UsageError
from sexton.core.outcome import Outcome
from sexton.core.task import PENDING, RUNNING
from sexton.store import boundary
from sexton.testing.application import moved
from sexton.testing.clock import Clock
from sexton.testing.inline import tick

ROUNDS_MAX = 200
REPORT_BYTES_MAX = 1 << 16

Call = Callable[[], Any]


class _Report(msgspec.Struct, frozen=True):
    """What a run tells before it ends: `at` if it dies there, else what became of it."""

    at: str = ""
    sentence: str = ""
    ran: bool = True
    error: str = ""


class Crash:
    """One run that was killed. `number`: at which boundary, from 1; `at`: which one that was."""

    def __init__(self, app: Sexton, clock: Clock, call: Bound, number: int, at: str) -> None:
        self._app = app
        self._clock = clock
        self._call = call
        newest = app.store.tasks.newest(kind=call.name, limit=1)
        self._has_left_a_row = bool(newest) and newest[0].id > call.before
        self.number = number
        self.at = at
        self.outcome: Any = None

    def __repr__(self) -> str:
        return f"<crash {self.number}, {self.at}>"

    def resume(self) -> Any:
        """Do what comes after a crash: tick, travel past the delay of each retry, call again.

        Ends when nothing waits and nothing runs any more, and every invariant of the store holds.
        Returns, and keeps as `outcome`, the answer of the last call. What each call asks for anew
        (a kind that is asked for, `force`, `enqueue`) is called again only if the crash left no row
        of it: else it would be another request.
        """
        self._settle()
        if not (self._call.asks_anew and self._has_left_a_row):
            self._call_again()
        problems = self._app.store.upkeep.check()
        if problems:
            raise AssertionError(f"{self!r}: the store is not sound:\n" + "\n".join(problems))
        return self.outcome

    def _call_again(self) -> None:
        for _ in range(ROUNDS_MAX):
            self.outcome = self._call()
            self._settle()
            if not isinstance(self.outcome, Outcome) or self.outcome.code not in {"failed", "lost"}:
                return
        raise AssertionError(f"{self!r}: not settled after {ROUNDS_MAX} calls: {self.outcome}")

    def _settle(self) -> None:
        for _ in range(ROUNDS_MAX):
            tick(self._app)
            store = self._app.store
            live = [*store.tasks.newest(status=PENDING), *store.tasks.newest(status=RUNNING)]
            if not live:
                return
            soonest = min(task.due_at for task in live)
            if soonest > store.now():
                self._clock.travel_to(instant.to_datetime(soonest))
        raise AssertionError(f"{self!r}: still live after {ROUNDS_MAX} ticks: {live}")


class Crashes:
    """`for crash in sexton_crashes(daily_summary): …`"""

    def __init__(
        self, app: Sexton, clock: Clock, directory: Path, reset: Callable[[], None]
    ) -> None:
        """`reset` is called before each run, for what the test keeps outside the store."""
        self._app = app
        self._clock = clock
        self._directory = directory
        self._reset = reset
        self._loops = count(1)

    def __call__(self, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Iterator[Crash]:
        """Kill `run(*args, **kwargs)` at each boundary in turn.

        Raises UsageError if the run that was not killed had nothing to do, or never used the
        store: then nothing would have been tested.
        """
        newest = self._app.store.tasks.newest(limit=1)
        call = Bound(run, args, kwargs, newest[0].id if newest else 0)
        directory = self._directory / f"crashes-{next(self._loops)}"
        directory.mkdir()
        origin = str(directory / "before.db")
        self._app.store.upkeep.backup(origin)
        for number in count(1):
            path = str(directory / f"crash-{number}.db")
            shutil.copyfile(origin, path)
            self._reset()
            with moved(self._app, f"sqlite:///{path}"):
                report = _run(call, number)
                if not report.at:
                    return _refuse_empty(report, number)
                yield Crash(self._app, self._clock, call, number, report.at)


class Bound:
    """A function with its arguments, that still tells which kind it is ('' for none).

    `asks_anew`: whether each call of it makes another request. `before`: the newest task's id when
    the loop began.
    """

    def __init__(
        self, run: Callable[..., Any], args: Any = (), kwargs: Any = None, before: int = 0
    ) -> None:
        self._run, self._args, self._kwargs = run, args, kwargs or {}
        self.before = before
        # `task`, or `task.force`, or `task.using(…).enqueue`.
        owner = getattr(run, "__self__", run)
        declared = owner.task if isinstance(owner, Using) else owner
        self.name, self.asks_anew = "", False
        if isinstance(declared, Task | Command):
            self.name = declared.name
            self.asks_anew = owner is not run or not declared.kind.is_guarded

    def __call__(self) -> Any:
        return self._run(*self._args, **self._kwargs)


def _refuse_empty(report: _Report, number: int) -> None:
    if report.error:
        raise UsageError(f"the run that was not killed failed: {report.error}")
    if number == 1:
        raise UsageError("the run never used the store, so it could not be killed anywhere")
    if not report.ran:
        raise UsageError(
            f"the run that was not killed had nothing to do: {report.sentence}",
            hint="Let sexton_clock travel to a moment at which it is due.",
        )


def _run(call: Call, number: int) -> _Report:
    """Run it in a forked process that dies at this boundary; what it told before it ended."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        # A child that only uses what fork gives it is what is wanted here: the thread of the mail
        # server stays in the parent, and answers.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(read)
        _be_killed(call, number, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        text = pipe.read(REPORT_BYTES_MAX)
    _, status = os.waitpid(pid, 0)
    report = msgspec.json.decode(text, type=_Report) if text else _Report(error=f"{status=}")
    if bool(report.at) != (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
        raise AssertionError(f"the run ended with status {status} after it told {report}")
    return report


def _be_killed(call: Call, number: int, write: int) -> NoReturn:
    reached = count(1)

    def told(at: str) -> None:
        if next(reached) == number:
            os.write(write, msgspec.json.encode(_Report(at=at)))
            os.kill(os.getpid(), signal.SIGKILL)

    boundary.watch(told)
    try:
        answer = call()
        ran = answer.ran if isinstance(answer, Outcome) else True
        report = _Report(sentence=str(answer), ran=ran)
    except BaseException as error:  # noqa: BLE001 -- the user's function; told, and then it ends
        traceback.print_exc()
        report = _Report(error=f"{type(error).__name__}: {error}")
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(write, msgspec.json.encode(report)[:REPORT_BYTES_MAX])
    os._exit(0)
