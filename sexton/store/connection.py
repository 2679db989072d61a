"""The connections of this process to SQLite files: who opened them, how many lead to one file.

SQLite keeps one table of locks for a file in a process. So nothing a fork left behind may stay
open beside a new connection, and no second library may open the same file. This is on the path of
an idle tick, so it imports nothing slow.
"""

from __future__ import annotations

import os
from _thread import RLock
from os import getpid

import apsw

from sexton.core.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    File = tuple[int, int]  # device and inode: which file a path leads to

# The most connections at once that this process had to a file, since it last had a single one.
# SQLite keeps the descriptor of a closed one for as long as others are open on that file, and gives
# it to the next: so a file never has more descriptors than that.
_most: dict[File | None, int] = {}
# To open and to count is one act: two threads at once would each miss the other. A signal's handler
# may open a store in the middle of it.
_opening = RLock()


def _open_anew() -> None:
    global _opening  # noqa: PLW0603 -- the child's only thread holds a copy
    _opening = RLock()


# No fork falls into an opening or a closing of another thread: the child would wait for ever for
# what was held in the middle of it.
os.register_at_fork(
    before=lambda: _opening.acquire(),  # noqa: PLW0108 -- of the lock that is there then
    after_in_parent=lambda: _opening.release(),  # noqa: PLW0108
    after_in_child=_open_anew,
)


class Unforked:
    """`with Unforked():` no fork of another thread falls into the block, where it would find the
    library at work, and no other thread opens or closes a connection meanwhile."""

    def __enter__(self) -> None:
        self._held = _opening
        self._held.acquire()

    def __exit__(self, *_: object) -> None:
        self._held.release()


class Connection(apsw.Connection):
    """A connection that knows which process opened it, and which file."""

    def __init__(self, path: str, flags: int) -> None:
        self.pid = getpid()  # before it is listed, so that nobody takes it for an inherited one
        self.file = file_of(path)
        super().__init__(path, flags=flags)


def opened(path: str, flags: int) -> Connection:
    """A new connection; raises apsw.Error, or StoreError where a fork left one that is at work."""
    with _opening:
        _close_inherited(path)
        connection = Connection(path, flags)
        if connection.file is None:  # it was made just now
            connection.file = file_of(path)
        now = sum(one.file == connection.file for one in _all())
        _most[connection.file] = now if now == 1 else max(now, _most.get(connection.file, 0))
    return connection


def _all() -> list[Connection]:
    return [one for one in apsw.connections() if isinstance(one, Connection)]


def closed(connection: Connection) -> None:
    """Close a connection that this process opened."""
    with _opening:
        connection.close()


def file_of(path: str) -> File | None:
    """Which file a path leads to; None: to none that can be seen."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_shared(path: str, file: File | None) -> bool:
    """Whether this process has the file open by the module sqlite3, too.

    Two SQLite libraries on one file in one process cancel each other's locks: what is committed
    may then be overwritten. Looked for only where the file has more descriptors than our own
    connections explain. A machine without /proc cannot tell.
    """
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return False
    if sum(_leads_to(name, file) for name in names) <= _most.get(file, 0):
        return False
    from sexton.store import shared  # noqa: PLC0415 -- only where it looks so

    return shared.is_open_by_sqlite3(path)


def _leads_to(descriptor: str, file: File | None) -> bool:
    try:
        found = os.fstat(int(descriptor))
    except OSError:  # closed meanwhile, as the listing's own
        return False
    return (found.st_dev, found.st_ino) == file


def _close_inherited(path: str) -> None:
    """Close what a fork left in this process, before it opens a store of its own.

    A copy left open would lend the new connection the parent's locks: held by nobody once the
    parent has ended, so that whoever closes the file last would delete the log under us, and our
    commits with it. One that was at work when the fork came cannot be closed: then its file is not
    opened here.
    """
    for one in _all():
        if one.pid != getpid() and not _is_closed(one) and one.file == file_of(path):
            raise StoreError(
                f"this process was forked while another thread was at work in the store {path},"
                " and what it inherited of that cannot be closed",
                hint="Fork between calls of Sexton, or start the process anew, as by the start"
                " method spawn of multiprocessing.",
            )


def _is_closed(inherited: Connection) -> bool:
    """Close it, if no thread was at work in it; its end would reach into the parent's memory."""
    try:
        if inherited.in_transaction:
            return False
        # The log is the parent's too: it is not folded into the file, and not deleted.
        inherited.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        inherited.close()
    except apsw.ThreadingViolationError:
        return False
    return True
