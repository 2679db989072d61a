"""Signals as something to ask about, and a descriptor to wait on.

TERM, INT and HUP ask for an end: what runs may be ended in good order, and nothing is cut off in
the middle of a store's transaction.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from types import FrameType, TracebackType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """`with Signals() as signals:` asks for an end are noted instead of obeyed.

    `fd` is readable when one came. `asked`: its name, '' before the first; `asked_s`: when, on the
    monotonic clock; `times`: how many came.
    """

    def __init__(self, *, insists: bool = False) -> None:
        """`insists`: a second one raises KeyboardInterrupt, for code that may not ask in time."""
        self._insists = insists
        self.asked = ""
        self.asked_s = 0.0
        self.times = 0
        self.fd, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = {number: signal.getsignal(number) for number in ENDING}

    def _note(self, number: int, _: FrameType | None) -> None:
        self.times += 1
        if self._insists and self.times > 1:
            raise KeyboardInterrupt
        self.asked_s = self.asked_s or time.monotonic()
        self.asked = self.asked or signal.Signals(number).name
        with suppress(BlockingIOError):
            os.write(self._write, b"\0")

    def take(self) -> None:
        """Make `fd` quiet until the next one comes."""
        with suppress(BlockingIOError):
            os.read(self.fd, 4096)

    def __enter__(self) -> Signals:
        for number in ENDING:
            # Who was started with HUP ignored, as by nohup, goes on ignoring it.
            if self._before[number] is not signal.SIG_IGN:
                signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.fd)
        os.close(self._write)
