"""Signals as something to ask about, and a descriptor to wait on.

TERM, INT and HUP ask for an end: what runs may be ended in good order, and nothing is cut off in
the middle of a store's transaction.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType

from sexton.cli import INTERRUPTED

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
            raise KeyboardInterrupt("interrupted once more")
        self.asked_s = self.asked_s or time.monotonic()
        self.asked = self.asked or signal.Signals(number).name
        with suppress(BlockingIOError):
            os.write(self._write, b"\0")

    def take(self) -> None:
        """Make `fd` quiet until the next one comes."""
        with suppress(BlockingIOError):
            os.read(self.fd, 4096)

    def code_of(self, code: int) -> int:
        """The exit code of what would end with `code`: 130 where Ctrl-C cut it short."""
        return INTERRUPTED if code and self.asked == "SIGINT" else code

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


@contextmanager
def interruptible() -> Iterator[None]:
    """`with interruptible():` Ctrl-C raises KeyboardInterrupt with words for the record.

    Python's own has none. Who was started with INT ignored goes on ignoring it.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt("interrupted by Ctrl-C")

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
