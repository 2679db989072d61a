"""The wake file beside a store: only *enqueue* touches it, so that a waiting tick, or a systemd
path unit, reacts at once. A wake that is lost costs at most a minute: the next tick looks anyway.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

# Who may write the directory must not lead root elsewhere, or make it wait for a pipe's reader.
FLAGS = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def wake_path(store_path: str) -> str:
    return f"{store_path}.wake"


def touch(store_path: str) -> None:
    """Wake whoever waits; a failure is no error, since the row is there already."""
    with suppress(OSError):
        fd = _opened(store_path)
        try:
            os.write(fd, b"\n")
        finally:
            os.close(fd)


def _opened(store_path: str) -> int:
    """A descriptor of the wake file; a new one is its users' as the store is, whoever makes it."""
    path = wake_path(store_path)
    with suppress(FileNotFoundError):
        return os.open(path, FLAGS)
    fd = os.open(path, FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
    store = os.stat(store_path)
    with suppress(PermissionError):
        os.fchown(fd, store.st_uid, store.st_gid)
    os.fchmod(fd, stat.S_IMODE(store.st_mode))
    return fd
