"""Wait until a file is touched, without asking again and again: Linux's inotify, by ctypes.

The file's directory is watched, since the file may not be there yet, or be replaced. Where inotify
is not to be had (another system, no watches left), `fd` is -1 and the caller looks from time to
time, as it does anyway: what is lost then is speed and nothing else.
"""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

# Source: inotify(7), <sys/inotify.h>.
_IN_ATTRIB = 0x4
_IN_CLOSE_WRITE = 0x8
_IN_MOVED_TO = 0x80
_IN_IGNORED = 0x8000
_IN_ONLYDIR = 0x01000000
_IN_CLOEXEC = os.O_CLOEXEC
_IN_NONBLOCK = os.O_NONBLOCK
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_READ_BYTES = 64 * 1024


class Touches:
    """The touches of one file from now on. `fd`: readable when there may be one; -1: look yourself.

    In a `with` block it is closed at the end.
    """

    def __init__(self, path: str) -> None:
        directory, name = os.path.split(os.path.abspath(path))
        self._name = os.fsencode(name)
        self.fd = _watched(os.fsencode(directory))

    def taken(self) -> bool:
        """Whether the file was touched since the last call; never waits."""
        was_touched = False
        while self.fd >= 0:
            try:
                events = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                break
            was_touched |= self._is_among(events)
        return was_touched

    def _is_among(self, events: bytes) -> bool:
        """Whether the file is among these events; a watch that ended is given up."""
        at, found = 0, False
        while at < len(events):
            _, mask, _, length = _EVENT.unpack_from(events, at)
            at += _EVENT.size
            found |= events[at : at + length].rstrip(b"\0") == self._name
            at += length
            if mask & _IN_IGNORED:
                self.close()
        return found

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Touches:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _watched(directory: bytes) -> int:
    """A descriptor that tells of what happens in a directory, or -1."""
    with suppress(OSError, AttributeError):
        system = ctypes.CDLL(None, use_errno=True)
        fd: int = system.inotify_init1(_IN_CLOEXEC | _IN_NONBLOCK)
        if fd < 0:
            return -1
        mask = _IN_CLOSE_WRITE | _IN_MOVED_TO | _IN_ATTRIB | _IN_ONLYDIR
        if system.inotify_add_watch(fd, directory, mask) >= 0:
            return fd
        os.close(fd)
    return -1
