"""A tick that stays: after each pass it waits for what falls due next, or for a wake.

Who enqueues touches the wake file, and inotify tells of it within milliseconds. What nobody tells
of, a request in a caller's own database or a changed source file, is looked for every POLL_S.
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress

from sexton.app import ticker
from sexton.app.attend import Starter, Trouble
from sexton.app.place import Place
from sexton.app.ticker import Ticked
from sexton.cli.idle import send_ping
from sexton.cli.say import one_line, warn
from sexton.cli.signals import Signals
from sexton.core.errors import StoreError, StoreMissing
from sexton.core.instant import SECOND_US
from sexton.store import idle
from sexton.store.store import Store
from sexton.work.wait import Touches

POLL_S = 3.0
TROUBLES_MAX = 1000  # how many are kept for --json
MARK_S = 60.0  # at least so often a pass is marked, so that doctor and the ping see it


class Front(Starter):
    """The command line as the starter of a tick: its signals, its wake, its stderr."""

    def __init__(
        self, signals: Signals, touches: Touches, *, grace_s: float, ends_s: float = 0
    ) -> None:
        """`ends_s`: when no more begins, on the monotonic clock; 0: never by itself."""
        super().__init__()
        self._signals = signals
        self._grace_s = grace_s
        self._touches = touches
        self._ends_s = ends_s
        self._pinged, self._pinged_s = 0, 0.0

    def fds(self) -> list[int]:
        return [fd for fd in (self._signals.fd, self._touches.fd) if fd >= 0]

    def wake(self) -> None:
        self.is_woken()

    def is_woken(self) -> bool:
        """Whether somebody enqueued since the last call."""
        self._signals.take()
        return self._touches.taken()

    def is_over(self) -> bool:
        is_late = bool(self._ends_s) and time.monotonic() >= self._ends_s
        return is_late or bool(self._signals.asked)

    def why_end(self) -> str:
        """After a signal what runs may go on for the grace time; a second one ends it at once."""
        signals = self._signals
        if not signals.asked:
            return ""
        is_patient = signals.times == 1 and time.monotonic() < signals.asked_s + self._grace_s
        return "" if is_patient else f"interrupted by {signals.asked}"

    def ping(self, url: str) -> None:
        """Send the ping, at most once in MARK_S, by a process that nobody waits for."""
        if self._pinged and time.monotonic() - self._pinged_s < MARK_S:
            return
        if self._pinged:
            with suppress(ChildProcessError):
                os.waitpid(self._pinged, os.WNOHANG)
        self._pinged, self._pinged_s = send_ping(url), time.monotonic()

    def left_s(self) -> float:
        """How long it may stay."""
        return max(0.0, self._ends_s - time.monotonic()) if self._ends_s else MARK_S

    def tell(self, trouble: Trouble) -> None:
        if len(self.troubles) < TROUBLES_MAX:
            super().tell(trouble)
        warn(f"sexton: {one_line(str(trouble))}")


def one_pass(store: Store, place: Place, front: Front) -> Ticked:
    """One tick, and then the ping for whoever watches from outside."""
    ticked = ticker.tick(store, place, front.is_over, front)
    if url := store.meta.get("ping"):
        front.ping(url)
    return ticked


def linger(store: Store, place: Place, front: Front, *, is_endless: bool) -> Ticked:
    """Pass after pass until the front says that it is over; the sum of what they did.

    Endless, it also outlives a store that does not answer for a while: it says so, and goes on.
    """
    total, said = Ticked(), ""
    while True:
        if not store.is_current:
            raise StoreMissing(
                f"the store {store.db.path} was moved away or replaced", hint="Start this anew."
            )
        try:
            ticked = one_pass(store, place, front)
        except StoreError as error:
            if not is_endless:
                raise
            ticked = Ticked()
            warn(f"sexton: {error}")
        total = _sum(total, ticked)
        if is_endless and ticked.sync_error and ticked.sync_error != said:
            warn(f"sexton: the application could not be read: {ticked.sync_error}")
        said = ticked.sync_error
        if _rest(store, front):
            return total


def _rest(store: Store, front: Front) -> bool:
    """Wait until there is something to do; whether it is over instead."""
    marked_s = time.monotonic()
    look_s = marked_s + _pause_s(store)
    while not front.is_over():
        _wait(front, min(max(0.0, look_s - time.monotonic()), front.left_s()))
        if front.is_woken():
            return False
        # Every file that others write beside the store ends the wait: only the time counts.
        if time.monotonic() < look_s:
            continue
        if time.monotonic() - marked_s >= MARK_S or _has_work(store):
            return False
        look_s = time.monotonic() + _pause_s(store)
    return True


def _wait(front: Front, timeout_s: float) -> None:
    poll = select.poll()
    for fd in front.fds():
        poll.register(fd, select.POLLIN)
    poll.poll(timeout_s * 1000)


def _pause_s(store: Store) -> float:
    """Until the next moment that the store knows of, at most POLL_S.

    What is due already and was left, since its lane is held, waits for the next look.
    """
    try:
        next_at = store.rounds.next_at()
        left_us = next_at - store.now() if next_at is not None else 0
    except StoreError:
        return POLL_S
    # A millisecond more, so that the look does not come just before the moment.
    return min(POLL_S, left_us / SECOND_US + 0.001) if left_us > 0 else POLL_S


def _has_work(store: Store) -> bool:
    try:
        return not idle.is_quiet(store.db)
    except StoreError:
        return True


def _sum(total: Ticked, ticked: Ticked) -> Ticked:
    return Ticked(
        complete=total.complete + ticked.complete,
        aborted=total.aborted + ticked.aborted,
        swept=total.swept + ticked.swept,
        asked=total.asked + ticked.asked,
        drained=total.drained + ticked.drained,
        sync_error=ticked.sync_error,
    )
